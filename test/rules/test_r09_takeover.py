# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R9: B drives on where A's session ends."""

from __future__ import annotations

import pytest

from support.pure import base_of_two, go, Rig, STOP
from viam_session_bridge.core.events import StopFinal
from viam_session_bridge.core.requests import Move, Outcome, StartSession, StopBase
from viam_session_bridge.core.velocity import Velocity, ZERO


@pytest.fixture
def rig() -> Rig:
    return base_of_two()


def test_b_before_as_stop_is_handed_over_and_no_stop_is_sent(rig: Rig) -> None:
    sent = rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.4), None, rig.now),
    )
    assert sent == [go(0.4, 'sid-2')]
    rig.answer(Move)
    assert rig.until(0.2) == []


def test_nor_where_bs_command_has_to_wait(rig: Rig) -> None:
    rig.command('A', 0.4)
    sent = rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.5), None, rig.now),
    )
    assert sent == []
    assert rig.answer(Move) == [go(0.5, 'sid-2')]


def test_unless_bs_command_then_fails(rig: Rig) -> None:
    rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.4), None, rig.now),
    )
    assert rig.answer(Move, Outcome.FAILED) == [STOP]


def test_as_stop_is_waited_for_once_handed_over(rig: Rig) -> None:
    rig.left('A')
    assert rig.command('B', 0.4) == []
    assert rig.answer(StopBase) == [go(0.4, 'sid-2')]


def test_its_error_is_an_answer_too_and_its_zero_is_not_sent(rig: Rig) -> None:
    rig.left('A')
    rig.command('B', 0.4)
    assert rig.answer(StopBase, Outcome.FAILED) == [go(0.4, 'sid-2')]


def test_its_deadline_is_the_end_of_the_wait(rig: Rig) -> None:
    rig.left('A')
    rig.until(1.9)
    rig.command('B', 0.4)
    assert (2.05, StartSession('sid-2')) in rig.until(2.05)
    rig.answer(StartSession, sid='sid-2')
    assert rig.answer(Move) == [go(0.4, 'sid-2')]  # its zero is waited for as well


def test_also_the_first_of_two_the_other_of_which_was_final(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(Move)
    rig.answer(StopBase, newest=True)
    assert rig.events_of(StopFinal)
    assert rig.command('B', 0.4) == []
    assert rig.answer(StopBase) == [go(0.4, 'sid-2')]


def test_the_zero_is_waited_for_too(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.pending(Move) == [Move('base', ZERO, 'sid-1')]
    assert rig.command('B', 0.4) == []
    assert rig.answer(Move) == [go(0.4, 'sid-2')]


def test_when_b_drives_as_stop_is_not_repeated(rig: Rig) -> None:
    rig.left('A')
    rig.command('B', 0.4)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)
    assert rig.until(0.4) == []


def test_as_command_in_flight_is_waited_for_as_well(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.command('B', 0.5)
    rig.answer(StopBase)
    assert rig.pending(Move) == [go(0.4)]
    rig.answer(Move)
    rig.acknowledge()
    assert rig.pending(Move) == [go(0.5, 'sid-2')]


def test_a_stop_that_ended_is_not_repeated_where_b_can_drive(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(StopBase)
    rig.command('B', 0.5)
    assert rig.answer(Move) == [go(0.5, 'sid-2')]


def test_a_stop_drops_what_waits(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.left('A')
    rig.answer(Move)
    rig.acknowledge()
    assert rig.calls == []
