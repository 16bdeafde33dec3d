# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The messages of viam/wire.py against viam-sdk's, where that is installed, and by bytes."""

import importlib
import math
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from viam_session_bridge.viam import messages as wire

DESCRIBED = [
    f'{package}.{name}' for package, messages in wire.MESSAGES.items() for name in messages
]
MODULES = {
    'proto.rpc.v1': 'viam.gen.proto.rpc.v1.auth_pb2',
    'viam.common.v1': 'viam.gen.common.v1.common_pb2',
    'viam.robot.v1': 'viam.gen.robot.v1.robot_pb2',
    'viam.component.base.v1': 'viam.gen.component.base.v1.base_pb2',
    'google.protobuf': 'google.protobuf.duration_pb2',
}
# What is not described of a message, beside nothing but `extra`.
LEFT_OUT = {
    'viam.robot.v1.GetMachineStatusResponse': {'config', 'job_statuses', 'modules', 'packages'},
    'viam.robot.v1.ResourceStatus': {
        'last_updated', 'revision', 'cloud_metadata', 'reachability', 'remote',
    },
}  # fmt: skip
SESSION = {'id': 'a', 'peer_connection_info': {'type': 1, 'remote_address': '127.0.0.1:5'}}
# message, values, bytes; made with viam-sdk 0.85.1, and compared without it too.
GOLDEN: list[tuple[str, dict[str, Any], str]] = [
    ('viam.component.base.v1.SetVelocityRequest',
     {'name': 'base', 'linear': {'y': 250.0}, 'angular': {'z': -12.5}},
     '0a04626173651209110000000000406f401a0919' + '00000000000029c0'),
    ('viam.component.base.v1.SetPowerRequest',
     {'name': 'böse', 'linear': {}, 'angular': {'x': math.inf, 'y': 5e-324, 'z': -1e9}},
     '0a0562c3b6736512001a1b09000000000000f07f11010000000000000019' + '0000000065cdcdc1'),
    ('viam.component.base.v1.StopRequest', {'name': 'base'}, '0a0462617365'),
    ('viam.component.base.v1.StopRequest', {}, ''),
    ('viam.component.base.v1.IsMovingResponse', {'is_moving': True}, '0801'),
    ('viam.robot.v1.StartSessionRequest', {'resume': 'x'}, '0a0178'),
    ('viam.robot.v1.StartSessionResponse',
     {'id': 'x', 'heartbeat_window': {'seconds': 1, 'nanos': 500_000_000}},
     '0a0178120808011080cab5ee01'),
    ('viam.robot.v1.GetSessionsResponse', {'sessions': [SESSION, {'id': 'b'}]},
     '0a140a016112' + '0f0801120b3132372e302e302e313a350a030a0162'),
    ('viam.robot.v1.PeerConnectionInfo', {'remote_address': ''}, '1200'),
    ('viam.robot.v1.ResourceNamesResponse',
     {'resources': [{'namespace': 'rdk', 'type': 'component', 'subtype': 'base', 'name': 'b'}]},
     '0a190a0372646b1209' + b'component'.hex() + '1a0462617365220162'),
    ('viam.robot.v1.GetMachineStatusResponse',
     {'resources': [{'name': {'name': 'b'}, 'state': 5, 'error': 'no'}], 'state': 2},
     '0a0b0a032201621005' + '2a026e6f1802'),
    ('viam.common.v1.ResourceName', {'namespace': 'rdk', 'name': 'b'}, '0a0372646b220162'),
]  # fmt: skip


def viam(full_name: str) -> Any:
    """Return viam-sdk's class of this name."""
    package, _, name = full_name.rpartition('.')
    pytest.importorskip('viam.gen')
    return getattr(importlib.import_module(MODULES[package]), name)


