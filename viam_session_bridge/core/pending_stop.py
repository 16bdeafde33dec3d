# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is known of a stop while it is not final, and how long a Stop may take (R7).

The state alone: :mod:`viam_session_bridge.core.base_control` decides by it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.backoff import Backoff

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, before a Stop or a question is sent again
LONGEST_TIMEOUT = 60.0  # s
THERE_AND_BACK = 0.05  # s, on top of what a Stop may take at the base
AMPLE = 1.5  # times what the last Stop took: a deadline that is no longer than needed
OVERDUE_AFTER, OVERDUE_AGAIN_AFTER = 5.0, 60.0  # s


@dataclass
class OpenStop:
    """
    A Stop call that is under way.

    :param timeout: s, what it may take at the base
    :param clean: sent after every earlier command to the base was answered
    :param alone: no other call of ours to the base was open beside it, ever
    :param outdated: the connection was lost, or the access, and is back since
    """

    sent_at: float
    timeout: float
    clean: bool
    alone: bool
    outdated: bool = False

    @property
    def deadline(self) -> float:
        """When gRPC gives it up, s."""
        return self.sent_at + (self.timeout + THERE_AND_BACK)


class PendingStop:
    """The stop that a base is in, from the moment it is due until it is final."""

    def __init__(self, stop: Stop, last_call: int) -> None:
        """Begin with a stop that is due at once; ``last_call``: the newest call to the base."""
        self.stop = stop
        self.due_at: float | None = stop.at  # of the next Stop; None: nothing calls for one
        self.watch_at: float | None = None  # whether the base moves is to be asked then
        self.tries = 0
        self.sent_at = float('-inf')  # the newest Stop
        self.fence = last_call  # only a later Stop's acknowledgement counts (R10)
        self.acknowledged = False
        self.motion_after_ack = stop.motion_after_ack
        self.zero_due = self.zero_spent = False
        self.failed = False
        self.detail = ''  # why the last Stop failed, in the machine's words
        self.unknown_since: float | None = None  # the machine knows no such base
        self.overdue_at = stop.at + OVERDUE_AFTER
        self.backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._watch_pause = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    @property
    def holds_motion(self) -> bool:
        """Whether the next command waits for an acknowledgement (R10)."""
        return self.motion_after_ack and not self.acknowledged

    @property
    def holds_zeros(self) -> bool:
        """Whether a zero, whosever, waits for its end: zeros did not stop the base (R22)."""
        return self.stop.cause is Cause.STANDING

    def is_overdue(self, now: float) -> bool:
        """Tell whether it is time to tell, once more, that none was acknowledged."""
        if self.acknowledged or now < self.overdue_at:
            return False
        self.overdue_at = now + OVERDUE_AGAIN_AFTER
        return True

    def begin_anew(self, stop: Stop, last_call: int) -> None:
        """Take a reason to stop the base that no Stop sent so far covers."""
        self.distrust(last_call)
        self.backoff.reset()
        self._watch_pause.reset()
        self.due_at = stop.at

    def distrust(self, last_call: int) -> None:
        """Take that only a Stop counts that is sent from now on: a command failed (R10)."""
        self.fence, self.acknowledged = last_call, False

    def watch_again(self, now: float) -> None:
        """
        Have it asked whether the base moves, soon at first: a command is unanswered (R7).

        Commands that waited for a lock, or for a machine that was frozen, run when the stop does.
        """
        self.watch_at = now + self._watch_pause.take()

    def repeat_for_zero(self, now: float) -> None:
        """Have a Stop sent for a zero while a command is unanswered, but not at any rate (R10)."""
        if self.due_at is None:
            self.due_at = max(now, self.sent_at + FIRST_PAUSE)


class StopTimeout:
    """What the Stops of one base may take: learned from those that took longer, and forgotten."""

    def __init__(self, first: float) -> None:
        """Start with the parameter ``stop_timeout``, s."""
        self.first = first
        self.seconds = first

    def passed(self, seconds: float) -> None:
        """Take that a Stop which had so long did not end: the next one has twice the time."""
        self.seconds = max(self.seconds, min(2.0 * seconds, LONGEST_TIMEOUT))

    def took(self, seconds: float) -> None:
        """Take what a Stop took: where half the time is ample, a lost one is noticed sooner."""
        while self.seconds / 2.0 >= max(self.first, AMPLE * seconds):
            self.seconds /= 2.0
