# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The channel against a real gRPC server, the simulated machine; no ROS.

Runs with the oldest grpcio and protobuf that are supported as well as with the pinned ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import queue
import socket
import threading

import grpc
import pytest

from viam_session_bridge.configuration import (
    BaseConfiguration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.machine import connectivity, linking, wire
from viam_session_bridge.machine.calls import (
    Answer,
    Call,
    GetSessions,
    Move,
    Outcome,
    Request,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.machine.channel import Channel
from viam_session_bridge.simulation.server import SimulatedMachine

BOUND = 10.0  # s, for what has to happen but whose time is not the point


def machine_at(address: str) -> MachineConfiguration:
    return MachineConfiguration('main', address, True, 0.25, 256, False)


def base_named(name: str, **changes: object) -> BaseConfiguration:
    values: dict[str, object] = {
        'machine': 'main', 'resource': 'wheels', 'command_topics': ('/cmd_vel',),
        'stamped_command_topics': (), 'sessions': SessionsMode.AUTO,
        'drive_mode': DriveMode.VELOCITY, 'max_linear_speed': 0.0, 'max_angular_speed': 0.0,
        'max_stamp_age': 0.0, **changes,
    }  # fmt: skip
    return BaseConfiguration(name=name, **values)  # type: ignore[arg-type]


class Driver:
    """A channel whose readiness and answers can be waited for."""

    def __init__(self, address: str, *bases: BaseConfiguration) -> None:
        self.readiness: queue.Queue[bool] = queue.Queue()
        named = {base.name: base for base in bases or (base_named('base'),)}
        self.failures: list[BaseException] = []
        self.channel = Channel(
            machine_at(address), named, self.readiness.put, self.failures.append
        )
        self.channel.start()

    def wait_ready(self, wanted: bool = True) -> None:
        while self.readiness.get(timeout=BOUND) is not wanted:
            pass

    def ask(self, request: Request, timeout: float = 5.0) -> Answer:
        answers: queue.Queue[Answer] = queue.Queue()
        call = Call(1, 'main', request, timeout)
        self.channel.hand_over(call, lambda _, answer: answers.put(answer))
        return answers.get(timeout=BOUND)


@pytest.fixture
def machine() -> Iterator[SimulatedMachine]:
    with SimulatedMachine(address='127.0.0.1:0', bases=('wheels',), window=1.5) as running:
        yield running


@pytest.fixture
def driver(machine: SimulatedMachine) -> Iterator[Driver]:
    driver = Driver(machine.address)
    driver.wait_ready()
    yield driver
    driver.channel.close()
    assert not driver.failures


def test_a_session_is_started_used_kept_and_listed(driver: Driver) -> None:
    started = driver.ask(StartSession(''))
    assert started.outcome is Outcome.OK
    assert started.window == 1.5
    assert driver.ask(Move('base', Velocity(x=0.3), started.sid)).outcome is Outcome.OK
    assert driver.ask(SendHeartbeat(started.sid)).outcome is Outcome.OK
    assert driver.ask(GetSessions()).sids == (started.sid,)
    assert driver.ask(StartSession(started.sid)).sid == started.sid
    assert driver.ask(StopBase('base')).outcome is Outcome.OK


def test_an_unknown_session_is_told_from_other_errors(driver: Driver) -> None:
    unknown = '6f1de1a2-22bb-4b7c-9f6e-0a4cf1a5b0c1'
    assert driver.ask(Move('base', Velocity(), unknown)).outcome is Outcome.SESSION_EXPIRED
    assert driver.ask(SendHeartbeat(unknown)).outcome is Outcome.SESSION_EXPIRED
    malformed = driver.ask(Move('base', Velocity(), 'no-uuid'))
    assert malformed.outcome is Outcome.FAILED
    assert malformed.detail


def test_an_unknown_base_is_an_answered_failure(machine: SimulatedMachine) -> None:
    driver = Driver(machine.address, base_named('base', resource='legs'))
    driver.wait_ready()
    answer = driver.ask(StopBase('base'))
    assert answer.outcome is Outcome.FAILED
    assert answer.outcome.answered
    assert 'legs' in answer.detail
    driver.channel.close()


def test_velocity_and_power_reach_the_base_in_its_units() -> None:
    class Recorded(grpc.GenericRpcHandler):  # type: ignore[misc]
        calls: queue.Queue[tuple[str, bytes]] = queue.Queue()

        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            method = details.method

            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                self.calls.put((method, request))
                return b''

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Recorded(),))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    powered = base_named(
        'powered', drive_mode=DriveMode.POWER, max_linear_speed=0.5, max_angular_speed=2.0
    )
    driver = Driver(f'127.0.0.1:{port}', base_named('base'), powered)
    try:
        driver.ask(Move('base', Velocity(x=0.3, y=0.1, yaw=1.0), ''))
        path, data = Recorded.calls.get(timeout=BOUND)
        message = wire.SET_VELOCITY.request.FromString(data)
        assert (path, message.name) == (wire.SET_VELOCITY.path, 'wheels')
        assert (message.linear.x, message.linear.y) == pytest.approx((-100.0, 300.0))
        assert message.angular.z == pytest.approx(57.29577951308232)
        driver.ask(Move('powered', Velocity(x=0.25, yaw=-1.0), ''))
        path, data = Recorded.calls.get(timeout=BOUND)
        message = wire.SET_POWER.request.FromString(data)
        assert path == wire.SET_POWER.path
        assert (message.linear.y, message.angular.z) == pytest.approx((0.5, -0.5))
    finally:
        driver.channel.close()
        server.stop(None)


