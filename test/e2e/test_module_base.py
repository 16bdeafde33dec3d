# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A base in a module, a process of its own: it is killed, raises, hangs and runs on (R7, R10)."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal
import time
from typing import Any

import pytest

pytest.importorskip('viam', reason='a module is written with viam-sdk')

from e2e.conftest import StartPublisher
from support import real_bases
from support.bounds import BoundMissedError, LATE, Load, RECOVERY
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import kill, wait_for
from support.record import Entry
from support.viam_server import ViamServer
from support.wheels import Wheels

BASE = 'module'
MACHINE_WINDOW = 30.0  # s, so that the machine stops nothing
CALL_TIMEOUT = 5.0  # s, so that no command times out here
STOP_TIMEOUT = 2.0  # s, the parameter's default
ASKED = 1.0  # s between two questions whether a base moves whose command is unanswered (R7)
HANGS = 0.2  # s: a command that has no end by then hangs
BASES: dict[str, dict[str, Any]] = {BASE: {'command_topics': [f'/{BASE}/cmd_vel']}}


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    directory = tmp_path_factory.mktemp('viam_server')
    with ViamServer(directory, [], MACHINE_WINDOW, extra=real_bases.module(BASE)) as server:
        yield server


@pytest.fixture
def wheels(machine: ViamServer, bridge: BridgeProcess, load: Load) -> Iterator[Wheels]:
    """Return those of the base, which rests and has no faults before."""
    wheels = Wheels(machine, BASE, load)
    yield wheels
    machine.control(BASE, release=True, ignore_cancel=False, stop_failures=0)
    wait_for(lambda: not wheels.moving, 'it rests')


def driven(wheels: Wheels, start_publisher: StartPublisher) -> Any:
    """Return a publisher that streams and that the base follows."""
    teleop = start_publisher('teleop')
    teleop.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    return teleop


def test_a_module_that_dies_is_stopped_before_it_is_driven_again(
    machine: ViamServer, wheels: Wheels, start_publisher: StartPublisher, load: Load
) -> None:
    teleop = driven(wheels, start_publisher)
    pid = int(machine.control(BASE, get=True)['pid'])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not running(pid), 'it dies')
    died = time.monotonic()

    def motions_since() -> list[Entry]:
        return motions(machine, died)

    again = wait_for(motions_since, 'it is driven again')[0].t
    load.hold(again - died, RECOVERY, died, again)
    assert died < machine.record.stops(BASE)[-1].t < again
    wheels.keeps_moving(again, WINDOW)
    sent = kill(teleop, wheels.topic)
    wheels.wait_rest(sent[1], WINDOW + 2 * LATE)


def running(pid: int) -> bool:
    """Return whether a process runs: it exists, and is not one that waits to be reaped."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'


def test_stops_that_raise_are_repeated_and_a_zero_velocity_stops_it_meanwhile(
    machine: ViamServer, wheels: Wheels, start_publisher: StartPublisher
) -> None:
    teleop = driven(wheels, start_publisher)
    machine.control(BASE, stop_failures=3)
    sent = kill(teleop, wheels.topic)
    wheels.wait_rest(sent[1], WINDOW + LATE + LATE)
    machine.record.wait_for(
        lambda _: machine.record.stops(BASE) and machine.record.stops(BASE)[-1].t > sent[1],
        STOP_TIMEOUT,
        'a stop is acknowledged',
    )
    wheels.keeps_still(2 * WINDOW)


def test_a_stop_that_hangs_is_sent_again_after_stop_timeout(
    machine: ViamServer, wheels: Wheels, start_publisher: StartPublisher
) -> None:
    teleop = driven(wheels, start_publisher)
    machine.control(BASE, stop_hang=True)
    before = len(machine.record.calls(BASE, 'stop', 'begin'))
    sent = kill(teleop, wheels.topic)
    wait_for(lambda: len(machine.record.calls(BASE, 'stop', 'begin')) > before, 'it hangs')
    machine.control(BASE, stop_hang=False)
    wheels.wait_rest(sent[1], WINDOW + STOP_TIMEOUT + 2 * LATE)
    wheels.keeps_still(2 * WINDOW)


def test_a_stop_that_dies_with_its_module_is_sent_to_the_next_one(
    machine: ViamServer, wheels: Wheels, start_publisher: StartPublisher, load: Load
) -> None:
    teleop = driven(wheels, start_publisher)
    machine.control(BASE, stop_hang=True)
    before = len(machine.record.calls(BASE, 'stop', 'begin'))
    kill(teleop, wheels.topic)
    wait_for(lambda: len(machine.record.calls(BASE, 'stop', 'begin')) > before, 'it hangs')
    pid = int(machine.control(BASE, get=True)['pid'])
    died = time.monotonic()
    if not wheels.moving:
        raise BoundMissedError('the Stop that hung was given up before its module died')
    os.kill(pid, signal.SIGKILL)
    # No command went out since: what is acknowledged then is the repetition.
    wheels.wait_rest(died, RECOVERY)
    assert not motions(machine, died)
    wheels.keeps_still(2 * WINDOW)


@pytest.mark.parametrize('later', [0.0, 3.0], ids=['soon', 'late'])
def test_a_command_that_runs_on_in_the_module_after_it_was_answered_is_stopped_again(
    later: float,
    machine: ViamServer,
    wheels: Wheels,
    start_publisher: StartPublisher,
) -> None:
    teleop = driven(wheels, start_publisher)
    machine.control(BASE, set_velocity_hang=True, ignore_cancel=True)

    def hangs() -> bool:
        began = machine.record.calls(BASE, 'set_velocity', 'begin')[-1].t
        ended = machine.record.calls(BASE, 'set_velocity', 'end')[-1].t
        return ended < began < time.monotonic() - HANGS

    wait_for(hangs, 'a command hangs')
    sent = kill(teleop, wheels.topic)
    # viam-server answers the command with CANCELLED for the stop that comes now.
    rest = wheels.wait_rest(sent[0], WINDOW + 2 * LATE)
    wheels.keeps_still(max(later, WINDOW))
    machine.control(BASE, release=True)
    # It moves once more, though nobody wants that, and viam-server knows of no call.
    moves = wait_for(lambda: motions(machine, rest), 'it runs on')[0].t
    wheels.wait_rest(moves, ASKED + 2 * LATE)
    wheels.keeps_still(2 * WINDOW)


def motions(machine: ViamServer, since: float) -> list[Entry]:
    """Return the commands that took effect since then and moved the base."""
    entries = machine.record.calls(BASE, 'set_velocity', 'end')
    return [one for one in entries if one.t > since and one.takes_effect and one.is_motion]
