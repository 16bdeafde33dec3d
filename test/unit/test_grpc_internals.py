# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What leans on grpcio's private parts, and the public ways behind it.

Against a real gRPC server, with the oldest grpcio and with the pinned one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from queue import SimpleQueue
import threading
import time
from typing import Any

import grpc
import pytest

from viam_session_bridge.viam import grpc_internals
from viam_session_bridge.viam.grpc_internals import (
    answer_thread,
    AnswerThread,
    are_known,
    connectivity_of,
    FutureCall,
    InnerCall,
    InnerConnectivity,
    SubscribedConnectivity,
)

BOUND = 30.0  # s
SHORT = 0.2  # s
IDLE, READY = grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.READY


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers what it is sent, while its gate is open; it has no method of the name Missing."""

    def __init__(self, address: str = '127.0.0.1:0') -> None:
        self.gate, self.called = threading.Event(), threading.Event()
        self.metadata: dict[str, str] = {}
        self.gate.set()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=(self,))
        self.address = f'127.0.0.1:{self._server.add_insecure_port(address)}'
        self._server.start()

    def service(self, call: Any) -> grpc.RpcMethodHandler | None:
        if call.method.endswith('/Missing'):
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def stop(self) -> None:
        self.gate.set()
        self._server.stop(None).wait(BOUND)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        self.called.set()
        self.gate.wait(BOUND)
        return request


class Calls:
    """A channel, and which thread takes the answers to its calls."""

    def __init__(self, server: Server) -> None:
        self.channel = grpc.insecure_channel(server.address)
        self.failures: SimpleQueue[BaseException] = SimpleQueue()
        self.by: SimpleQueue[threading.Thread] = SimpleQueue()

    def take_answers(self) -> tuple[AnswerThread, threading.Thread]:
        answers = AnswerThread(self.channel, 'main', self.failures.put)
        return answers, answers.thread

    def call(self) -> Any:
        """Call; who adds a callback to what is answered already calls it back itself."""
        future = self.channel.unary_unary('/any/Call').future(b'', timeout=BOUND)
        future.add_done_callback(lambda _: self.by.put(threading.current_thread()))
        return future

    def answered_by(self) -> threading.Thread:
        return self.by.get(timeout=BOUND)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def calls(server: Server) -> Iterator[Calls]:
    calls = Calls(server)
    yield calls
    calls.channel.close()


def close_at(barrier: threading.Barrier, answers: AnswerThread) -> None:
    barrier.wait(BOUND)
    answers.close()


def wait_gone(thread: threading.Thread) -> None:
    thread.join(BOUND)
    assert not thread.is_alive()


def test_one_thread_takes_all_answers_and_waits_between_calls(
    calls: Calls, server: Server
) -> None:
    answers, thread = calls.take_answers()
    for _ in range(3):
        server.gate.clear()
        calls.call()
        server.gate.set()
        assert calls.answered_by() is thread
    server.gate.clear()
    for _ in range(20):
        calls.call()
    server.gate.set()
    assert {calls.answered_by() for _ in range(20)} == {thread}
    answers.close()
    wait_gone(thread)
    assert calls.failures.empty()


def test_it_ends_at_once_where_no_call_is_under_way(calls: Calls) -> None:
    answers, thread = calls.take_answers()
    calls.call()
    calls.answered_by()
    answers.close()
    wait_gone(thread)


def test_it_ends_without_any_call(calls: Calls) -> None:
    answers, thread = calls.take_answers()
    answers.close()
    wait_gone(thread)


def test_what_is_under_way_at_the_end_is_answered_first(calls: Calls, server: Server) -> None:
    answers, thread = calls.take_answers()
    server.gate.clear()
    future = calls.call()
    assert server.called.wait(BOUND)
    answers.close()
    assert thread.is_alive()
    server.gate.set()
    assert calls.answered_by() is thread
    assert future.code() is grpc.StatusCode.OK
    wait_gone(thread)


def test_calls_after_the_end_are_answered_by_a_thread_of_grpcios(calls: Calls) -> None:
    answers, thread = calls.take_answers()
    answers.close()
    wait_gone(thread)
    calls.call()
    assert calls.answered_by() is not thread


def test_no_answer_is_lost_in_a_race_with_the_end(server: Server) -> None:
    for _ in range(50):
        calls = Calls(server)
        answers, thread = calls.take_answers()
        calls.call()
        calls.answered_by()  # connected: those that follow are quick
        barrier = threading.Barrier(2)
        closing = threading.Thread(target=close_at, args=(barrier, answers))
        closing.start()
        barrier.wait(BOUND)
        for _ in range(3):
            calls.call()
        for _ in range(3):
            calls.answered_by()
        closing.join(BOUND)
        wait_gone(thread)
        calls.channel.close()


def test_an_error_of_grpcios_is_reported(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, 'excepthook', lambda _: None)
    state: Any = calls.channel._call_state

    class Broken:
        @staticmethod
        def next_call_event() -> None:
            raise SystemError('broken')

    monkeypatch.setattr(state, 'channel', Broken)
    AnswerThread(calls.channel, 'main', calls.failures.put)
    assert str(calls.failures.get(timeout=BOUND)) == 'broken'


# Calls

Ended = tuple[grpc.StatusCode, str, bytes, threading.Thread]


class UnaryCalls:
    """Calls of one kind on a channel with a thread for answers, and how they ended."""

    def __init__(self, kind: type[InnerCall | FutureCall], calls: Calls) -> None:
        self.answers, self.thread = calls.take_answers()
        self._kind, self._channel = kind, calls.channel
        self._ended: SimpleQueue[Ended] = SimpleQueue()

    def prepare(self, method: str = 'Call') -> InnerCall | FutureCall:
        return self._kind(self._channel.unary_unary(f'/any/{method}'), self._end)

    def end(self) -> Ended:
        return self._ended.get(timeout=BOUND)

    def _end(self, code: grpc.StatusCode, details: str, answer: bytes) -> None:
        self._ended.put((code, details, answer, threading.current_thread()))


@pytest.fixture(params=[InnerCall, FutureCall])
def unary(
    request: pytest.FixtureRequest, calls: Calls, server: Server
) -> Iterator[UnaryCalls]:
    unary = UnaryCalls(request.param, calls)
    yield unary
    server.gate.set()
    unary.answers.close()
    wait_gone(unary.thread)


def test_a_call_takes_its_metadata_there_and_its_answer_back(
    unary: UnaryCalls, server: Server
) -> None:
    unary.prepare().start(b'request', BOUND, (('viam-sid', 'one'),))
    assert unary.end() == (grpc.StatusCode.OK, '', b'request', unary.thread)
    assert server.metadata['viam-sid'] == 'one'
    unary.prepare().start(b'', BOUND, ())
    assert unary.end()[2] == b''
    assert 'viam-sid' not in server.metadata


def test_a_call_that_fails_ends_with_the_status_and_the_servers_words(unary: UnaryCalls) -> None:
    unary.prepare('Missing').start(b'request', BOUND, ())
    code, details, answer, _ = unary.end()
    assert (code, answer) == (grpc.StatusCode.UNIMPLEMENTED, b'')
    assert details == 'Method not found!'


def test_a_call_ends_with_its_deadline(unary: UnaryCalls, server: Server) -> None:
    unary.prepare().start(b'', BOUND, ())  # connected
    unary.end()
    server.gate.clear()
    began = time.monotonic()
    unary.prepare().start(b'', SHORT, ())
    assert unary.end()[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert SHORT - 0.01 <= time.monotonic() - began < BOUND / 2


def test_a_call_that_is_cancelled_ends_at_once(unary: UnaryCalls, server: Server) -> None:
    server.gate.clear()
    call = unary.prepare()
    call.cancel()  # nothing yet
    call.start(b'', BOUND, ())
    assert server.called.wait(BOUND)
    began = time.monotonic()
    call.cancel()
    assert unary.end()[0] is grpc.StatusCode.CANCELLED
    assert time.monotonic() - began < BOUND / 2
    call.cancel()  # nothing any more


def test_a_call_after_the_end_of_the_thread_is_answered_by_one_of_grpcios(
    unary: UnaryCalls,
) -> None:
    unary.answers.close()
    wait_gone(unary.thread)
    unary.prepare().start(b'request', BOUND, ())
    assert unary.end()[:3] == (grpc.StatusCode.OK, '', b'request')


def test_an_error_of_a_calls_owner_is_reported_and_costs_no_other_its_answer(
    calls: Calls,
) -> None:
    unary = UnaryCalls(InnerCall, calls)

    def fail(*_: object) -> None:
        raise OverflowError('too much')

    InnerCall(calls.channel.unary_unary('/any/Call'), fail).start(b'', BOUND, ())
    assert isinstance(calls.failures.get(timeout=BOUND), OverflowError)
    unary.prepare().start(b'request', BOUND, ())
    assert unary.end()[2] == b'request'
    unary.answers.close()
    wait_gone(unary.thread)


# Connectivity

Connectivity = InnerConnectivity | SubscribedConnectivity


@pytest.fixture(params=[InnerConnectivity, SubscribedConnectivity])
def connectivity(request: pytest.FixtureRequest, server: Server) -> Iterator[Connectivity]:
    channel = grpc.insecure_channel(server.address)
    connectivity = request.param(channel)
    yield connectivity
    connectivity.close()
    channel.close()


def wait_for(wanted: grpc.ChannelConnectivity, connectivity: Connectivity) -> None:
    """Wait for a state, never longer than for the next change."""
    end = time.monotonic() + BOUND
    while (state := connectivity.state(connect=False)) is not wanted:
        assert time.monotonic() < end, state
        connectivity.wait(state, BOUND)


def test_a_channel_connects_on_request(connectivity: Connectivity) -> None:
    assert connectivity.state(connect=False) is IDLE
    connectivity.wait(IDLE, SHORT)
    assert connectivity.state(connect=False) is IDLE
    connectivity.state(connect=True)
    wait_for(READY, connectivity)


def test_a_wait_for_a_change_ends_with_its_time(connectivity: Connectivity) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    began = time.monotonic()
    connectivity.wait(READY, SHORT)
    assert SHORT - 0.01 <= time.monotonic() - began < BOUND
    assert connectivity.state(connect=True) is READY


def test_the_end_of_a_connection_ends_a_wait(connectivity: Connectivity, server: Server) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    stopping = threading.Timer(SHORT, server.stop)
    stopping.start()
    began = time.monotonic()
    connectivity.wait(READY, BOUND)
    assert time.monotonic() - began < BOUND / 2
    assert connectivity.state(connect=False) is not READY
    stopping.join(BOUND)


def test_a_channel_whose_connection_ended_connects_again_on_request(
    connectivity: Connectivity, server: Server
) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    server.stop()
    wait_for(IDLE, connectivity)
    another = Server(server.address)
    try:
        connectivity.state(connect=True)
        wait_for(READY, connectivity)
    finally:
        another.stop()


def test_a_wait_for_what_has_changed_already_is_none(connectivity: Connectivity) -> None:
    connectivity.state(connect=True)
    wait_for(READY, connectivity)
    began = time.monotonic()
    connectivity.wait(IDLE, BOUND)
    assert time.monotonic() - began < BOUND / 2


# The trial


class Lacking:
    """A channel of a grpcio that has something else in one place."""

    def __init__(self, real: Any, missing: str) -> None:
        self._real, self._missing = real, missing

    def __getattr__(self, name: str) -> Any:
        if name == self._missing:
            raise AttributeError(name)
        there = getattr(self._real, name)
        if name == 'unary_unary':
            return lambda method: Lacking(there(method), self._missing)
        inner = ('_call_state', '_channel', 'channel')
        return Lacking(there, self._missing) if name in inner else there


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_internals, 'are_known', lambda: False)


def test_the_private_parts_of_this_grpcio_are_known_and_their_trial_leaves_no_thread(
    own_threads: Callable[[], list[str]],
) -> None:
    for _ in range(20):
        assert are_known.__wrapped__()
    assert own_threads() == []


@pytest.mark.parametrize(
    'missing',
    ['_call_state', 'lock', 'managed_calls', 'next_call_event',
     '_managed_call', '_method', '_context',
     '_channel', 'check_connectivity_state', 'watch_connectivity_state'],
)  # fmt: skip
def test_those_of_a_grpcio_that_lacks_one_are_not(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = grpc.insecure_channel
    monkeypatch.setattr(grpc, 'insecure_channel', lambda target: Lacking(real(target), missing))
    assert not are_known.__wrapped__()


def test_those_of_a_grpcio_without_its_inner_module_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_internals, 'cygrpc', None)
    assert not are_known.__wrapped__()


def test_those_of_a_grpcio_that_takes_its_answers_by_itself_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_internals, '_TRIAL_TIMEOUT', SHORT)
    monkeypatch.setattr(AnswerThread, '_run', lambda self: time.sleep(2 * SHORT))
    assert not are_known.__wrapped__()


@pytest.mark.usefixtures('unknown')
def test_where_they_are_not_known_grpcios_own_threads_take_the_answers(calls: Calls) -> None:
    assert answer_thread(calls.channel, 'main', calls.failures.put) is None
    calls.call()
    assert 'answers' not in calls.answered_by().name


@pytest.mark.usefixtures('unknown')
def test_where_they_are_not_known_the_connectivity_is_subscribed_to(calls: Calls) -> None:
    connectivity = connectivity_of(calls.channel)
    assert isinstance(connectivity, SubscribedConnectivity)
    connectivity.close()
