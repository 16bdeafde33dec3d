# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Which of its bases a machine does not have.

It is asked at each connect, and again while it lacks one. viam-server opens its port before its
bases are made, and those of modules take a while: one is reported as missing once the machine says
that it has tried all, or where it does not say so, as old ones, after half a minute.
"""

from __future__ import annotations

import math
import re

from viam_session_bridge.core.events import BaseKnown, BaseUnknown
from viam_session_bridge.core.requests import (
    Answer,
    GetMachineStatus,
    ListBases,
    Outcome,
    RequestQueue,
)
from viam_session_bridge.core.timing import Backoff, NEVER

LISTED_WITHIN = 5.0  # s: nothing waits for the answer
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # s, between two questions
MISSING_AFTER = 30.0  # s, where the machine does not say that it has tried all
REPORTED_AGAIN_AFTER = 60.0  # s, while it is missing

# viam-server's words, of one version or another, with UNKNOWN for a status; a main part passes on
# those of a sub-part with a prefix.
_UNKNOWN_BASE = re.compile(
    r'[A-Z_]+: (rpc error: code = \w+ desc = )*'
    r'(no node found with api rdk:component:base and name \S.*'
    r'|resource "rdk:component:base/[^"]+" not found)'
)


def is_unknown_base(answer: Answer) -> bool:
    """
    Return whether a machine answered that it does not know the base that the call was for.

    A NOT_FOUND of a module's own code says nothing of the kind.
    """
    return answer.outcome is Outcome.FAILED and bool(_UNKNOWN_BASE.fullmatch(answer.detail))


class MissingBases:
    """The bases that one machine lacks."""

    def __init__(self, queue: RequestQueue) -> None:
        """Start disconnected."""
        self._queue = queue
        self._ask_at = NEVER
        self._asked: int | None = None  # the question that is open
        self._by_status = True  # whether the machine has a status
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self.known: set[str] = set()  # those that took a call, whatever is listed
        self._since: dict[str, float] = {}  # since when each is missing
        self._reported_at: dict[str, float] = {}

    def channel(self, ready: bool, now: float) -> None:
        """Begin anew with a machine that can now be asked, or no longer can."""
        self._ask_at, self._asked, self._by_status = (now if ready else NEVER), None, True
        self.known, self._since = set(), {}
        self._backoff.reset()

    def answered(self, base: str, answer: Answer, now: float) -> list[BaseKnown]:
        """Handle the answer of a command or a stop."""
        if answer.outcome is Outcome.OK:
            if base in self.known:
                return []
            self.known.add(base)
            self._since.pop(base, None)
            return self._found(base, now)
        if base not in self._since and is_unknown_base(answer):
            self._since[base] = now
            self.known.discard(base)
            if self._asked is None:
                self._ask_at = now
        return []

    def ask(self, now: float) -> float:
        """Ask if that is due; return when to call this next."""
        if self._ask_at <= now:
            self._ask_at = NEVER
            question = GetMachineStatus() if self._by_status else ListBases()
            self._asked = self._queue.call(question, LISTED_WITHIN)
        return self._ask_at

    def listed(self, number: int, answer: Answer, now: float) -> list[BaseKnown | BaseUnknown]:
        """Handle the answer to a question, and return what it says that is new."""
        if number != self._asked:
            return []  # of a connection that is no more
        self._asked = None
        if answer.listed is None:
            if answer.outcome is Outcome.UNIMPLEMENTED and self._by_status:
                self._by_status, self._ask_at = False, now
            else:
                self._ask_at = now + self._backoff.take()
            return []
        listed, events = answer.listed, list[BaseKnown | BaseUnknown]()
        self._since = {
            base: self._since.get(base, now)
            for base in listed.lacking if base not in self.known
        }  # fmt: skip
        for base in self._reported_at.keys() - self._since.keys():
            events += self._found(base, now)
        for base in self._since:
            detail = listed.lacking[base]
            if not listed.complete and now < self._since[base] + MISSING_AFTER:
                continue
            if now >= self._reported_at.get(base, -math.inf) + REPORTED_AGAIN_AFTER:
                self._reported_at[base] = now
                events.append(BaseUnknown(base, listed.bases, detail, now))
        if self._since:
            self._ask_at = now + self._backoff.take()
        else:
            self._backoff.reset()
        return events

    def _found(self, base: str, now: float) -> list[BaseKnown]:
        return [BaseKnown(base, now)] if self._reported_at.pop(base, None) is not None else []
