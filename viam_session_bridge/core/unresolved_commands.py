# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R7, *Unanswered*: commands that got no answer, and when they count as answered.

A command that timed out may still wait for a lock in the machine and run later. In viam-server
``GetSessions`` takes the same lock: once such a call, sent past the command's deadline, was
answered, the command had its turn, and one second on it counts as answered. Where the machine
does not implement that call, ten seconds past the deadline have to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from viam_session_bridge.core.requests import GetSessions, Outcome, RequestQueue
from viam_session_bridge.core.timing import Backoff, NEVER

SETTLED_AFTER_PROBE = 1.0  # s
SETTLED_WITHOUT_PROBE = 10.0  # s
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, between two probes without an answer

UNANSWERED = (Outcome.TIMED_OUT, Outcome.CUT, Outcome.CANCELLED)
"""Answered so, a command may run on in a module or behind a lock."""


class UnresolvedCommands:
    """
    The unanswered commands of one base.

    All count as answered when the one with the latest deadline does, at ``settled_at``.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.exist = False
        self.settled_at = NEVER
        self._deadline = 0.0  # the latest

    def add(self, deadline: float) -> None:
        """Add a command with this deadline that got no answer."""
        self._deadline = max(self._deadline, deadline)
        self.exist, self.settled_at = True, NEVER

    def probe_due(self) -> float:
        """Return the time from which on an answered ``GetSessions`` would settle them."""
        return self._deadline if self.exist and self.settled_at == NEVER else NEVER

    def probed(self, sent_at: float, implemented: bool, now: float) -> None:
        """Apply the answer of a ``GetSessions`` that was handed over at ``sent_at``."""
        if sent_at >= self.probe_due():
            without_probe = self._deadline + SETTLED_WITHOUT_PROBE
            self.settled_at = now + SETTLED_AFTER_PROBE if implemented else without_probe

    def settle(self, now: float) -> bool:
        """Forget them if all count as answered by now; return whether that is so."""
        if now < self.settled_at:
            return False
        self.exist, self.settled_at = False, NEVER
        return True


class Probe:
    """The ``GetSessions`` calls of one machine that settle the unanswered commands there."""

    def __init__(self, bases: Sequence[UnresolvedCommands], queue: RequestQueue) -> None:
        """Start with none under way; ``bases``: of every base of the machine."""
        self._bases = bases
        self._queue = queue
        self._out = False
        self._sent_at = 0.0
        self._not_before = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    def ask(self, now: float) -> float:
        """Hand over a probe if that is due; return when to call this next."""
        if self._out:
            return NEVER
        wanted = min((base.probe_due() for base in self._bases), default=NEVER)
        due_at = max(wanted, self._not_before)
        if due_at > now:
            return due_at
        self._out, self._sent_at = True, now
        self._queue.call(GetSessions())
        return NEVER

    def answered(self, outcome: Outcome, now: float) -> None:
        """Apply the answer of the probe that is out."""
        self._out = False
        if outcome in (Outcome.OK, Outcome.UNIMPLEMENTED):
            self._backoff.reset()
            for base in self._bases:
                base.probed(self._sent_at, outcome is Outcome.OK, now)
        else:
            self._not_before = now + self._backoff.take()
