# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The ways in which commands race the end of a session, and a shell whose threads can be held."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import dataclass
from functools import partial
import threading
import time
from typing import Any

from viam_session_bridge.core.requests import Answer, Call, Move, StopBase
from viam_session_bridge.runtime import Runtime

WINDOW = 0.04  # s
SLOW = 0.006  # s that a stop takes at the bases of `slow_stop`
HOLD = 0.02  # s that a thread waits for the other at most


@dataclass(frozen=True)
class Kind:
    """
    A way to race.

    :param earliest: s from the deadline at which a command comes, at the earliest
    :param latest: s, at the latest; all times between are swept evenly
    :param clients: those that command in turns
    """

    name: str
    soonest: float
    latest: float
    clients: tuple[str, ...]
    early: str = ''  # the side that half of the races are to fall on, see `sides`
    meets: bool = False  # command and lapse clock leave a barrier together
    holds_stop: bool = False  # the stop reaches gRPC only once the command was accepted
    leaves: bool = False  # the client leaves before its command reaches gRPC
    faults: tuple[tuple[str, Any], ...] = ()


# viam-server cancels a base's call when the next comes; a driver that blocks does not care.
BLOCKS = ('ignore_cancel', True)
LATE = ('set_velocity_delay', WINDOW + 0.0005)  # just when the stop comes
KINDS = (
    Kind('swept', -0.003, 0.002, ('A',), early='before'),
    Kind('met', -0.001, 0.001, ('A',), early='at once', meets=True),
    Kind('overtaken', -0.003, 0.002, ('A',), leaves=True),
    Kind('takeover swept', -0.003, 0.002, ('A', 'B'), early='before'),
    Kind('takeover met', -0.001, 0.001, ('A', 'B'), early='at once', meets=True),
    Kind('stop held', 0.0, 0.002, ('A', 'B'), holds_stop=True),
    Kind('stop slow', -0.001, 0.010, ('A', 'B'), faults=(BLOCKS, ('stop_delay', SLOW))),
    Kind('command slow', 0.0, 0.003, ('A',), faults=(BLOCKS, LATE)),
    Kind('stop fails', -0.001, 0.110, ('A', 'B'), faults=(('stop_failures', 1e6),)),
)


class RacingShell(Runtime):
    """A shell whose threads can be made to meet at the places where they may overtake."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # By base: when the clock is to meet, where, and how much later the command then comes.
        self.meetings: dict[str, tuple[float, threading.Barrier, float]] = {}
        self.held: dict[str, threading.Event] = {}  # bases whose stops wait for a command
        self.leaving: dict[str, str] = {}  # bases whose client leaves before its command goes out

    def _tick(self) -> None:
        now = time.monotonic()
        for base, (at, barrier, offset) in list(self.meetings.items()):
            if at <= now:
                del self.meetings[base]
                with contextlib.suppress(threading.BrokenBarrierError):
                    barrier.wait(HOLD)
                time.sleep(max(-offset, 0.0))
        super()._tick()

    def _open(self, name: str) -> None:
        super()._open(name)
        channel = self._channels[name]
        setattr(channel, 'hand_over', partial(self._gate, channel.hand_over))  # noqa: B010

    def _gate(
        self,
        hand_over: Callable[[Call, Callable[[Call, Answer], None]], None],
        call: Call,
        done: Callable[[Call, Answer], None],
    ) -> None:
        request = call.request
        if isinstance(request, StopBase) and request.base in self.held:
            self.held[request.base].wait(HOLD)
        elif isinstance(request, Move) and request.base in self.leaving:
            client = self.leaving.pop(request.base)
            self.left(client)
            self.seen(client)
        hand_over(call, done)
