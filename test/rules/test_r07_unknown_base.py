# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R7: a Stop of a base that its machine does not know."""

from __future__ import annotations

import pytest

from support.pure import hung, is_final, NAN, Rig, STOP, times, WINDOW
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import MachineClosed, StopGivenUp
from viam_session_bridge.core.requests import Move, Outcome, StartSession, StopBase
from viam_session_bridge.core.velocity import ZERO

ZERO_SENT = Move('base', ZERO, 'sid-1')
UNKNOWN = 'UNKNOWN: no node found with api rdk:component:base and name base'


def stop_of_a() -> Stop:
    return Stop('base', Cause.LEFT, 'A', 0.0, 1, 0.0)


def test_it_is_repeated_each_second_without_a_zero(rig: Rig) -> None:
    rig.left('A')
    for _ in range(3):
        assert ZERO_SENT not in rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        assert times(rig.until(rig.now + 1.0)) == [pytest.approx(rig.now)]


def give_up(rig: Rig) -> None:
    rig.left('A')
    while not rig.events_of(StopGivenUp):
        assert rig.now <= 61.0
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)


def test_and_given_up_and_reported_after_a_minute(rig: Rig) -> None:
    give_up(rig)
    assert rig.now == 61.0
    assert rig.events_of(StopGivenUp) == [StopGivenUp(stop_of_a(), UNKNOWN, 60.0)]
    assert rig.pending(StopBase) == []
    assert rig.bridge.given_up() == ['base']


def test_the_end_tries_one_that_was_given_up_again_for_it_may_be_back(rig: Rig) -> None:
    give_up(rig)
    assert rig.deactivate() == [STOP]
    assert rig.bridge.not_final() == {'base': False}
    rig.answer(StopBase)
    assert is_final(rig)
    assert rig.bridge.given_up() == []


def test_once_its_machine_is_closed_nothing_has_it_tried_again(rig: Rig) -> None:
    rig.deactivate()
    while not rig.events_of(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    assert rig.events_of(MachineClosed)
    assert rig.command('A') == []
    assert rig.bridge.given_up() == ['base']


def test_but_the_next_end_does_for_it_may_be_back(rig: Rig) -> None:
    rig.deactivate()
    while not rig.events_of(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    rig.feed(lambda: rig.bridge.activate(rig.now))
    assert rig.deactivate() == [STOP]


def test_so_does_a_refusal(rig: Rig) -> None:
    give_up(rig)
    rig.feed(lambda: rig.bridge.seen('A', rig.now))
    assert rig.command('A', NAN) == [STOP]


def test_another_answer_begins_the_minute_anew(rig: Rig) -> None:
    rig.left('A')
    for step in range(90):
        detail = UNKNOWN if step != 45 else 'UNAVAILABLE: resource not available'
        rig.answer(StopBase, Outcome.FAILED, detail=detail)
        while rig.pending(Move):
            rig.answer(Move)
        rig.until(rig.now + 1.0)
    assert rig.events_of(StopGivenUp) == []


def test_an_acknowledgement_does_too(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.until(1.0, times_out=False)
    rig.answer(StopBase)
    rig.answer(Move)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.until(60.5, times_out=False)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    assert rig.events_of(StopGivenUp) == []


def test_where_an_earlier_command_was_acknowledged_it_is_waited_for(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def given_up_unmoved() -> Rig:
    """Let the stop of a base be given up that the machine never knew."""
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    while not rig.events_of(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    return rig


def test_a_refusal_stops_no_base_that_no_command_ever_moved() -> None:
    rig = given_up_unmoved()
    assert STOP not in rig.command('A', NAN)


def test_so_is_one_of_a_base_that_is_known_though_no_command_ran() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    assert STOP in rig.answer(Move, Outcome.UNIMPLEMENTED)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def test_a_base_that_nobody_ever_commanded_was_not_given_up() -> None:
    assert Rig().bridge.given_up() == []


def test_where_no_command_was_ever_acknowledged_nothing_is_waited_for() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    assert STOP in rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {}
    assert rig.bridge.given_up() == []


@pytest.mark.parametrize('open_at_the_close', [True, False])
def test_nor_sent_once_the_machine_is_closed(open_at_the_close: bool) -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    if open_at_the_close:
        assert times(rig.until(WINDOW)) == [WINDOW]
    rig.deactivate()
    assert rig.events_of(MachineClosed)
    if open_at_the_close:
        rig.answer(StopBase, Outcome.CUT)
    assert times(rig.until(5.0)) == []
    assert rig.bridge.not_final() == {}


def test_but_a_command_that_failed_otherwise_may_have_moved_the_base() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail='UNKNOWN: the left motor has no power')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def test_and_while_the_first_command_is_in_flight_it_may_run_yet() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    assert rig.bridge.not_final() == {}
