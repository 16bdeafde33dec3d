# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The machine sessions of one machine, call by call (R11, R13, R15)."""

from __future__ import annotations

import pytest

from support.pure import machine
from viam_session_bridge.core.events import (
    MachineEvent,
    MachineSessionExpired,
    MachineSessionFailed,
    MachineSessionStarted,
    Unsupervised,
)
from viam_session_bridge.core.machine_sessions import (
    LONGEST_WINDOW,
    MachineSessions,
    STARTED_REMEMBERED,
)
from viam_session_bridge.core.requests import Answer, Outcome
from viam_session_bridge.core.timing import NEVER

WINDOW = 2.0
CALL_TIMEOUT = 0.25
MOST = 2


def stopped(sid: str) -> bool:
    return True


def not_stopped(sid: str) -> bool:
    return False


class Sessions(MachineSessions):
    """Machine sessions, with its events; the numbers of calls are those of client sessions."""

    def __init__(self, *, allow_unsupervised: bool = False) -> None:
        self.events: list[MachineEvent] = []
        super().__init__(
            machine(max_sessions=MOST, allow_unsupervised=allow_unsupervised), self.events
        )

    def begin(self, client: str, session: int, now: float = 0.0) -> None:
        """Hand over the start of a machine session."""
        self.open(client, session, stopped, now)
        machine_session = self.live.get(session)
        assert machine_session is not None
        self.start(machine_session, session, now)

    def run(self, client: str, session: int, sid: str, now: float = 0.0) -> None:
        """Start a machine session, with its answer."""
        self.begin(client, session, now)
        self.start_answered(session, Answer(Outcome.OK, sid=sid, window=WINDOW), now)


@pytest.fixture
def sessions() -> Sessions:
    """Begin with one of A's, session 1, since 0 s."""
    sessions = Sessions()
    sessions.run('A', 1, 'one')
    return sessions


# Start and resume


def test_a_start_gives_id_and_window(sessions: Sessions) -> None:
    machine_session = sessions.live.get(1)
    assert machine_session is not None and machine_session.sid == 'one'
    assert sessions.window == WINDOW
    assert sessions.events == [MachineSessionStarted('main', 'A', 'one', False, 0.0)]


def test_a_clients_next_session_resumes_its_ended_one_once_that_is_stopped(
    sessions: Sessions,
) -> None:
    sessions.ended(1)
    sessions.open('A', 2, not_stopped, 0.0)
    sessions.open('A', 3, stopped, 0.0)
    fresh, resumed = sessions.live.get(2), sessions.live.get(3)
    assert fresh is not None and fresh.resume == ''
    assert resumed is not None and resumed.resume == 'one'


def test_nobody_elses_does(sessions: Sessions) -> None:
    sessions.ended(1)
    sessions.open('B', 2, stopped, 0.0)
    other = sessions.live.get(2)
    assert other is not None and other.resume == ''


def test_an_ended_one_is_valid_until_it_lapsed_on_the_machine(sessions: Sessions) -> None:
    sessions.ended(1)
    assert sessions.is_valid('one', WINDOW + CALL_TIMEOUT - 0.001)
    assert not sessions.is_valid('one', WINDOW + CALL_TIMEOUT)


# How many


def test_ended_ones_take_room_until_they_lapsed(sessions: Sessions) -> None:
    sessions.run('B', 2, 'two')
    sessions.ended(1)
    assert not sessions.has_room('C', None, stopped, WINDOW)
    assert sessions.has_room('A', None, stopped, WINDOW)  # it resumes its own
    assert sessions.has_room('C', None, stopped, WINDOW + CALL_TIMEOUT)


def test_a_start_without_an_answer_takes_room_for_the_longest_window() -> None:
    sessions = Sessions()
    for session in (1, 2):
        sessions.begin('A', session)
        sessions.start_answered(session, Answer(Outcome.TIMED_OUT), 0.0)
        sessions.ended(session)
    assert not sessions.has_room('B', None, stopped, LONGEST_WINDOW)
    assert sessions.has_room('B', None, stopped, LONGEST_WINDOW + CALL_TIMEOUT)


def test_what_others_take_never_costs_a_machine_session_that_is_there(sessions: Sessions) -> None:
    sessions.begin('B', 2)
    sessions.start_answered(2, Answer(Outcome.TIMED_OUT), 0.0)
    assert sessions.has_room('A', 1, stopped, 0.0)
    assert not sessions.has_room('B', 2, stopped, 0.0)


# Heartbeats


def test_one_is_due_a_fifth_of_the_window_after_the_last_use(sessions: Sessions) -> None:
    sessions.used('one', 0.3)
    assert sessions.beats_due(0.69) == []
    assert sessions.beats_due(0.7) == [sessions.live.get(1)]


def test_the_next_is_due_after_its_answer_alone(sessions: Sessions) -> None:
    (due,) = sessions.beats_due(0.4)
    sessions.beat(due, 9, 0.4)
    assert sessions.next_beat() == NEVER
    assert sessions.beat_answered(9, 'one', Answer(Outcome.OK), 0.5) is None
    assert sessions.beats_due(0.8) == [due]


def test_none_once_its_client_session_ended(sessions: Sessions) -> None:
    sessions.ended(1)
    assert sessions.beats_due(1.0) == []


def test_two_that_are_due_at_once_are_both_due(sessions: Sessions) -> None:
    (due,) = sessions.beats_due(0.4)
    sessions.beat(due, 9, 0.4)
    sessions.beat_answered(9, 'one', Answer(Outcome.OK), 0.4)
    sessions.run('B', 2, 'two', 0.4 + CALL_TIMEOUT)
    sessions.used('two', 0.4)
    sessions.run('C', 3, 'three', 0.4)
    assert {one.sid for one in sessions.beats_due(0.8)} == {'one', 'three'}


