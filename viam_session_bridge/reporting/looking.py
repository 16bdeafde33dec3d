# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Looks at the bridge for the overview.

An adaptor that reads the bridge and changes nothing; :func:`look` is quick enough to be called
under the bridge's lock, all formatting comes after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from viam_session_bridge.core.actions import SessionEnded
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.events import SID_SHOWN
from viam_session_bridge.reporting.overview import BaseRow, MachineRow, Overview, SessionRow


def look(bridge: Bridge, now: float, describe: Callable[[str], tuple[str, str]]) -> Overview:
    """
    Look at the bridge.

    :param describe: a client's node and topic
    """
    window = bridge.table.window
    sessions = []
    for session in bridge.table.sessions:
        node, topic = describe(session.client)
        sids = {}
        for name, machine in bridge.machines.items():
            machine_session = machine.sessions.of(session.number)
            if machine_session is not None and machine_session.sid:
                sids[name] = machine_session.sid[:SID_SHOWN]
        sessions.append(
            SessionRow(
                id=session.number,
                client=session.client,
                node=node,
                topic=topic,
                state='active',
                machine_sessions=sids,
                bases=sorted(session.last_used),
                age=round(now - session.started, 3),
                to_lapse=round(max(session.deadline(window) - now, 0.0), 3),
                commands=session.commands,
                refusals=dict(session.refusals),
            )
        )
    bases, machines = [], []
    for name, machine in bridge.machines.items():
        machines.append(
            MachineRow(name, machine.ready, not machine.sessions.unsupervised,
                       machine.sessions.window)
        )
        for base, control in machine.bases.items():
            user = bridge.table.last_user(base)
            refusals: Counter[str] = Counter()
            for (refused, reason), count in bridge.refusals.items():
                if refused == base:
                    refusals[reason.value] += count
            bases.append(
                BaseRow(base, name, user.number if user else 0, control.stops.pending is not None,
                        dict(refusals))
            )
    return Overview(bridge.active, window, bridge.discarded, sessions, bases, machines)


class Ended:
    """The last sessions that ended, for the overview; the oldest are forgotten."""

    def __init__(self, kept: int = 16) -> None:
        """Keep so many at most."""
        self._rows: list[SessionRow] = []
        self._kept = kept

    def add(self, ended: SessionEnded, node: str, topic: str) -> None:
        """Take a session that ended."""
        row = SessionRow(
            id=ended.session, client=ended.client, node=node, topic=topic, state=ended.cause.value,
            machine_sessions={}, bases=list(ended.bases), age=round(ended.at - ended.started, 3),
            to_lapse=0.0, commands=ended.commands, refusals=ended.refusals,
        )  # fmt: skip
        self._rows = [*self._rows, row][-self._kept :]

    def __iter__(self) -> Iterator[SessionRow]:
        return iter(self._rows)
