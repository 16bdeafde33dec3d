# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Two clients that take turns on one base: each takes it over from the other again and again.

An idle joystick that streams zeros against Nav2, say: by the last-user rule (R5) the base follows
whoever spoke last, so it jerks, and no session lapses. A takeover is no fault, and neither are
several in a row where people or programs hand over; a second of more than two a second is. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
import math

from viam_session_bridge.core.actions import TakenOver

OFTEN = 2.0  # takeovers a second, which nobody makes on purpose
FOR = 1.0  # s that it goes on until it is told
LOOKED_AT = 2.0  # s, over which they are counted
REMEMBERED = 9  # takeovers of a base
TOLD_EVERY = 0.5  # s, while it goes on


@dataclass(frozen=True)
class Turns:
    """Clients that take turns on a base, sorted, and how often a second it changes hands."""

    base: str
    clients: tuple[str, ...]
    rate: float


@dataclass
class _Run:
    since: float
    told: float = -math.inf
    takeovers: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Contention:
    """Watches the takeovers of all bases."""

    def __init__(self) -> None:
        """Start with none."""
        self._runs: dict[str, _Run] = {}

    def going_on(self, base: str, now: float) -> bool:
        """Tell whether it goes on at a base, and was told."""
        run = self._runs.get(base)
        return run is not None and now <= run.told + LOOKED_AT

    def taken_over(self, event: TakenOver) -> Turns | None:
        """Take a takeover; return what is wrong, again and again as long as it goes on."""
        if not event.session or not event.previous:
            return None  # nobody was there to take it from
        run = self._runs.get(event.base)
        if run is None or event.at - run.takeovers[-1][0] > LOOKED_AT / 2:
            run = self._runs[event.base] = _Run(event.at)
        takeovers = run.takeovers
        takeovers.append((event.at, event.client))
        while takeovers[0][0] < event.at - LOOKED_AT:
            takeovers.popleft()
        lasted = event.at - takeovers[0][0]
        rate = (len(takeovers) - 1) / lasted if lasted > 0.0 else 0.0
        if event.at - run.since < FOR or rate <= OFTEN or event.at < run.told + TOLD_EVERY:
            return None
        run.told = event.at
        return Turns(event.base, tuple(sorted({client for _, client in takeovers})), rate)