def test_a_server_without_sessions_is_told_as_such() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    driver = Driver(f'127.0.0.1:{port}')
    assert driver.ask(StartSession('')).outcome is Outcome.UNIMPLEMENTED
    driver.channel.close()
    server.stop(None)


def test_a_machine_that_says_nothing_is_a_timeout_at_the_deadline() -> None:
    class Silent(grpc.GenericRpcHandler):  # type: ignore[misc]
        released = threading.Event()

        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                self.released.wait(BOUND)
                return b''

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Silent(),))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    driver = Driver(f'127.0.0.1:{port}')
    driver.wait_ready()
    try:
        assert driver.ask(StopBase('base'), timeout=0.1).outcome is Outcome.TIMED_OUT
    finally:
        Silent.released.set()
        driver.channel.close()
        server.stop(None)


@pytest.fixture(params=['private', 'public'])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have grpcio's private way or its public one to know of a connection."""
    if request.param == 'public':
        monkeypatch.setattr(linking, 'connectivity_of', connectivity._Subscribed)
    return str(request.param)


@pytest.mark.usefixtures('way')
def test_a_machine_that_is_not_there_is_cut_at_once_and_found_when_it_comes() -> None:
    with socket.socket() as placeholder:
        placeholder.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{placeholder.getsockname()[1]}'
    driver = Driver(address)
    driver.wait_ready(False)
    assert driver.ask(StopBase('base')).outcome is Outcome.CUT
    with SimulatedMachine(address=address, bases=('wheels',), window=1.5):
        driver.wait_ready()
        assert driver.ask(StopBase('base')).outcome is Outcome.OK
    # Gone again: nobody calls, and yet the channel has to find the next one.
    driver.wait_ready(False)
    with SimulatedMachine(address=address, bases=('wheels',), window=1.5):
        driver.wait_ready()
        assert driver.ask(StopBase('base')).outcome is Outcome.OK
    driver.channel.close()


def test_a_closed_channel_answers_that_it_is_cut(machine: SimulatedMachine) -> None:
    driver = Driver(machine.address)
    driver.wait_ready()
    driver.channel.close()
    assert driver.ask(StopBase('base')).outcome is Outcome.CUT


@pytest.mark.usefixtures('way')
def test_a_closed_channel_that_was_let_go_of_disconnects() -> None:
    with socket.create_server(('127.0.0.1', 0)) as listening:
        driver = Driver(f'127.0.0.1:{listening.getsockname()[1]}')
        connection, _ = listening.accept()
        connection.settimeout(BOUND)
        driver.channel.close()
        del driver
        while connection.recv(1024):
            pass
        connection.close()
    assert not [thread for thread in threading.enumerate() if thread.name == 'connection to main']


def test_nobody_knowing_of_the_connection_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise SystemError('broken')

    monkeypatch.setattr(threading, 'excepthook', lambda _: None)
    monkeypatch.setattr(connectivity._Core, 'wait', broken)
    driver = Driver('127.0.0.1:1')
    driver.wait_ready(False)
    # The thread ends right after it told.
    for thread in threading.enumerate():
        if thread.name == 'connection to main':
            thread.join(BOUND)
    assert [str(failure) for failure in driver.failures] == ['broken']
    driver.channel.close()
