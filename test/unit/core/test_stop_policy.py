# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What is left to a machine, and sessions that signs of life alone keep alive (R16)."""

from __future__ import annotations

import pytest

from support.pure import machine
from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.events import (
    AtRest,
    ForeignSessions,
    LeftToMachine,
    MachineEvent,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.requests import (
    Answer,
    Doubt,
    GetSessions,
    IsMoving,
    Outcome,
    Purpose,
    Request,
    RequestQueue,
)
from viam_session_bridge.core.stop_policy import (
    LEFT_AFTER,
    MachineStops,
    REPORTED_AGAIN,
    shortest_window,
    SignedSessions,
)
from viam_session_bridge.core.timing import AT_ONCE, NEVER
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.core.verification import AGAIN_AFTER, Verification

WINDOW = 1.0
FIFTH = WINDOW / 5


def sessions_of(window: float = WINDOW) -> SignedSessions:
    """Begin with one of A's, session 1, since 0 s."""
    sessions = SignedSessions(machine(), [])
    sessions.open('A', 1, lambda sid: True, 0.0)
    machine_session = sessions.live.get(1)
    assert machine_session is not None
    sessions.start(machine_session, 1, 0.0)
    sessions.start_answered(1, Answer(Outcome.OK, sid='one', window=window), 0.0)
    return sessions


@pytest.fixture
def sessions() -> SignedSessions:
    return sessions_of()


# Signs of life


def test_without_a_sign_of_life_none_is_due(sessions: SignedSessions) -> None:
    assert sessions.next_beat() == NEVER
    assert sessions.beats_due(10.0) == []


def test_a_sign_is_passed_on_at_once(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    assert sessions.next_beat() == 0.5
    assert sessions.beats_due(0.5) == [sessions.live.get(1)]
    assert sessions.beats_due(0.5) == []


def test_not_within_a_fifth_of_the_window_after_its_last_use(sessions: SignedSessions) -> None:
    sessions.used('one', 0.4)
    sessions.signed(1, 0.4 + FIFTH - 0.001)
    assert sessions.next_beat() == NEVER


def test_nor_by_a_clock_that_comes_too_late_for_it(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    assert sessions.beats_due(0.5 + FIFTH) == []


def test_nor_once_the_client_session_ended(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    sessions.ended(1)
    assert sessions.beats_due(0.5) == []


def test_of_several_machines_the_shortest_window_counts() -> None:
    unknown = SignedSessions(machine('other'), [])
    assert shortest_window([sessions_of(3.0), unknown, sessions_of(2.0)]) == 2.0


# What is left to the machine


class Left:
    """One machine with one base, which A commanded at 0 s under session one."""

    def __init__(self, *, in_force: bool = True) -> None:
        self.events: list[MachineEvent] = []
        self.base = BaseControl('base', 0.5, 2.0, self.events)
        self.base.forward(Forward('base', 'A', 1, Velocity(0.3), 0.0))
        self.base.sent(1, 'one', 0.25)
        self.base.answered(1, Outcome.OK, '', 0.0)
        self._queue = RequestQueue('main', 0.25)
        self.sessions = sessions = sessions_of()
        self.verification = Verification(self._queue, sessions, self.events)
        self.stops = MachineStops(
            'main', in_force, {'base': self.base}, self._queue, sessions, self.verification,
            self.events,
        )  # fmt: skip

    def ask(self, now: float) -> Request | None:
        """Return what is asked now."""
        self.stops.ask(now)
        calls = self._queue.take()
        return calls[0].request if calls else None

    def moves(self, moving: bool, now: float) -> list[Request]:
        """Answer the question whether the base moves; return what is asked for that."""
        answer = Answer(Outcome.OK, moving=moving)
        self.stops.moving_answered('base', self._queue.last, answer, now)
        return [call.request for call in self._queue.take()]

    def listed(self, purpose: Purpose, now: float, *sids: str) -> list[Stop]:
        """Answer the question who has sessions; return the stops that follow."""
        answer = Answer(Outcome.OK, sids=sids)
        return self.stops.sessions_answered(self._queue.last, purpose, 'base', answer, now)


def end(cause: Cause = Cause.LAPSE, at: float = 0.5) -> Stop:
    return Stop('base', cause, 'A', at, 1, 0.0)


def test_under_the_bridges_policy_none_is_left() -> None:
    assert not Left(in_force=False).stops.takes(end())


@pytest.mark.parametrize('cause', [Cause.FAILED, Cause.REFUSED, Cause.STILL_MOVING])
def test_only_the_end_of_a_session_is(cause: Cause) -> None:
    assert not Left().stops.takes(end(cause))


def test_nor_a_base_that_was_driven_without_a_machine_session() -> None:
    left = Left()
    left.base.last_sid = ''
    assert not left.stops.takes(end())


def test_it_is_asked_a_quarter_second_after_the_machine_was_to_stop_it() -> None:
    left = Left()
    assert left.stops.takes(end())
    assert left.events == [LeftToMachine('base', None, 0.5)]
    assert left.stops.ask(AT_ONCE) == WINDOW + LEFT_AFTER
    assert left.ask(WINDOW + LEFT_AFTER) == IsMoving('base', Doubt.LEFT)


def test_one_at_rest_is_as_good_as_stopped() -> None:
    left = Left()
    left.stops.takes(end())
    left.ask(2.0)
    assert left.moves(False, 2.0) == []
    assert left.events[1:] == [AtRest('base', 2.0)]
    assert not left.base.stops.commanded


@pytest.mark.parametrize(('others', 'stopped'), [((), True), (('of the app',), False)])
def test_one_that_moves_is_stopped_where_nobody_else_is_there(
    others: tuple[str, ...], stopped: bool
) -> None:
    left = Left()
    left.stops.takes(end())
    left.ask(2.0)
    assert left.moves(True, 2.0) == [GetSessions(Purpose.LEFT, 'base')]
    stops = left.listed(Purpose.LEFT, 2.1, 'one', *others)
    assert stops == ([Stop('base', Cause.STILL_MOVING, '', 2.1)] if stopped else [])
    assert left.events[1:] == [StillMoving('base', len(others), stopped, 2.1)]


def test_an_answer_that_a_new_command_overtook_is_ignored() -> None:
    left = Left()
    left.stops.takes(end())
    left.ask(2.0)
    left.stops.commanded('base')
    assert left.moves(True, 2.0) == []


@pytest.mark.parametrize('others', [(), ('of the app',)])
def test_deactivation_stops_a_base_only_where_nobody_else_is_there(
    others: tuple[str, ...],
) -> None:
    left = Left()
    stop = end(Cause.DEACTIVATED)
    assert left.stops.takes(stop)
    assert left.stops.undecided == {'base'}
    assert left.ask(0.5) == GetSessions(Purpose.DEACTIVATE)
    assert left.listed(Purpose.DEACTIVATE, 0.6, 'one', *others) == ([] if others else [stop])
    left.ask(0.6)
    assert left.events == ([LeftToMachine('base', 1, 0.6)] if others else [])


def test_foreign_sessions_are_reported_when_they_come_and_when_they_are_gone() -> None:
    left = Left(in_force=False)
    left.stops.opened(ready=False)
    left.stops.ready(0.0)
    for now, sids in ((0.0, ('a', 'b')), (REPORTED_AGAIN, ('a',)), (2 * REPORTED_AGAIN, ())):
        assert left.ask(now) == GetSessions(Purpose.REPORT)
        left.listed(Purpose.REPORT, now, *sids)
    assert left.events == [
        ForeignSessions('main', 2, 0.0),
        ForeignSessions('main', 0, 2 * REPORTED_AGAIN),
    ]


def test_where_the_machine_stops_answering_it_is_asked_again_no_sooner() -> None:
    left = Left(in_force=False)
    left.stops.opened(ready=False)
    left.stops.ready(0.0)
    left.ask(0.0)
    left.listed(Purpose.REPORT, 0.0, 'a')
    left.ask(REPORTED_AGAIN)
    timed_out = Answer(Outcome.TIMED_OUT)
    left.stops.sessions_answered(1, Purpose.REPORT, '', timed_out, REPORTED_AGAIN)
    assert left.stops.ask(AT_ONCE) == 2 * REPORTED_AGAIN


def verified(left: Left) -> Left:
    """Have a stop verified that was final before A's command."""
    left.verification.final('base', StopFinal(end(), 1, 0, 0.0))
    return left


def test_one_that_is_left_is_not_verified_for_a_stop_of_before() -> None:
    left = verified(Left())
    left.stops.takes(end())
    assert left.verification.ask(AT_ONCE) == NEVER


def test_one_that_is_left_to_others_is_asked_nothing_more() -> None:
    left = Left()
    left.stops.takes(end())
    left.stops.takes(end(Cause.DEACTIVATED))
    left.ask(0.5)
    left.listed(Purpose.DEACTIVATE, 0.6, 'one', 'of the app')
    verified(left).ask(0.6)
    assert left.stops.undecided == frozenset()
    assert left.stops.ask(AT_ONCE) == NEVER
    assert left.verification.ask(AT_ONCE) == NEVER


def test_one_that_is_commanded_after_all_is_neither_stopped_nor_left() -> None:
    left = Left()
    left.stops.takes(end(Cause.DEACTIVATED))
    left.ask(0.5)
    left.stops.commanded('base')
    assert left.listed(Purpose.DEACTIVATE, 0.6, 'one') == []
    left.stops.takes(end(Cause.DEACTIVATED))
    left.ask(0.7)
    left.listed(Purpose.DEACTIVATE, 0.8, 'one', 'of the app')
    left.stops.commanded('base')
    assert left.stops.undecided == frozenset()


# A base whose command may run late


def distrusted() -> Left:
    """Leave a base one of whose commands had no answer, and ask whether it moves."""
    left = Left()
    left.base.stops.lost = 1
    left.stops.takes(end())
    left.ask(2.0)
    return left


def answer_again(left: Left, now: float, moving: bool) -> None:
    """Answer the question of the verification that follows."""
    left.verification.ask(now)
    number = left._queue.take()[0].number
    left.verification.answered('base', number, Answer(Outcome.OK, moving=moving), now)


def test_that_one_rests_is_reported_once() -> None:
    left = distrusted()
    left.moves(False, 2.0)
    answer_again(left, 3.0, moving=False)
    assert left.events[1:] == [AtRest('base', 2.0)]


@pytest.mark.parametrize(('others', 'rest'), [((), 0), (('of the app',), 1)])
def test_that_one_rests_again_is_reported_where_it_was_left_moving(
    others: tuple[str, ...], rest: int
) -> None:
    left = distrusted()
    left.moves(True, 2.0)
    left.listed(Purpose.LEFT, 2.1, 'one', *others)
    assert left.verification.ask(AT_ONCE) == 2.1 + AGAIN_AFTER
    answer_again(left, 3.1, moving=False)
    assert left.events[2:] == [AtRest('base', 3.1)] * rest


def test_where_the_machine_does_not_say_who_is_there_the_report_does_not_either() -> None:
    left = distrusted()
    left.moves(True, 2.0)
    timed_out = Answer(Outcome.TIMED_OUT)
    left.stops.sessions_answered(left._queue.last, Purpose.LEFT, 'base', timed_out, 2.1)
    assert left.events[1:] == [StillMoving('base', None, True, 2.1)]


def test_a_start_of_ours_without_an_answer_may_have_made_the_session_that_is_listed() -> None:
    left = Left()
    left.stops.takes(end(Cause.DEACTIVATED))
    left.ask(0.5)
    left.sessions.ended(1)
    left.sessions.open('B', 2, lambda sid: False, 0.5)
    left.sessions.start(left.sessions.live[2], 2, 0.5)
    left.sessions.start_answered(2, Answer(Outcome.TIMED_OUT), 0.5)
    assert left.listed(Purpose.DEACTIVATE, 0.6, 'one', 'two') == [end(Cause.DEACTIVATED)]
