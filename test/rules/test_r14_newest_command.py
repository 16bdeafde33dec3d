# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R14: at most one command is in flight for a base, the newest waits, and none is late."""

from __future__ import annotations

import pytest

from support.pure import base, base_of_two, go, machine, Rig, STOP, WINDOW
from viam_session_bridge.core.events import CommandDropped, CommandFailed
from viam_session_bridge.core.requests import Move, StartSession, StopBase


@pytest.fixture
def rig() -> Rig:
    return base_of_two()


# At most one in flight, the newest waits


def test_a_command_goes_out_at_once(rig: Rig) -> None:
    assert rig.command('A', 0.4) == [go(0.4)]


def test_the_next_waits_for_the_answer(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.command('A', 0.5) == []
    assert rig.answer(Move) == [go(0.5)]


def test_the_newest_replaces_the_older(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.command('A', 0.6)
    assert rig.answer(Move) == [go(0.6)]
    assert rig.answer(Move) == []


def test_also_that_of_another_client(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.command('B', 0.6)
    assert rig.answer(Move) == [go(0.6, 'sid-2')]


def test_another_base_does_not_wait() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.command('A', 0.4)
    rig.command('B', 0.4, '/other')
    assert rig.answer(StartSession) == [go(0.4, 'sid-2', 'other')]


def test_the_first_command_waits_for_its_machine_session() -> None:
    rig = Rig()
    assert rig.command('A', 0.4) == [StartSession('')]
    assert rig.command('A', 0.5) == []
    assert rig.answer(StartSession) == [go(0.5)]


def waiting_for_a_slow_one() -> Rig:
    """Let a command of time 0 wait; the client lives by its heartbeats."""
    rig = Rig(machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.until(0.3)
    rig.heartbeat('A')
    return rig


def test_one_that_waited_a_whole_window_has_failed() -> None:
    rig = waiting_for_a_slow_one()
    assert rig.until(WINDOW) == [(WINDOW, STOP)]
    assert [failed.client for failed in rig.events_of(CommandFailed)] == ['A']
    assert go(0.5) not in rig.answer(Move)


def test_not_so_just_before() -> None:
    rig = waiting_for_a_slow_one()
    assert rig.until(WINDOW - 1e-6) == []
    assert rig.answer(Move) == [go(0.5)]


def test_not_even_an_answer_before_the_lapse_clocks_tick_lets_it_go() -> None:
    rig = waiting_for_a_slow_one()
    rig.now = WINDOW
    assert rig.answer(Move) == [STOP]


# One that waited for a stop of ours is dropped after a window, and nothing else happens


def held_by_a_stop() -> Rig:
    """Let B's command of time 0 wait for the Stop of A's, which takes long."""
    rig = Rig()
    rig.drive('B')
    rig.drive('A')
    rig.left('A')
    assert rig.command('B', 0.4) == []
    return rig


def test_behind_a_stop_that_takes_long_it_is_dropped() -> None:
    rig = held_by_a_stop()
    rig.until(0.3)
    rig.heartbeat('B')
    assert rig.until(WINDOW) == []
    assert rig.events_of(CommandDropped) == [CommandDropped('base', 'B', WINDOW)]
    assert rig.events_of(CommandFailed) == []
    assert rig.answer(StopBase) == []


def test_not_so_just_before_it_is_a_window_old() -> None:
    rig = held_by_a_stop()
    rig.until(0.3)
    rig.heartbeat('B')
    rig.until(WINDOW - 1e-6)
    assert rig.answer(StopBase) == [go(0.4, 'sid-1')]


def test_a_slow_publisher_drives_on_behind_a_stop_that_takes_more_than_a_second() -> None:
    """A publisher of 1 Hz that sends heartbeats between (R3)."""
    rig = held_by_a_stop()
    for step in range(1, 12):
        rig.until(step * 0.1)
        rig.heartbeat('B')
        if step == 10:
            assert rig.command('B', 0.4) == []
    rig.until(1.2)
    assert rig.answer(StopBase) == [go(0.4, 'sid-1')]
    assert rig.events_of(CommandFailed) == []
