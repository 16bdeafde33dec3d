# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The overview as data: every session, base and machine at one moment.

What a bridge says on ``~/get_sessions`` and ``~/sessions`` is read back here by whoever asks; this
imports nothing of the bridge itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
from typing import Any


@dataclass(frozen=True)
class SessionRow:
    """One session; ages and times in s, ``to_lapse`` 0 for one that ended."""

    id: int
    client: str
    node: str
    topic: str
    state: str
    machine_sessions: dict[str, str]
    bases: list[str]
    age: float
    to_lapse: float
    commands: int
    refusals: dict[str, int]


@dataclass(frozen=True)
class BaseRow:
    """One base; ``session`` is its last user's, 0 for none."""

    base: str
    machine: str
    session: int
    stopping: bool
    refusals: dict[str, int]


@dataclass(frozen=True)
class MachineRow:
    """One machine; ``window`` is its own in s, 0 until it told."""

    machine: str
    ready: bool
    supervised: bool
    window: float


@dataclass(frozen=True)
class Overview:
    """All of it; ``window`` is the bridge's, in s; ``discarded``: what came too late (R2)."""

    active: bool
    window: float
    discarded: int
    sessions: list[SessionRow]
    bases: list[BaseRow]
    machines: list[MachineRow]

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values, for ``~/get_sessions``."""
        return asdict(self)


def overview_of(success: bool, message: str) -> Overview:
    """
    Return what an answer of ``~/get_sessions`` says.

    :param success: False from a bridge that is not configured: an overview of nothing
    :raises ValueError: a message that is not an overview
    """
    if not success:
        return Overview(False, 0.0, 0, [], [], [])
    try:
        told: dict[str, Any] = json.loads(message)
        kinds = {'sessions': SessionRow, 'bases': BaseRow, 'machines': MachineRow}
        rows = {name: [kind(**row) for row in told[name]] for name, kind in kinds.items()}
        return Overview(**{**told, **rows})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'not an overview of a bridge: {error!r}') from error


def session_row(values: Mapping[str, str]) -> SessionRow:
    """
    Return the session that one status of ``~/sessions`` tells of.

    :raises ValueError: values that are not a session's
    """
    try:
        return SessionRow(
            id=int(values['id']),
            # Where publishers cannot be told apart the topic is the client (R1).
            client=values['gid'] or values['topic'],
            node=values['node'] if values['gid'] else '',
            topic=values['topic'],
            state=values['state'],
            machine_sessions=_pairs(values['machine_sessions']),
            bases=[base for base in values['last_user_of'].split(', ') if base],
            age=float(values['age']),
            to_lapse=float(values['time_to_lapse']),
            commands=int(values['commands']),
            refusals={what: int(count) for what, count in _pairs(values['refusals']).items()},
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f'not a session of a bridge: {error!r}') from error


def _pairs(text: str) -> dict[str, str]:
    pairs = (pair.partition(': ') for pair in text.split(', ') if pair)
    return {name: value for name, _, value in pairs}
