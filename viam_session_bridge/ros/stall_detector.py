# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Freezes of the receiving loop (R2). Pure."""

from __future__ import annotations

from viam_session_bridge.core.sessions import tolerated_lateness


class StallDetector:
    """R2's watch on the loop itself: pure, one check after each wait and after each take."""

    def __init__(self, window: float, now: float) -> None:
        """
        Start watching.

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
