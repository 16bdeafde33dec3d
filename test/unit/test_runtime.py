# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The running bridge without ROS: real gRPC to simulated machines, real time, the lapse clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any, ClassVar

import pytest

from support.bounds import EARLY, Load
from support.ports import free_port
from support.record import Record
from viam_session_bridge import runtime
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.requests import Answer, Call, Outcome
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.runtime import Runtime
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam.channel import Channel

WINDOW = 0.3
BOUND = 10.0  # s, for what has to happen but whose time is not the point
LATE = 0.2  # s; on an idle machine some 2 ms, see bench/
CALL_TIMEOUT = 0.25  # s
STALL = CALL_TIMEOUT / 2  # s, on both sides of a call


def configuration(*addresses: str) -> Configuration:
    machines = tuple(
        MachineConfiguration(f'm{number}', address, True, CALL_TIMEOUT, 256, False)
        for number, address in enumerate(addresses)
    )
    bases = tuple(
        BaseConfiguration(
            f'b{number}', f'm{number}', 'base', (f'/cmd_vel{number}',), (), SessionsMode.AUTO,
            DriveMode.VELOCITY, 0.0, 0.0, 0.0,
        )
        for number, _ in enumerate(addresses)
    )  # fmt: skip
    return Configuration(WINDOW, 1.0, '', machines, bases)


class Running:
    """A shell, for `with`: active and connected, and closed whatever becomes of the test."""

    def __init__(self, *addresses: str) -> None:
        self.failures: list[BaseException] = []
        self.woken = threading.Event()
        self.runtime = Runtime(configuration(*addresses), self.woken.set, self.failures.append)

    def __enter__(self) -> Running:
        with ExitStack() as unless_connected:
            unless_connected.callback(self.runtime.close)
            self.runtime.start()
            self.runtime.activate()
            self.wait_for(lambda bridge: all(m.ready for m in bridge.machines.values()))
            unless_connected.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.close()

    def wait_for(self, state: Callable[[Bridge], bool]) -> None:
        end = time.monotonic() + BOUND
        while not self.runtime.look(lambda bridge, now: state(bridge)):
            assert time.monotonic() < end, 'the bridge did not get there'
            time.sleep(0.001)

    def drive(self, number: int, times: int = 5) -> float:
        """Command as a 50 Hz publisher; return when the last command was handed in."""
        for _ in range(times):
            time.sleep(0.02)
            last = time.monotonic()
            self.runtime.command(f'client {number}', f'/cmd_vel{number}', Velocity(x=0.2))
        return last


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[str, Record]]:
    record = tmp_path / 'record.jsonl'
    with SimulatedMachine(bases=('base',), window=2.0, record=str(record)) as simulated:
        yield simulated.address, Record(record)


def stopped_one_window_after(last: float, record: Record, load: Load) -> None:
    """Wait for the first stop and hold it to a window after the last command."""
    record.wait_for(lambda _: record.stops('base'), BOUND)
    stop = record.calls('base', 'stop')[0].t
    if stop - last < WINDOW - EARLY:
        # A command that a stall holds up for its timeout is followed by a stop at once (R10), and
        # a window without any by the lapse of its session.
        what = f'it was stopped {stop - last:.4f} s after the last command'
        raise load.failure(what, load.begun, time.monotonic(), STALL)
    load.hold(stop - last, WINDOW + LATE, last, stop)


def test_a_machine_that_is_connected_at_once_is_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class AtOnce(Channel):
        """One that is connected before anybody goes on."""

        asked: ClassVar[list[Call]] = []

        def start(self) -> None:
            self._ready(True)

        def hand_over(self, call: Call, done: object) -> None:
            self.asked.append(call)

    monkeypatch.setattr(runtime, 'Channel', AtOnce)
    running = Running('127.0.0.1:1')
    running.runtime.activate()
    assert AtOnce.asked
    running.runtime.close()


def test_a_machine_that_is_given_up_while_it_is_being_connected_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class GivenUp(Channel):
        """One during whose making the node is deactivated."""

        started = closed = False

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)
            running.runtime.deactivate()

        def start(self) -> None:
            self.started = True

        def close(self) -> None:
            self.closed = True
            super().close()

    made: list[GivenUp] = []
    monkeypatch.setattr(runtime, 'Channel', GivenUp)
    running = Running('127.0.0.1:1')
    running.runtime.activate()
    (channel,) = made
    assert channel.closed and not channel.started
    assert running.failures == []


