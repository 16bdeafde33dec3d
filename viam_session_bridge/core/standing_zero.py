# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R22, *Standing zero*: a base whose commands have all been zero for a window, and that may move.

For a base under control a zero velocity is a setpoint, which a loop works toward, not a stop. Such
a base is asked once whether it moves. One that does, or cannot tell, is stopped, and from then on
that client's zeros are signs of life alone, until it sends another command or somebody else does.
A base that stands is left alone: its loop may be holding it on a slope.
"""

from __future__ import annotations

from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.timing import NEVER


class StandingZero:
    """The zeros of one base."""

    def __init__(self, base: str, window: float) -> None:
        """Start with no zero; ``window``: s."""
        self.due_at = NEVER  # of the question whether the base moves
        self._base = base
        self._window = window
        self._newest: Forward | None = None  # a zero, and so were all since the first
        self._stopped = ''  # the client whose zeros do not stop the base

    def is_sign_of_life_alone(self, zero: Forward) -> bool:
        """Whether a zero is not to be forwarded."""
        return zero.client == self._stopped

    def forwarded(self, zero: Forward) -> None:
        """Note a zero that is forwarded."""
        if self._newest is None:
            self.due_at, self._stopped = zero.at + self._window, ''
        self._newest = zero

    def stopped(self, stop: Stop) -> None:
        """Note a stop of the base: its zeros are no longer what it stands by."""
        self._newest, self.due_at = None, NEVER
        if stop.of_session_end:
            self._stopped = ''

    def forget(self) -> None:
        """Begin anew: the base is another's, or moves."""
        self._newest, self.due_at, self._stopped = None, NEVER, ''

    def asked(self) -> None:
        """Note that it is asked whether the base moves."""
        self.due_at = NEVER

    def stop(self, now: float) -> Stop | None:
        """Return the stop of a base that does not stand, None where it was commanded since."""
        zero = self._newest
        if zero is None:
            return None
        self._stopped = zero.client
        return Stop(self._base, Cause.STANDING, zero.client, now, zero.session)
