# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Deadlines, in s of the steady clock, and the pause before a repetition.

A deadline is a number everywhere: what is due at no time is due ``NEVER``, so that the next of
several is their ``min``.
"""

from __future__ import annotations

from math import inf

NEVER = inf
AT_ONCE = -inf


class Backoff:
    """A pause that doubles each time it is taken, up to the longest."""

    def __init__(self, first: float, longest: float) -> None:
        """Begin with the first; both in s."""
        self._first = first
        self._longest = longest
        self._next = first

    def take(self, longest: float | None = None) -> float:
        """Return the pause to make now, in s; it doubles to ``longest`` where that is given."""
        backoff = self._next
        self._next = max(backoff, min(2 * backoff, self._longest if longest is None else longest))
        return backoff

    def reset(self) -> None:
        """Begin again with the first."""
        self._next = self._first
