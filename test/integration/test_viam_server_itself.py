# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the other tests rely on: the real viam-server and its recording bases, without the bridge.

Needs viam-sdk for its messages; the first run builds the server, which takes some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from viam.gen.common.v1 import common_pb2
from viam.gen.component.base.v1 import base_pb2
from viam.gen.robot.v1 import robot_pb2

from support.bounds import Load
from support.record import Entry
from support.viam_server import insecure_channel, ViamServer

WINDOW = 1.0  # s, above any delay of a busy computer
TIMEOUT = 5.0  # s
GIVES_UP = 0.5  # s, of a caller whose call hangs; it begins before


class Client:
    """A Viam client with no more to it than the calls."""

    def __init__(self, address: str) -> None:
        self.channel = insecure_channel(address)

    def call(
        self, method: str, request: Any, response: Any, sid: str = '', timeout: float = TIMEOUT
    ) -> Any:
        metadata = (('viam-sid', sid),) if sid else ()
        unary = self.channel.unary_unary(
            f'/viam.{method}', request.__class__.SerializeToString, response.FromString
        )
        return unary(request, timeout=timeout, metadata=metadata, wait_for_ready=True)

    def start_session(self) -> str:
        answer = self.call(
            'robot.v1.RobotService/StartSession',
            robot_pb2.StartSessionRequest(),
            robot_pb2.StartSessionResponse,
        )
        window = answer.heartbeat_window.ToNanoseconds() / 1e9
        assert window == pytest.approx(WINDOW)
        return str(answer.id)

    def heartbeat(self, sid: str) -> None:
        self.call(
            'robot.v1.RobotService/SendSessionHeartbeat',
            robot_pb2.SendSessionHeartbeatRequest(id=sid),
            robot_pb2.SendSessionHeartbeatResponse,
        )

    def drive(self, speed: float, sid: str = '', timeout: float = TIMEOUT) -> None:
        request = base_pb2.SetVelocityRequest(name='base', linear=common_pb2.Vector3(y=speed))
        response = base_pb2.SetVelocityResponse
        self.call('component.base.v1.BaseService/SetVelocity', request, response, sid, timeout)

    def stop(self) -> None:
        request = base_pb2.StopRequest(name='base')
        self.call('component.base.v1.BaseService/Stop', request, base_pb2.StopResponse)

    def is_moving(self) -> bool:
        request = base_pb2.IsMovingRequest(name='base')
        response = base_pb2.IsMovingResponse
        answer = self.call('component.base.v1.BaseService/IsMoving', request, response)
        return bool(answer.is_moving)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ViamServer]:
    with ViamServer(tmp_path, window=WINDOW) as server:
        yield server


@pytest.fixture
def client(server: ViamServer) -> Iterator[Client]:
    client = Client(server.address)
    with client.channel:
        yield client


def began(entries: list[Entry]) -> bool:
    return any(entry.call == 'set_velocity' for entry in entries)


def begins(server: ViamServer, call: str, times: int) -> None:
    """Wait until so many calls have begun."""
    record = server.record
    record.wait_for(lambda _: len(record.calls('base', call, 'begin')) >= times, TIMEOUT)


def test_lapse_stops_within_the_window_and_not_before(server: ViamServer, client: Client) -> None:
    with Load() as load:
        load.watch(lambda: server.pid)
        sid = client.start_session()
        client.drive(100.0, sid)
        for _ in range(6):
            time.sleep(WINDOW / 4)
            sent = time.monotonic()
            client.heartbeat(sid)
            answered = time.monotonic()
        server.record.wait_for(lambda _: server.record.stops('base'), WINDOW + TIMEOUT)
        (stop,) = server.record.stops('base')
        assert stop.t - sent >= WINDOW
        load.hold(stop.t - answered, WINDOW + 0.05, sent, stop.t)
    assert stop.session is None
    assert not server.record.moving('base')


def test_the_record_has_units_and_session_as_sent(server: ViamServer, client: Client) -> None:
    sid = client.start_session()
    linear = common_pb2.Vector3(x=1.5, y=-200.0, z=3.0)
    angular = common_pb2.Vector3(z=45.0)
    service = 'component.base.v1.BaseService'
    before = time.monotonic()
    client.call(
        f'{service}/SetVelocity',
        base_pb2.SetVelocityRequest(name='base', linear=linear, angular=angular),
        base_pb2.SetVelocityResponse,
        sid,
    )
    client.call(
        f'{service}/SetPower',
        base_pb2.SetPowerRequest(name='base', linear=common_pb2.Vector3(y=0.25)),
        base_pb2.SetPowerResponse,
    )
    after = time.monotonic()
    assert client.is_moving()
    velocity, power = server.record.commands('base')
    assert (velocity.call, velocity.session) == ('set_velocity', sid)
    assert (velocity.linear, velocity.angular) == ((1.5, -200.0, 3.0), (0.0, 0.0, 45.0))
    assert (power.call, power.session) == ('set_power', None)
    assert (power.linear, power.angular) == ((0.0, 0.25, 0.0), (0.0, 0.0, 0.0))
    assert before < velocity.t < power.t < after
    assert server.control('base', get=True) == {
        'moving': True,
        'linear': [0.0, 0.25, 0.0],
        'angular': [0.0, 0.0, 0.0],
        'counts': {'set_velocity': 1.0, 'set_power': 1.0, 'is_moving': 1.0},
    }


