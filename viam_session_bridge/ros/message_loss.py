# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages that were lost on their way: gaps in the numbers that the middleware gives them. Pure.

Lost in the network, or in the queue of a subscription that is emptied too slowly. Either way a
session has fewer signs of life than its publisher sent: it can only lapse sooner.
"""

from __future__ import annotations

from collections import Counter

from viam_session_bridge.bounds import BoundedDict

PUBLISHERS_KEPT = 1024  # they come and go as often as they like


class MessageLoss:
    """The last number of each publisher."""

    def __init__(self) -> None:
        """Start with no publisher known."""
        self._last: BoundedDict[str, int] = BoundedDict(PUBLISHERS_KEPT)

    def before(self, publisher: str, number: int) -> int:
        """Return how many of the publisher's messages were lost between its last and this one."""
        last = self._last.get(publisher, number - 1)
        self._last[publisher] = max(last, number)  # and it is the one that was heard last
        return max(number - last - 1, 0)


class MessageLosses:
    """How many messages were lost (or replaced), by topic, and where that goes on now."""

    def __init__(self) -> None:
        """Start with nothing lost."""
        self.counts: Counter[str] = Counter()
        self._looked_at: Counter[str] = Counter()

    def add(self, topic: str, count: int) -> None:
        """Take that so many more were lost."""
        self.counts[topic] += count

    def recent(self, least: int = 1) -> list[str]:
        """Return the topics that lost so many messages since the last call, sorted."""
        before, self._looked_at = self._looked_at, Counter(self.counts)
        since = self._looked_at - before
        return sorted(topic for topic, count in since.items() if count >= least)
