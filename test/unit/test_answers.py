# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that takes a machine's answers: one for all of them, from the beginning to the end.

Against a real gRPC server, with the oldest grpcio and with the pinned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from queue import SimpleQueue
import threading
from typing import Any

import grpc
import pytest

from viam_session_bridge.viam.answers import Answers

BOUND = 30.0  # s
NAME = 'answers of main'


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call with nothing, while its gate is open."""

    def __init__(self) -> None:
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=(self,))
        self.address = f'127.0.0.1:{self._server.add_insecure_port("127.0.0.1:0")}'
        self._server.start()

    def service(self, _: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def stop(self) -> None:
        self.gate.set()
        self._server.stop(None).wait(BOUND)

    def _answer(self, *_: Any) -> bytes:
        self.asked.set()
        self.gate.wait(BOUND)
        return b''


class Calls:
    """A channel, and which thread takes the answers to its calls."""

    def __init__(self, server: Server) -> None:
        self.channel = grpc.insecure_channel(server.address)
        self.failures: SimpleQueue[BaseException] = SimpleQueue()
        self.by: SimpleQueue[threading.Thread] = SimpleQueue()

    def take_answers(self) -> tuple[Answers, threading.Thread]:
        answers = Answers(self.channel, 'main', self.failures.put)
        (thread,) = running()
        return answers, thread

    def call(self) -> Any:
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


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def close_at(barrier: threading.Barrier, answers: Answers) -> None:
    barrier.wait(BOUND)
    answers.close()


def wait_gone(thread: threading.Thread) -> None:
    thread.join(BOUND)
    assert not thread.is_alive()


def test_one_thread_takes_all_answers_and_waits_between_calls(calls: Calls) -> None:
    answers, thread = calls.take_answers()
    for _ in range(3):
        calls.call()
        assert calls.answered_by() is thread
    for _ in range(20):
        calls.call()
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
    assert server.asked.wait(BOUND)
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
    assert calls.answered_by().name != NAME


def test_no_answer_is_lost_in_a_race_with_the_end(server: Server) -> None:
    for _ in range(50):
        calls = Calls(server)
        answers, thread = calls.take_answers()
        calls.call()
        calls.answered_by()  # connected: those that follow are quick
        barrier = threading.Barrier(2)
        ending = threading.Thread(target=close_at, args=(barrier, answers))
        ending.start()
        barrier.wait(BOUND)
        for _ in range(3):
            calls.call()
        for _ in range(3):
            calls.answered_by()
        ending.join(BOUND)
        wait_gone(thread)
        calls.channel.close()


@pytest.mark.parametrize('missing', ['_call_state', 'lock', 'managed_calls', 'next_call_event'])
def test_another_grpcio_answers_on_its_own_threads(calls: Calls, missing: str) -> None:
    class Lacking:
        """A channel of a grpcio that has something else in this place."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            if name == missing:
                raise AttributeError(name)
            there = getattr(self._real, name)
            return Lacking(there) if name in ('_call_state', 'channel') else there

    answers = Answers(Lacking(calls.channel), 'main', calls.failures.put)
    assert not running()
    calls.call()
    assert calls.answered_by().name != NAME
    answers.close()


def test_an_error_of_grpcios_is_told(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, 'excepthook', lambda _: None)
    state: Any = calls.channel._call_state

    class Broken:
        @staticmethod
        def next_call_event() -> None:
            raise SystemError('broken')

    monkeypatch.setattr(state, 'channel', Broken)
    Answers(calls.channel, 'main', calls.failures.put)  # its thread may be gone at once
    assert str(calls.failures.get(timeout=BOUND)) == 'broken'
