# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is wrong at present, for ``/diagnostics``, and when the log is to be told of it.

Pure. A problem has a place (the bridge itself, a machine or a base), a kind, and what it is about,
which tells problems of one kind apart. It stands until it is over, or not confirmed for a while.
One thread tells what is wrong; any may ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

BRIDGE = 'bridge'  # the place of what is wrong with neither a machine nor a base
KEPT = 64  # problems of a kind, for a hostile publisher may make as many as it likes
TOLD_AGAIN_AFTER = 60.0  # s, while it stands
SHOWN = 3  # lines at one place
NAME_SHOWN = 128  # characters
WORDS_SHOWN = 300  # characters


def at_machine(name: str) -> str:
    """Return the place of what is wrong with a machine."""
    return f'machine {name}'


def at_base(name: str) -> str:
    """Return the place of what is wrong with a base."""
    return f'base {name}'


def shown(name: str, most: int = NAME_SHOWN) -> str:
    """Return a name of somebody else's as it may be put into a line, whatever it is made of."""
    more = '...' if len(name) > most else ''
    return ''.join(one if one.isprintable() else '?' for one in name[:most]) + more


def words(detail: str) -> str:
    """Return a machine's words as they may be put into a line."""
    return shown(' '.join(detail[: 2 * WORDS_SHOWN].split()), WORDS_SHOWN)


@dataclass
class _Problem:
    line: str
    until: float
    told: float
    error: bool


class Problems:
    """All that stand, the oldest first."""

    def __init__(self) -> None:
        """Start with none."""
        self._all: dict[tuple[str, str, str], _Problem] = {}

    def stands(
        self,
        place: str,
        kind: str,
        line: str,
        now: float,
        *,
        about: str = '',
        lasts: float = math.inf,
        error: bool = False,
    ) -> bool:
        """
        Take that something is wrong; return whether the log is to be told.

        :param lasts: s that it stands without being confirmed
        :param error: whether what it is about is of no use meanwhile
        """
        key = place, kind, about
        problem = self._all.get(key)
        if problem is None:
            self._forget(kind, now)
            problem = self._all[key] = _Problem(line, now + lasts, -math.inf, error)
        problem.line, problem.until, problem.error = line, now + lasts, error
        if now < problem.told + TOLD_AGAIN_AFTER:
            return False
        problem.told = now
        return True

    def over(self, place: str, *kinds: str) -> None:
        """Take that problems of these kinds (of any, where none is named) are over."""
        for key, problem in self._all.items():
            if key[0] == place and (not kinds or key[1] in kinds):
                problem.until = -math.inf

    def lines(self, place: str, now: float) -> list[str]:
        """Return what stands at a place, and how many more there are."""
        lines = [
            problem.line
            for key, problem in list(self._all.items())
            if key[0] == place and problem.until > now
        ]
        more = [f'and {len(lines) - SHOWN} more'] if len(lines) > SHOWN else []
        return lines[:SHOWN] + more

    def has_error(self, place: str, now: float) -> bool:
        """Tell whether something stands at a place that is an error."""
        return any(
            problem.error
            for key, problem in list(self._all.items())
            if key[0] == place and problem.until > now
        )

    def _forget(self, kind: str, now: float) -> None:
        """Make room: what is over goes, but for what was told a moment ago and may come back."""
        for key, problem in list(self._all.items()):
            if max(problem.until, problem.told + TOLD_AGAIN_AFTER) <= now:
                del self._all[key]
        of_kind = [key for key in self._all if key[1] == kind]
        if len(of_kind) >= KEPT:
            del self._all[of_kind[0]]
