# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the other tests rely on: how viam-server cancels calls, and the bases that its tests have.

On both versions of the real viam-server, without the bridge.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product
import os
from pathlib import Path
import signal
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support import real_bases
from support.bounds import PATIENCE
from support.drive import observe, wait_for
from support.raw_client import RawClient
from support.record import Entry
from support.viam_server import insecure_channel, merged, ViamServer
from viam_session_bridge.viam import messages as wire

RECORDING = ('recorder', 'module')  # bases that take faults
FAULTS = ('delay', 'failures')
BASES = (*RECORDING, 'wheeled', 'controlled')
SLOW = 0.5  # s
TURN = wire.Vector3(z=90.0)  # deg/s


@pytest.fixture(scope='module', params=[False, True], ids=['pinned', 'newest'])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    configs = [
        real_bases.module('module'),
        real_bases.wheeled('wheeled'),
        real_bases.sensor_controlled('controlled'),
    ]
    directory = tmp_path_factory.mktemp('server')
    extra: Any = reduce(merged, configs)
    with ViamServer(directory, ['recorder'], extra=extra, newest=request.param) as server:
        yield server


@pytest.fixture
def server(shared: ViamServer) -> Iterator[ViamServer]:
    """Return the server, whose bases have no faults before and after."""
    yield shared
    for base in RECORDING:
        calls = product(('stop', 'set_velocity'), FAULTS)
        faults: dict[str, Any] = {f'{call}_{kind}': 0 for call, kind in calls}
        shared.control(base, release=True, ignore_cancel=False, **faults)
    shared.control('recorder', coast=0.0)
    shared.do(real_bases.sensor('controlled'), {'dead': False}, real_bases.SENSOR)
    with RawClient(shared.address) as raw:
        for base in BASES:
            raw.stop(base)


@pytest.fixture
def channel(server: ViamServer) -> Iterator[grpc.Channel]:
    with insecure_channel(server.address) as channel:
        yield channel


def start(channel: grpc.Channel, method: wire.Method, base: str, **fields: Any) -> Any:
    """Start a call and return its future."""
    request = method.request(name=base, **fields)
    return method.on(channel).future(request, timeout=PATIENCE, wait_for_ready=True)


def forward(channel: grpc.Channel, base: str, speed: float = 200.0) -> Any:
    return start(channel, wire.SET_VELOCITY, base, linear=wire.Vector3(y=speed))


def moves(channel: grpc.Channel, base: str) -> bool:
    return bool(start(channel, wire.IS_MOVING, base).result().is_moving)


def begun(server: ViamServer, base: str, call: str, times: int) -> None:
    """Wait until so many calls have begun."""
    record = server.record
    record.wait_for(lambda _: len(record.calls(base, call, 'begin')) >= times, PATIENCE)


def ends(server: ViamServer, base: str, call: str, times: int) -> list[Entry]:
    """Wait until so many calls have ended, and return those."""
    record = server.record
    record.wait_for(lambda _: len(record.calls(base, call, 'end')) >= times, PATIENCE)
    return record.calls(base, call, 'end')


@pytest.mark.parametrize('wait', ['delay', 'hang'])
@pytest.mark.parametrize('first', ['set_velocity', 'stop'])
@pytest.mark.parametrize('base', RECORDING)
def test_the_next_call_cancels_the_running_one_that_heeds_it(
    server: ViamServer, channel: grpc.Channel, base: str, first: str, wait: str
) -> None:
    before = len(server.record.calls(base, first, 'end'))
    fault: dict[str, Any] = {f'{first}_{wait}': True if wait == 'hang' else PATIENCE}
    server.control(base, **fault)
    running = (
        forward(channel, base) if first == 'set_velocity' else start(channel, wire.STOP, base)
    )
    begun(server, base, first, before + 1)
    if first == 'stop':
        forward(channel, base).result()
    else:
        start(channel, wire.STOP, base).result()
    assert running.code() is grpc.StatusCode.CANCELLED
    assert 'cancel' in (ends(server, base, first, before + 1)[-1].error or '')
    assert server.record.moving(base) == moves(channel, base) == (first == 'stop')


@pytest.mark.parametrize('base', RECORDING)
def test_a_stop_cancels_a_stop(server: ViamServer, channel: grpc.Channel, base: str) -> None:
    before = len(server.record.calls(base, 'stop', 'end'))
    server.control(base, stop_hang=True)
    first = start(channel, wire.STOP, base)
    begun(server, base, 'stop', before + 1)
    second = start(channel, wire.STOP, base)
    assert first.code() is grpc.StatusCode.CANCELLED
    begun(server, base, 'stop', before + 2)
    server.control(base, release=True)
    second.result()
    cancelled, stopped = ends(server, base, 'stop', before + 2)[-2:]
    assert (bool(cancelled.error), stopped.error) == (True, None)


@pytest.mark.parametrize('first', ['set_velocity', 'stop'])
@pytest.mark.parametrize('base', RECORDING)
def test_a_cancelled_call_that_does_not_heed_it_runs_on_and_takes_effect(
    server: ViamServer, channel: grpc.Channel, base: str, first: str
) -> None:
    before = len(server.record.calls(base, first, 'end'))
    fault: dict[str, Any] = {f'{first}_hang': True}
    server.control(base, ignore_cancel=True, **fault)
    drives = first == 'set_velocity'
    running = forward(channel, base) if drives else start(channel, wire.STOP, base)
    begun(server, base, first, before + 1)
    (start(channel, wire.STOP, base) if drives else forward(channel, base)).result()
    assert moves(channel, base) != drives
    if base == 'module':
        # The module runs on, but viam-server has answered for it.
        assert running.code() is grpc.StatusCode.CANCELLED
    server.control(base, release=True)
    assert ends(server, base, first, before + 1)[-1].error is None
    assert server.record.moving(base) == moves(channel, base) == drives


