# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether a base really stands still once its stop is final (R20).

A tenth of a second after a final stop the base is asked, unless somebody commanded it since;
after a command timed out each second for a minute, for such a command may run very late. Pure:
time is handed in, calls are named by numbers.
"""

from __future__ import annotations

FIRST_AFTER = 0.1  # s after the final stop
AGAIN_AFTER = 1.0  # s, after a command timed out
AGAIN_FOR = 60.0  # s


class Verifying:
    """The questions about one base."""

    def __init__(self) -> None:
        """Start with nothing to ask."""
        self.due_at: float | None = None
        self.distrusted = False  # a command timed out before this stop
        self._until = 0.0
        self._call: int | None = None

    def final(self, timed_out: bool, now: float) -> None:
        """
        Take that a stop is final.

        :param timed_out: whether a command to the base timed out since the final stop before
        """
        if timed_out:
            self.distrusted, self._until = True, now + AGAIN_FOR
        self.due_at = now + FIRST_AFTER

    def commanded(self) -> None:
        """Take that somebody commands the base: there is nothing to verify."""
        self.due_at = self._call = None
        self.distrusted = False

    def asked(self, number: int) -> None:
        """Take that the question is handed over."""
        self.due_at, self._call = None, number

    def answered(self, number: int, now: float) -> bool:
        """Take an answer or its absence; return whether it is that of the current question."""
        if number != self._call:
            return False
        self._call = None
        if self.distrusted and now < self._until:
            self.due_at = now + AGAIN_AFTER
        else:
            self.distrusted = False
        return True
