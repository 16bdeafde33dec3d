# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The runs of a bridge that one log holds, and whose each client and session is: pure.

A log goes on over restarts of the bridge, and of the computer: session numbers and the steady
clock begin anew then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from viam_session_bridge.core.actions import SessionEnded, SessionStarted, TakenOver
from viam_session_bridge.reporting.event_log import LogClosed, LogOpened
from viam_session_bridge.tools.timeline.reading import Entry

_DISORDER = 1.0  # s that a line may be older than the one before it
_CLOCK_SET = 1.0  # s: a wall clock that differs by more was set meanwhile


@dataclass(frozen=True)
class Run:
    """One run of the bridge: its entries, never none; the log may lack its beginning or end."""

    entries: Sequence[Entry]

    @cached_property
    def offset(self) -> float:
        """
        The s that make a steady time a wall time.

        The least of them, for lines are written later than things happen; of those that agree
        with most, for on many robots the clock is set some time after the start.
        """
        offsets = [entry.wall - entry.event.at for entry in self.entries]
        most = median(offsets)
        return min((offset for offset in offsets if abs(offset - most) < _CLOCK_SET), default=most)

    def time(self, at: float) -> float:
        """Return a steady time as s since the epoch."""
        return at + self.offset

    @cached_property
    def begin(self) -> float:
        """When its first event happened."""
        return self.time(min(entry.event.at for entry in self.entries))

    @cached_property
    def end(self) -> float:
        """When its last event happened."""
        return self.time(max(entry.event.at for entry in self.entries))

    @property
    def opened(self) -> bool:
        """Whether the log has its beginning."""
        return isinstance(self.entries[0].event, LogOpened)

    @property
    def closed(self) -> bool:
        """Whether it ended in order."""
        return isinstance(self.entries[-1].event, LogClosed)


def split(entries: Iterable[Entry]) -> list[Run]:
    """Return the runs, in their order."""
    runs: list[list[Entry]] = []
    latest, highest = 0.0, 0
    for entry in entries:
        event = entry.event
        restarted = isinstance(event, SessionStarted) and event.session <= highest
        rebooted = event.at < latest - _DISORDER
        if not runs or isinstance(event, LogOpened) or restarted or rebooted:
            runs.append([])
            highest = 0
        runs[-1].append(entry)
        latest = event.at
        if isinstance(event, SessionStarted):
            highest = event.session
    return [Run(run) for run in runs]


class Names:
    """What to call clients: by the last node and topic that the log knows of each."""

    def __init__(self, runs: Iterable[Run]) -> None:
        """Learn them from all the log: a node's name is often known only after its start."""
        self._nodes: dict[str, str] = {}
        self._topics: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._clients: dict[tuple[int, int], str] = {}
        for index, run in enumerate(runs):
            for entry in run.entries:
                client = getattr(entry.event, 'client', '')
                if not client:
                    continue
                self._numbers.setdefault(client, len(self._numbers) + 1)
                for names, name in ((self._nodes, entry.node), (self._topics, entry.topic)):
                    if name:
                        names[client] = name
                if isinstance(entry.event, (SessionStarted, SessionEnded, TakenOver)):
                    self._clients[index, entry.event.session] = client

    def of(self, client: str) -> str:
        """Return a client's name: its node, or what else is known."""
        if not client:
            return 'nobody'
        known = self._nodes.get(client) or self._topics.get(client)
        return known or (client if client.startswith('/') else f'publisher {self._number(client)}')

    def topic(self, client: str) -> str:
        """Return a client's topic, '' where not known."""
        return self._topics.get(client, '')

    def client(self, run: int, session: int) -> str:
        """Return whose session this is, '' where the log does not say."""
        return self._clients.get((run, session), '')

    def _number(self, client: str) -> int:
        return self._numbers.setdefault(client, len(self._numbers) + 1)
