# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Freezes of the receiving loop, and the messages from before they ended (R2). Pure.

After a freeze the middleware's own threads hand over what waits in their sockets, on a busy
computer for longer than any fixed pause. Messages bear the time at which they were sent, by the
clock of the publisher's computer; what that clock is off by shows in the messages before.
"""

from __future__ import annotations

from viam_session_bridge.core.session import tolerated_lateness

WATCHED = 2.0
"""Seconds after a freeze in which its messages are looked for: should a clock be set meanwhile,
commands are discarded for so long at most."""

REMEMBERED = 5.0
"""Seconds for which at least, and twice that at most, a publisher's clock is remembered."""


class Punctuality:
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


class Backlog:
    """What each publisher's clock is off by, and when the last freeze ended."""

    def __init__(self) -> None:
        self._offsets: dict[str, float] = {}  # s, by publisher: the least seen of late
        self._before: dict[str, float] = {}
        self._renewed_at = float('-inf')
        self._thawed = float('-inf')  # by the wall clock
        self._watched_until = float('-inf')

    def thawed(self, now: float, wall: float) -> None:
        """
        Note that a freeze ended.

        :param now: steady clock, s
        :param wall: this computer's wall clock, s
        """
        self._thawed, self._watched_until = wall, now + WATCHED

    def age(self, publisher: str, sent: float, now: float, wall: float) -> float:
        """
        Return how many seconds ago a message was sent that was just taken.

        0.0 for one that was sent after the last freeze, and for publishers of which nothing is
        known from before it.

        :param publisher: any name for it
        :param sent: the message's time by its publisher's wall clock, s; 0 where it has none
        """
        if not sent:
            return 0.0
        offset = wall - sent  # and the time it took to come here
        known = min(self._offsets.get(publisher, offset), self._before.get(publisher, offset))
        if now < self._watched_until and sent + known < self._thawed:
            return offset - known
        if now >= self._renewed_at + REMEMBERED:
            self._renewed_at, self._before, self._offsets = now, self._offsets, {}
        self._offsets[publisher] = min(self._offsets.get(publisher, offset), offset)
        return 0.0
