# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How messages get lost: on their way, or because the receiving loop stalled (R2). Pure.

What is lost on its way shows in gaps between the numbers that the middleware gives to messages:
the network lost them, or the queue of a subscription that is emptied too slowly. Either way a
session has fewer signs of life than its publisher sent: it can only lapse sooner.
"""

from __future__ import annotations

from collections import Counter

from viam_session_bridge.bounds import BoundedDict
from viam_session_bridge.core.sessions import tolerated_lateness

PUBLISHERS_KEPT = 1024  # they come and go as often as they like


class StallDetector:
    """Tells when the receiving loop stalled: one check after each wait and after each take."""

    def __init__(self, window: float, now: float) -> None:
        """
        Start checking.

        :param window: heartbeat window, s
        """
        self.period = window / 4
        """Seconds between two checks, at most, of a loop that is on time."""
        self._limit = tolerated_lateness(window)
        self._checked = now

    def late(self, now: float) -> float:
        """Return by how many seconds this check is late; 0.0 where R2 allows it."""
        late = now - self._checked - self.period
        self._checked = now
        return late if late > self._limit else 0.0


class MessageLoss:
    """Finds the gaps: keeps the last number of each publisher."""

    def __init__(self) -> None:
        """Start with no publisher known."""
        self._last: BoundedDict[str, int] = BoundedDict(PUBLISHERS_KEPT)

    def before(self, publisher: str, number: int) -> int:
        """Return how many of the publisher's messages were lost between its last and this one."""
        last = self._last.get(publisher, number - 1)
        self._last[publisher] = max(last, number)  # and it is the one that was heard last
        return max(number - last - 1, 0)


class TopicCounter:
    """Counts messages that were lost, replaced or too old, by topic."""

    def __init__(self) -> None:
        """Start with none."""
        self.counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    def add(self, topic: str, count: int) -> None:
        """Count so many more."""
        self.counts[topic] += count

    def recent(self, least: int = 1) -> list[str]:
        """Return the topics with at least so many since the last call, sorted."""
        before, self._before = self._before, Counter(self.counts)
        since = self._before - before
        return sorted(topic for topic, count in since.items() if count >= least)
