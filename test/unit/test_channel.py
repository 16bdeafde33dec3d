# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The channel against a real gRPC server, the simulated machine; no ROS.

Runs with the oldest grpcio and protobuf that are supported as well as with the pinned ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import replace
import gc
import queue
import socket
import threading
import time
import weakref

import grpc
import pytest

from support.channel_driver import base_named, BOUND, Driver, machine_at
from viam_session_bridge.configuration.model import DriveMode, Transport
from viam_session_bridge.core.requests import (
    GetSessions,
    Move,
    Outcome,
    Redial,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam import channel, grpc_internals, transport, webrtc
from viam_session_bridge.viam import messages as wire
from viam_session_bridge.viam.channel import Channel


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


def test_an_answer_that_cannot_be_read_ends_its_call_all_the_same(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError('out of range')

    monkeypatch.setattr(channel, 'read', broken)
    answer = driver.ask(StopBase('base'))
    assert answer.outcome is Outcome.CUT
    assert 'out of range' in answer.detail


def test_a_call_that_cannot_be_sent_is_a_failure_and_costs_no_other_its_answer(
    driver: Driver,
) -> None:
    # An older grpcio raises; a newer one has it fail.
    answer = driver.ask(Move('base', Velocity(), 'no\nheader'))
    assert answer.outcome in (Outcome.FAILED, Outcome.CUT)
    assert 'metadata' in answer.detail
    assert driver.ask(StopBase('base')).outcome is Outcome.OK


def test_an_error_of_grpcios_at_the_handing_over_is_a_failure(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError('metadata was invalid')

    monkeypatch.setattr(grpc_internals.InnerCall, 'start', broken)
    answer = driver.ask(StopBase('base'))
    assert answer.outcome is Outcome.FAILED
    assert 'metadata was invalid' in answer.detail


def test_a_call_that_ended_leaves_nothing_to_the_garbage_collector(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[weakref.ref[grpc_internals.InnerCall]] = []

    class Recorded(grpc_internals.InnerCall):
        def __init__(self, method: object, ended: grpc_internals.Ended) -> None:
            super().__init__(method, ended)
            there.append(weakref.ref(self))

    monkeypatch.setattr(channel, 'InnerCall', Recorded)
    gc.disable()
    try:
        for _ in range(4):
            driver.ask(StopBase('base'))
        # The thread for answers still has the last one in its hands.
        deadline = time.monotonic() + BOUND
        while any(call() is not None for call in there[:3]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        gc.enable()
    assert len(there) == 4


def test_an_unknown_session_is_distinguished_from_other_errors(driver: Driver) -> None:
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


def test_a_server_without_sessions_is_reported_as_such() -> None:
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


class Answering(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers each Stop once it is released."""

    def __init__(self) -> None:
        self.calls: queue.Queue[grpc.ServicerContext] = queue.Queue()
        self.released = threading.Event()
        self.status: tuple[grpc.StatusCode, str] | None = None  # instead of OK

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != wire.STOP.path:
            return None  # what ends a channel's thread may come, too

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.put(context)
            self.released.wait(BOUND)
            if self.status is not None:
                context.abort(*self.status)
            return b''

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def hanging() -> Iterator[tuple[Answering, str]]:
    """Serve calls that hang; yield what has them, and the address."""
    answering = Answering()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((answering,))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    yield answering, f'127.0.0.1:{port}'
    answering.released.set()
    server.stop(None).wait()


def test_cancelled_by_the_machine_is_an_answer(hanging: tuple[Answering, str]) -> None:
    answering, address = hanging
    answering.status = grpc.StatusCode.CANCELLED, 'context canceled'
    answering.released.set()
    driver = Driver(address)
    answer = driver.ask(StopBase('base'))
    assert (answer.outcome, answer.detail) == (Outcome.CANCELLED, 'CANCELLED: context canceled')
    assert answer.outcome.answered
    driver.channel.close()


@pytest.mark.parametrize('code', ['CANCEL', 'REFUSED_STREAM', 'INTERNAL_ERROR'])
def test_a_call_that_is_broken_off_is_cut(code: str) -> None:
    h2_errors = pytest.importorskip('h2.errors', reason='comes with viam-sdk')
    from support.bad_peers import Resets

    peer = Resets()
    peer.code = h2_errors.ErrorCodes[code]
    driver = Driver(peer.address)
    try:
        answer = driver.ask(StopBase('base'))
        assert answer.outcome is Outcome.CUT, answer
    finally:
        driver.channel.close()
        peer.stop()


@pytest.fixture(params=['private', 'public'])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have grpcio's private way or its public one to know of a connection."""
    if request.param == 'public':
        monkeypatch.setattr(grpc_internals, 'are_known', lambda: False)
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


@pytest.mark.usefixtures('way')
def test_a_loss_that_no_call_notices_is_known_with_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, 'CONNECTED_CHECK_INTERVAL', 0.1)
    for _ in range(3):  # gRPC itself may look as seldom as every 5 s
        with SimulatedMachine(address='127.0.0.1:0', bases=('wheels',), window=1.5) as machine:
            driver = Driver(machine.address)
            driver.wait_ready()
            begun = time.monotonic()
        driver.wait_ready(False)
        assert time.monotonic() - begun < 3.0
        driver.channel.close()


@pytest.mark.usefixtures('way')
def test_a_loss_that_a_call_notices_is_known_before_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, 'CONNECTED_CHECK_INTERVAL', 6 * BOUND)
    with SimulatedMachine(address='127.0.0.1:0', bases=('wheels',), window=1.5) as machine:
        driver = Driver(machine.address)
        driver.wait_ready()
    assert driver.ask(StopBase('base')).outcome is Outcome.CUT
    driver.wait_ready(False)
    driver.channel.close()


def test_a_closed_channel_answers_that_it_is_cut(machine: SimulatedMachine) -> None:
    driver = Driver(machine.address)
    driver.wait_ready()
    driver.channel.close()
    assert driver.ask(StopBase('base')).outcome is Outcome.CUT


@pytest.mark.usefixtures('way')
def test_a_closed_channel_that_was_let_go_of_disconnects(
    own_threads: Callable[[], list[str]],
) -> None:
    with socket.create_server(('127.0.0.1', 0)) as listening:
        driver = Driver(f'127.0.0.1:{listening.getsockname()[1]}')
        connection, _ = listening.accept()
        connection.settimeout(BOUND)
        driver.channel.close()
        del driver
        while connection.recv(1024):
            pass
        connection.close()
    assert 'connection to main' not in own_threads()


@pytest.mark.usefixtures('way')
def test_redialled_it_cuts_what_is_under_way_and_goes_on_over_a_new_connection(
    hanging: tuple[Answering, str],
) -> None:
    answering, address = hanging
    driver = Driver(address)
    driver.wait_ready()
    under_way = driver.hand_over(StopBase('base'), timeout=60.0)
    was = answering.calls.get(timeout=BOUND).peer()
    assert driver.ask(Redial()).outcome is Outcome.OK
    cut = under_way.get(timeout=BOUND)
    assert cut.outcome is Outcome.CUT
    assert not cut.outcome.answered
    driver.wait_ready(False)
    driver.wait_ready()
    answer = driver.hand_over(StopBase('base'))
    second = answering.calls.get(timeout=BOUND)
    assert second.peer() != was
    answering.released.set()
    assert answer.get(timeout=BOUND).outcome is Outcome.OK
    assert under_way.empty()
    driver.channel.close()
    assert driver.failures == []


def test_one_that_is_redialled_again_and_again_keeps_no_thread_of_before(
    machine: SimulatedMachine, own_threads: Callable[[], list[str]]
) -> None:
    driver = Driver(machine.address)
    driver.wait_ready()
    for _ in range(5):
        assert driver.ask(Redial()).outcome is Outcome.OK
        driver.wait_ready(False)
        driver.wait_ready()
        assert driver.ask(StopBase('base')).outcome is Outcome.OK
    deadline = time.monotonic() + BOUND
    while len(threads := [name for name in own_threads() if name.endswith(' main')]) > 2:
        assert time.monotonic() < deadline, threads
        time.sleep(0.02)
    assert threads == ['answers of main', 'connection to main']
    driver.channel.close()


def test_a_closed_channel_is_not_redialled(machine: SimulatedMachine) -> None:
    driver = Driver(machine.address)
    driver.wait_ready()
    driver.channel.close()
    assert driver.ask(Redial()).outcome is Outcome.OK
    assert driver.ask(StopBase('base')).outcome is Outcome.CUT
    assert driver.readiness.empty()


def test_an_error_after_which_no_loss_would_be_noticed_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise SystemError('broken')

    monkeypatch.setattr(threading, 'excepthook', lambda _: None)
    monkeypatch.setattr(grpc_internals.InnerConnectivity, 'wait', broken)
    driver = Driver('127.0.0.1:1')
    driver.wait_ready(False)
    # The thread ends right after it reported.
    for thread in threading.enumerate():
        if thread.name == 'connection to main':
            thread.join(BOUND)
    assert [str(failure) for failure in driver.failures] == ['broken']
    driver.channel.close()


def test_an_unexpected_exception_of_the_thread_that_dials_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError('a fault of ours')

    monkeypatch.setattr(threading, 'excepthook', lambda _: None)
    monkeypatch.setattr(webrtc, 'DialProcess', broken)
    failures: queue.Queue[BaseException] = queue.Queue()
    machine = replace(machine_at('robot.viam.cloud'), insecure=False, transport=Transport.WEBRTC)
    channel = Channel(machine, {}, print, failures.put)
    channel.start()
    assert str(failures.get(timeout=BOUND)) == 'a fault of ours'
    channel.close()