@pytest.mark.parametrize('base', RECORDING)
def test_is_moving_and_calls_of_the_machine_cancel_nothing(
    server: ViamServer, channel: grpc.Channel, base: str
) -> None:
    before = len(server.record.calls(base, 'stop', 'begin'))
    server.control(base, stop_hang=True)
    running = start(channel, wire.STOP, base)
    begun(server, base, 'stop', before + 1)
    start(channel, wire.IS_MOVING, base).result()
    for method in (wire.START_SESSION, wire.GET_SESSIONS, wire.RESOURCE_NAMES):
        method.on(channel)(method.request(), timeout=PATIENCE)
    assert not running.done()
    server.control(base, release=True)
    running.result()


@pytest.mark.parametrize('base', RECORDING)
@pytest.mark.parametrize('code', ['NOT_FOUND', 'UNAUTHENTICATED'])
def test_a_call_fails_as_it_was_told_to(
    server: ViamServer, channel: grpc.Channel, base: str, code: str
) -> None:
    error = f'{code}: no encoder: broken'
    server.control(base, set_velocity_failures=1, set_velocity_error=error)
    failed = forward(channel, base)
    assert failed.code() is grpc.StatusCode[code]
    assert 'no encoder: broken' in failed.details()
    assert not server.record.moving(base)
    forward(channel, base).result()
    assert server.record.moving(base)


def test_a_base_that_coasts_moves_on_after_its_stop(
    server: ViamServer, channel: grpc.Channel
) -> None:
    server.control('recorder', coast=SLOW)
    forward(channel, 'recorder').result()
    start(channel, wire.STOP, 'recorder').result()
    stop = server.record.calls('recorder', 'stop', 'begin')[-1]
    assert moves(channel, 'recorder')
    assert not server.record.moving('recorder')
    wait_for(lambda: not moves(channel, 'recorder'), 'it rests')
    assert server.record.calls('recorder', 'is_moving', 'end')[-1].t >= stop.t + SLOW


def test_a_module_that_was_killed_is_started_again(
    server: ViamServer, channel: grpc.Channel
) -> None:
    forward(channel, 'module').result()
    pid = int(server.control('module', get=True)['pid'])
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        try:
            return int(server.control('module', get=True)['pid']) != pid
        except grpc.RpcError:
            return False

    wait_for(back, 'the module is back')
    forward(channel, 'module').result()
    assert moves(channel, 'module')


@pytest.mark.parametrize('base', ['wheeled', 'controlled'])
def test_a_base_of_motors_moves_and_stops_as_its_motors_record(
    server: ViamServer, channel: grpc.Channel, base: str
) -> None:
    left, right = real_bases.movers(base)
    forward(channel, base).result()
    wait_for(lambda: server.record.moving(left), 'the left motor turns')
    wait_for(lambda: server.record.moving(right), 'the right motor turns')
    assert moves(channel, base)
    start(channel, wire.STOP, base).result()
    assert not moves(channel, base)
    observe(SLOW, lambda: _rest(server, left, right))


def _rest(server: ViamServer, *motors: str) -> None:
    assert not [motor for motor in motors if server.record.moving(motor)]


def test_a_wheeled_base_turns_left_with_a_positive_angular_z(
    server: ViamServer, channel: grpc.Channel
) -> None:
    start(channel, wire.SET_VELOCITY, 'wheeled', angular=TURN).result()
    left, right = (
        server.record.calls(motor, 'set_rpm')[-1].rpm for motor in real_bases.movers('wheeled')
    )
    assert (left, right) == pytest.approx((-47.1, 47.1), abs=0.1)
    start(channel, wire.SET_POWER, 'wheeled', linear=wire.Vector3(y=0.5)).result()
    powers = [
        server.record.calls(motor, 'set_power')[-1].power for motor in real_bases.movers('wheeled')
    ]
    assert powers == pytest.approx([0.5, 0.5])


def test_a_zero_velocity_stops_a_controlled_base_later(
    server: ViamServer, channel: grpc.Channel
) -> None:
    forward(channel, 'controlled', 500.0).result()
    wait_for(lambda: moves(channel, 'controlled'), 'it moves')
    forward(channel, 'controlled', 0.0).result()
    assert moves(channel, 'controlled')
    wait_for(lambda: not moves(channel, 'controlled'), 'it rests')


def test_a_zero_velocity_does_not_stop_a_controlled_base_whose_sensor_is_dead(
    server: ViamServer, channel: grpc.Channel
) -> None:
    forward(channel, 'controlled', 500.0).result()
    wait_for(lambda: moves(channel, 'controlled'), 'it moves')
    server.do(real_bases.sensor('controlled'), {'dead': True}, real_bases.SENSOR)
    forward(channel, 'controlled', 0.0).result()

    def goes_on() -> None:
        assert moves(channel, 'controlled')

    observe(3.0, goes_on)
    start(channel, wire.STOP, 'controlled').result()
    assert not moves(channel, 'controlled')


def test_a_module_ends_with_its_server(tmp_path: Path) -> None:
    with ViamServer(tmp_path, [], extra=real_bases.module('module')) as server:
        process = Path(f'/proc/{int(server.control("module", get=True)["pid"])}')
        server.kill()
        wait_for(lambda: not process.exists(), 'the module ends')
