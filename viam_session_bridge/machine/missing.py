# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Which bases a machine has, asked when it does not know one that it was told to move or to stop.

A name that is mistyped is a call that fails: what helps is the names there are. Pure.
"""

from __future__ import annotations

import re

from viam_session_bridge.machine.calls import Answer, ListBases, Outcome
from viam_session_bridge.machine.happened import BaseKnown, BaseUnknown
from viam_session_bridge.machine.outbox import Outbox

ASKED_AGAIN_AFTER = 60.0  # s, while it still does not know the base
# viam-server's words (1.3.0: "no node found with api rdk:component:base and name X"), with
# UNKNOWN; other versions and modules have a status or the second wording for it.
_NOT_FOUND = re.compile(
    r'NOT_FOUND: '
    r'|.*no node found with api rdk:component:base\b'
    r'|.*resource \S*\brdk:component:base/\S+ not found'
)


class Missing:
    """The bases of one machine that it does not know."""

    def __init__(self, outbox: Outbox) -> None:
        """Start with none."""
        self._outbox = outbox
        self.ask_at: dict[str, float] = {}  # of those it does not know; s, steady

    def answered(self, base: str, answer: Answer, now: float) -> list[BaseKnown]:
        """Take the answer of a command or a stop, and ask for the bases where that helps."""
        if answer.outcome is Outcome.OK:
            if base in self.ask_at:
                del self.ask_at[base]
                return [BaseKnown(base, now)]
        elif (
            answer.outcome is Outcome.FAILED
            and now >= self.ask_at.get(base, now)
            and _NOT_FOUND.match(answer.detail)
        ):
            self.ask_at[base] = now + ASKED_AGAIN_AFTER
            self._outbox.call(ListBases(base))
        return []

    def listed(self, base: str, answer: Answer, now: float) -> list[BaseUnknown]:
        """Take which bases there are."""
        if base in self.ask_at and answer.outcome is Outcome.OK:
            return [BaseUnknown(base, answer.bases, now)]
        return []


def is_unknown_base(answer: Answer) -> bool:
    """Whether a machine says of a base's call that it knows no such base."""
    return answer.outcome is Outcome.FAILED and bool(_NOT_FOUND.match(answer.detail))
