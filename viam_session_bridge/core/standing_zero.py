# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A base whose commands have all been zero for a window, and that may move all the same (R22).

For a base under control a zero velocity is a setpoint, which a loop works toward, not a stop. Such
a base is asked once whether it moves. One that does, or cannot tell, is stopped, and from then on
that client's zeros are signs of life alone, until it sends another command or somebody else does.
A base that stands is left alone: its loop may be holding it on a slope. Pure.
"""

from __future__ import annotations

from viam_session_bridge.core.actions import Cause, Forward, Stop


class StandingZero:
    """The zeros of one base."""

    def __init__(self, base: str, window: float) -> None:
        """Start with no zero; ``window``: s."""
        self._base = base
        self._window = window
        self._newest: Forward | None = None  # zero, as all since `_since`
        self._since = 0.0
        self._asked = False
        self._stopped = ''  # the client whose zeros do not stop the base

    def is_sign_of_life_alone(self, forward: Forward) -> bool:
        """Whether a command is a zero that is not to be forwarded."""
        return forward.velocity.is_zero and forward.client == self._stopped

    def forwarded(self, forward: Forward) -> None:
        """Take a command that is forwarded."""
        if not forward.velocity.is_zero:
            self.forget()
            return
        if self._newest is None:
            self._since, self._asked, self._stopped = forward.at, False, ''
        self._newest = forward

    def stopped(self, stop: Stop) -> None:
        """Take a stop of the base: its zeros are no longer what it stands by."""
        self._newest = None
        if stop.of_session_end:
            self._stopped = ''

    def forget(self) -> None:
        """Begin anew: the base is another's, or moves."""
        self._newest, self._stopped = None, ''

    def question_due(self) -> float | None:
        """Return when to ask whether the base moves, None where that is not to be asked."""
        if self._newest is None or self._asked:
            return None
        return self._since + self._window

    def asked(self) -> None:
        """Take that it is asked."""
        self._asked = True

    def stop(self, now: float) -> Stop | None:
        """Return the stop of a base that does not stand, None where it was commanded since."""
        zero = self._newest
        if zero is None:
            return None
        self._stopped = zero.client
        return Stop(self._base, Cause.STANDING, zero.client, now, zero.session)
