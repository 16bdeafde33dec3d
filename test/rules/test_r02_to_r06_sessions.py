# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The session rules R2 to R6, and what R10 and R17 ask of the core, case by case.

No test sleeps: time is handed in, and a lapse is `core.expire(core.next_deadline())`.
"""

from collections.abc import Iterable
import math

import pytest

from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import (
    Action,
    Cause,
    Forward,
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.session import tolerated_lateness
from viam_session_bridge.core.sessions import LEFT_CLIENTS_REMEMBERED, SessionTable
from viam_session_bridge.core.velocity import Velocity, ZERO

WINDOW = 0.5
AUTO, MANUAL, DISABLED = SessionsMode.AUTO, SessionsMode.MANUAL, SessionsMode.DISABLED
GO = Velocity(0.3, 0.0, 0.1)
NAN = Velocity(math.nan)
MODES = {'base': AUTO, 'arm': AUTO, 'manual': MANUAL, 'manual2': MANUAL, 'free': DISABLED}


@pytest.fixture
def core() -> SessionTable:
    return SessionTable(WINDOW, MODES)


def lapse(core: SessionTable) -> list[Action]:
    """Expire until something lapses: a deadline may turn out to be early."""
    said: list[Action] = []
    while not said:
        deadline = core.next_deadline()
        assert deadline is not None
        said = core.expire(deadline)
    return said


def stops(said: Iterable[Action]) -> list[tuple[str, Cause]]:
    return [(one.base, one.cause) for one in said if isinstance(one, Stop)]


def refusals(said: Iterable[Action]) -> list[Refusal]:
    return [one.reason for one in said if isinstance(one, Refused)]


def end(said: Action) -> tuple[object, ...]:
    assert isinstance(said, SessionEnded)
    return said.client, said.session, said.cause, said.bases, said.sign, said.at


def is_forwarded(said: Iterable[Action]) -> bool:
    return any(isinstance(one, Forward) for one in said)


def facts(core: SessionTable) -> object:
    """Return all that an ignored event must leave as it is."""
    sessions = [(s.number, s.sign, s.heartbeat, s.commands, s.last_used) for s in core.sessions]
    users = [core.last_user(base) for base in ('base', 'arm', 'manual', 'manual2', 'free')]
    return str(sessions), [user and user.number for user in users], core.next_deadline()


# R2: start


def test_a_session_starts_immediately_before_the_first_command(core: SessionTable) -> None:
    assert core.command('A', 'base', GO, 1.0) == [
        SessionStarted('A', 1, 1.0),
        TakenOver('base', 'A', 1, 0, 1.0),
        Forward('base', 'A', 1, GO, 1.0),
    ]


def test_the_next_command_is_only_forwarded(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert core.command('A', 'base', ZERO, 1.1) == [Forward('base', 'A', 1, ZERO, 1.1)]


def test_each_client_has_a_session_of_its_own(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'arm', GO, 1.0)
    assert [session.client for session in core.sessions] == ['A', 'B']


def test_a_client_has_one_session_for_all_its_bases(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'arm', GO, 1.0)
    assert [session.last_used for session in core.sessions] == [{'base', 'arm'}]


def test_a_refused_first_command_starts_none(core: SessionTable) -> None:
    core.command('A', 'base', NAN, 1.0)
    assert list(core.sessions) == []


def test_auto_a_heartbeat_starts_none(core: SessionTable) -> None:
    assert core.heartbeat('A', AUTO, True, 1.0) == []
    assert list(core.sessions) == []


@pytest.mark.parametrize('own', [True, False])
def test_manual_a_heartbeat_of_anyones_starts_one(core: SessionTable, own: bool) -> None:
    assert core.heartbeat('A', MANUAL, own, 1.0) == [SessionStarted('A', 1, 1.0)]
    assert is_forwarded(core.command('A', 'manual', GO, 1.1))


def test_manual_commands_are_refused_while_there_is_none(core: SessionTable) -> None:
    assert refusals(core.command('A', 'manual', GO, 1.0)) == [Refusal.NO_SESSION]
    assert list(core.sessions) == []


def test_manual_both_clocks_start_with_the_session(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, False, 1.0)
    assert core.next_deadline() == 1.0 + WINDOW
    assert core.expire(1.0 + WINDOW - 1e-6) == []


def test_disabled_there_never_is_one(core: SessionTable) -> None:
    assert core.command('A', 'free', GO, 1.0) == [Forward('free', 'A', 0, GO, 1.0)]
    assert core.heartbeat('A', DISABLED, True, 1.0) == []
    assert list(core.sessions) == []
    assert core.next_deadline() is None


# R2: end


def test_a_session_ends_with_a_lapse(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    ended, stop = lapse(core)
    assert end(ended) == ('A', 1, Cause.LAPSE, ('base',), 1.0, 1.5)
    assert stop == Stop('base', Cause.LAPSE, 'A', 1.5, 1, 1.0)


def test_a_session_ends_when_its_publisher_leaves(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    ended, stop = core.left('A', 1.1)
    assert end(ended) == ('A', 1, Cause.LEFT, ('base',), 1.0, 1.1)
    assert stop == Stop('base', Cause.LEFT, 'A', 1.1, 1, 1.0)


def test_all_sessions_end_with_deactivation(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'arm', GO, 1.0)
    core.heartbeat('C', MANUAL, True, 1.0)
    said = core.end_all(1.1)
    assert stops(said) == [('base', Cause.DEACTIVATED), ('arm', Cause.DEACTIVATED)]
    assert [one.client for one in said if isinstance(one, SessionEnded)] == ['A', 'B', 'C']
    assert list(core.sessions) == []


def test_a_session_ends_once(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert core.left('A', 1.1) != []
    assert core.left('A', 1.2) == core.expire(9.0) == core.end_all(9.0) == []


def test_an_ended_session_never_comes_back(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    lapse(core)
    assert core.command('A', 'base', GO, 2.0)[0] == SessionStarted('A', 2, 2.0)


def test_manual_what_started_it_starts_a_new_one(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, True, 1.0)
    lapse(core)
    assert refusals(core.command('A', 'manual', GO, 2.0)) == [Refusal.NO_SESSION]
    assert core.heartbeat('A', MANUAL, True, 2.0) == [SessionStarted('A', 2, 2.0)]


def test_due_sessions_are_expired_before_a_command_is_looked_at(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    said = core.command('A', 'base', GO, 1.5)
    assert [type(one) for one in said] == [
        SessionEnded, Stop, SessionStarted, TakenOver, Forward,
    ]  # fmt: skip


def test_due_sessions_are_expired_before_a_heartbeat_is_looked_at(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert stops(core.heartbeat('A', AUTO, True, 1.5)) == [('base', Cause.LAPSE)]
    assert list(core.sessions) == []


def test_a_command_of_anothers_expires_due_sessions_too(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert stops(core.command('B', 'arm', GO, 1.5)) == [('base', Cause.LAPSE)]


def test_a_client_that_leaves_expires_due_sessions_of_others_too(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'arm', GO, 1.1)
    assert stops(core.left('B', 1.5)) == [('base', Cause.LAPSE), ('arm', Cause.LEFT)]


def test_a_session_that_ended_early_holds_up_no_others_lapse(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'arm', GO, 1.0)
    core.left('A', 1.1)
    assert stops(core.expire(1.5)) == [('arm', Cause.LAPSE)]


def test_a_client_that_left_is_refused_until_it_is_seen(core: SessionTable) -> None:
    core.left('A', 1.0)
    assert refusals(core.command('A', 'base', GO, 1.1)) == [Refusal.LEFT]
    assert core.heartbeat('A', MANUAL, True, 1.1) == []
    core.seen('A')
    assert is_forwarded(core.command('A', 'base', GO, 1.2))


def test_one_that_left_is_remembered_though_many_others_leave(core: SessionTable) -> None:
    core.left('A', 1.0)
    for number in range(LEFT_CLIENTS_REMEMBERED - 1):
        core.left(f'client {number}', 1.0)
    assert refusals(core.command('A', 'base', GO, 1.1)) == [Refusal.LEFT]


def test_of_too_many_that_left_the_one_that_left_first_is_forgotten(core: SessionTable) -> None:
    for number in range(LEFT_CLIENTS_REMEMBERED + 1):
        core.left(f'client {number}', 1.0)
    newest = f'client {LEFT_CLIENTS_REMEMBERED}'
    assert refusals(core.command(newest, 'base', GO, 1.1)) == [Refusal.LEFT]
    assert refusals(core.command('client 1', 'base', GO, 1.1)) == [Refusal.LEFT]
    assert is_forwarded(core.command('client 0', 'base', GO, 1.1))


@pytest.mark.parametrize(('window', 'tolerated'), [(60.0, 30.0), (0.5, 0.25), (0.03, 0.02)])
def test_what_comes_later_than_half_a_window_and_20_ms_is_not_acted_on(
    window: float, tolerated: float
) -> None:
    assert tolerated_lateness(window) == tolerated


# R3: signs of life


def test_auto_an_accepted_command_is_one(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'base', GO, 1.4)
    assert core.expire(1.9 - 1e-6) == []
    assert stops(core.expire(1.4 + WINDOW)) == [('base', Cause.LAPSE)]


def test_auto_a_heartbeat_of_its_own_is_one(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.heartbeat('A', AUTO, True, 1.4)
    assert core.expire(1.9 - 1e-6) == []
    assert stops(core.expire(1.4 + WINDOW)) == [('base', Cause.LAPSE)]


def test_auto_a_permission_is_none(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.heartbeat('A', AUTO, False, 1.4)
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_auto_permissions_are_not_needed(core: SessionTable) -> None:
    for step in range(10):
        assert not stops(core.command('A', 'base', GO, 1.0 + 0.4 * step))


@pytest.mark.parametrize('name', ['base', 'manual'])
def test_a_refused_command_is_none(core: SessionTable, name: str) -> None:
    core.heartbeat('A', MODES[name], True, 1.0)
    core.command('A', name, GO, 1.0)
    core.command('A', name, NAN, 1.4)
    core.command('A', name, GO, 1.4, Refusal.NOT_READY)
    core.command('A', name, ZERO, 1.4, Refusal.NOT_READY)
    assert core.expire(1.5 - 1e-6) == []
    assert stops(core.expire(1.5)) == [(name, Cause.LAPSE)]


def test_manual_commands_alone_do_not_keep_it(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, False, 1.0)
    core.command('A', 'manual', GO, 1.4)
    assert stops(lapse(core)) == [('manual', Cause.LAPSE)]
    assert core.expire(1.5) == []


def test_manual_permissions_alone_do_not_keep_it(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, False, 1.0)
    core.command('A', 'manual', GO, 1.1)
    core.heartbeat('A', MANUAL, False, 1.4)
    assert core.expire(1.6 - 1e-6) == []
    assert stops(core.expire(1.1 + WINDOW)) == [('manual', Cause.LAPSE)]


def test_manual_commands_and_permissions_together_keep_it(core: SessionTable) -> None:
    for step in range(10):
        assert not stops(core.heartbeat('A', MANUAL, False, 1.0 + 0.4 * step))
        assert is_forwarded(core.command('A', 'manual', GO, 1.2 + 0.4 * step))


def test_manual_a_heartbeat_of_its_own_is_both(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, True, 1.0)
    core.command('A', 'manual', GO, 1.1)
    core.heartbeat('A', MANUAL, True, 1.4)
    assert core.expire(1.9 - 1e-6) == []
    assert stops(core.expire(1.4 + WINDOW)) == [('manual', Cause.LAPSE)]


def test_disabled_no_lapse_stops_what_was_forwarded(core: SessionTable) -> None:
    core.command('A', 'free', GO, 1.0)
    assert core.expire(1000.0) == []


# R4: a session is active exactly while its deadline lies ahead


def test_exactly_at_its_deadline_a_session_has_lapsed(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert core.expire(math.nextafter(1.5, 0.0)) == []
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_exactly_at_its_deadline_no_sign_of_life_helps(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, True, 1.0)
    assert isinstance(core.heartbeat('A', MANUAL, True, 1.5)[0], SessionEnded)


def test_the_deadline_may_be_early_but_never_late(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'base', GO, 1.4)
    deadline = core.next_deadline()
    assert deadline is not None and deadline <= 1.4 + WINDOW
    core.expire(deadline)
    assert core.next_deadline() == 1.4 + WINDOW


def test_without_sessions_there_is_no_deadline(core: SessionTable) -> None:
    assert core.next_deadline() is None
    core.command('A', 'base', GO, 1.0)
    lapse(core)
    assert core.next_deadline() is None


# R5, R6: last users


def test_whoever_drove_before_lapses_without_a_stop(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'base', GO, 1.2)
    (ended,) = lapse(core)
    assert end(ended) == ('A', 1, Cause.LAPSE, (), 1.0, 1.5)
    assert stops(lapse(core)) == [('base', Cause.LAPSE)]


def test_taking_over_is_told(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    said = core.command('B', 'base', GO, 1.2)
    assert TakenOver('base', 'B', 2, 1, 1.2) in said
    user = core.last_user('base')
    assert user is not None and user.client == 'B'


def test_taking_back_makes_the_first_the_last_user_again(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'base', GO, 1.1)
    core.command('A', 'base', GO, 1.2)
    assert stops(core.left('B', 1.3)) == []
    assert stops(core.left('A', 1.3)) == [('base', Cause.LEFT)]


def test_a_zero_takes_over_too(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'base', ZERO, 1.2)
    assert stops(core.expire(1.5)) == []


def test_a_refused_command_takes_nothing_over(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('B', 'base', GO, 1.2, Refusal.NOT_READY)
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_a_lapse_stops_all_bases_used_last_and_no_other(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'arm', GO, 1.0)
    core.command('B', 'arm', GO, 1.1)
    core.heartbeat('C', MANUAL, True, 1.1)
    core.command('C', 'manual', GO, 1.1)
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_a_base_is_stopped_once_for_one_end(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    lapse(core)
    assert core.last_user('base') is None
    assert core.end_all(2.0) == []


def test_a_command_without_session_clears_the_last_user() -> None:
    # The parameters let no base mix the two; the rule is viam-server's all the same.
    core = SessionTable(WINDOW, {'base': AUTO})
    core.command('A', 'base', GO, 1.0)
    core._modes['base'] = DISABLED
    assert TakenOver('base', 'B', 0, 1, 1.1) in core.command('B', 'base', GO, 1.1)
    assert core.last_user('base') is None
    assert stops(core.expire(1.5)) == []


# R10, the core's part: no older command lives on


def test_a_newer_command_refused_stops_what_the_client_commanded(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert core.command('A', 'base', NAN, 1.1) == [
        Refused('base', 'A', Refusal.NON_FINITE, 1.1),
        Stop('base', Cause.REFUSED, 'A', 1.1),
    ]


def test_the_session_lives_on(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'base', NAN, 1.1)
    assert [session.number for session in core.sessions] == [1]
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_anothers_refused_command_stops_nothing(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    assert stops(core.command('B', 'base', NAN, 1.1)) == []
    assert stops(core.command('B', 'base', ZERO, 1.1, Refusal.NOT_READY)) == []


def test_a_refused_command_for_one_base_stops_no_other(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'arm', GO, 1.0)
    said = core.command('A', 'arm', GO, 1.1, Refusal.NOT_READY)
    assert stops(said) == [('arm', Cause.REFUSED)]


def test_also_without_a_session(core: SessionTable) -> None:
    core.command('A', 'free', GO, 1.0)
    assert stops(core.command('A', 'free', NAN, 1.1)) == [('free', Cause.REFUSED)]


@pytest.mark.parametrize(
    'reason', [Refusal.NOT_READY, Refusal.STAMP, Refusal.TOO_MANY_SESSIONS, Refusal.INACTIVE]
)
def test_a_zero_of_the_client_that_commanded_last_is_never_refused(
    core: SessionTable, reason: Refusal
) -> None:
    core.command('A', 'base', GO, 1.0)
    assert core.command('A', 'base', ZERO, 1.1, reason) == [Stop('base', Cause.ZERO, 'A', 1.1)]


def test_not_even_after_its_session_lapsed_or_it_left(core: SessionTable) -> None:
    core.heartbeat('A', MANUAL, True, 1.0)
    core.command('A', 'manual', GO, 1.0)
    lapse(core)
    assert core.command('A', 'manual', ZERO, 1.6) == [Stop('manual', Cause.ZERO, 'A', 1.6)]
    core.left('A', 1.7)
    assert core.command('A', 'manual', ZERO, 1.8) == [Stop('manual', Cause.ZERO, 'A', 1.8)]


@pytest.mark.parametrize(
    ('cause', 'after_ack'),
    [
        (Cause.REFUSED, True),
        (Cause.ZERO, True),
        (Cause.FAILED, True),
        (Cause.NO_SESSION, True),
        (Cause.OLDER, True),
        (Cause.LAPSE, False),
        (Cause.LEFT, False),
        (Cause.DEACTIVATED, False),
        (Cause.EXPIRED, False),
        (Cause.STILL_MOVING, False),
    ],
)
def test_motion_follows_only_an_acknowledged_stop_after_a_failure(
    cause: Cause, after_ack: bool
) -> None:
    assert Stop('base', cause, 'A', 1.0).motion_after_ack is after_ack


# R2, what is discarded: refused, whatever it says


def test_a_discarded_command_of_the_client_that_commanded_last_stops_the_base(
    core: SessionTable,
) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'arm', GO, 1.0)
    for velocity in (GO, NAN, None):
        assert core.discard('A', 'base', velocity, 1.1) == [
            Refused('base', 'A', Refusal.OLD, 1.1),
            Stop('base', Cause.REFUSED, 'A', 1.1),
        ]


def test_a_discarded_zero_of_its_is_a_stop_though_heartbeats_go_on(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.heartbeat('A', AUTO, True, 1.4)
    assert core.discard('A', 'base', ZERO, 1.5) == [Stop('base', Cause.ZERO, 'A', 1.5)]
    assert core.heartbeat('A', AUTO, True, 1.8) == []
    assert [session.number for session in core.sessions] == [1]


def test_a_discarded_command_of_anothers_stops_nothing(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    for velocity in (GO, ZERO, None):
        said = core.discard('B', 'base', velocity, 1.1)
        assert said == [Refused('base', 'B', Refusal.OLD, 1.1)]
    assert [session.client for session in core.sessions] == ['A']


def test_it_stops_the_base_also_after_its_session_or_without_one(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    lapse(core)
    assert stops(core.discard('A', 'base', GO, 9.0)) == [('base', Cause.REFUSED)]
    core.command('B', 'free', GO, 9.0)
    assert stops(core.discard('B', 'free', GO, 9.0)) == [('free', Cause.REFUSED)]


def test_a_discarded_command_is_no_sign_of_life_and_counts_as_refused(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.discard('A', 'base', GO, 1.4)
    (session,) = core.sessions
    assert (session.commands, session.refusals) == (1, {'old': 1})
    assert stops(core.expire(1.5)) == [('base', Cause.LAPSE)]


def test_due_sessions_are_expired_before_a_discarded_command_is_looked_at(
    core: SessionTable,
) -> None:
    core.command('A', 'base', GO, 1.0)
    said = core.discard('A', 'base', GO, 1.5)
    assert [type(one) for one in said] == [SessionEnded, Stop, Refused, Stop]


# R17, the core's part: refusals, base by base, counted by reason


def test_a_client_whose_command_was_displaced_commands_the_base_no_longer(
    core: SessionTable,
) -> None:
    core.command('A', 'base', GO, 1.0)
    core.displaced('base')
    assert core.last_user('base') is None
    assert stops(core.command('A', 'base', NAN, 1.1)) == []


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_a_non_finite_number_is_refused(core: SessionTable, number: float) -> None:
    said = core.command('A', 'base', Velocity(0.1, 0.0, number), 1.0)
    assert said == [Refused('base', 'A', Refusal.NON_FINITE, 1.0)]


def test_refusals_are_counted_by_reason(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'base', NAN, 1.1)
    core.command('A', 'base', NAN, 1.1)
    core.command('A', 'base', GO, 1.1, Refusal.NOT_READY)
    session = core.session('A')
    assert session is not None
    assert session.refusals == {'non_finite': 2, 'not_ready': 1}
    assert session.commands == 1


def test_a_command_accepted_for_one_base_is_a_sign_of_life(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    core.command('A', 'arm', GO, 1.4)
    core.command('A', 'base', GO, 1.4, Refusal.NOT_READY)
    assert core.expire(1.9 - 1e-6) == []
    assert stops(core.expire(1.4 + WINDOW)) == [('arm', Cause.LAPSE), ('base', Cause.LAPSE)]


# What is ignored changes nothing


def test_ignored_events_change_nothing(core: SessionTable) -> None:
    core.command('A', 'base', GO, 1.0)
    before = facts(core)
    assert core.heartbeat('B', AUTO, True, 1.1) == []
    assert core.heartbeat('B', DISABLED, True, 1.1) == []
    assert core.left('B', 1.1) == []
    core.seen('A')
    core.seen('C')
    assert core.expire(1.1) == []
    assert refusals(core.command('C', 'base', NAN, 1.1)) == [Refusal.NON_FINITE]
    assert refusals(core.command('C', 'manual', GO, 1.1)) == [Refusal.NO_SESSION]
    assert facts(core) == before
