# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R7: Stops that fail or are cancelled: the zero velocity, the pauses, what is reported."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, hung, is_final, machine, Rig, STOP, times, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import CommandFailed, StopFailed, StopOverdue
from viam_session_bridge.core.requests import GetSessions, Move, Outcome, StartSession, StopBase
from viam_session_bridge.core.stop_control import THERE_AND_BACK
from viam_session_bridge.core.velocity import Velocity, ZERO

STOP_TIMEOUT = 2.0
DEADLINE = STOP_TIMEOUT + THERE_AND_BACK


# Cancelled


def test_one_that_another_client_cancelled_waits_one_to_two_pauses_up_to_stop_timeout() -> None:
    numbers = iter([0.0, 1.0] + [0.5] * 6)
    rig = Rig(random=lambda: next(numbers))
    rig.drive('A')
    rig.left('A')
    for pause in (0.05, 0.2, 0.3, 0.6, 1.2, 2.4, 3.0, 3.0):
        assert rig.answer(StopBase, Outcome.CANCELLED) == []  # and no zero
        sent_at = rig.now + pause
        assert times(rig.until(sent_at + 1e-6)) == [pytest.approx(sent_at)]


def test_one_that_a_command_sent_before_it_cancelled_is_sent_again_after_50_ms(rig: Rig) -> None:
    hung(rig).left('A')
    assert rig.answer(StopBase, Outcome.CANCELLED) == []
    assert times(rig.until(0.05)) == [0.05]


def test_a_command_that_our_stop_cancelled_has_not_failed_and_may_run_on(rig: Rig) -> None:
    hung(rig).left('A')
    assert rig.answer(Move, Outcome.CANCELLED) == []
    assert rig.events_of(CommandFailed) == []
    rig.answer(StopBase)
    assert not is_final(rig)
    assert times(rig.until(CALL_TIMEOUT), GetSessions()) == [CALL_TIMEOUT]
    rig.answer(GetSessions)
    assert times(rig.until(CALL_TIMEOUT + 1.0)) == [CALL_TIMEOUT + 1.0]
    rig.answer(StopBase)
    assert is_final(rig)


def test_a_command_that_another_client_cancelled_has_failed(rig: Rig) -> None:
    hung(rig)
    assert rig.answer(Move, Outcome.CANCELLED) == [STOP]
    assert rig.events_of(CommandFailed)


# The zero velocity


def test_after_the_first_error_one_zero_follows_under_the_ended_session(rig: Rig) -> None:
    rig.left('A')
    assert rig.answer(StopBase, Outcome.FAILED) == [Move('base', ZERO, 'sid-1')]


def test_a_deadline_that_passed_will_do(rig: Rig) -> None:
    rig.left('A')
    assert rig.until(DEADLINE) == [(DEADLINE, Move('base', ZERO, 'sid-1'))]


@pytest.mark.parametrize('outcome', [Outcome.CUT, Outcome.CANCELLED])
def test_none_after_a_cut_or_a_cancellation(rig: Rig, outcome: Outcome) -> None:
    rig.left('A')
    assert rig.answer(StopBase, outcome) == []


def test_the_zero_is_sent_once(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move, Outcome.FAILED)
    for _ in range(5):
        rig.until(rig.now + 1.0)
        while rig.pending(StopBase):
            assert rig.answer(StopBase, Outcome.FAILED) == []
    assert rig.pending(Move) == []


def test_an_acknowledged_zero_is_no_acknowledged_stop(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)
    assert rig.bridge.not_final() == {'base': False}


def test_without_a_machine_session_there_is_none() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    rig.drive('A')
    rig.deactivate()
    assert rig.answer(StopBase, Outcome.FAILED) == []


def test_none_under_a_machine_session_that_lapsed() -> None:
    rig = Rig()
    rig.machine_window = 0.3
    rig.drive('A')
    rig.until(WINDOW, times_out=False)
    rig.now = 0.2 + CALL_TIMEOUT + 0.4 + 1.0
    assert [one for one in rig.answer(StopBase, Outcome.FAILED) if isinstance(one, Move)] == []


def test_nor_later_when_that_machine_session_was_resumed() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.drive('A', topic='/other')
    rig.command('A')
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [StopBase('other'), StartSession('sid-1')]
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(StartSession, sid='sid-1')
    assert rig.pending(Move) == [Move('base', Velocity(0.3), 'sid-1')]
    rig.answer(Move)
    assert {request for _, request in rig.until(0.2)} == {StopBase('other')}


def test_the_next_waits_for_the_answer_of_the_zero(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert times(rig.until(0.2)) == []
    assert rig.answer(Move) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_or_for_its_deadline_a_quarter_second_at_most() -> None:
    rig = Rig(machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert times(rig.until(0.3)) == [0.25]


# The machine's words


def stop_of_a() -> Stop:
    return Stop('base', Cause.LEFT, 'A', 0.0, 1, 0.0)


def test_the_first_failure_is_reported_and_the_last_one_while_it_goes_on(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: a wheel is off')
    rig.answer(Move)
    rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: another wheel is off')
    assert rig.events_of(StopFailed) == [StopFailed(stop_of_a(), 'UNKNOWN: a wheel is off', 0.0)]
    while rig.now < 5.5:
        rig.until(rig.now + 1.0)
        rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: another wheel is off')
    assert [one.detail for one in rig.events_of(StopOverdue)] == ['UNKNOWN: another wheel is off']


def test_before_any_failure_there_are_none_to_tell() -> None:
    rig = Rig(stop_timeout=10.0)
    rig.drive('A')
    rig.left('A')
    rig.until(5.0)
    assert rig.events_of(StopOverdue) == [StopOverdue(stop_of_a(), 1, '', 5.0)]


def test_one_that_nobody_acknowledges_is_reported_after_5_s_and_each_minute(rig: Rig) -> None:
    rig.left('A')
    rig.until(130.0)
    assert [overdue.at for overdue in rig.events_of(StopOverdue)] == [5.0, 65.0, 125.0]
    for overdue in rig.events_of(StopOverdue):
        assert (overdue.stop.base, overdue.stop.cause) == ('base', Cause.LEFT)
