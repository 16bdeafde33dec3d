# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether a base really stands still once its stop is final (R20).

A tenth of a second after a final stop the base is asked, unless somebody commanded it since;
after a command timed out each second for a minute, for such a command may run very late. Pure:
time is handed in, calls are named by numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

FIRST_AFTER = 0.1  # s after the final stop
AGAIN_AFTER = 1.0  # s, after a command timed out
AGAIN_FOR = 60.0  # s


class Finding(Enum):
    """What an answer to the question means."""

    FINE = 'it stands still, or nobody can tell'
    MOVES = 'it moves, and no command of ours can be why'
    SUSPECT = 'it moves, and a command of ours that timed out may be why'


class _Base:
    """The questions about one base."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self.call: int | None = None
        self.distrusted = False  # a command timed out before this stop
        self.until = 0.0


class Verifying:
    """The questions about the bases of one machine."""

    def __init__(self, bases: Iterable[str]) -> None:
        """Start with nothing to ask."""
        self._bases = {base: _Base() for base in bases}

    def final(self, base: str, timed_out: bool, now: float) -> None:
        """
        Take that a stop is final.

        :param timed_out: whether a command to the base timed out since the final stop before
        """
        asking = self._bases[base]
        if timed_out:
            asking.distrusted, asking.until = True, now + AGAIN_FOR
        asking.due_at = now + FIRST_AFTER

    def commanded(self, base: str) -> None:
        """Take that somebody commands the base: there is nothing to verify."""
        asking = self._bases[base]
        asking.due_at = asking.call = None
        asking.distrusted = False

    def end(self) -> None:
        """Ask no more."""
        for base in self._bases:
            self.commanded(base)

    def due(self, now: float) -> list[str]:
        """Return the bases to ask now."""
        asking = self._bases.items()
        return [base for base, one in asking if one.due_at is not None and one.due_at <= now]

    def next_deadline(self) -> float | None:
        """Return when to ask next."""
        times = (asking.due_at for asking in self._bases.values())
        return min((at for at in times if at is not None), default=None)

    def asked(self, base: str, number: int) -> None:
        """Take that the question is handed over."""
        self._bases[base].due_at, self._bases[base].call = None, number

    def answered(self, base: str, number: int, moving: bool, now: float) -> Finding:
        """Take an answer, or its absence as not moving, and say what it means."""
        asking = self._bases[base]
        if number != asking.call:
            return Finding.FINE  # somebody commands the base by now
        asking.call = None
        if asking.distrusted and now < asking.until:
            asking.due_at = now + AGAIN_AFTER
            return Finding.SUSPECT if moving else Finding.FINE
        asking.distrusted = False
        return Finding.MOVES if moving else Finding.FINE
