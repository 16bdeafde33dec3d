# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What others can make the bridge spend is bounded: lines of its log, memory, time. Pure.

Publishers come and go as often as they like, under as many names as they like, and a fault recurs
with each command. All times are in s on the steady clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
import math
from typing import TypeVar

K = TypeVar('K')
V = TypeVar('V')

BURST = 10  # lines of a kind that may follow each other at once
EVERY = 1.0  # s for each further one
KINDS_KEPT = 1024


class BoundedDict(OrderedDict[K, V]):
    """A dictionary in which new entries replace the oldest; an entry that is set is the newest."""

    def __init__(self, most: int) -> None:
        """Start empty; keep ``most`` entries."""
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


@dataclass
class _Kind:
    due_at: float  # the next one, if they came evenly; a burst runs ahead of that
    kept_back: int = 0


class Throttle:
    """Lets a few lines of a kind through at once, then one now and then."""

    def __init__(self, burst: int = BURST, every: float = EVERY) -> None:
        """
        Start with all kinds new.

        :param every: s; infinite, to let through no more than the burst
        """
        self._every = every
        self._ahead = (burst - 1) * every if burst > 1 else 0.0
        self._kinds: BoundedDict[Hashable, _Kind] = BoundedDict(KINDS_KEPT)

    def let_through(self, kind: Hashable, now: float) -> int | None:
        """Return how many of a kind were kept back before this one; None: keep it back, too."""
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = _Kind(-math.inf)
        if known.due_at > now + self._ahead:
            known.kept_back += 1
            return None
        known.due_at = max(known.due_at, now) + self._every
        kept_back, known.kept_back = known.kept_back, 0
        return kept_back

    def line(self, kind: Hashable, text: str, now: float) -> str | None:
        """Return the line to write, with how many were kept back before it; None: write none."""
        kept_back = self.let_through(kind, now)
        if kept_back is None:
            return None
        return f'{text} (and {kept_back} more like this)' if kept_back else text


class DutyCycle:
    """Work that may take a share of the time: the longer it took, the longer the pause."""

    def __init__(self, share: float, pause: float = 0.0) -> None:
        """
        Start free to work.

        :param pause: s, at least
        """
        self._share = share
        self._pause = pause
        self.free_at = -math.inf

    def wait(self, now: float) -> float:
        """Return the seconds until the work may begin."""
        return max(self.free_at - now, 0.0)

    def worked(self, began: float, now: float) -> None:
        """Note work that lasted from ``began`` to ``now``."""
        self.free_at = now + max(self._pause, (now - began) / self._share)
