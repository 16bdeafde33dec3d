# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests read off a base's record, and how they wait for it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
import math
import time
from typing import Any

from support.bounds import AT_ONCE, EARLY, LATE, LEFT, Load, PATIENCE
from support.bridge_process import CALL_TIMEOUT, WINDOW
from support.domains import ZENOH
from support.publisher_process import PublisherProcess
from support.record import Entry, lines_of, Record

_POLL = 0.005  # s
_OVERTAKING = 0.005  # s, between the beginnings of two that changed places
_CANCELLED = 'context canceled'  # how the real viam-server's recording base ends such a call
_TIMES_OUT = CALL_TIMEOUT / 2  # s, of a stall, on both sides of a call
_OF_BEFORE = 0.05  # s, of what is told where a bound was missed
_HANGS = 0.1  # s that a call of a base takes at most, unless it hangs

DEATH = 'left' if ZENOH else 'lapse'
"""Why the session of a publisher that was killed ends: DDS shows it much later."""


class Drive:
    """
    One base, as its machine recorded it; it is stopped when its Stop has taken effect.

    What was recorded before `load` began belongs to another test, or to this one's first run.

    :param stop_takes: s that a Stop takes at the base: all that a stop may come later for
    :param late: s after a window's end that a stop may come, on an idle computer
    """

    def __init__(
        self,
        record: Record,
        base: str,
        load: Load,
        stop_takes: float = 0.0,
        late: float = LATE,
    ) -> None:
        self.base = base
        self.stop_takes = stop_takes
        self._record = record
        self._load = load
        self._late = late

    def calls(self, since: float = 0.0) -> list[Entry]:
        """Return what reached the base, both ends of each call."""
        since = max(since, self._load.begun)
        return [entry for entry in self._record.calls(self.base) if entry.t >= since]

    def motions(self, since: float = 0.0) -> list[Entry]:
        """Return the nonzero commands that reached the base, as they began."""
        return [e for e in self.calls(since) if e.is_motion and e.phase == 'begin']

    def stops(self, since: float = 0.0) -> list[Entry]:
        """Return the stops that took effect; a zero velocity is none."""
        return [e for e in self.calls(since) if e.call == 'stop' and e.takes_effect]

    @property
    def moving(self) -> bool:
        """Whether the base moves now."""
        return self._record.moving(self.base)

    def wait_driven(
        self,
        since: float = 0.0,
        times: int = 5,
        forward: float | None = None,
        timeout: float = PATIENCE,
    ) -> list[Entry]:
        """Wait for so many motions (with that m/s forward, where given); return them."""

        def fitting(_: list[Entry]) -> list[Entry]:
            return [
                motion
                for motion in self.motions(since)
                if forward is None or (motion.linear or (0.0, 0.0, 0.0))[1] == 1000.0 * forward
            ]

        self._record.wait_for(
            lambda entries: len(fitting(entries)) >= times, timeout, f'{self.base} is driven'
        )
        return fitting([])

    def wait_stopped(self, since: float, timeout: float = PATIENCE) -> Entry:
        """
        Wait for the first stop at `since` or later that took effect, and return it.

        A Stop under way is left to end; only one that went out beside a command is cancelled by
        the next (R7), which it may overtake on its way and so cancel. Unlike the time to rest that
        shows on a busy computer as well.
        """
        self._record.wait_for(lambda _: self.stops(since), timeout, f'{self.base} is stopped')
        stop = self.stops(since)[0]
        calls = [entry for entry in self.calls(since) if entry.call == 'stop' and entry.t < stop.t]
        cancelled = [entry for entry in calls if entry.error == _CANCELLED]
        begun = [entry.t for entry in calls if entry.phase == 'begin']
        overtook = any(self._may_overtake(*two) for two in pairwise(begun))
        why = f'{self.base} got Stops that cancel each other: {calls}'
        assert len(cancelled) <= 1 + overtook, why
        return stop

    def _may_overtake(self, first: float, second: float) -> bool:
        """Whether two calls that began at these times may have been handed over the other way."""
        load = self._load.between(first - _OVERTAKING, second)
        return second - first < _OVERTAKING + load

    def wait_hanging(self) -> Entry:
        """Wait until a command has begun that does not end, and return its beginning."""

        def hanging() -> Entry | None:
            begun: Entry | None = None
            for entry in self.calls():
                if entry.is_motion:
                    begun = entry if entry.phase == 'begin' else None
            return begun if begun is not None and begun.t <= time.monotonic() - _HANGS else None

        found = wait_for(hanging, f'a command of {self.base} hangs')
        assert isinstance(found, Entry)
        return found

    def stopped_one_window_after(self, sent: tuple[float, float], window: float = WINDOW) -> Entry:
        """
        Wait for the stop and hold it to a window after the last sign of life.

        :param sent: the bounds of when that left, as of `PublisherProcess.last_sent`
        """
        stop = self.wait_stopped(sent[0])
        window += self.stop_takes
        if stop.t - sent[0] < window - EARLY:
            took = f'{stop.t - sent[0]:.4f} s after the last sign of life'
            raise self._stopped_for_nothing(sent[0], stop.t, f'was stopped {took}')
        self._hold(stop.t - sent[1], window + self._late, sent[0], stop)
        return stop

    def stopped_by_its_machine(self, since: float, window: float) -> Entry:
        """
        Wait for a stop, and hold it to the machine's window after the last motion that it got.

        That may have begun later, by no more than the load that was measured before it.
        """
        self.wait_stopped(since)
        began = self.motions()[-1].t
        reached = began - self._load.between(began - CALL_TIMEOUT, began)
        return self.stopped_one_window_after((reached, began), window)

    def stopped_after_kill(
        self, publisher: PublisherProcess, topic: str, window: float = WINDOW
    ) -> Entry:
        """Kill a publisher, and hold the stop to when it is due, see `stops_after_kill`."""
        (stop,) = stops_after_kill(publisher, topic, self, window=window)
        return stop

    def stopped_within(self, since: float, seconds: float = AT_ONCE) -> Entry:
        """Wait for the stop and hold it to so many seconds after `since`."""
        stop = self.wait_stopped(since)
        self._hold(stop.t - since, seconds + self.stop_takes, since, stop)
        return stop

    def not_stopped(self, since: float, until: float | None = None) -> None:
        """Assert that no stop reached the base, nor a zero, in a time that is over."""
        until = time.monotonic() if until is None else until
        halts = [
            entry
            for entry in self.calls(since)
            if entry.t < until
            and (entry.call == 'stop' or (entry.linear is not None and not entry.is_motion))
        ]
        if halts:
            raise self._stopped_for_nothing(
                since, until, f'was not to be stopped:\n{lines_of(halts)}'
            )

    def keeps_moving(self, since: float, seconds: float) -> None:
        """Watch for so many seconds that nothing stops the base; it was told to move before."""
        # Its first motion may have begun, and not have taken effect yet.
        wait_for(lambda: self.moving or not self._under_way(), f'a call of {self.base} ends')
        self._moves(since)
        observe(seconds, lambda: self.not_stopped(since))
        self._moves(since)

    def _moves(self, since: float) -> None:
        moving = self.moving
        self.not_stopped(since)  # before: a stop by a stall is a missed bound
        assert moving, f'{self.base} does not move'

    def _under_way(self) -> bool:
        """Whether a motion has begun that has not ended."""
        phases = [entry.phase for entry in self.calls() if entry.is_motion]
        return phases.count('begin') > phases.count('end')

    def _stopped_for_nothing(self, since: float, until: float, how: str) -> AssertionError:
        """Return the error for a stop that was not due, or not yet."""
        # R10: a command that a stall holds up for `call_timeout` is followed by a stop.
        return self._load.failure(f'{self.base} {how}', since - CALL_TIMEOUT, until, _TIMES_OUT)

    def stands_still(self, since: float, seconds: float = WINDOW) -> None:
        """
        Watch for so many seconds that no motion reaches the base; none did from `since` on.

        But see :meth:`_not_driven`.
        """
        observe(seconds, lambda: self._not_driven(since, math.inf))
        for late in self.motions(since):
            self.stopped_within(late.t)
        assert not self.moving, f'{self.base} moves'

    def wait_driven_again(self, stopped: float, resumed: float) -> Entry:
        """Wait for motions at `resumed` or later; return the first, of which none came before."""
        again = self.wait_driven(resumed)[0]
        self._not_driven(stopped, resumed)
        return again

    def _hold(self, took: float, bound: float, since: float, stop: Entry) -> None:
        """Hold a stop to its bound, see `Load.hold`; name the calls around it if that fails."""
        calls = [entry for entry in self.calls(since - _OF_BEFORE) if entry.t <= stop.t]
        what = f'the stop of {self.base}, which got\n{lines_of(calls)}\n,'
        self._load.hold(took, bound, since, stop.t, what)

    def _not_driven(self, since: float, until: float) -> None:
        """
        Assert that no motion reached the base in that time.

        On a busy computer the command that was in flight (one at most, R14) may come after the
        Stop, by no more than the load that was measured around it; it is stopped then (R7).
        """
        motions = [motion for motion in self.motions(since) if motion.t < until]
        in_flight = since + self._load.between(since - WINDOW, since + WINDOW)
        early_enough = len(motions) <= 1 and all(motion.t <= in_flight for motion in motions)
        assert early_enough, f'{self.base} was not to move: {motions}'


