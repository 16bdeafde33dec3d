# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Heartbeats that do not outlive what they speak for (R3).

The node's own executor sends them, between the callbacks that publish: a node that hangs sends
none. Viam's SDK for Python sends them from a thread of their own, which goes on when a program's
control loop is gone.
"""

from __future__ import annotations

from collections.abc import Callable
import threading
from time import monotonic
from typing import Any, TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock_type import ClockType

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.node import Node

BEATS = 5
"""Heartbeats in a window, as many as Viam's SDKs send."""

DEFAULT_WINDOW = 0.5  # s, of a bridge that has not reported its own yet
WARNING_INTERVAL = 5.0  # s, between two warnings of a late executor


class Heartbeats:
    """The heartbeats for one node or topic: between ``start`` and ``stop``, or one by one."""

    def __init__(
        self,
        node: Node,
        callback_group: CallbackGroup | None,
        send: Callable[[], None],
        window: Callable[[], float],
    ) -> None:
        """
        Prepare; ``SessionClient`` makes these, and nothing is sent yet.

        :param callback_group: None for the node's default group
        :param send: sends one
        :param window: returns the bridge's window as far as it is known, s
        """
        self._node = node
        self._callback_group = callback_group
        self._send = send
        self._window = window
        self._timer: Any = None
        self._beat_at = 0.0
        # So that none is sent after ``stop``, on whatever thread that is called.
        self._lock = threading.Lock()

    @property
    def started(self) -> bool:
        """Whether they are sent, as long as the executor runs."""
        return self._timer is not None

    def send(self) -> None:
        """Send one now, as a dead-man's switch does at each message that it is held."""
        self._send()

    def start(self) -> None:
        """Send one now, and five in a window from the executor; no effect where started."""
        with self._lock:
            if self._timer is None:
                self._send()
                self._beat_at = monotonic()
                self._timer = self._node.create_timer(
                    self._period(),
                    self._beat,
                    self._callback_group,
                    # The node's own clock may be simulated, and stand still.
                    Clock(clock_type=ClockType.STEADY_TIME),
                )

    def stop(self) -> None:
        """Send no more: the session lapses a window after its last sign of life."""
        with self._lock:
            if self._timer is not None:
                self._node.destroy_timer(self._timer)
                self._timer = None

    def __enter__(self) -> Heartbeats:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _period(self) -> float:
        # For a longer window than the default, fewer heartbeats save nothing.
        return min(self._window(), DEFAULT_WINDOW) / BEATS

    def _beat(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            now = monotonic()
            late, self._beat_at = now - self._beat_at - self._timer.timer_period_ns * 1e-9, now
            if late > self._window() / 2:
                # What waited behind that (a button let go) comes first, as in R2.
                self._timer.reset()
                self._node.get_logger().warning(
                    f'no heartbeat: the executor was busy for {late:.3f} s',
                    throttle_duration_sec=WARNING_INTERVAL,
                )
                return
            self._send()
            period = int(self._period() * 1e9)
            if self._timer.timer_period_ns != period:  # the bridge reported its window
                self._timer.timer_period_ns = period
                self._timer.reset()
