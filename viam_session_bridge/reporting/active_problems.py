# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is wrong at present, for ``/diagnostics``, and when the log gets a line about it. Pure.

A problem has the name of its status (the bridge's own, a machine's or a base's), a kind, and a
subject that tells problems of one kind apart. It is active until it is resolved, or not confirmed
for a while. One thread reports and resolves; any may read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

BRIDGE = 'bridge'  # the status of what is wrong with neither a machine nor a base
KEPT = 64  # problems of a kind, for a hostile publisher may make as many as it likes
LOGGED_EVERY = 60.0  # s, while it is active
SHOWN = 3  # lines of one status


def at_machine(name: str) -> str:
    """Return the name of a machine's status."""
    return f'machine {name}'


def at_base(name: str) -> str:
    """Return the name of a base's status."""
    return f'base {name}'


@dataclass
class _Problem:
    line: str
    until: float
    logged: float
    error: bool


class ActiveProblems:
    """All problems that are active, the oldest first."""

    def __init__(self) -> None:
        """Start with none."""
        self._all: dict[tuple[str, str, str], _Problem] = {}

    def report(
        self,
        status_name: str,
        kind: str,
        line: str,
        now: float,
        *,
        subject: str = '',
        lasts: float = math.inf,
        error: bool = False,
    ) -> bool:
        """
        Begin or confirm a problem; return whether its line is due in the log.

        :param lasts: s that it is active without being confirmed
        :param error: whether that machine or base is of no use meanwhile
        """
        key = status_name, kind, subject
        problem = self._all.get(key)
        if problem is None:
            self._forget(kind, now)
            problem = self._all[key] = _Problem(line, now + lasts, -math.inf, error)
        problem.line, problem.until, problem.error = line, now + lasts, error
        if now < problem.logged + LOGGED_EVERY:
            return False
        problem.logged = now
        return True

    def resolve(self, status_name: str, *kinds: str) -> None:
        """End the problems of these kinds of a status, or all of them where no kind is named."""
        for key, problem in self._all.items():
            if key[0] == status_name and (not kinds or key[1] in kinds):
                problem.until = -math.inf

    def is_active(self, status_name: str, kind: str, now: float) -> bool:
        """Return whether there is a problem of a kind in a status."""
        problem = self._all.get((status_name, kind, ''))
        return problem is not None and problem.until > now

    def lines(self, status_name: str, now: float) -> list[str]:
        """Return the first lines of a status, and how many more there are."""
        lines = [problem.line for problem in self._at(status_name, now)]
        more = [f'and {len(lines) - SHOWN} more'] if len(lines) > SHOWN else []
        return lines[:SHOWN] + more

    def has_error(self, status_name: str, now: float) -> bool:
        """Return whether a problem of a status is an error."""
        return any(problem.error for problem in self._at(status_name, now))

    def _at(self, status_name: str, now: float) -> Iterator[_Problem]:
        for key, problem in list(self._all.items()):
            if key[0] == status_name and problem.until > now:
                yield problem

    def _forget(self, kind: str, now: float) -> None:
        """Make room: drop what is resolved, but for what was logged a moment ago and may recur."""
        for key, problem in list(self._all.items()):
            if max(problem.until, problem.logged + LOGGED_EVERY) <= now:
                del self._all[key]
        of_kind = [key for key in self._all if key[1] == kind]
        if len(of_kind) >= KEPT:
            del self._all[of_kind[0]]