def test_failing_stops_leave_the_base_moving(server: ViamServer, client: Client) -> None:
    server.control('base', stop_failures=2)
    client.drive(100.0)
    for _ in range(2):
        with pytest.raises(grpc.RpcError, match='injected fault'):
            client.stop()
        assert client.is_moving()
        assert server.record.moving('base')
    client.stop()
    assert not client.is_moving()
    assert not server.record.moving('base')
    assert [entry.error for entry in server.record.calls('base', 'stop', 'end')] == [
        'injected fault',
        'injected fault',
        None,
    ]


def test_failing_command_does_not_move_the_base(server: ViamServer, client: Client) -> None:
    server.control('base', set_velocity_failures=1)
    with pytest.raises(grpc.RpcError, match='injected fault'):
        client.drive(100.0)
    assert not client.is_moving()
    assert not server.record.moving('base')


def test_hanging_command_takes_effect_on_release(server: ViamServer, client: Client) -> None:
    server.control('base', set_velocity_hang=True)
    with ThreadPoolExecutor(1) as pool:
        driven = pool.submit(client.drive, 100.0)
        server.record.wait_for(began, TIMEOUT)
        assert not client.is_moving()
        assert not driven.done()
        server.control('base', release=True)
        driven.result(TIMEOUT)
    assert client.is_moving()


def gives_up(server: ViamServer, client: Client, speed: float, times: int) -> None:
    """Command, as the so manieth time, and give the call up once it has begun."""
    with ThreadPoolExecutor(1) as pool:
        driven = pool.submit(client.drive, speed, timeout=GIVES_UP)
        begins(server, 'set_velocity', times)
        with pytest.raises(grpc.RpcError, match='DEADLINE_EXCEEDED'):
            driven.result()


def test_blocking_driver_moves_after_its_caller_gave_up(
    server: ViamServer, client: Client
) -> None:
    for times, ignores in enumerate((True, False), 1):
        server.control('base', set_velocity_hang=True, ignore_cancel=ignores)
        gives_up(server, client, 100.0, times)
        assert not server.record.moving('base')
        server.control('base', release=True)
        server.record.wait_for(lambda entries: entries[-1].phase == 'end', TIMEOUT)
        assert server.record.moving('base') is ignores
        client.stop()


def test_delayed_command_takes_effect_later(server: ViamServer, client: Client) -> None:
    server.control('base', set_velocity_delay=0.1)
    client.drive(100.0)
    begin, end = server.record.calls('base', 'set_velocity')
    assert 0.1 <= end.t - begin.t < 1.0
    server.control('base', set_velocity_delay=2 * TIMEOUT)
    gives_up(server, client, 200.0, 2)
    entries = server.record.wait_for(lambda entries: entries[-1].phase == 'end', TIMEOUT)
    assert entries[-1].error


def test_calls_overlap(server: ViamServer, client: Client) -> None:
    server.control('base', set_velocity_hang=True, ignore_cancel=True)
    with ThreadPoolExecutor(1) as pool:
        driven = pool.submit(client.drive, 100.0)
        server.record.wait_for(began, TIMEOUT)
        client.stop()
        server.control('base', release=True)
        # rdk cancels the older call; the driver that ignores it drives on, after the stop.
        driven.exception(TIMEOUT)
    assert server.record.moving('base')


def test_unknown_faults_are_refused(server: ViamServer) -> None:
    with pytest.raises(grpc.RpcError, match='no such fault'):
        server.control('base', stop_falures=1)


def test_a_paused_server_hangs_and_goes_on(server: ViamServer, client: Client) -> None:
    client.drive(100.0)
    server.pause()
    with pytest.raises(grpc.RpcError, match='DEADLINE_EXCEEDED'):
        client.call(
            'component.base.v1.BaseService/IsMoving',
            base_pb2.IsMovingRequest(name='base'),
            base_pb2.IsMovingResponse,
            timeout=0.2,
        )
    server.resume()
    assert client.is_moving()


def test_a_restarted_server_keeps_port_and_record(server: ViamServer, client: Client) -> None:
    address, pid = server.address, server.pid
    client.drive(100.0)
    server.restart()
    assert (server.address, server.pid != pid) == (address, True)
    client.drive(200.0)
    speeds = [entry.linear for entry in server.record.commands('base')]
    assert speeds == [(0.0, 100.0, 0.0), (0.0, 200.0, 0.0)]


def test_shutdown_is_clean_though_a_call_hangs(server: ViamServer, client: Client) -> None:
    server.control('base', set_velocity_hang=True, ignore_cancel=True)
    with ThreadPoolExecutor(1) as pool:
        driven = pool.submit(client.drive, 100.0)
        server.record.wait_for(began, TIMEOUT)
        assert server.terminate() == 0
        assert driven.exception(TIMEOUT) is not None
    assert not server.running
    assert not server.record.moving('base')


def test_a_failing_start_shows_the_log(tmp_path: Path) -> None:
    extra = {'network': {'sessions': {'heartbeat_window': '1ms'}}}
    with pytest.raises(AssertionError, match='heartbeat_window'):
        ViamServer(tmp_path, extra=extra).start()
