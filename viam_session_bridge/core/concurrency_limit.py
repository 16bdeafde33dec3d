# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How many commands a machine gets at once, and whose turn is next.

On a computer that cannot keep up, calls under way only slow each other down, and a stop with
them. So only a few are allowed; a base that has to wait sends the newest of its commands when its
turn comes. A call that takes long counts only for a moment: slow or hung bases keep no other
waiting, and on a machine of a few bases nobody ever waits. Stops never do.
"""

from __future__ import annotations

from itertools import islice

from viam_session_bridge.core.timing import AT_ONCE, NEVER

MOST = 3
"""Commands that may be under way to a machine."""

YOUNG = 0.01
"""Seconds for which one counts; a machine at rest answers in one or two ms."""


class ConcurrencyLimit:
    """The commands under way to a machine, and the bases that wait for their turn."""

    def __init__(self) -> None:
        """Start with none."""
        self._under_way: dict[int, float] = {}  # by call, the oldest first
        self.waiting: dict[str, None] = {}  # bases, in the order of their turns

    def has_room(self, now: float) -> bool:
        """Return whether one more may go."""
        return len(self._under_way) < MOST or self._free(now) > 0

    def wait(self, base: str) -> None:
        """Have a base wait for its turn; one that waits already keeps its turn."""
        self.waiting[base] = None

    def sent(self, base: str, number: int, now: float) -> None:
        """Note that a base's command was handed over."""
        self._under_way[number] = now
        self.waiting.pop(base, None)

    def answered(self, number: int) -> None:
        """Note that a call ended."""
        self._under_way.pop(number, None)

    def take_turns(self, now: float) -> list[str]:
        """Take out and return the bases that come before all others now."""
        bases = list(islice(self.waiting, max(self._free(now), 0)))
        for base in bases:
            del self.waiting[base]
        return bases

    def next_turn(self, now: float) -> float:
        """Return when to :meth:`take_turns` again."""
        if not self.waiting:
            return NEVER
        if self._free(now) > 0:
            return AT_ONCE
        return min(at for at in self._under_way.values() if at + YOUNG > now) + YOUNG

    def _free(self, now: float) -> int:
        """Return how many more may go; a call that takes long does not count for long."""
        return MOST - sum(at + YOUNG > now for at in self._under_way.values())
