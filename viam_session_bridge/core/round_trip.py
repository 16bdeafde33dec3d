# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a machine's calls take longer than their deadline, whatever they are about (R10).

If several in a row time out, session starts and commands alike, the way to the machine is as
likely to be slow as the machine or a base. So one call is given more time, and how long it took is
reported, with the parameter. That is over when as many in a row are answered: on a link that takes
about as long as calls may, one now and then is.
"""

from __future__ import annotations

from viam_session_bridge.core.events import CallsInTime, CallsTakeLonger, MachineEvent
from viam_session_bridge.core.requests import (
    Answer,
    GetSessions,
    Move,
    Outcome,
    Purpose,
    Request,
    RequestQueue,
    SendHeartbeat,
    StartSession,
)

IN_A_ROW = 3  # timeouts, or answers
ANSWERED_WITHIN = 5.0  # s, the longest `call_timeout` that can be set
ASKED_AGAIN_AFTER = 30.0  # s, while calls go on timing out
QUESTION = GetSessions(Purpose.ROUND_TRIP)


class RoundTrip:
    """The time that the calls of one machine take, where that is longer than they may."""

    def __init__(self, machine: str, queue: RequestQueue, events: list[MachineEvent]) -> None:
        """Start with nothing known; the queue has the deadline of the calls."""
        self.listens = False  # whether a call that is answered as usual matters
        self._events = events
        self._machine = machine
        self._queue = queue
        self._timeouts = self._answers = 0  # in a row
        self._asked_at: float | None = None  # the question that is open
        self._not_before = float('-inf')
        self._longer = False

    def call_ended(self, request: Request, answer: Answer, now: float) -> None:
        """Handle the end of any call of the machine."""
        if isinstance(request, (StartSession, Move, SendHeartbeat)):
            self._timeouts = self._timeouts + 1 if answer.outcome is Outcome.TIMED_OUT else 0
            self._answers = self._answers + 1 if answer.outcome.answered else 0
            if self._longer and self._answers >= IN_A_ROW:
                self._longer = False
                self._events.append(CallsInTime(self._machine, now))
        elif request == QUESTION and self._asked_at is not None:
            took, self._asked_at = now - self._asked_at, None
            self._not_before = now + ASKED_AGAIN_AFTER
            timed_out = answer.outcome is Outcome.TIMED_OUT
            limit = self._queue.timeout
            if timed_out or (answer.outcome.answered and took > limit):
                self._longer, self._answers = True, 0
                round_trip = None if timed_out else took
                self._events.append(CallsTakeLonger(self._machine, limit, round_trip, now))
        self.listens = bool(self._timeouts) or self._longer or self._asked_at is not None

    def ask(self, now: float) -> None:
        """Ask if that is due, which it is by the end of a call alone."""
        if self._timeouts < IN_A_ROW or self._asked_at is not None:
            return
        if now >= self._not_before:
            self._timeouts, self._asked_at = 0, now
            self._queue.call(QUESTION, ANSWERED_WITHIN)
