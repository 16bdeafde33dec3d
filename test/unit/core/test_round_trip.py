# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Calls that all take longer than their deadline: when that is measured, and told; no I/O."""

from __future__ import annotations

import pytest

from support.pure import CALL_TIMEOUT, Rig
from viam_session_bridge.core.events import CallsInTime, CallsTakeLonger, MachineEvent
from viam_session_bridge.core.requests import (
    Answer,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Purpose,
    Request,
    RequestQueue,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.round_trip import (
    ANSWERED_WITHIN,
    ASKED_AGAIN_AFTER,
    IN_A_ROW,
    QUESTION,
    RoundTrip,
)
from viam_session_bridge.core.velocity import Velocity

START, BEAT = StartSession(''), SendHeartbeat('sid')
MOVE = Move('base', Velocity(x=0.1), 'sid')
TIMED_OUT = Answer(Outcome.TIMED_OUT, 'DEADLINE_EXCEEDED: Deadline Exceeded')
OK = Answer(Outcome.OK)


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.queue = RequestQueue('main', CALL_TIMEOUT)
        self.events: list[MachineEvent] = []
        self.round_trip = RoundTrip('main', self.queue, self.events)

    def asked(self) -> list[Request]:
        """Return what is asked now."""
        self.round_trip.ask(self.now)
        return [call.request for call in self.queue.take()]

    def ended(self, *ends: tuple[Request, Answer]) -> list[Request]:
        """Have calls end now; return what is asked then."""
        asked = []
        for request, answer in ends:
            self.round_trip.call_ended(request, answer, self.now)
            asked += self.asked()
        return asked

    def time_out(self) -> list[Request]:
        """Have as many calls time out as it takes."""
        return self.ended((START, TIMED_OUT), (MOVE, TIMED_OUT), (BEAT, TIMED_OUT))

    def measure(self, took: float, answer: Answer = OK) -> list[MachineEvent]:
        """Have the question be answered after so long; return what happened."""
        self.now += took
        self.round_trip.call_ended(QUESTION, answer, self.now)
        events = self.events.copy()
        self.events.clear()
        return events


def test_three_timeouts_in_a_row_have_a_call_with_more_time_measured() -> None:
    bench = Bench()
    assert bench.ended((START, TIMED_OUT), (MOVE, TIMED_OUT)) == []
    bench.round_trip.call_ended(BEAT, TIMED_OUT, bench.now)
    bench.round_trip.ask(bench.now)
    (call,) = bench.queue.take()
    assert (call.request, call.timeout) == (GetSessions(Purpose.ROUND_TRIP), ANSWERED_WITHIN)


@pytest.mark.parametrize(
    'between',
    [
        (START, OK),
        (MOVE, Answer(Outcome.FAILED, 'UNKNOWN: no')),
        (BEAT, Answer(Outcome.SESSION_EXPIRED)),
        (MOVE, Answer(Outcome.CUT, 'UNAVAILABLE: gone')),
    ],
)
def test_one_that_is_answered_or_cut_between_them_makes_them_none_in_a_row(
    between: tuple[Request, Answer],
) -> None:
    bench = Bench()
    twice = [(MOVE, TIMED_OUT)] * 2
    assert bench.ended(*twice, between, *twice) == []
    assert len(bench.ended((MOVE, TIMED_OUT))) == 1


@pytest.mark.parametrize('other', [StopBase('base'), IsMoving('base'), GetSessions()], ids=repr)
def test_other_calls_have_deadlines_and_reasons_of_their_own(other: Request) -> None:
    bench = Bench()
    assert bench.ended(*[(other, TIMED_OUT)] * 5) == []
    assert bench.ended((MOVE, TIMED_OUT), (MOVE, TIMED_OUT), (other, OK), (MOVE, TIMED_OUT))


@pytest.mark.parametrize('outcome', [Outcome.OK, Outcome.UNIMPLEMENTED, Outcome.FAILED])
def test_an_answer_that_takes_longer_than_calls_may_is_reported(outcome: Outcome) -> None:
    bench = Bench()
    bench.time_out()
    assert bench.measure(0.5, Answer(outcome)) == [
        CallsTakeLonger('main', CALL_TIMEOUT, 0.5, 100.5)
    ]


def test_one_that_takes_exactly_as_long_as_calls_may_is_not() -> None:
    bench = Bench()
    bench.time_out()
    assert bench.measure(CALL_TIMEOUT) == []


def test_a_machine_that_answers_in_time_is_not_reported_for_its_base_is_slow() -> None:
    bench = Bench()
    bench.time_out()
    assert bench.measure(0.002) == []


def test_where_that_has_no_answer_either_it_is_reported_so() -> None:
    bench = Bench()
    bench.time_out()
    assert bench.measure(ANSWERED_WITHIN, TIMED_OUT) == [
        CallsTakeLonger('main', CALL_TIMEOUT, None, 105.0)
    ]


def test_a_connection_that_was_lost_says_nothing() -> None:
    bench = Bench()
    bench.time_out()
    assert bench.measure(0.5, Answer(Outcome.CUT)) == []


def test_one_question_is_open_at_a_time_and_the_next_comes_after_a_pause() -> None:
    bench = Bench()
    asked = []
    while bench.now < 200.0:
        for _ in bench.time_out():
            asked.append(bench.now)
            bench.measure(1.0)
        bench.now += 0.5
    assert asked == [100.0, 131.0, 162.0, 193.0]


def test_while_it_is_open_nothing_more_is_asked() -> None:
    bench = Bench()
    assert bench.time_out() == [QUESTION]
    bench.now += 2 * ASKED_AGAIN_AFTER
    assert bench.time_out() == []


def test_where_no_more_calls_time_out_nothing_more_is_asked() -> None:
    bench = Bench()
    bench.time_out()
    bench.measure(1.0)
    bench.now += 2 * ASKED_AGAIN_AFTER
    assert bench.asked() == []
    assert bench.ended((MOVE, TIMED_OUT), (MOVE, TIMED_OUT)) == []


def test_three_calls_in_time_in_a_row_are_reported_once() -> None:
    bench = Bench()
    bench.time_out()
    bench.ended(*[(MOVE, OK)] * IN_A_ROW)
    bench.measure(0.31)
    bench.ended((StopBase('base'), OK), (START, OK), (MOVE, Answer(Outcome.FAILED, 'UNKNOWN: no')))
    assert bench.events == []
    bench.ended(*[(MOVE, OK)] * IN_A_ROW)
    assert bench.events == [CallsInTime('main', bench.now)]


@pytest.mark.parametrize('late', [TIMED_OUT, Answer(Outcome.CUT, 'UNAVAILABLE: gone')])
def test_one_now_and_then_that_is_in_time_ends_nothing(late: Answer) -> None:
    bench = Bench()
    bench.time_out()
    bench.measure(0.31)
    bench.ended(*[(MOVE, OK), (MOVE, OK), (MOVE, late)] * 5)
    assert bench.events == []
    assert bench.round_trip.listens


def test_usual_answers_matter_from_the_first_timeout_until_calls_are_in_time() -> None:
    bench = Bench()
    matter = [bench.round_trip.listens]
    for request, answer in ((MOVE, TIMED_OUT), (MOVE, OK)):
        bench.ended((request, answer))
        matter.append(bench.round_trip.listens)
    assert matter == [False, True, False]
    bench.time_out()
    bench.ended((MOVE, OK))
    assert bench.round_trip.listens  # the question is open
    bench.measure(0.5)
    assert bench.round_trip.listens  # they take longer
    bench.ended(*[(MOVE, OK)] * IN_A_ROW)
    assert not bench.round_trip.listens


# In the bridge


def test_session_starts_that_time_out_on_a_slow_link_are_reported_as_that() -> None:
    rig = Rig()
    while not rig.pending(GetSessions):
        rig.command('A')
        rig.until(rig.now + 0.31)
        rig.acknowledge()
    rig.now += 1.0
    rig.answer(GetSessions)
    (event,) = rig.events_of(CallsTakeLonger)
    assert event.round_trip is not None
    assert event.round_trip >= 1.0


def test_commands_that_are_answered_in_time_again_are_reported() -> None:
    rig = Rig()
    rig.drive('A')
    while QUESTION not in rig.pending(GetSessions):
        rig.command('A')
        rig.until(rig.now + CALL_TIMEOUT)
        rig.acknowledge()
    rig.now += 1.0
    rig.answer(GetSessions, where=lambda request: request == QUESTION)
    rig.acknowledge()
    for _ in range(IN_A_ROW):
        rig.drive('A')
    assert rig.events_of(CallsInTime) == [CallsInTime('main', rig.now)]
