# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R16, R19: at deactivation a base is left to the other clients of its machine."""

from __future__ import annotations

import pytest

from support.pure import (
    beside_a_lost_one,
    CALL_TIMEOUT,
    keep_alive,
    left_to_machine,
    machine,
    Rig,
    STOPPING_WINDOW,
)
from viam_session_bridge.core.events import LeftToMachine, StopFinal
from viam_session_bridge.core.requests import (
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Purpose,
    StopBase,
)

STOPPED_BY = STOPPING_WINDOW + 0.25  # s after the last use, then the base is asked
OWN = ('sid-1',)
FOREIGN = ('sid-1', 'of the app')


@pytest.fixture
def rig() -> Rig:
    return left_to_machine()


def test_deactivation_asks_first_and_stops_if_nobody_else_is_there(rig: Rig) -> None:
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]
    assert rig.bridge.not_final() == {'base': False}
    assert rig.answer(GetSessions, sids=OWN) == [StopBase('base')]
    rig.acknowledge()
    assert rig.bridge.closed


def test_deactivation_leaves_a_base_to_others_and_names_it(rig: Rig) -> None:
    rig.deactivate()
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [(one.base, one.foreign) for one in rig.events_of(LeftToMachine)] == [('base', 1)]
    assert rig.bridge.closed


def test_a_base_that_was_left_is_left_for_good(rig: Rig) -> None:
    """A signal deactivates as well, and then the shutdown does."""
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.deactivate() == []
    assert rig.bridge.not_final() == {}


def test_a_publisher_that_streams_on_does_not_decide_what_deactivation_does(rig: Rig) -> None:
    rig.deactivate()
    assert rig.command('A') == []
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [one.foreign for one in rig.events_of(LeftToMachine)] == [1]


def test_a_base_is_left_once_its_command_in_flight_is_answered(rig: Rig) -> None:
    rig.command('A', 0.5)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert not rig.bridge.closed
    assert rig.answer(Move) == []
    assert [one.foreign for one in rig.events_of(LeftToMachine)] == [1]
    assert rig.bridge.closed


def test_one_whose_command_in_flight_fails_is_not_left_but_stopped(rig: Rig) -> None:
    rig.command('A', 0.5)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.answer(Move, Outcome.FAILED) == [StopBase('base')]
    rig.acknowledge()
    assert rig.events_of(LeftToMachine) == []
    assert rig.bridge.closed


def test_a_base_that_was_left_is_not_stopped_for_an_older_command(rig: Rig) -> None:
    beside_a_lost_one(rig)
    rig.answer(Move)
    keep_alive(rig, CALL_TIMEOUT + 1.1)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.events_of(LeftToMachine)
    assert [one for _, one in rig.until(5.0) if isinstance(one, StopBase)] == []


def test_one_with_a_command_that_may_run_late_is_not_left_but_stopped(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.until(0.25)
    rig.acknowledge()
    rig.drive('A', 0.5)  # beside the one that timed out
    assert rig.deactivate() == [StopBase('base')]


def test_a_machine_that_is_closed_is_asked_nothing(rig: Rig) -> None:
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.bridge.closed
    assert rig.until(100.0) == []


@pytest.mark.parametrize('outcome', [Outcome.UNIMPLEMENTED, Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_deactivation_stops(rig: Rig, outcome: Outcome) -> None:
    rig.deactivate()
    assert rig.answer(GetSessions, outcome) == [StopBase('base')]


def test_deactivation_drops_what_waits(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.deactivate()
    assert StopBase('base') not in rig.answer(Move)
    assert rig.pending(Move) == []


def test_deactivation_also_asks_about_bases_whose_session_lapsed(rig: Rig) -> None:
    rig.until(STOPPING_WINDOW)
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]


def test_a_base_found_at_rest_needs_no_stop_at_deactivation(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    assert rig.deactivate() == []
    assert rig.bridge.closed


def test_but_one_does_whose_command_was_on_its_way_all_the_while() -> None:
    rig = left_to_machine(machines=[machine(call_timeout=5.0)])
    rig.command('A', 0.4)
    rig.left('A')
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]


def test_a_stop_after_it_was_found_at_rest_is_reported_as_one_without_a_timeout(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    rig.drive('B')
    rig.command('B', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.acknowledge()
    assert [final.timed_out for final in rig.events_of(StopFinal)] == [0]


def test_a_base_that_was_left_to_others_is_not_asked_about_again_once_it_is_closed(
    rig: Rig,
) -> None:
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.bridge.closed
    assert rig.deactivate() == []
    assert rig.bridge.not_final() == {}


def test_one_that_is_commanded_once_it_is_activated_again_is_not_stopped_for_that(
    rig: Rig,
) -> None:
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.drive('B')
    assert rig.answer(GetSessions, sids=OWN) == []


def test_the_next_deactivation_asks_anew(rig: Rig) -> None:
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.drive('B')
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]
