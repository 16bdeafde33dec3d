# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R18, *Hierarchy*: which machine closes when, once the bridge is deactivated.

A machine closes when its stops are final and its sub-parts have closed; it waits for those
``level_timeout`` at most, counted from when its own stops were final. Only closing is staged:
stops go out to all machines at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from viam_session_bridge.core.timing import NEVER


class ShutdownOrder:
    """The machines of one bridge, and which of them are still open."""

    def __init__(self, parents: Mapping[str, str], level_timeout: float) -> None:
        """
        Start with all machines closed.

        :param parents: for each machine the one that it is a sub-part of, '' for none
        :param level_timeout: s
        """
        self._parents = dict(parents)
        self._level_timeout = level_timeout
        self._open: set[str] = set()
        self._final_since: dict[str, float] = {}
        self.has_begun = False

    @property
    def open(self) -> frozenset[str]:
        """Return the machines that have not closed."""
        return frozenset(self._open)

    def depth(self, machine: str) -> int:
        """Return how deep a machine is: 0 for a main part."""
        parent = self._parents[machine]
        return 1 + self.depth(parent) if parent else 0

    def deepest_first(self) -> list[str]:
        """Return all machines, sub-parts before what they are a part of."""
        return sorted(self._parents, key=self.depth, reverse=True)

    def begin(self) -> None:
        """Close every machine as soon as it may."""
        self.has_begun = True

    def open_all(self) -> list[str]:
        """Keep open what is, and open the rest; return the latter, main parts first."""
        opened = sorted((m for m in self._parents if m not in self._open), key=self.depth)
        self.has_begun = False
        self._open = set(self._parents)
        self._final_since.clear()
        return opened

    def step(self, is_final: Callable[[str], bool], now: float) -> list[str]:
        """
        Close what may close; return it, deepest first.

        :param is_final: whether all stops of a machine's bases are final
        """
        closed: list[str] = []
        if not self.has_begun:
            return closed
        for machine in self.deepest_first():
            if machine not in self._open:
                continue
            if not is_final(machine):
                self._final_since.pop(machine, None)
                continue
            since = self._final_since.setdefault(machine, now)
            if not self._waits_for(machine) or since + self._level_timeout <= now:
                self._open.remove(machine)
                closed.append(machine)
        return closed

    def next_deadline(self) -> float:
        """Return when :meth:`step` is to be called next, whatever else happens."""
        if not self.has_begun:
            return NEVER
        waiting = (self._final_since[m] for m in self._open if m in self._final_since)
        return min((since + self._level_timeout for since in waiting), default=NEVER)

    def _waits_for(self, machine: str) -> bool:
        return any(self._parents[other] == machine for other in self._open)
