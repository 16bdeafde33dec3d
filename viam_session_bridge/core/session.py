# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""One session: its signs of life, and the deadline that follows from them (R3, R4)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from viam_session_bridge.configuration.model import SessionsMode

LEAST_LATE = 0.02  # s


def tolerated_lateness(window: float) -> float:
    """
    Return by how many seconds the receiving side may be late before it discards (R2).

    A bridge that was frozen for longer must not act on what a publisher, dead by now, once said.
    """
    return max(window / 2, LEAST_LATE)


@dataclass
class Session:
    """
    The time a client is connected.

    :param number: unique while the node lives, from 1
    :param started: s, steady
    :param sign: when the client's own node last gave a sign of life
    :param heartbeat: when a heartbeat of anyone's last came for the client
    :param last_used: the bases that this session is the last user of
    :param commands: how many were accepted
    :param refusals: how many were refused, by reason
    """

    number: int
    client: str
    mode: SessionsMode
    started: float
    sign: float
    heartbeat: float
    last_used: set[str] = field(default_factory=set)
    commands: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    def deadline(self, window: float) -> float:
        """Return when this session lapses; it is active exactly while that is ahead (R4)."""
        if self.mode is SessionsMode.MANUAL:
            return min(self.sign, self.heartbeat) + window
        return self.sign + window
