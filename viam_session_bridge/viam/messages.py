# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The Viam messages and methods that this package uses, described field by field.

The numbers are those of Viam's public .proto files (viam-sdk 0.85.1); a test compares the messages
with viam-sdk's, byte for byte. They have a descriptor pool of their own: viam-sdk may be loaded in
the same process, and it registers the same names in the default pool. Fields that are not
described here (``extra``, most of a machine's status) are neither sent nor read.

Works with protobuf 4.21 to 7 and with any grpcio:

    STOP.on(channel)(STOP.request(name='base'), timeout=0.25)
"""

from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

# The gRPC metadata key that names the session of a monitored call.
SESSION_KEY = 'viam-sid'
# The details, with INVALID_ARGUMENT, of a call under an unknown, expired or foreign session.
SESSION_EXPIRED = 'SESSION_EXPIRED'
# The metadata key of the access token, and the type of the credentials that it is issued for.
TOKEN_KEY = 'authorization'
API_KEY = 'api-key'

_TWO_VECTORS = (
    'string name = 1', 'viam.common.v1.Vector3 linear = 2', 'viam.common.v1.Vector3 angular = 3',
)  # fmt: skip
# package -> message -> fields, each as a line of a .proto file
MESSAGES: dict[str, dict[str, tuple[str, ...]]] = {
    'proto.rpc.v1': {
        'Credentials': ('string type = 1', 'string payload = 2'),
        'AuthenticateRequest': ('string entity = 1', 'proto.rpc.v1.Credentials credentials = 2'),
        'AuthenticateResponse': ('string access_token = 1',),
    },
    'viam.common.v1': {
        'Vector3': ('double x = 1', 'double y = 2', 'double z = 3'),
        'ResourceName': (
            'string namespace = 1', 'string type = 2', 'string subtype = 3', 'string name = 4',
        ),
    },
    'viam.robot.v1': {
        'ResourceNamesRequest': (),
        'ResourceNamesResponse': ('repeated viam.common.v1.ResourceName resources = 1',),
        'GetMachineStatusRequest': (),
        'GetMachineStatusResponse': (
            'repeated viam.robot.v1.ResourceStatus resources = 1',
            'viam.robot.v1.GetMachineStatusResponse.State state = 3',
        ),
        'ResourceStatus': (
            'viam.common.v1.ResourceName name = 1',
            'viam.robot.v1.ResourceStatus.State state = 2',
            'string error = 5',
        ),
        'StartSessionRequest': ('string resume = 1',),
        'StartSessionResponse': (
            'string id = 1', 'google.protobuf.Duration heartbeat_window = 2',
        ),
        'SendSessionHeartbeatRequest': ('string id = 1',),
        'SendSessionHeartbeatResponse': (),
        'GetSessionsRequest': (),
        'GetSessionsResponse': ('repeated viam.robot.v1.Session sessions = 1',),
        'Session': (
            'string id = 1', 'optional viam.robot.v1.PeerConnectionInfo peer_connection_info = 2',
        ),
        'PeerConnectionInfo': (
            'viam.robot.v1.PeerConnectionType type = 1',
            'optional string remote_address = 2',
            'optional string local_address = 3',
        ),
    },
    'viam.component.base.v1': {
        'SetVelocityRequest': _TWO_VECTORS,
        'SetVelocityResponse': (),
        'SetPowerRequest': _TWO_VECTORS,
        'SetPowerResponse': (),
        'MoveStraightRequest': (
            'string name = 1', 'int64 distance_mm = 2', 'double mm_per_sec = 3',
        ),
        'MoveStraightResponse': (),
        'SpinRequest': ('string name = 1', 'double angle_deg = 2', 'double degs_per_sec = 3'),
        'SpinResponse': (),
        'StopRequest': ('string name = 1',),
        'StopResponse': (),
        'IsMovingRequest': ('string name = 1',),
        'IsMovingResponse': ('bool is_moving = 1',),
    },
}  # fmt: skip
# package -> enumeration, of the package or of a message -> its values, numbered from 0
ENUMS = {
    'viam.robot.v1': {
        'GetMachineStatusResponse.State': (
            'STATE_UNSPECIFIED', 'STATE_INITIALIZING', 'STATE_RUNNING',
        ),
        'ResourceStatus.State': (
            'STATE_UNSPECIFIED', 'STATE_UNCONFIGURED', 'STATE_CONFIGURING', 'STATE_READY',
            'STATE_REMOVING', 'STATE_UNHEALTHY',
        ),
        'PeerConnectionType': (
            'PEER_CONNECTION_TYPE_UNSPECIFIED',
            'PEER_CONNECTION_TYPE_GRPC',
            'PEER_CONNECTION_TYPE_WEBRTC',
        ),
    },
}  # fmt: skip
PEER_GRPC = 1  # PEER_CONNECTION_TYPE_GRPC
RUNNING = 2  # GetMachineStatusResponse.STATE_RUNNING: all that is configured was tried
READY, UNHEALTHY = 3, 5  # ResourceStatus.STATE_...

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    'bool': _Field.TYPE_BOOL,
    'double': _Field.TYPE_DOUBLE,
    'int64': _Field.TYPE_INT64,
    'string': _Field.TYPE_STRING,
}


def _file_descriptor(package: str) -> bytes:
    """Return the serialized ``FileDescriptorProto`` of one package of the tables above."""
    path = 'viam_session_bridge/{}.proto'
    file = descriptor_pb2.FileDescriptorProto(
        name=path.format(package), package=package, syntax='proto3'
    )
    file.dependency.append(duration_pb2.DESCRIPTOR.name)
    if package not in ('viam.common.v1', 'proto.rpc.v1'):
        file.dependency.append(path.format('viam.common.v1'))
    enums = ENUMS.get(package, {})
    messages = {}
    for name, lines in MESSAGES[package].items():
        message = messages[name] = file.message_type.add(name=name)
        for line in lines:
            _add_field(message, line, {f'{package}.{enum}' for enum in enums})
    for full_name, values in enums.items():
        of, _, name = full_name.rpartition('.')
        enum = (messages[of] if of else file).enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    return file.SerializeToString()


def _add_field(message: descriptor_pb2.DescriptorProto, line: str, enums: set[str]) -> None:
    """Add the field that a line describes, such as ``repeated viam.robot.v1.Session x = 1``."""
    *label, kind, name, _, number = line.split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in enums else _Field.TYPE_MESSAGE
        field.type_name = f'.{kind}'
    if label == ['repeated']:
        field.label = _Field.LABEL_REPEATED
    elif label == ['optional']:
        # Distinguishes empty from absent; in proto3 that is a oneof with one member.
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f'_{name}')


_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
for _package in MESSAGES:
    _pool.AddSerializedFile(_file_descriptor(_package))

_factory: Any = message_factory
if hasattr(_factory, 'GetMessageClass'):
    _get_class = _factory.GetMessageClass
else:  # protobuf before 4.22, such as Ubuntu 24.04's 4.21
    _get_class = _factory.MessageFactory(_pool).GetPrototype


def message_class(full_name: str) -> Any:
    """Return the class of a message, such as ``viam.common.v1.Vector3``; KeyError if unknown."""
    return _get_class(_pool.FindMessageTypeByName(full_name))


@dataclass(frozen=True)
class Method:
    """
    One unary RPC.

    ``monitored`` is Viam's method option ``safety_heartbeat_monitored``: the call takes a session
    in ``SESSION_KEY``, heartbeats it and makes it the last user of the base.
    """

    path: str
    request: Any
    response: Any
    monitored: bool = False

    def on(self, channel: Any) -> Any:
        """Return grpcio's callable for it on a ``grpc.Channel``."""
        return channel.unary_unary(
            self.path,
            request_serializer=self.request.SerializeToString,
            response_deserializer=self.response.FromString,
        )


def _method(package: str, service: str, name: str, monitored: bool = False) -> Method:
    request = message_class(f'{package}.{name}Request')
    response = message_class(f'{package}.{name}Response')
    return Method(f'/{package}.{service}/{name}', request, response, monitored)


def _robot(name: str) -> Method:
    return _method('viam.robot.v1', 'RobotService', name)


def _base(name: str, monitored: bool = False) -> Method:
    return _method('viam.component.base.v1', 'BaseService', name, monitored)


AUTHENTICATE = _method('proto.rpc.v1', 'AuthService', 'Authenticate')

RESOURCE_NAMES = _robot('ResourceNames')
GET_MACHINE_STATUS = _robot('GetMachineStatus')
START_SESSION = _robot('StartSession')
SEND_SESSION_HEARTBEAT = _robot('SendSessionHeartbeat')
GET_SESSIONS = _robot('GetSessions')

SET_VELOCITY = _base('SetVelocity', monitored=True)
SET_POWER = _base('SetPower', monitored=True)
MOVE_STRAIGHT = _base('MoveStraight', monitored=True)
SPIN = _base('Spin', monitored=True)
STOP = _base('Stop')
IS_MOVING = _base('IsMoving')

METHODS = (
    AUTHENTICATE,
    RESOURCE_NAMES, GET_MACHINE_STATUS,
    START_SESSION, SEND_SESSION_HEARTBEAT, GET_SESSIONS,
    SET_VELOCITY, SET_POWER, MOVE_STRAIGHT, SPIN, STOP, IS_MOVING,
)  # fmt: skip

Credentials = message_class('proto.rpc.v1.Credentials')
ResourceName = message_class('viam.common.v1.ResourceName')
Vector3 = message_class('viam.common.v1.Vector3')
Duration = message_class('google.protobuf.Duration')


def to_duration(seconds: float) -> Any:
    """Return a Duration of this pool, to the nearest nanosecond."""
    whole, nanos = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)


def to_seconds(duration: Any) -> float:
    """Return a Duration in seconds."""
    return float(duration.seconds) + float(duration.nanos) * 1e-9
