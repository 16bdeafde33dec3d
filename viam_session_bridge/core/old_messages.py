# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages that are too old to act on (R2): after a stall of the receiving loop, and by their age.

After an outage, a transport that sends again (reliable DDS, Zenoh's TCP) hands over what a
publisher said before it. Each message bears the time at which it was sent, by the publisher's
clock, which may show anything. How far that clock is off shows in the publisher's other messages:
the least difference between arrival and sending is the clock's offset plus the fastest delivery.
Whatever a message takes beyond that is its age.

Our own wall clock may be set as well, at boot by hours. Publishers on our own computer share it,
so their messages are compared with it. Those of other computers are compared with the steady
clock, which nothing sets. So neither case needs to know when our clock is set. Where the
middleware does not tell the host, a publisher counts as another computer's: if our clock is set
back, one on our own computer is then taken for one whose clock was set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf

from viam_session_bridge.core.sessions import tolerated_lateness

WATCHED = 10.0
"""Seconds of accepted messages, to the last one, over which the least offset is taken (R2)."""

SLICE = 1.0
"""Seconds of messages of which only the least offset is kept; `WATCHED` is exceeded by as much."""

REMEMBERED = 60.0
"""Seconds for which a clock is remembered after its publisher left the graph (R2)."""

PUBLISHERS_KEPT = 1024
"""Clocks that are remembered: publishers come and go as often as they like."""

EVEN = 1 / 8
"""
Windows by which ages may differ if all messages come at the pace at which they were sent.

A backlog that comes at 1.125 times that pace, or faster, is not taken for a clock that was set.
"""


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


class _Clock:
    """A publisher's clock; offsets in s, against our wall clock where it is `ours`."""

    __slots__ = ('heard', 'host', 'least', 'newest', 'old_age', 'old_since', 'ours', 'slice_ends',
                 'slices')  # fmt: skip

    def __init__(self, host: str, ours: bool, least: float, now: float) -> None:
        self.host = host
        self.ours = ours
        self.set(least, now)

    def set(self, offset: float, now: float) -> None:
        """Know nothing but this offset."""
        self.least = self.newest = offset
        self.slices: deque[tuple[float, float]] = deque()  # when it ended, its least offset
        self.slice_ends = now + SLICE
        self.heard = now
        self.old_age = inf  # of the first of those that came last and were all old; inf: none
        self.old_since = now

    def turn(self, now: float) -> None:
        """Begin a slice, and forget those that ended too long ago."""
        self.slices.append((self.heard, self.newest))
        while self.slices and self.slices[0][0] < now - WATCHED:
            self.slices.popleft()
        self.least = min((offset for _, offset in self.slices), default=inf)
        self.newest, self.slice_ends = inf, now + SLICE


class MessageAge:
    """Judges every message; `now` is the steady clock, `wall` this computer's wall clock, in s."""

    def __init__(
        self,
        window: float,
        host_of: Callable[[str], str],
        own_host: str,
        clock_set: Callable[[str, float, float], None],
    ) -> None:
        """
        Start with no clock known.

        :param window: heartbeat window, s: what is older is discarded
        :param host_of: tells the host of a publisher; '' where that is not known
        :param own_host: of this process, as `host_of` would tell it
        :param clock_set: called with a publisher, the s by which its clock was set back, and `now`
        """
        self._window = window
        self._host_of = host_of
        self._own_host = own_host
        self._clock_set = clock_set
        self._clocks: dict[str, _Clock] = {}  # about those first that were not heard for longest
        self._by_host: dict[str, _Clock] = {}  # about the one heard last
        self._left: dict[str, float] = {}  # when, oldest first
        self._thawed = -inf

    def thawed(self, now: float) -> None:
        """Note that a freeze ended: what was sent before is discarded, however young."""
        self._thawed = now

    def too_old(self, publisher: str, sent: float, now: float, wall: float) -> float:
        """
        Return the age in s of a message that is to be discarded for it; 0.0: it is not.

        :param publisher: any name for it
        :param sent: the message's time by its publisher's wall clock, s; 0.0 where it has none:
            such a message is not judged
        """
        if not sent:
            return 0.0
        clock = self._clocks.get(publisher) or self._first(publisher, now)
        offset = (wall if clock.ours else now) - sent
        age = offset - clock.least
        if age > self._window or age > now - self._thawed:
            if not self._was_set(clock, age, now):
                return age
            clock.set(offset, now)
            self._keep(publisher, clock)
            self._clock_set(publisher, age, now)
        if now >= clock.slice_ends:
            clock.turn(now)
            self._keep(publisher, clock)
        if offset < clock.newest:
            clock.newest = offset
            if offset < clock.least:
                clock.least = offset
        clock.heard = now
        clock.old_age = inf
        return 0.0

    def changed(self, seen: Iterable[str], left: Iterable[str], now: float) -> None:
        """Note who came to the graph and who left it; forget who left it long ago."""
        for publisher in seen:
            self._left.pop(publisher, None)
        for publisher in left:
            if publisher in self._clocks:
                self._left[publisher] = now
        for publisher, left_at in list(self._left.items()):
            if left_at + REMEMBERED > now:
                break
            self._forget(publisher)

    def _first(self, publisher: str, now: float) -> _Clock:
        """Return the clock of a publisher of which nothing is known."""
        host = self._host_of(publisher)
        ours = host != '' and host == self._own_host
        there = self._by_host.get(host) if host else None
        least = there.least if there else inf  # that of the very message that comes
        if len(self._clocks) >= PUBLISHERS_KEPT:
            self._forget(next(iter(self._clocks)))
        clock = _Clock(host, ours, least, now)
        self._keep(publisher, clock)
        return clock

    def _keep(self, publisher: str, clock: _Clock) -> None:
        """Note that a clock is known; not for each message, so that it costs them nothing."""
        self._clocks.pop(publisher, None)
        self._clocks[publisher] = clock
        # Should the host's clock have been set, the one heard last knows best.
        self._by_host[clock.host] = clock

    def _forget(self, publisher: str) -> None:
        self._left.pop(publisher, None)
        clock = self._clocks.pop(publisher)
        if self._by_host.get(clock.host) is clock:
            del self._by_host[clock.host]

    def _was_set(self, clock: _Clock, age: float, now: float) -> bool:
        """Return whether all were old for a window, though they came at the pace of sending."""
        if age <= self._window:
            return False  # only from before a thaw
        if abs(age - clock.old_age) > EVEN * self._window:
            clock.old_age, clock.old_since = age, now
        return now - clock.old_since >= self._window
