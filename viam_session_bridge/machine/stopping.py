# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
One stop of one base, from the moment it is due to the moment it is final (R7).

A stop is sent at once and again, after 50 ms doubling to 1 s, until it is final: acknowledged,
and sent after every earlier command to the base was answered. The machine may run overlapping
calls in any order, so a stop sent beside a command proves nothing about that command.
"""

from __future__ import annotations

from viam_session_bridge.core.said import Cause, Stop
from viam_session_bridge.machine.calls import Outcome
from viam_session_bridge.machine.pause import Pause

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, between two repetitions (R7)
OVERDUE_AFTER, OVERDUE_AGAIN_AFTER = 5.0, 60.0  # s

# These leave the base as it was: a stop under way covers them, and a publisher that repeats its
# mistake at 5 kHz must not drive the repetitions.
_COVERED = (Cause.REFUSED, Cause.ZERO, Cause.NO_SESSION)


class Stopping:
    """The stop that a base is in. Time and the state of the base's commands are handed in."""

    def __init__(self, stop: Stop) -> None:
        """Begin with a stop that is due at once."""
        self.stop = stop
        self.due_at = stop.at
        self.calls: dict[int, bool] = {}  # in flight; the value: sent after every command's answer
        self.tries = 0
        self.acknowledged = False
        self.motion_after_ack = stop.motion_after_ack
        self.zero_due = False
        self._zero_spent = False
        self._fence = 0
        self._pause = Pause(FIRST_PAUSE, LONGEST_PAUSE)
        self._overdue_at = stop.at + OVERDUE_AFTER

    @property
    def handed_over(self) -> bool:
        """Whether this stop was handed to gRPC at all (R9)."""
        return self.tries > 0

    @property
    def holds_motion(self) -> bool:
        """Whether the next command has to wait for this stop (R9, R10)."""
        return bool(self.calls) or (self.motion_after_ack and not self.acknowledged)

    def renew(self, stop: Stop) -> bool:
        """Take another reason to stop the base; return whether it changes anything."""
        held_motion = self.motion_after_ack
        self.motion_after_ack |= stop.motion_after_ack
        if stop.cause in _COVERED:
            return not held_motion
        self.stop = stop
        self.acknowledged = False
        self._pause.reset()
        self.due_at = min(self.due_at, stop.at + self._pause.take()) if self.calls else stop.at
        return True

    def distrust(self, last_call: int) -> None:
        """Take that a sent command failed: only a stop handed over from now on counts (R10)."""
        self.acknowledged = False
        self._fence = last_call

    def send(self, number: int, clean: bool, now: float) -> None:
        """
        Take that a stop is handed over.

        :param clean: whether every earlier command to the base was answered
        """
        self.tries += 1
        self.calls[number] = clean
        self.due_at = now + self._pause.take()

    def answered(self, number: int, outcome: Outcome) -> bool:
        """Take a stop's answer; return whether it makes the stop final."""
        clean = self.calls.pop(number)
        if outcome is not Outcome.OK:
            if not self._zero_spent:
                self._zero_spent = self.zero_due = True
            return False
        self.acknowledged |= number > self._fence
        return clean and self.acknowledged

    def is_overdue(self, now: float) -> bool:
        """Whether it is time to tell that no stop was acknowledged yet."""
        if self.acknowledged or now < self._overdue_at:
            return False
        self._overdue_at = now + OVERDUE_AGAIN_AFTER
        return True

    def commands_answered(self, now: float) -> None:
        """Every command is answered, so the next stop can be the final one: send it at once."""
        if self.handed_over and not any(self.calls.values()):
            self.due_at = now
