# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Clients whose node the graph does not name: no heartbeat can reach them.

Cyclone DDS gives a publisher another GID in the graph than with its messages (rmw_cyclonedds
#377), and a plain DDS program is no node. Neither its node's name leads to such a client, nor an
empty heartbeat of its own, whose sender the graph does not name either. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from viam_session_bridge.core.actions import Refusal, Refused
from viam_session_bridge.reporting.overview import SessionRow

AFTER = 5.0  # s: with Fast DDS the graph tells a name 20 to 100 ms after the first message


class UnnamedClients:
    """Tells of them once for each topic."""

    def __init__(self) -> None:
        """Start with nothing told."""
        self._told: set[str] = set()
        self._refused: dict[str, tuple[str, float]] = {}  # by topic: a client, since when

    def look(self, rows: Iterable[SessionRow]) -> list[str]:
        """Look at the sessions; return what is to be told."""
        return [
            line
            for row in rows
            if row.state == 'active' and row.client != row.topic and not row.node
            if row.age > AFTER and (line := self._tell(row.topic))
        ]

    def refused(self, event: Refused, node: str, topic: str) -> str | None:
        """Take that a command was refused, maybe for the lack of a heartbeat (R3)."""
        if event.reason is not Refusal.NO_SESSION or event.client == topic:
            return None
        client, since = self._refused.get(topic, ('', event.at))
        if node or client != event.client:
            self._refused[topic] = event.client, event.at
        elif event.at - since > AFTER:
            return self._tell(topic)
        return None

    def _tell(self, topic: str) -> str | None:
        if topic in self._told:
            return None
        self._told.add(topic)
        return (
            f'{topic}: the graph does not name the node of a client (Cyclone DDS, or no ROS '
            'node), so no heartbeat can reach it. Where it needs them (sessions: manual, or a '
            'speed that it does not repeat), run its node and the bridge with '
            'RMW_IMPLEMENTATION=rmw_fastrtps_cpp'
        )