def test_those_that_ended_keep_no_others_from_being_due() -> None:
    sessions = Sessions()
    sessions.run('A', 1, 'one')
    sessions.run('B', 2, 'two', 0.1)
    sessions.ended(1)
    assert sessions.beats_due(1.0) == [sessions.live[2]]


def test_nor_do_those_that_were_resumed_since() -> None:
    sessions = Sessions()
    sessions.run('A', 1, 'one')
    sessions.run('B', 2, 'two', 0.1)
    sessions.expired('one', 0.1)
    sessions.start(sessions.live[1], 3, 0.2)
    sessions.start_answered(3, Answer(Outcome.OK, sid='one', window=WINDOW), 0.2)
    assert sessions.beats_due(0.5) == [sessions.live[2]]


def test_the_answer_for_a_replaced_one_makes_none_due(sessions: Sessions) -> None:
    (due,) = sessions.beats_due(0.4)
    sessions.beat(due, 9, 0.4)
    sessions.expired('one', 0.4)
    sessions.beat_answered(9, 'one', Answer(Outcome.OK), 0.5)
    assert sessions.next_beat() == NEVER


def test_nor_does_the_answer_for_one_that_ended(sessions: Sessions) -> None:
    (due,) = sessions.beats_due(0.4)
    sessions.beat(due, 9, 0.4)
    sessions.ended(1)
    sessions.beat_answered(9, 'one', Answer(Outcome.OK), 0.5)
    assert sessions.next_beat() == NEVER


def test_one_that_a_heartbeat_finds_expired_is_reported(sessions: Sessions) -> None:
    (due,) = sessions.beats_due(0.4)
    sessions.beat(due, 9, 0.4)
    assert sessions.beat_answered(9, 'one', Answer(Outcome.SESSION_EXPIRED), 0.5) == 'A'
    assert sessions.events[-1] == MachineSessionExpired('main', 'A', 'one', 0.5)


def test_it_lapses_a_window_after_its_last_use(sessions: Sessions) -> None:
    sessions.used('one', 1.0)
    assert sessions.lapses_by('one') == 1.0 + WINDOW
    assert sessions.lapses_by('unknown') == 0.0


# Expired


def test_one_that_expired_is_started_anew_with_the_old_id(sessions: Sessions) -> None:
    assert sessions.expired('one', 1.0) == 'A'
    machine_session = sessions.live.get(1)
    assert machine_session is not None
    assert (machine_session.sid, machine_session.resume) == ('', 'one')
    assert MachineSessionExpired('main', 'A', 'one', 1.0) in sessions.events


def test_an_answer_for_a_replaced_one_is_ignored(sessions: Sessions) -> None:
    sessions.expired('one', 1.0)
    assert sessions.expired('one', 1.1) is None


def test_so_is_one_for_an_id_that_lapsed_long_ago(sessions: Sessions) -> None:
    sessions.ended(1)
    sessions.open('B', 2, stopped, WINDOW + CALL_TIMEOUT)
    assert sessions.expired('one', WINDOW + CALL_TIMEOUT) is None


# Machines that start none


@pytest.mark.parametrize('allowed', [True, False])
def test_a_machine_without_sessions_is_driven_only_where_that_is_allowed(allowed: bool) -> None:
    sessions = Sessions(allow_unsupervised=allowed)
    for session in (1, 2):
        sessions.begin('A', session)
        sessions.start_answered(session, Answer(Outcome.UNIMPLEMENTED), 0.0)
    assert sessions.unsupervised is allowed
    kinds = [type(event) for event in sessions.events]
    assert kinds == ([Unsupervised] if allowed else [MachineSessionFailed] * 2)


# Whose they are


def test_sessions_that_were_not_started_here_are_foreign(sessions: Sessions) -> None:
    assert sessions.foreign(Answer(Outcome.OK, sids=('one', 'of the app', 'of another')), 0.0) == 2
    assert sessions.foreign(Answer(Outcome.TIMED_OUT, sids=('of the app',)), 0.0) == 0


def test_one_that_is_being_started_may_be_among_those_listed(sessions: Sessions) -> None:
    sessions.begin('B', 2)
    assert sessions.foreign(Answer(Outcome.OK, sids=('one', 'two')), 0.0) == 0


def test_a_start_without_an_answer_may_have_made_one_of_those_listed(sessions: Sessions) -> None:
    sessions.begin('B', 2)
    sessions.start_answered(2, Answer(Outcome.TIMED_OUT), 0.0)
    assert sessions.foreign(Answer(Outcome.OK, sids=('one', 'two', 'of the app')), 0.0) == 1
    lapsed = WINDOW + CALL_TIMEOUT
    assert sessions.foreign(Answer(Outcome.OK, sids=('two',)), lapsed - 0.01) == 0
    assert sessions.foreign(Answer(Outcome.OK, sids=('two',)), lapsed) == 1


def test_as_many_are_known_as_ours_as_a_machine_lists() -> None:
    sessions = Sessions()
    for number in range(STARTED_REMEMBERED + 1):
        if number == STARTED_REMEMBERED:
            assert sessions.foreign(Answer(Outcome.OK, sids=('0',)), 0.0) == 0
        sessions.run('A', number + 1, str(number))
    assert sessions.foreign(Answer(Outcome.OK, sids=('0',)), 0.0) == 1
    assert sessions.foreign(Answer(Outcome.OK, sids=('1', str(STARTED_REMEMBERED))), 0.0) == 0
