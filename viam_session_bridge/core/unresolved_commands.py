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

from viam_session_bridge.core.backoff import Backoff
from viam_session_bridge.core.requests import Outcome

SETTLED_AFTER_PROBE = 1.0  # s
SETTLED_WITHOUT_PROBE = 10.0  # s
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, between two probes without an answer


class UnresolvedCommands:
    """
    The unanswered commands of one base. True while there are any.

    All count as answered when the one with the latest deadline does.
    """

    def __init__(self) -> None:
        self._deadline: float | None = None  # the latest
        self._settled_at: float | None = None

    def __bool__(self) -> bool:
        return self._deadline is not None

    def add(self, deadline: float) -> None:
        """Take that a command with this deadline got no answer."""
        if self._deadline is None or self._deadline < deadline:
            self._deadline = deadline
        self._settled_at = None

    def probe_due(self) -> float | None:
        """Return from when on a ``GetSessions`` would tell, None where none is needed."""
        return self._deadline if self._settled_at is None else None

    def probed(self, sent_at: float, implemented: bool, now: float) -> None:
        """Take the answer of a ``GetSessions`` that was handed over at ``sent_at``."""
        deadline = self._deadline
        if deadline is None or self._settled_at is not None or sent_at < deadline:
            return
        without_probe = deadline + SETTLED_WITHOUT_PROBE
        self._settled_at = now + SETTLED_AFTER_PROBE if implemented else without_probe

    def next_settled(self) -> float | None:
        """Return when all count as answered, as far as known."""
        return self._settled_at

    def settle(self, now: float) -> bool:
        """Return whether all count as answered since this was last asked."""
        if self._settled_at is None or now < self._settled_at:
            return False
        self._deadline = self._settled_at = None
        return True


class Probe:
    """The ``GetSessions`` calls of one machine that settle its unanswered commands."""

    def __init__(self) -> None:
        self._out = False
        self._sent_at = 0.0
        self._not_before = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    def due_at(self, bases: Iterable[UnresolvedCommands]) -> float | None:
        """Return when a probe is to be handed over, None while none is needed or one is out."""
        if self._out:
            return None
        wanted = [due for due in (base.probe_due() for base in bases) if due is not None]
        return max(min(wanted), self._not_before) if wanted else None

    def sent(self, now: float) -> None:
        """Take that a probe is handed over."""
        self._out, self._sent_at = True, now

    def answered(self, outcome: Outcome, bases: Iterable[UnresolvedCommands], now: float) -> None:
        """Take the answer of the probe that is out."""
        self._out = False
        if outcome in (Outcome.OK, Outcome.UNIMPLEMENTED):
            self._backoff.reset()
            for base in bases:
                base.probed(self._sent_at, outcome is Outcome.OK, now)
        else:
            self._not_before = now + self._backoff.take()