def values(full_name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Generate values of the message's fields, some absent."""
    scalars: dict[str, st.SearchStrategy[Any]] = {
        'double': st.floats(allow_nan=False),
        'string': st.text(max_size=20),
        'bool': st.booleans(),
        'int32': st.integers(0, 2),  # enumerations; the smallest has so many values
        'google.protobuf.Duration': st.fixed_dictionaries(
            {'seconds': st.integers(0, 60), 'nanos': st.integers(0, 999_999_999)}
        ),
    }
    package, _, name = full_name.rpartition('.')
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for line in wire.MESSAGES[package][name]:
        *label, kind, field, _, _ = line.split()
        value = scalars[kind] if kind in scalars else values(kind)
        fields[field] = st.lists(value, max_size=4) if label == ['repeated'] else value
    return st.fixed_dictionaries({}, optional=fields)


@pytest.mark.parametrize('full_name', DESCRIBED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_message_has_viam_sdks_bytes_in_both_directions(
    full_name: str, data: st.DataObject
) -> None:
    ours, theirs = wire.message_class(full_name), viam(full_name)
    fields = data.draw(values(full_name))
    sent = ours(**fields).SerializeToString()
    assert sent == theirs(**fields).SerializeToString()
    assert theirs.FromString(sent) == theirs(**fields)
    assert ours.FromString(theirs(**fields).SerializeToString()) == ours(**fields)


@pytest.mark.parametrize('number', [math.nan, -math.nan, math.inf, -math.inf, 1.8e308, 5e-324])
def test_doubles_go_through_bit_by_bit(number: float) -> None:
    theirs = viam('viam.common.v1.Vector3')
    sent = wire.Vector3(x=number).SerializeToString()
    assert sent == theirs(x=number).SerializeToString()
    assert struct.pack('<d', wire.Vector3.FromString(sent).x) == struct.pack('<d', number)


@pytest.mark.parametrize(('full_name', 'fields', 'expected'), GOLDEN)
def test_known_values_have_known_bytes(
    full_name: str, fields: dict[str, Any], expected: str
) -> None:
    message = wire.message_class(full_name)
    assert message(**fields).SerializeToString().hex() == expected
    assert message.FromString(bytes.fromhex(expected)) == message(**fields)


@pytest.mark.parametrize(('full_name', 'fields', 'expected'), GOLDEN)
def test_the_known_bytes_are_viam_sdks(
    full_name: str, fields: dict[str, Any], expected: str
) -> None:
    assert viam(full_name)(**fields).SerializeToString().hex() == expected


@pytest.mark.parametrize('full_name', DESCRIBED)
def test_every_field_is_described_as_in_viam_sdk(full_name: str) -> None:
    def described(field: Any) -> tuple[Any, ...]:
        kind = field.message_type
        oneof = field.containing_oneof and field.containing_oneof.name
        old = not hasattr(field, 'is_repeated')  # protobuf before 6.30
        repeated = field.label == field.LABEL_REPEATED if old else field.is_repeated
        # An enumeration is read as a number; the bytes are the same.
        enum = field.type == field.TYPE_ENUM
        type_ = field.TYPE_INT32 if enum else field.type
        return field.number, type_, repeated, kind and kind.full_name, oneof

    ours = wire.message_class(full_name).DESCRIPTOR
    theirs = viam(full_name).DESCRIPTOR
    assert ours.full_name == theirs.full_name
    for field in ours.fields:
        assert described(field) == described(theirs.fields_by_name[field.name]), field.name
    left_out = {field.name for field in theirs.fields} - {field.name for field in ours.fields}
    assert left_out <= LEFT_OUT.get(full_name, {'extra'})


def test_the_values_of_enumerations_are_viam_sdks() -> None:
    robot = viam('viam.robot.v1.Session') and importlib.import_module(MODULES['viam.robot.v1'])
    assert robot.PeerConnectionType.Value('PEER_CONNECTION_TYPE_GRPC') == wire.PEER_GRPC
    assert robot.GetMachineStatusResponse.State.Value('STATE_RUNNING') == wire.RUNNING
    assert robot.ResourceStatus.State.Value('STATE_READY') == wire.READY
    assert robot.ResourceStatus.State.Value('STATE_UNHEALTHY') == wire.UNHEALTHY


@pytest.mark.parametrize('method', wire.METHODS, ids=lambda method: str(method.path))
def test_every_method_is_viam_sdks(method: wire.Method) -> None:
    _, service_name, name = method.path.split('/')
    package = service_name.rpartition('.')[0]
    pytest.importorskip('viam.gen')
    file = importlib.import_module(MODULES[package]).DESCRIPTOR
    service = file.services_by_name[service_name.rpartition('.')[2]]
    theirs = service.methods_by_name[name]
    assert service.full_name == service_name
    assert method.request.DESCRIPTOR.full_name == theirs.input_type.full_name
    assert method.response.DESCRIPTOR.full_name == theirs.output_type.full_name


def test_a_field_that_is_not_described_is_ignored_and_kept() -> None:
    theirs = viam('viam.component.base.v1.StopRequest')(name='base')
    theirs.extra['why'] = 'a test'
    sent = theirs.SerializeToString()
    ours = wire.STOP.request.FromString(sent)
    assert ours.name == 'base'
    assert ours.SerializeToString() == sent


def test_both_live_in_one_process_as_different_classes() -> None:
    theirs = viam('viam.common.v1.Vector3')
    assert wire.Vector3 is not theirs
    assert wire.Vector3.DESCRIPTOR.file.pool is not theirs.DESCRIPTOR.file.pool
    assert theirs(x=1.0).SerializeToString() == wire.Vector3(x=1.0).SerializeToString()


@pytest.mark.parametrize('seconds', [0.03, 0.5, 1 / 3, 2.0, 59.9999999999, 60.0])
def test_a_duration_is_true_to_the_nanosecond(seconds: float) -> None:
    duration = wire.to_duration(seconds)
    assert 0 <= duration.nanos < 1_000_000_000
    assert wire.to_seconds(duration) == pytest.approx(seconds, abs=1e-9)


def test_an_unknown_message_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        wire.message_class('viam.common.v1.Nothing')
