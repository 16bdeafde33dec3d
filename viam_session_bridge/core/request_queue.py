# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The calls of one machine: numbered, waiting to be handed to gRPC, or in flight."""

from __future__ import annotations

from viam_session_bridge.core.requests import Call, Request


class RequestQueue:
    """Calls by number; the numbers ascend in the order of handing over."""

    def __init__(self, machine: str, timeout: float) -> None:
        """Start empty; ``timeout``: s, the deadline of every call."""
        self.timeout = timeout
        self._machine = machine
        self._number = 0
        self._waiting: list[Call] = []
        self._open: dict[int, Request] = {}

    def call(self, request: Request, timeout: float | None = None) -> int:
        """Add a call and return its number; ``timeout`` in s where it has one of its own."""
        self._number += 1
        self._open[self._number] = request
        self._waiting.append(
            Call(self._number, self._machine, request, timeout or self.timeout)
        )
        return self._number

    @property
    def last(self) -> int:
        """The number of the newest call, 0 before the first."""
        return self._number

    def answered(self, number: int) -> Request:
        """Take that a call ended; return what it asked."""
        return self._open.pop(number)

    def take(self) -> list[Call]:
        """Return the calls to hand over now, in order."""
        calls, self._waiting = self._waiting, []
        return calls
