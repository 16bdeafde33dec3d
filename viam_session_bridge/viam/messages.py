# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The Viam messages and methods that this package uses, described field by field.

The numbers are those of Viam's public .proto files (viam-sdk 0.85.1); a test compares the messages
with viam-sdk's, byte for byte. They have a descriptor pool of their own: viam-sdk may be loaded in
the same process, and it registers the same names in the default pool. Fields that are not
described here (``extra``, most of a machine's status) are neither sent nor read. An enumeration is
described as the int32 that it is in the bytes.

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
        'GetMachineStatusRequest': (),
        'SendSessionHeartbeatResponse': (),
        'GetSessionsRequest': (),
        'ResourceNamesResponse': ('repeated viam.common.v1.ResourceName resources = 1',),
        'GetMachineStatusResponse': (
            'repeated viam.robot.v1.ResourceStatus resources = 1', 'int32 state = 3',
        ),
        'ResourceStatus': (
            'viam.common.v1.ResourceName name = 1', 'int32 state = 2', 'string error = 5',
        ),
        'StartSessionRequest': ('string resume = 1',),
        'StartSessionResponse': (
            'string id = 1', 'google.protobuf.Duration heartbeat_window = 2',
        ),
        'SendSessionHeartbeatRequest': ('string id = 1',),
        'GetSessionsResponse': ('repeated viam.robot.v1.Session sessions = 1',),
        'Session': (
            'string id = 1', 'optional viam.robot.v1.PeerConnectionInfo peer_connection_info = 2',
        ),
        'PeerConnectionInfo': (
            'int32 type = 1',
            'optional string remote_address = 2',
            'optional string local_address = 3',
        ),
    },
    'viam.component.base.v1': {
        'SetVelocityResponse': (),
        'SetPowerResponse': (),
        'StopResponse': (),
        'SetVelocityRequest': _TWO_VECTORS,
        'SetPowerRequest': _TWO_VECTORS,
        'StopRequest': ('string name = 1',),
        'IsMovingRequest': ('string name = 1',),
        'IsMovingResponse': ('bool is_moving = 1',),
    },
}  # fmt: skip
PEER_GRPC = 1  # PeerConnectionType.PEER_CONNECTION_TYPE_GRPC
RUNNING = 2  # GetMachineStatusResponse.STATE_RUNNING: all that is configured was tried
READY, UNHEALTHY = 3, 5  # ResourceStatus.STATE_...

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    'bool': _Field.TYPE_BOOL,
    'double': _Field.TYPE_DOUBLE,
    'int32': _Field.TYPE_INT32,
    'string': _Field.TYPE_STRING,
}


def _file_descriptor(package: str) -> bytes:
    """Return the serialized ``FileDescriptorProto`` of one package of the table above."""
    path = 'viam_session_bridge/{}.proto'
    file = descriptor_pb2.FileDescriptorProto(
        name=path.format(package), package=package, syntax='proto3'
    )
    file.dependency.append(duration_pb2.DESCRIPTOR.name)
    if package not in ('viam.common.v1', 'proto.rpc.v1'):
        file.dependency.append(path.format('viam.common.v1'))
    for name, lines in MESSAGES[package].items():
        message = file.message_type.add(name=name)
        for line in lines:
            _add_field(message, line)
    return file.SerializeToString()


def _add_field(message: descriptor_pb2.DescriptorProto, line: str) -> None:
    """Add the field that a line describes, such as ``repeated viam.robot.v1.Session x = 1``."""
    *label, kind, name, _, number = line.split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f'.{kind}'
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
    """One unary RPC."""

    path: str
    request: Any
    response: Any

    def on(self, channel: Any) -> Any:
        """Return grpcio's callable for it on a ``grpc.Channel``."""
        return channel.unary_unary(
            self.path,
            request_serializer=self.request.SerializeToString,
            response_deserializer=self.response.FromString,
        )


def _method(service: str, name: str) -> Method:
    package = service.rpartition('.')[0]
    request = message_class(f'{package}.{name}Request')
    return Method(f'/{service}/{name}', request, message_class(f'{package}.{name}Response'))


_ROBOT, _BASE = 'viam.robot.v1.RobotService', 'viam.component.base.v1.BaseService'

AUTHENTICATE = _method('proto.rpc.v1.AuthService', 'Authenticate')
RESOURCE_NAMES = _method(_ROBOT, 'ResourceNames')
GET_MACHINE_STATUS = _method(_ROBOT, 'GetMachineStatus')
START_SESSION = _method(_ROBOT, 'StartSession')
SEND_SESSION_HEARTBEAT = _method(_ROBOT, 'SendSessionHeartbeat')
GET_SESSIONS = _method(_ROBOT, 'GetSessions')
SET_VELOCITY = _method(_BASE, 'SetVelocity')
SET_POWER = _method(_BASE, 'SetPower')
STOP = _method(_BASE, 'Stop')
IS_MOVING = _method(_BASE, 'IsMoving')

METHODS = (
    AUTHENTICATE, RESOURCE_NAMES, GET_MACHINE_STATUS, START_SESSION, SEND_SESSION_HEARTBEAT,
    GET_SESSIONS, SET_VELOCITY, SET_POWER, STOP, IS_MOVING,
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
