# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R5, R6: who used a base last, and which bases are stopped when a session ends."""

from __future__ import annotations

from support.session_table import AUTO, DISABLED, end, GO, lapse, MANUAL, stops, WINDOW
from viam_session_bridge.core.actions import Cause, Refusal, TakenOver
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import ZERO


def test_whoever_drove_before_lapses_without_a_stop(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'base', GO, 1.2)
    (ended,) = lapse(table)
    assert end(ended) == ('A', 1, Cause.LAPSE, (), 1.0, 1.5)
    assert stops(lapse(table)) == [('base', Cause.LAPSE)]


def test_taking_over_is_reported(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    actions = table.command('B', 'base', GO, 1.2)
    assert TakenOver('base', 'B', 2, 1, 1.2) in actions
    user = table.last_user('base')
    assert user is not None and user.client == 'B'


def test_taking_back_makes_the_first_the_last_user_again(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'base', GO, 1.1)
    table.command('A', 'base', GO, 1.2)
    assert stops(table.left('B', 1.3)) == []
    assert stops(table.left('A', 1.3)) == [('base', Cause.LEFT)]


def test_a_zero_takes_over_too(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'base', ZERO, 1.2)
    assert stops(table.expire(1.5)) == []


def test_a_refused_command_takes_nothing_over(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'base', GO, 1.2, Refusal.NOT_READY)
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_a_lapse_stops_all_bases_used_last_and_no_other(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'arm', GO, 1.0)
    table.command('B', 'arm', GO, 1.1)
    table.heartbeat('C', MANUAL, True, 1.1)
    table.command('C', 'manual', GO, 1.1)
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_a_base_is_stopped_once_for_one_end(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    lapse(table)
    assert table.last_user('base') is None
    assert table.end_all(2.0) == []


def test_a_command_without_session_clears_the_last_user() -> None:
    # The parameters let no base mix the two; the rule is viam-server's all the same.
    table = SessionTable(WINDOW, {'base': AUTO})
    table.command('A', 'base', GO, 1.0)
    table._modes['base'] = DISABLED
    assert TakenOver('base', 'B', 0, 1, 1.1) in table.command('B', 'base', GO, 1.1)
    assert table.last_user('base') is None
    assert stops(table.expire(1.5)) == []