def test_a_call_that_ends_while_it_is_handed_over_is_answered_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Queued, not fed recursively: a machine that fails all calls at once ends no stack."""
    depth = deepest = 0

    class FailsAtOnce(Channel):
        def start(self) -> None:
            self._ready(True)

        def hand_over(self, call: Call, done: Callable[[Call, Answer], None]) -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(deepest, depth)
            done(call, Answer(Outcome.FAILED, 'UNKNOWN: no'))
            depth -= 1

    monkeypatch.setattr(runtime, 'Channel', FailsAtOnce)
    running = Running('127.0.0.1:1')
    running.runtime.activate()
    for _ in range(20):
        running.runtime.command('client', '/cmd_vel0', Velocity(x=0.2))
    assert deepest == 1
    running.runtime.close()


def test_silence_stops_the_base_one_window_after_the_last_command(
    machine: tuple[str, Record], load: Load
) -> None:
    address, record = machine
    with Running(address) as running:
        last = running.drive(0)
        stopped_one_window_after(last, record, load)
    assert not record.moving('base')
    assert running.failures == []


def test_a_hung_machine_delays_no_other_machines_stop(
    machine: tuple[str, Record], load: Load
) -> None:
    address, record = machine
    hung_address = f'127.0.0.1:{free_port()}'
    hung = subprocess.Popen(
        [sys.executable, '-m', 'viam_session_bridge.simulation', '--address', hung_address]
    )
    try:
        with Running(address, hung_address) as running:
            running.drive(1)
            os.kill(hung.pid, signal.SIGSTOP)
            running.runtime.command('client 1', '/cmd_vel1', Velocity(x=0.2))
            last = running.drive(0)
            stopped_one_window_after(last, record, load)
            running.runtime.deactivate()
            assert running.runtime.wait_closed(0.5) == {'b1': False}
            os.kill(hung.pid, signal.SIGCONT)
            # The command without an answer settles a second after the machine spoke again (R7).
            assert running.runtime.wait_closed(BOUND) == {}
        assert running.failures == []
    finally:
        hung.kill()
        hung.wait()


def test_the_exit_waits_for_a_stop_whose_machine_session_lapsed_meanwhile() -> None:
    address = f'127.0.0.1:{free_port()}'
    simulation = [sys.executable, '-m', 'viam_session_bridge.simulation', '--address', address]
    frozen = subprocess.Popen([*simulation, '--window', '0.2'])
    # After the exit's time, and well before the Stop's deadline.
    thaw = threading.Timer(0.9, os.kill, (frozen.pid, signal.SIGCONT))
    try:
        with Running(address) as running:
            running.drive(0)
            running.wait_for(lambda bridge: not bridge.machines['m0'].bases['b0'].in_flight)
            os.kill(frozen.pid, signal.SIGSTOP)
            running.runtime.deactivate()
            thaw.start()
            assert running.runtime.wait_closed(0.6) == {}
        assert running.failures == []
    finally:
        thaw.cancel()
        frozen.kill()
        frozen.wait()


def test_deactivation_stops_what_was_commanded_and_refuses_what_follows(
    machine: tuple[str, Record],
) -> None:
    address, record = machine
    with Running(address) as running:
        running.drive(0)
        running.runtime.deactivate()
        assert running.runtime.wait_closed(BOUND) == {}
        before = len(record.commands('base'))
        running.drive(0, times=2)
    assert len(record.commands('base')) == before
    assert not record.moving('base')


def test_closing_ends_every_thread_of_ours(
    machine: tuple[str, Record], own_threads: Callable[[], list[str]]
) -> None:
    with Running(machine[0]) as running:
        running.drive(0)
    assert 'lapse clock' not in own_threads()


def test_an_exception_in_a_feed_is_reported_whatever_thread_it_comes_up_on(
    machine: tuple[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = threading.Event()

    def broken(self: Bridge, now: float) -> None:
        reported.set()
        raise RuntimeError('broken')

    with Running(machine[0]) as running:
        monkeypatch.setattr(Bridge, 'tick', broken)
        running.drive(0, times=1)
        assert reported.wait(BOUND)
    assert [str(failure) for failure in running.failures][:1] == ['broken']
