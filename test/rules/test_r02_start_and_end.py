# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R2: when a session starts, and when it ends."""

from __future__ import annotations

import pytest

from support.session_table import (
    AUTO,
    DISABLED,
    end,
    facts,
    GO,
    INVALID,
    is_forwarded,
    lapse,
    MANUAL,
    refusals,
    stops,
    WINDOW,
)
from viam_session_bridge.core.actions import (
    Cause,
    Forward,
    Refusal,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.sessions import LEFT_CLIENTS_REMEMBERED, SessionTable
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import ZERO

# Start


def test_a_session_starts_immediately_before_the_first_command(table: SessionTable) -> None:
    assert table.command('A', 'base', GO, 1.0) == [
        SessionStarted('A', 1, 1.0),
        TakenOver('base', 'A', 1, 0, 1.0),
        Forward('base', 'A', 1, GO, 1.0),
    ]


def test_the_next_command_is_only_forwarded(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert table.command('A', 'base', ZERO, 1.1) == [Forward('base', 'A', 1, ZERO, 1.1)]


def test_each_client_has_a_session_of_its_own(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'arm', GO, 1.0)
    assert [session.client for session in table.active.values()] == ['A', 'B']


def test_a_client_has_one_session_for_all_its_bases(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'arm', GO, 1.0)
    assert [session.last_used for session in table.active.values()] == [{'base', 'arm'}]


def test_a_refused_first_command_starts_none(table: SessionTable) -> None:
    table.command('A', 'base', INVALID, 1.0)
    assert list(table.active) == []


def test_auto_a_heartbeat_starts_none(table: SessionTable) -> None:
    assert table.heartbeat('A', AUTO, True, 1.0) == []
    assert list(table.active) == []


@pytest.mark.parametrize('own', [True, False])
def test_manual_a_heartbeat_of_anyones_starts_one(table: SessionTable, own: bool) -> None:
    assert table.heartbeat('A', MANUAL, own, 1.0) == [SessionStarted('A', 1, 1.0)]
    assert is_forwarded(table.command('A', 'manual', GO, 1.1))


def test_a_client_that_is_refused_is_remembered_until_it_has_a_session(
    table: SessionTable,
) -> None:
    table.command('A', 'manual', GO, 1.0)
    table.command('B', 'free', GO, 1.0, Refusal.NOT_READY)
    assert table.refused == {
        'A': (Refusal.NO_SESSION, 1.0),
        'B': (Refusal.NOT_READY, 1.0),
    }
    table.heartbeat('A', MANUAL, False, 1.1)
    table.command('A', 'manual', INVALID, 1.2)
    table.command('B', 'free', GO, 1.2)
    assert table.refused == {}


def test_manual_commands_are_refused_while_there_is_none(table: SessionTable) -> None:
    assert refusals(table.command('A', 'manual', GO, 1.0)) == [Refusal.NO_SESSION]
    assert list(table.active) == []


def test_manual_both_clocks_start_with_the_session(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, False, 1.0)
    assert table.due_at == 1.0 + WINDOW
    assert table.expire(1.0 + WINDOW - 1e-6) == []


def test_disabled_there_never_is_one(table: SessionTable) -> None:
    assert table.command('A', 'free', GO, 1.0) == [Forward('free', 'A', 0, GO, 1.0)]
    assert table.heartbeat('A', DISABLED, True, 1.0) == []
    assert list(table.active) == []
    assert table.due_at == NEVER


# End


def test_a_session_ends_with_a_lapse(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    ended, stop = lapse(table)
    assert end(ended) == ('A', 1, Cause.LAPSE, ('base',), 1.0, 1.5)
    assert stop == Stop('base', Cause.LAPSE, 'A', 1.5, 1, 1.0)


def test_a_session_ends_when_its_publisher_leaves(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    ended, stop = table.left('A', 1.1)
    assert end(ended) == ('A', 1, Cause.LEFT, ('base',), 1.0, 1.1)
    assert stop == Stop('base', Cause.LEFT, 'A', 1.1, 1, 1.0)


def test_all_sessions_end_with_deactivation(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'arm', GO, 1.0)
    table.heartbeat('C', MANUAL, True, 1.0)
    actions = table.end_all(1.1)
    assert stops(actions) == [('base', Cause.DEACTIVATED), ('arm', Cause.DEACTIVATED)]
    assert [one.client for one in actions if isinstance(one, SessionEnded)] == ['A', 'B', 'C']
    assert list(table.active) == []


def test_a_session_ends_once(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert table.left('A', 1.1) != []
    assert table.left('A', 1.2) == table.expire(9.0) == table.end_all(9.0) == []


def test_an_ended_session_never_comes_back(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    lapse(table)
    assert table.command('A', 'base', GO, 2.0)[0] == SessionStarted('A', 2, 2.0)


def test_manual_what_started_it_starts_a_new_one(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, True, 1.0)
    lapse(table)
    assert refusals(table.command('A', 'manual', GO, 2.0)) == [Refusal.NO_SESSION]
    assert table.heartbeat('A', MANUAL, True, 2.0) == [SessionStarted('A', 2, 2.0)]


def test_due_sessions_are_expired_before_a_command_is_looked_at(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    actions = table.command('A', 'base', GO, 1.5)
    assert [type(one) for one in actions] == [
        SessionEnded, Stop, SessionStarted, TakenOver, Forward,
    ]  # fmt: skip


def test_due_sessions_are_expired_before_a_heartbeat_is_looked_at(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert stops(table.heartbeat('A', AUTO, True, 1.5)) == [('base', Cause.LAPSE)]
    assert list(table.active) == []


def test_a_command_of_anothers_expires_due_sessions_too(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert stops(table.command('B', 'arm', GO, 1.5)) == [('base', Cause.LAPSE)]


def test_a_client_that_leaves_expires_due_sessions_of_others_too(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'arm', GO, 1.1)
    assert stops(table.left('B', 1.5)) == [('base', Cause.LAPSE), ('arm', Cause.LEFT)]


def test_a_session_that_ended_early_holds_up_no_others_lapse(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'arm', GO, 1.0)
    table.left('A', 1.1)
    assert stops(table.expire(1.5)) == [('arm', Cause.LAPSE)]


def test_a_client_that_left_is_refused_until_it_is_seen(table: SessionTable) -> None:
    table.left('A', 1.0)
    assert refusals(table.command('A', 'base', GO, 1.1)) == [Refusal.LEFT]
    assert table.heartbeat('A', MANUAL, True, 1.1) == []
    table.seen('A')
    assert is_forwarded(table.command('A', 'base', GO, 1.2))


def test_one_that_left_is_remembered_though_many_others_leave(table: SessionTable) -> None:
    table.left('A', 1.0)
    for number in range(LEFT_CLIENTS_REMEMBERED - 1):
        table.left(f'client {number}', 1.0)
    assert refusals(table.command('A', 'base', GO, 1.1)) == [Refusal.LEFT]


def test_of_too_many_that_left_the_one_that_left_first_is_forgotten(table: SessionTable) -> None:
    for number in range(LEFT_CLIENTS_REMEMBERED + 1):
        table.left(f'client {number}', 1.0)
    newest = f'client {LEFT_CLIENTS_REMEMBERED}'
    assert refusals(table.command(newest, 'base', GO, 1.1)) == [Refusal.LEFT]
    assert refusals(table.command('client 1', 'base', GO, 1.1)) == [Refusal.LEFT]
    assert is_forwarded(table.command('client 0', 'base', GO, 1.1))


# What is ignored changes nothing


def test_ignored_events_change_nothing(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    before = facts(table)
    assert table.heartbeat('B', AUTO, True, 1.1) == []
    assert table.heartbeat('B', DISABLED, True, 1.1) == []
    assert table.left('B', 1.1) == []
    table.seen('A')
    table.seen('C')
    assert table.expire(1.1) == []
    assert refusals(table.command('C', 'base', INVALID, 1.1)) == [Refusal.NON_FINITE]
    assert refusals(table.command('C', 'manual', GO, 1.1)) == [Refusal.NO_SESSION]
    assert facts(table) == before
