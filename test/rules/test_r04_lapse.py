# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R4: a session is active exactly while its deadline lies ahead."""

from __future__ import annotations

import math

from support.session_table import GO, lapse, MANUAL, stops, WINDOW
from viam_session_bridge.core.actions import Cause, SessionEnded
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.timing import NEVER


def test_exactly_at_its_deadline_a_session_has_lapsed(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert table.expire(math.nextafter(1.5, 0.0)) == []
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_exactly_at_its_deadline_no_sign_of_life_helps(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, True, 1.0)
    assert isinstance(table.heartbeat('A', MANUAL, True, 1.5)[0], SessionEnded)


def test_the_deadline_may_be_early_but_never_late(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'base', GO, 1.4)
    deadline = table.due_at
    assert deadline <= 1.4 + WINDOW
    table.expire(deadline)
    assert table.due_at == 1.4 + WINDOW


def test_without_sessions_there_is_no_deadline(table: SessionTable) -> None:
    assert table.due_at == NEVER
    table.command('A', 'base', GO, 1.0)
    lapse(table)
    assert table.due_at == NEVER
