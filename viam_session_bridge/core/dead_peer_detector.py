# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R7, *Deadline*: whether a machine with an open Stop is still reached.

A link that is half open takes calls and answers none; TCP notices after minutes. While a Stop is
open and nothing has come from the machine for a second, it is asked something; after three
questions without an answer it is dialled anew. It is not asked for its sessions: viam-server's own
stop of a slow base holds the lock that those wait for, often while ours is under way. A machine
that is merely slow may answer nothing either. So the patience doubles from one dial to the next:
on one of them a Stop that takes long must come to its end. Pure: time is handed in.
"""

from __future__ import annotations

from viam_session_bridge.core.requests import Reach, Redial, RequestQueue
from viam_session_bridge.core.timing import Backoff, NEVER

PATIENCE, LONGEST_PATIENCE = 1.0, 60.0  # s, without a word from the machine
QUESTIONS = 3  # without an answer


class DeadPeerDetector:
    """The answers of one machine while a Stop to it is open."""

    def __init__(self, queue: RequestQueue) -> None:
        """Start with no Stop open."""
        self._queue = queue
        self.listens = False  # whether it matters that the machine answers
        self._open = False
        self._backoff = Backoff(PATIENCE, LONGEST_PATIENCE)
        self._patience = self._backoff.take()
        self._ask_at = NEVER
        self._is_asked = False
        self._unanswered = 0

    def ask(self, stop_is_open: bool, now: float) -> float:
        """
        Ask if that is due; return when to call this next.

        :param stop_is_open: whether a Stop is, on a connection that is there
        """
        if stop_is_open != self._open:
            self._open = stop_is_open
            self.listens = True
            self._wait(now)
        if self._ask_at <= now:
            self._ask_at, self._is_asked = NEVER, True
            self._queue.call(Reach())
        return self._ask_at

    def heard(self, now: float) -> None:
        """Note that the machine answered some call."""
        self.listens = self._open
        self._backoff.reset()
        self._patience = self._backoff.take()
        if self._open:
            self._wait(now)

    def question_ended(self, answered: bool, now: float) -> None:
        """Handle the end of a question: ask again, or dial anew."""
        self._is_asked = False
        if not self._open or answered:
            self._wait(now)
            return
        self._unanswered += 1
        if self._unanswered < QUESTIONS:
            self._ask_at = now
            return
        self._patience = self._backoff.take()
        self._wait(now)
        self._queue.call(Redial())

    def _wait(self, now: float) -> None:
        self._unanswered = 0
        self._ask_at = now + self._patience if self._open and not self._is_asked else NEVER
