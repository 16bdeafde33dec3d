# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
What the tests of the session table share.

No test sleeps: time is handed in, and a lapse is ``table.expire(table.due_at)``.
"""

from __future__ import annotations

from collections.abc import Iterable
import math

from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import (
    Action,
    Cause,
    Forward,
    Refusal,
    Refused,
    SessionEnded,
    Stop,
)
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import Velocity

WINDOW = 0.5
AUTO, MANUAL, DISABLED = SessionsMode.AUTO, SessionsMode.MANUAL, SessionsMode.DISABLED
GO = Velocity(0.3, 0.0, 0.1)
INVALID = Velocity(math.nan)
MODES = {'base': AUTO, 'arm': AUTO, 'manual': MANUAL, 'manual2': MANUAL, 'free': DISABLED}


def lapse(table: SessionTable) -> list[Action]:
    """Expire until something lapses: a deadline may turn out to be early."""
    actions: list[Action] = []
    while not actions:
        deadline = table.due_at
        actions = table.expire(deadline)
    return actions


def stops(actions: Iterable[Action]) -> list[tuple[str, Cause]]:
    return [(one.base, one.cause) for one in actions if isinstance(one, Stop)]


def refusals(actions: Iterable[Action]) -> list[Refusal]:
    return [one.reason for one in actions if isinstance(one, Refused)]


def end(action: Action) -> tuple[object, ...]:
    assert isinstance(action, SessionEnded)
    return action.client, action.session, action.cause, action.bases, action.sign, action.at


def is_forwarded(actions: Iterable[Action]) -> bool:
    return any(isinstance(one, Forward) for one in actions)


def facts(table: SessionTable) -> object:
    """Return all that an ignored event must leave as it is."""
    active = table.active.values()
    sessions = [(s.number, s.sign, s.heartbeat, s.commands, s.last_used) for s in active]
    users = [table.last_user(base) for base in ('base', 'arm', 'manual', 'manual2', 'free')]
    return str(sessions), [user and user.number for user in users], table.due_at
