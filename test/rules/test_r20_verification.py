# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R20: whether a base stands still once its stop is final."""

from __future__ import annotations

from typing import TypeVar

import pytest

from support.pure import configuration, machine
from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.events import AtRest, MachineEvent, MotionUnknown, StillMoving
from viam_session_bridge.core.machine_control import MachineControl
from viam_session_bridge.core.requests import (
    Answer,
    Call,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Request,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity

H = TypeVar('H', StillMoving, AtRest, MotionUnknown)
OK = Answer(Outcome.OK)
MOVES = Answer(Outcome.OK, moving=True)
STANDS = Answer(Outcome.OK, moving=False)


class Bench:
    """One machine with one base; answers are given by hand, time by jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.protocol = MachineControl(machine(), configuration(window=0.5))
        self.open: list[Call] = []
        self.events: list[MachineEvent] = []
        self.protocol.channel(True, self.now)
        self.drain()

    def drain(self) -> None:
        self.open += self.protocol.drain(self.now)
        self.events += self.protocol.events
        self.protocol.events.clear()

    def go(self) -> None:
        self.protocol.forward(Forward('base', 'A', 1, Velocity(x=0.3), self.now))
        self.drain()

    def stop(self) -> None:
        self.protocol.sessions.ended(1)
        self.protocol.stop(Stop('base', Cause.LAPSE, 'A', self.now, 1, self.now))
        self.drain()

    def wait(self, seconds: float) -> None:
        """Tick at every deadline on the way."""
        end = self.now + seconds
        while True:
            due = self.protocol.due_at
            self.now = max(min(due, end), self.now)
            self.protocol.tick(self.now)
            self.drain()
            if self.now >= end:
                return

    def answer(self, kind: type[Request], answer: Answer = OK) -> None:
        call = next(call for call in self.open if isinstance(call.request, kind))
        self.open.remove(call)
        self.protocol.answered(call.number, answer, self.now)
        self.drain()

    def asked(self, kind: type[Request]) -> int:
        return sum(isinstance(call.request, kind) for call in self.open)

    def events_of(self, kind: type[H]) -> list[H]:
        return [one for one in self.events if isinstance(one, kind)]


def stopped() -> Bench:
    bench = Bench()
    bench.go()
    bench.answer(StartSession, Answer(Outcome.OK, sid='one', window=10.0))
    bench.answer(Move)
    bench.stop()
    bench.answer(StopBase)
    return bench


def stopped_after_a_timeout() -> Bench:
    bench = Bench()
    bench.go()
    bench.answer(StartSession, Answer(Outcome.OK, sid='one', window=10.0))
    bench.wait(0.25)
    bench.answer(Move, Answer(Outcome.TIMED_OUT))
    bench.answer(GetSessions)
    bench.answer(StopBase)
    bench.wait(1.0)  # the lost command counts as answered: a final stop goes out
    while bench.asked(StopBase):
        bench.answer(StopBase)
    while bench.asked(IsMoving):  # for the lost command; it is final now
        bench.answer(IsMoving, STANDS)
    return bench


def test_it_is_asked_a_tenth_of_a_second_after_the_final_stop() -> None:
    bench = stopped()
    bench.wait(0.099)
    assert bench.asked(IsMoving) == 0
    bench.wait(0.001)
    assert bench.asked(IsMoving) == 1


def test_one_that_stands_is_not_asked_again_and_nothing_is_reported() -> None:
    bench = stopped()
    bench.wait(0.1)
    bench.answer(IsMoving, STANDS)
    bench.wait(5.0)
    assert bench.asked(IsMoving) == 0
    assert bench.events_of(StillMoving) == []


def test_one_that_coasts_is_asked_until_it_stands_and_nothing_is_reported() -> None:
    bench = stopped()
    for pause in (0.1, 0.2, 0.4):
        bench.wait(pause)
        bench.answer(IsMoving, MOVES)
    bench.wait(0.8)
    bench.answer(IsMoving, STANDS)
    bench.wait(5.0)
    assert bench.asked(IsMoving) == 0
    assert bench.events_of(StillMoving) == []
    assert bench.events_of(AtRest) == []


def moving_for(bench: Bench, seconds: float) -> None:
    """Let the base say for so long that it moves."""
    end = bench.now + seconds
    while bench.now < end:
        bench.wait(0.01)
        if bench.asked(IsMoving):
            bench.answer(IsMoving, MOVES)


def test_one_that_moves_after_3_s_is_reported_once_and_left_to_who_may_move_it() -> None:
    bench = stopped()
    moving_for(bench, 2.9)
    assert bench.events_of(StillMoving) == []
    moving_for(bench, 5.0)
    (event,) = bench.events_of(StillMoving)
    assert (event.base, event.foreign, event.stopped) == ('base', None, False)
    assert 3.0 <= event.at <= 4.0
    assert bench.asked(StopBase) == 0


def test_and_reported_to_be_at_rest_when_it_is() -> None:
    bench = stopped()
    moving_for(bench, 5.0)
    bench.wait(1.0)
    bench.answer(IsMoving, STANDS)
    assert [one.base for one in bench.events_of(AtRest)] == ['base']
    bench.wait(5.0)
    assert bench.asked(IsMoving) == 0


def test_also_where_a_question_in_between_failed() -> None:
    bench = stopped()
    moving_for(bench, 5.0)
    bench.wait(1.0)
    bench.answer(IsMoving, Answer(Outcome.FAILED, 'UNKNOWN: no encoder'))
    bench.wait(1.0)
    bench.answer(IsMoving, STANDS)
    assert [one.base for one in bench.events_of(AtRest)] == ['base']


def test_a_question_that_fails_is_reported_as_that_once() -> None:
    bench = stopped()
    bench.wait(0.1)
    bench.answer(IsMoving, Answer(Outcome.FAILED, 'UNKNOWN: no encoder'))
    assert [one.detail for one in bench.events_of(MotionUnknown)] == ['UNKNOWN: no encoder']
    assert bench.events_of(StillMoving) == []
    bench.go()
    bench.answer(StartSession, Answer(Outcome.OK, sid='one', window=10.0))
    bench.answer(Move)
    bench.stop()
    bench.answer(StopBase)
    bench.wait(0.1)
    bench.answer(IsMoving, Answer(Outcome.FAILED, 'UNKNOWN: no encoder'))
    assert len(bench.events_of(MotionUnknown)) == 1


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT])
def test_a_question_without_an_answer_is_asked_again(outcome: Outcome) -> None:
    bench = stopped()
    moving_for(bench, 2.0)
    bench.wait(1.0)
    bench.answer(IsMoving, Answer(outcome))
    bench.wait(1.0)
    bench.answer(IsMoving, MOVES)
    assert len(bench.events_of(StillMoving)) == 1


def test_a_base_that_is_commanded_again_is_not_asked() -> None:
    bench = stopped()
    bench.go()
    bench.wait(0.2)
    assert bench.asked(IsMoving) == 0


def test_an_answer_that_a_new_command_overtook_is_ignored() -> None:
    bench = stopped()
    bench.wait(0.1)
    bench.go()
    bench.answer(IsMoving, MOVES)
    assert bench.events_of(StillMoving) == []


def test_after_a_timeout_it_is_asked_each_second_for_a_minute() -> None:
    bench = stopped_after_a_timeout()
    bench.wait(0.1)
    asked = 0
    while bench.asked(IsMoving):
        asked += 1
        bench.answer(IsMoving, STANDS)
        bench.wait(1.0)
    assert asked in (60, 61)


def test_after_a_timeout_one_that_moves_a_second_later_is_stopped_anew_at_that_answer() -> None:
    bench = stopped_after_a_timeout()
    bench.wait(0.1)
    bench.answer(IsMoving, MOVES)  # it may coast
    assert bench.asked(StopBase) == 0
    bench.wait(1.0)
    bench.answer(IsMoving, MOVES)
    assert [(one.foreign, one.stopped) for one in bench.events_of(StillMoving)] == [(None, True)]
    assert bench.asked(GetSessions) == 0
    assert bench.asked(StopBase) == 1
    bench.answer(StopBase)
    bench.wait(0.1)
    assert bench.asked(IsMoving) == 1


def stopped_anew() -> Bench:
    """Use up the one stop that the command which timed out is good for."""
    bench = stopped_after_a_timeout()
    bench.wait(1.1)
    bench.answer(IsMoving, MOVES)
    bench.answer(StopBase)
    bench.wait(1.1)
    bench.answer(IsMoving, MOVES)
    return bench


def test_after_that_only_where_the_machine_lists_no_foreign_sessions() -> None:
    bench = stopped_anew()
    assert bench.asked(StopBase) == 0
    bench.answer(GetSessions, Answer(Outcome.OK, sids=('one',)))
    assert [one.foreign for one in bench.events_of(StillMoving)] == [None, 0]
    assert bench.asked(StopBase) == 1


def test_where_it_lists_some_the_base_is_left_to_them_and_reported_after_3_s() -> None:
    bench = stopped_anew()
    for _ in range(4):
        bench.answer(GetSessions, Answer(Outcome.OK, sids=('one', 'of the app')))
        bench.wait(1.0)
        bench.answer(IsMoving, MOVES)
    assert [(one.foreign, one.stopped) for one in bench.events_of(StillMoving)] == [
        (None, True),
        (1, False),
    ]
    assert bench.asked(StopBase) == 0