def observe(seconds: float, check: Callable[[], Any]) -> None:
    """Check again and again for so many seconds, the last time at their end."""
    deadline = time.monotonic() + seconds
    while True:
        over = time.monotonic() >= deadline
        check()
        if over:
            return
        time.sleep(_POLL)


def wait_for(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Wait until a condition holds and return what it returned."""
    deadline = time.monotonic() + timeout
    while not (held := condition()):
        assert time.monotonic() < deadline, f'not within {timeout:.3f} s: {what}'
        time.sleep(_POLL)
    return held


def freeze(publisher: PublisherProcess, topic: str) -> tuple[float, float]:
    """Freeze a publisher, so that it lapses, and return when its last message left, as bounds."""
    publisher.pause()
    return publisher.last_sent(topic)


def stops_after_kill(
    publisher: PublisherProcess, topic: str, *bases: Drive, window: float = WINDOW
) -> list[Entry]:
    """Kill a publisher, and hold the bases' stops to a window; Zenoh's come at once (R2)."""
    killed = time.monotonic()
    sent = kill(publisher, topic)
    if ZENOH:
        return [base.stopped_within(killed, LEFT) for base in bases]
    return [base.stopped_one_window_after(sent, window) for base in bases]


def kill(publisher: PublisherProcess, topic: str) -> tuple[float, float]:
    """Kill a publisher and return when its last message left, as bounds."""
    publisher.kill()
    return publisher.last_sent(topic)
