# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer to ``IsMoving`` means, asked of the class itself (R20)."""

from __future__ import annotations

import pytest

from support.pure import machine
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import (
    AtRest,
    MachineEvent,
    MotionUnknown,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.requests import (
    Answer,
    GetSessions,
    IsMoving,
    Outcome,
    Purpose,
    RequestQueue,
)
from viam_session_bridge.core.timing import AT_ONCE, NEVER
from viam_session_bridge.core.verification import (
    AGAIN_AFTER,
    AGAIN_FOR,
    REPORTED_AFTER,
    STOPPED_ANEW_AFTER,
    Verification,
)

OK = Answer(Outcome.OK)
MOVES = Answer(Outcome.OK, moving=True)
STANDS = Answer(Outcome.OK, moving=False)


class Questions:
    """A verification by itself; what is asked is answered by hand."""

    def __init__(self, timed_out: int = 0) -> None:
        """Begin with a stop that was final at 0 s."""
        self.events: list[MachineEvent] = []
        self._queue = RequestQueue('main', 0.25)
        self.sessions = sessions = MachineSessions(machine(), self.events)
        self.verification = Verification(self._queue, sessions, self.events)
        self.final(0.0, timed_out)

    def final(self, now: float, timed_out: int) -> None:
        stop = Stop('base', Cause.LAPSE, 'A', now)
        self.verification.final('base', StopFinal(stop, 1, timed_out, now))

    def answer(self, now: float, answer: Answer) -> Stop | None:
        """Answer the question whether the base moves, which is due."""
        self.verification.ask(now)
        (call,) = self._queue.take()
        assert call.request == IsMoving('base')
        return self.verification.answered('base', call.number, answer, now)

    def answer_who_else(self, now: float, answer: Answer) -> Stop | None:
        """Answer the question who else has sessions, which was asked just now."""
        (call,) = self._queue.take()
        assert call.request == GetSessions(Purpose.VERIFY, 'base')
        return self.verification.sessions_answered('base', call.number, answer, now)


def stop_anew(now: float) -> Stop:
    return Stop('base', Cause.STILL_MOVING, '', now)


def test_each_command_that_timed_out_is_made_up_for_by_a_stop_of_its_own() -> None:
    questions = Questions(timed_out=1)
    questions.final(1.0, timed_out=1)
    for now in (3.0, 4.0):
        assert questions.answer(now, MOVES) == stop_anew(now)
    assert questions.answer(5.0, MOVES) is None
    assert questions.answer_who_else(5.1, OK) == stop_anew(5.1)


def test_until_a_second_after_the_final_stop_it_may_coast() -> None:
    coasts, moves = Questions(timed_out=1), Questions(timed_out=1)
    assert coasts.answer(STOPPED_ANEW_AFTER - 1e-6, MOVES) is None
    assert moves.answer(STOPPED_ANEW_AFTER, MOVES) == stop_anew(STOPPED_ANEW_AFTER)


def test_after_a_minute_the_command_that_timed_out_is_over() -> None:
    questions = Questions(timed_out=1)
    questions.answer(AGAIN_FOR, STANDS)
    assert questions.verification.ask(AT_ONCE) == NEVER


def test_until_then_it_is_asked_each_second() -> None:
    questions = Questions(timed_out=1)
    questions.answer(0.1, STANDS)
    assert questions.verification.ask(AT_ONCE) == 0.1 + AGAIN_AFTER


def test_while_it_moves_it_is_asked_later_and_not_at_once() -> None:
    questions = Questions()
    questions.answer(0.1, MOVES)
    assert 0.1 < questions.verification.ask(AT_ONCE) <= 0.1 + AGAIN_AFTER


def test_that_it_rests_is_reported_once_after_it_was_reported_to_move() -> None:
    questions = Questions(timed_out=1)
    assert questions.answer(4.0, MOVES) == stop_anew(4.0)
    assert questions.answer(5.0, MOVES) is None
    questions.events.clear()
    assert questions.answer_who_else(5.0, Answer(Outcome.OK, sids=('foreign',))) is None
    questions.answer(6.0, STANDS)
    questions.answer(7.0, STANDS)
    assert questions.events == [StillMoving('base', 1, False, 5.0), AtRest('base', 6.0)]


def test_a_question_that_fails_again_after_one_that_did_not_is_reported_again() -> None:
    questions = Questions(timed_out=1)
    fails = Answer(Outcome.FAILED, 'UNKNOWN: no encoder')
    for now, answer in ((0.1, fails), (1.1, fails), (2.1, STANDS), (3.1, fails)):
        questions.answer(now, answer)
    assert questions.events == [MotionUnknown('base', fails.detail, now) for now in (0.1, 3.1)]


def test_where_nobody_says_who_is_there_the_base_is_asked_again_a_second_later() -> None:
    questions = Questions(timed_out=1)
    assert questions.answer(2.0, MOVES) == stop_anew(2.0)
    questions.final(2.1, timed_out=0)
    assert questions.answer(3.1, MOVES) is None
    failed = Answer(Outcome.FAILED, 'UNKNOWN: no such thing')
    assert questions.answer_who_else(3.2, failed) is None
    assert questions.verification.ask(AT_ONCE) == 3.2 + AGAIN_AFTER


def test_a_base_that_its_machine_stopped_is_stopped_anew_where_a_lost_command_runs_late() -> None:
    questions = Questions()
    questions.verification.distrust('base', 0.0, reported=False, now=0.3)
    assert questions.answer(1.3, MOVES) is None
    assert questions.answer_who_else(1.4, OK) == stop_anew(1.4)


def test_a_base_stopped_anew_is_reported_as_that() -> None:
    questions = Questions(timed_out=1)
    questions.answer(2.0, MOVES)
    assert questions.events == [StillMoving('base', None, True, 2.0)]


@pytest.mark.parametrize(('now', 'reported'), [(REPORTED_AFTER, True), (2.999, False)])
def test_one_that_moves_is_reported_three_seconds_after_its_stop(
    now: float, reported: bool
) -> None:
    questions = Questions()
    questions.answer(now, MOVES)
    assert questions.events == [StillMoving('base', None, False, now)] * reported


def test_one_that_was_reported_and_cannot_be_asked_is_asked_again_a_second_later() -> None:
    questions = Questions()
    questions.answer(REPORTED_AFTER, MOVES)
    questions.answer(4.0, Answer(Outcome.FAILED, 'UNKNOWN: no encoder'))
    assert questions.verification.ask(AT_ONCE) == 4.0 + AGAIN_AFTER


def test_who_else_is_there_does_not_matter_once_somebody_commands_the_base() -> None:
    questions = Questions(timed_out=1)
    questions.answer(2.0, MOVES)
    questions.answer(3.0, MOVES)
    questions.verification.commanded('base')
    assert questions.answer_who_else(3.1, OK) is None


def test_nor_what_was_answered_about_its_stop_before() -> None:
    questions = Questions(timed_out=1)
    questions.answer(2.0, MOVES)
    questions.answer(3.0, MOVES)
    questions.verification.commanded('base')
    questions.final(3.1, timed_out=0)
    assert questions.answer_who_else(3.2, OK) is None


@pytest.mark.parametrize('reported', [True, False])
def test_that_a_base_which_its_machine_stopped_rests_is_reported_if_it_was_to_move(
    reported: bool,
) -> None:
    questions = Questions()
    questions.verification.distrust('base', 0.0, reported, now=0.3)
    assert questions.verification.ask(AT_ONCE) == 0.3 + AGAIN_AFTER
    questions.answer(1.3, STANDS)
    assert questions.events == [AtRest('base', 1.3)] * reported


def test_a_start_of_ours_without_an_answer_may_have_made_the_session_that_is_listed() -> None:
    questions = Questions()
    questions.verification.distrust('base', 0.0, reported=False, now=0.3)
    questions.sessions.open('A', 1, lambda sid: True, 0.3)
    questions.sessions.start(questions.sessions.live[1], 1, 0.3)
    questions.sessions.start_answered(1, Answer(Outcome.TIMED_OUT), 0.5)
    questions.answer(1.3, MOVES)
    assert questions.answer_who_else(1.4, Answer(Outcome.OK, sids=('one',))) == stop_anew(1.4)
