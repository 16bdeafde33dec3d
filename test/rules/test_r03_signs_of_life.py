# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R3: what keeps a session alive, and what does not."""

from __future__ import annotations

import pytest

from support.session_table import (
    AUTO,
    GO,
    INVALID,
    is_forwarded,
    lapse,
    MANUAL,
    MODES,
    stops,
    WINDOW,
)
from viam_session_bridge.core.actions import Cause, Refusal, SessionEnded
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import ZERO


def test_auto_an_accepted_command_is_one(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'base', GO, 1.4)
    assert table.expire(1.9 - 1e-6) == []
    assert stops(table.expire(1.4 + WINDOW)) == [('base', Cause.LAPSE)]


def test_auto_a_heartbeat_of_its_own_is_one(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.heartbeat('A', AUTO, True, 1.4)
    assert table.expire(1.9 - 1e-6) == []
    assert stops(table.expire(1.4 + WINDOW)) == [('base', Cause.LAPSE)]


def test_auto_a_permission_is_none(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.heartbeat('A', AUTO, False, 1.4)
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_auto_permissions_are_not_needed(table: SessionTable) -> None:
    for step in range(10):
        assert not stops(table.command('A', 'base', GO, 1.0 + 0.4 * step))


@pytest.mark.parametrize('name', ['base', 'manual'])
def test_a_refused_command_is_none(table: SessionTable, name: str) -> None:
    table.heartbeat('A', MODES[name], True, 1.0)
    table.command('A', name, GO, 1.0)
    table.command('A', name, INVALID, 1.4)
    table.command('A', name, GO, 1.4, Refusal.NOT_READY)
    table.command('A', name, ZERO, 1.4, Refusal.NOT_READY)
    assert table.expire(1.5 - 1e-6) == []
    assert stops(table.expire(1.5)) == [(name, Cause.LAPSE)]


def test_manual_commands_alone_do_not_keep_it(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, False, 1.0)
    table.command('A', 'manual', GO, 1.4)
    assert stops(lapse(table)) == [('manual', Cause.LAPSE)]
    assert table.expire(1.5) == []


def test_manual_permissions_alone_do_not_keep_it(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, False, 1.0)
    table.command('A', 'manual', GO, 1.1)
    table.heartbeat('A', MANUAL, False, 1.4)
    assert table.expire(1.6 - 1e-6) == []
    assert stops(table.expire(1.1 + WINDOW)) == [('manual', Cause.LAPSE)]


def test_manual_commands_and_permissions_together_keep_it(table: SessionTable) -> None:
    for step in range(10):
        assert not stops(table.heartbeat('A', MANUAL, False, 1.0 + 0.4 * step))
        assert is_forwarded(table.command('A', 'manual', GO, 1.2 + 0.4 * step))


def test_manual_a_heartbeat_of_its_own_is_both(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, True, 1.0)
    table.command('A', 'manual', GO, 1.1)
    table.heartbeat('A', MANUAL, True, 1.4)
    assert table.expire(1.9 - 1e-6) == []
    assert stops(table.expire(1.4 + WINDOW)) == [('manual', Cause.LAPSE)]


def test_disabled_no_lapse_stops_what_was_forwarded(table: SessionTable) -> None:
    table.command('A', 'free', GO, 1.0)
    assert table.expire(1000.0) == []


@pytest.mark.parametrize(('name', 'heartbeat'), [('base', None), ('manual', 1.1)])
def test_the_end_of_a_session_tells_the_last_heartbeat_where_it_needed_some(
    table: SessionTable, name: str, heartbeat: float | None
) -> None:
    table.heartbeat('A', MODES[name], False, 1.0)
    table.command('A', name, GO, 1.05)
    table.heartbeat('A', MODES[name], False, 1.1)
    ended = next(one for one in lapse(table) if isinstance(one, SessionEnded))
    assert (ended.sign, ended.heartbeat) == (1.05, heartbeat)
