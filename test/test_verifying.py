# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a base stands still once its stop is final (R20), through its machine's protocol."""

from __future__ import annotations

from viam_session_bridge.core.said import Cause, Forward, Stop
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.machine.calls import (
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
from viam_session_bridge.machine.happened import Happened, StillMoving
from viam_session_bridge.machine.protocol import Protocol

OK = Answer(Outcome.OK)
MOVES = Answer(Outcome.OK, moving=True)
STANDS = Answer(Outcome.OK, moving=False)


class Bench:
    """One machine with one base; answers are given by hand, time by jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.protocol = Protocol('main', ['base'], window=0.5, call_timeout=0.25)
        self.open: list[Call] = []
        self.told: list[Happened] = []
        self.protocol.channel(True, self.now)
        self.drain()

    def drain(self) -> None:
        calls, told = self.protocol.drain(self.now)
        self.open += calls
        self.told += told

    def go(self) -> None:
        self.protocol.forward(Forward('base', 'A', 1, Velocity(x=0.3), self.now))
        self.drain()

    def stop(self) -> None:
        self.protocol.ended(1)
        self.protocol.stop(Stop('base', Cause.LAPSE, 'A', self.now, 1, self.now))
        self.drain()

    def wait(self, seconds: float) -> None:
        """Tick at every deadline on the way."""
        end = self.now + seconds
        while True:
            due = self.protocol.next_deadline()
            self.now = end if due is None or due > end else max(due, self.now)
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

    def still_moving(self) -> list[StillMoving]:
        return [one for one in self.told if isinstance(one, StillMoving)]


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
    return bench


def test_it_is_asked_a_tenth_of_a_second_after_the_final_stop() -> None:
    bench = stopped()
    bench.wait(0.099)
    assert bench.asked(IsMoving) == 0
    bench.wait(0.001)
    assert bench.asked(IsMoving) == 1


def test_one_that_stands_is_not_asked_again_and_nothing_is_told() -> None:
    bench = stopped()
    bench.wait(0.1)
    bench.answer(IsMoving, STANDS)
    bench.wait(5.0)
    assert bench.asked(IsMoving) == 0
    assert bench.still_moving() == []


def test_one_that_moves_is_told_and_not_stopped_for_it_may_be_anothers() -> None:
    bench = stopped()
    bench.wait(0.1)
    bench.answer(IsMoving, MOVES)
    assert [(one.base, one.stopped) for one in bench.still_moving()] == [('base', False)]
    assert bench.asked(StopBase) == 0


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
    assert bench.still_moving() == []


def test_after_a_timeout_it_is_asked_each_second_for_a_minute() -> None:
    bench = stopped_after_a_timeout()
    bench.wait(0.1)
    asked = 0
    while bench.asked(IsMoving):
        asked += 1
        bench.answer(IsMoving, STANDS)
        bench.wait(1.0)
    assert asked in (60, 61)


def test_after_a_timeout_one_that_moves_is_stopped_anew_until_final() -> None:
    bench = stopped_after_a_timeout()
    bench.wait(0.1)
    bench.answer(IsMoving, MOVES)
    bench.answer(GetSessions, Answer(Outcome.OK, sids=('one',)))
    assert [(one.foreign, one.stopped) for one in bench.still_moving()] == [(0, True)]
    assert bench.asked(StopBase) == 1
    bench.answer(StopBase)
    bench.wait(0.1)
    assert bench.asked(IsMoving) == 1


def test_where_the_machine_lists_foreign_sessions_it_is_left_to_them() -> None:
    bench = stopped_after_a_timeout()
    bench.wait(0.1)
    bench.answer(IsMoving, MOVES)
    bench.answer(GetSessions, Answer(Outcome.OK, sids=('one', 'of the app')))
    assert [(one.foreign, one.stopped) for one in bench.still_moving()] == [(1, False)]
    assert bench.asked(StopBase) == 0
