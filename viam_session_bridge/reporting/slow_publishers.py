# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers that are slower than the window, so that each of their commands ends in a lapse.

Measured by their own signs of life: the pause is the time from the last sign of one session to
the start of the client's next. It is a publisher's period, and not a pause that it makes, where
the sessions have no command but one, or commands just as far apart; where it comes back within a
few windows; and where all that holds several times in a row with much the same pause. A teleop
that is let go, keys that are pressed now and then, a tap on a joystick (a motion and a zero right
behind it) and a key that is held (its repeats come fast, after the first) are not that. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from statistics import fmean

from viam_session_bridge.core.actions import Cause, SessionEnded, SessionStarted

FEW = 4.0  # windows: who stays away for longer has paused
IN_A_ROW = 6  # pauses
EVEN = 1.25  # times the shortest, at most, is the longest: a timer, and no hand
APART = 0.5  # windows, at least, between the commands of a session that has several
CLIENTS_KEPT = 256


@dataclass(frozen=True)
class Slow:
    """A client whose period, in s, is longer than the window."""

    client: str
    period: float


@dataclass
class _Run:
    silent_since: float | None
    pauses: list[float]


class SlowPublishers:
    """Watches the sessions of all clients."""

    def __init__(self) -> None:
        """Start with no client known."""
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def ended(self, event: SessionEnded, window: float) -> None:
        """Take the end of a session."""
        one_by_one = event.commands == 1 or (
            event.commands > 1
            and event.sign - event.started >= APART * window * (event.commands - 1)
        )
        if event.cause is not Cause.LAPSE or not one_by_one:
            self._runs.pop(event.client, None)
            return
        run = self._runs.setdefault(event.client, _Run(None, []))
        run.silent_since = event.sign
        self._runs.move_to_end(event.client)
        while len(self._runs) > CLIENTS_KEPT:
            self._runs.popitem(last=False)

    def started(self, event: SessionStarted, window: float) -> Slow | None:
        """Take the start of a session; return what is wrong, each time as long as it goes on."""
        run = self._runs.get(event.client)
        if run is None or run.silent_since is None:
            return None
        pause, run.silent_since = event.at - run.silent_since, None
        if pause > FEW * window:
            del self._runs[event.client]
            return None
        run.pauses = [*run.pauses[1 - IN_A_ROW :], pause]
        if len(run.pauses) < IN_A_ROW or max(run.pauses) > EVEN * min(run.pauses):
            return None
        return Slow(event.client, fmean(run.pauses))
