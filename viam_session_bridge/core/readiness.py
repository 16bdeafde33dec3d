# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a machine is reached and lets the bridge in, and if not, why.

A machine is ready when its channel is connected and, where there are credentials, it gave an
access token for them. A token is asked for at every connect, for a machine that was restarted
does not know its old ones; again before it expires, and whenever a call was refused for the lack
of a valid one. A base's call may be refused by somebody whom its module asks: that is the base's
failure, unless a call of the machine itself is refused, too (R10). Pure: time is handed in, calls
are named by numbers; the token itself never comes here.
"""

from __future__ import annotations

from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.core.events import AccessRefused, MachineAbsent, MachineEvent
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Diagnose,
    ListBases,
    Outcome,
    RequestQueue,
)
from viam_session_bridge.core.timing import Backoff, NEVER

ABSENT_AFTER = 2.0  # s
REPORTED_AGAIN_AFTER = 60.0  # s
RENEWED_AT = 0.8  # of a token's lifetime
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # s, between two tries to get a token
SHORTEST_PAUSE = 0.05  # s, before a token is replaced that was refused soon
AUTHENTICATION_TIMEOUT = 5.0  # s: some machines ask another service
DIAGNOSIS_TIMEOUT = 10.0  # s
ASKED_AGAIN_AFTER = 1.0  # s, whether the machine itself refuses, while its bases do


class Readiness:
    """The connection to one machine, and its access token."""

    def __init__(
        self, machine: MachineConfiguration, queue: RequestQueue, events: list[MachineEvent]
    ) -> None:
        """Start disconnected; what happens is added to ``events``."""
        self._events = events
        self._machine = machine.name
        self._authenticates = machine.authenticates
        self._queue = queue
        self._connected = False
        self._granted = not machine.authenticates
        self._authenticate_at = NEVER
        self._authentication: int | None = None
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)  # after an answer that was no token
        self._void_pause = 0.0  # s, after a token that was refused soon
        self._granted_at = float('-inf')
        self._granted_after = 0  # the last call that went without this token
        self._asked_at = float('-inf')  # whether the machine itself refuses
        self._diagnose_at = NEVER  # why it is not connected
        self._is_diagnosed = False
        self._refusal_reported_at = float('-inf')

    @property
    def ready(self) -> bool:
        """Whether calls can be expected to be let in."""
        return self._connected and self._granted

    def opened(self, now: float) -> None:
        """Wait for the channel that is being opened."""
        if not self._connected:
            self._diagnose_at = now + ABSENT_AFTER

    def closed(self) -> None:
        """Forget the channel, which is given up."""
        self._connected, self._granted = False, not self._authenticates
        self._diagnose_at = self._authenticate_at = NEVER
        self._authentication = None

    def channel(self, connected: bool, now: float) -> None:
        """Handle that the channel connected, or lost its connection."""
        if connected == self._connected:
            return
        self._connected = connected
        self._diagnose_at = NEVER if connected else now + ABSENT_AFTER
        if self._authenticates:
            self._granted, self._void_pause = False, 0.0
            self._backoff.reset()
            self._authenticate_at = now if connected else NEVER

    def refused(self, number: int, detail: str, now: float, *, of_base: bool) -> None:
        """
        Handle a call that was refused for the lack of a valid token.

        One of a base has the machine itself asked. One of the machine has a new token asked for,
        at once, and ever more slowly where that is refused soon, too: some machines may not know
        their own tokens.
        """
        if of_base:
            if number > self._granted_after and now >= self._asked_at + ASKED_AGAIN_AFTER:
                self._asked_at = now
                self._queue.call(ListBases())
        elif not self._authenticates:
            self._report_refusal(detail, now)
        elif self._granted and self._connected and number > self._granted_after:
            self._granted = False
            if now >= self._granted_at + LONGEST_PAUSE:
                self._void_pause = 0.0
            self._authenticate_at = now + self._void_pause
            if self._void_pause >= FIRST_PAUSE:
                self._report_refusal(detail, now)
            self._void_pause = min(max(2 * self._void_pause, SHORTEST_PAUSE), LONGEST_PAUSE)

    def ask(self, now: float) -> float:
        """Ask for what is due; return when to call this next."""
        if self._authenticate_at <= now:
            self._authenticate_at = NEVER
            self._authentication = self._queue.call(Authenticate(), AUTHENTICATION_TIMEOUT)
        if not self._is_diagnosed and self._diagnose_at <= now:
            self._diagnose_at, self._is_diagnosed = NEVER, True
            self._queue.call(Diagnose(), DIAGNOSIS_TIMEOUT)
        return min(self._authenticate_at, NEVER if self._is_diagnosed else self._diagnose_at)

    def diagnosed(self, answer: Answer, now: float) -> None:
        """Report why the machine is not connected."""
        self._is_diagnosed = False
        if not self._connected:
            self._diagnose_at = now + REPORTED_AGAIN_AFTER
            self._events.append(MachineAbsent(self._machine, answer.detail, now))

    def authenticated(self, number: int, answer: Answer, now: float) -> None:
        """Handle the answer to a request for a token."""
        if number != self._authentication:
            return  # of a connection that is no more
        self._authentication = None
        # A machine without keys does not know the call, and lets everyone in.
        if answer.outcome in (Outcome.OK, Outcome.UNIMPLEMENTED):
            self._granted, self._granted_at, self._asked_at = True, now, float('-inf')
            self._granted_after = self._queue.last
            self._backoff.reset()
            if answer.lifetime:
                self._authenticate_at = now + max(RENEWED_AT * answer.lifetime, FIRST_PAUSE)
            return
        self._authenticate_at = now + self._backoff.take()
        self._report_refusal(answer.detail, now)

    def _report_refusal(self, detail: str, now: float) -> None:
        if now >= self._refusal_reported_at + REPORTED_AGAIN_AFTER:
            self._refusal_reported_at = now
            self._events.append(AccessRefused(self._machine, detail, now))
