# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Commands that got no answer, and when they count as answered (R7).

A command that timed out may still wait for a lock in the machine and run later. In viam-server
``GetSessions`` takes the same lock: once such a call, sent past the command's deadline, was
answered, the command had its turn, and one second on it counts as answered. Where the machine
does not implement that call, ten seconds past the deadline have to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from viam_session_bridge.machine.calls import Outcome
from viam_session_bridge.machine.earliest import earliest
from viam_session_bridge.machine.pause import Pause

SETTLED_AFTER_PROBE = 1.0  # s
SETTLED_WITHOUT_PROBE = 10.0  # s
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, between two probes without an answer


@dataclass
class _Lost:
    deadline: float
    settled_at: float | None = None


class Unanswered:
    """The unanswered commands of one base. True while there are any."""

    def __init__(self) -> None:
        self._lost: list[_Lost] = []

    def __bool__(self) -> bool:
        return bool(self._lost)

    def add(self, deadline: float) -> None:
        """Take that a command with this deadline got no answer."""
        self._lost.append(_Lost(deadline))

    def probe_due(self) -> float | None:
        """Return from when on a ``GetSessions`` would tell, None where none is needed."""
        return min((lost.deadline for lost in self._lost if lost.settled_at is None), default=None)

    def probed(self, sent_at: float, implemented: bool, now: float) -> None:
        """Take the answer of a ``GetSessions`` that was handed over at ``sent_at``."""
        for lost in self._lost:
            if lost.settled_at is None and lost.deadline <= sent_at:
                lost.settled_at = (
                    now + SETTLED_AFTER_PROBE
                    if implemented
                    else lost.deadline + SETTLED_WITHOUT_PROBE
                )

    def next_settled(self) -> float | None:
        """Return when the next one counts as answered, as far as known."""
        return earliest(lost.settled_at for lost in self._lost)

    def settle(self, now: float) -> bool:
        """Drop those that count as answered by now; return whether that emptied the list."""
        if not self._lost:
            return False
        self._lost = [
            lost for lost in self._lost if lost.settled_at is None or lost.settled_at > now
        ]
        return not self._lost


class Probe:
    """The ``GetSessions`` calls of one machine that settle its unanswered commands."""

    def __init__(self) -> None:
        self._out = False
        self._sent_at = 0.0
        self._not_before = 0.0
        self._pause = Pause(FIRST_PAUSE, LONGEST_PAUSE)

    def due_at(self, bases: Iterable[Unanswered]) -> float | None:
        """Return when a probe is to be handed over, None while none is needed or one is out."""
        if self._out:
            return None
        wanted = [due for due in (base.probe_due() for base in bases) if due is not None]
        return max(min(wanted), self._not_before) if wanted else None

    def sent(self, now: float) -> None:
        """Take that a probe is handed over."""
        self._out, self._sent_at = True, now

    def answered(self, outcome: Outcome, bases: Iterable[Unanswered], now: float) -> None:
        """Take the answer of the probe that is out."""
        self._out = False
        if outcome in (Outcome.OK, Outcome.UNIMPLEMENTED):
            self._pause.reset()
            for base in bases:
                base.probed(self._sent_at, outcome is Outcome.OK, now)
        else:
            self._not_before = now + self._pause.take()
