# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The overview: every session, base and machine at one moment, as data.

The bridge makes it from its state; whoever receives it reads it back here. Other people's nodes do
so too, and therefore this module imports nothing that runs the bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
import json
from typing import Any, TYPE_CHECKING

from viam_session_bridge.core.events import SID_SHOWN

if TYPE_CHECKING:
    from viam_session_bridge.core.actions import SessionEnded
    from viam_session_bridge.core.bridge import Bridge

ENDED_KEPT = 16  # sessions that ended last stay in a bridge's overview
REFUSED_SHOWN = 10.0  # s, after the last command that was refused


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
    """One machine; ``window`` is its own in s, 0 until the first session there."""

    machine: str
    ready: bool
    supervised: bool
    window: float


@dataclass(frozen=True)
class RefusedRow:
    """A client without a session whose commands are refused; ``age``: s since the last one."""

    client: str
    node: str
    topic: str
    reason: str
    age: float


@dataclass(frozen=True)
class Overview:
    """``window`` is the bridge's, in s; ``discarded`` counts messages that came too late (R2)."""

    active: bool
    window: float
    discarded: int
    sessions: list[SessionRow]
    bases: list[BaseRow]
    machines: list[MachineRow]
    refused: list[RefusedRow] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values, for ``~/get_sessions``."""
        return asdict(self)


NOTHING = Overview(False, 0.0, 0, [], [], [])  # of a bridge that is not configured


def snapshot(bridge: Bridge, now: float, describe: Callable[[str], tuple[str, str]]) -> Overview:
    """
    Return the overview of a bridge, which is not changed; quick enough to run under its lock.

    :param describe: a client's node and topic
    """
    window = bridge.table.window
    sessions = []
    for session in bridge.table.active.values():
        node, topic = describe(session.client)
        sids = {
            name: of_machine.sid[:SID_SHOWN]
            for name, machine in bridge.machines.items()
            if (of_machine := machine.sessions.live.get(session.number)) and of_machine.sid
        }
        to_lapse = max(session.deadline(window) - now, 0.0)
        row = SessionRow(
            id=session.number, client=session.client, node=node, topic=topic, state='active',
            machine_sessions=sids, bases=sorted(session.last_used),
            age=round(now - session.started, 3), to_lapse=round(to_lapse, 3),
            commands=session.commands, refusals=dict(session.refusals),
        )  # fmt: skip
        sessions.append(row)
    machines = [
        MachineRow(name, one.ready, not one.sessions.unsupervised, one.sessions.window)
        for name, one in bridge.machines.items()
    ]
    bases = []
    for name, machine in bridge.machines.items():
        for base, control in machine.bases.items():
            user = bridge.table.last_user(base)
            refused = {
                reason.value: count
                for (of, reason), count in bridge.refusals.items()
                if of == base
            }
            stopping = control.stops.pending is not None
            bases.append(BaseRow(base, name, user.number if user else 0, stopping, refused))
    refused_rows = [
        RefusedRow(client, *describe(client), reason.value, round(now - at, 3))
        for client, (reason, at) in bridge.table.refused.items()
        if now - at < REFUSED_SHOWN
    ]
    return Overview(
        bridge.active, window, bridge.discarded, sessions, bases, machines, refused_rows
    )


def ended_row(ended: SessionEnded, node: str, topic: str) -> SessionRow:
    """Return the row of a session that ended."""
    return SessionRow(
        id=ended.session, client=ended.client, node=node, topic=topic, state=ended.cause.value,
        machine_sessions={}, bases=list(ended.bases), age=round(ended.at - ended.started, 3),
        to_lapse=0.0, commands=ended.commands, refusals=ended.refusals,
    )  # fmt: skip


def overview_of(success: bool, message: str) -> Overview:
    """
    Return the overview in an answer of ``~/get_sessions``.

    :param success: False from a bridge that is not configured: an overview of nothing
    :raises ValueError: a message that is not an overview
    """
    if not success:
        return NOTHING
    try:
        values: dict[str, Any] = json.loads(message)
        kinds = {
            'sessions': SessionRow, 'bases': BaseRow, 'machines': MachineRow,
            'refused': RefusedRow,
        }  # fmt: skip
        rows = {name: [kind(**row) for row in values[name]] for name, kind in kinds.items()}
        return Overview(**{**values, **rows})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'not an overview of a bridge: {error!r}') from error


def join_pairs(mapping: Mapping[str, object]) -> str:
    """Return a mapping as a text that can be read back."""
    return ', '.join(f'{key}: {value}' for key, value in sorted(mapping.items()))


def _pairs(text: str) -> dict[str, str]:
    pairs = (pair.partition(': ') for pair in text.split(', ') if pair)
    return {name: value for name, _, value in pairs}


def _counts(text: str) -> dict[str, int]:
    return {what: int(count) for what, count in _pairs(text).items()}


# The values of one status of ``~/sessions``: of which field, how it is written, and read back.
_VALUES: dict[str, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    'id': ('id', str, int),
    'node': ('node', str, str),
    'gid': ('client', str, str),
    'topic': ('topic', str, str),
    'state': ('state', str, str),
    'machine_sessions': ('machine_sessions', join_pairs, _pairs),
    'last_user_of': ('bases', ', '.join, lambda text: text.split(', ') if text else []),
    'age': ('age', '{:.3f}'.format, float),
    'time_to_lapse': ('to_lapse', '{:.3f}'.format, float),
    'commands': ('commands', str, int),
    'refusals': ('refusals', join_pairs, _counts),
}


def session_values(row: SessionRow) -> dict[str, str]:
    """Return a session as the values of one status of ``~/sessions``."""
    return {key: write(getattr(row, of)) for key, (of, write, _) in _VALUES.items()}


def session_row(values: Mapping[str, str]) -> SessionRow:
    """
    Return the session in the values of one status of ``~/sessions``.

    :raises ValueError: values that are not a session's
    """
    try:
        return SessionRow(**{of: read(values[key]) for key, (of, _, read) in _VALUES.items()})
    except (KeyError, ValueError) as error:
        raise ValueError(f'not a session of a bridge: {error!r}') from error
