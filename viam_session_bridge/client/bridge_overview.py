# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a bridge tells a node that asks or listens."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import Any, TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from viam_session_bridge.reporting.overview import Overview, overview_of, session_row, SessionRow

if TYPE_CHECKING:
    from rclpy.node import Node

DEFAULT_WINDOW = 0.5  # s, of a bridge that did not tell yet
ASK_EVERY = 2.0  # s: an answer may be lost, and a bridge be started anew with another window


class Told:
    """The overview of one bridge, and its window."""

    def __init__(self, node: Node, bridge: str, window: float | None) -> None:
        """
        Ask nothing yet.

        :param bridge: its node's name
        :param window: s, where it is not to be asked for it
        """
        self._node = node
        self._bridge = bridge
        self._given = window
        self._window = 0.0
        self._asked: Any = None
        self._ask_at = 0.0

    @property
    def window(self) -> float:
        """The heartbeat window, s: as given, as the bridge told last, or its default."""
        return self._given or self._window or DEFAULT_WINDOW

    def wait(self, timeout: float) -> bool:
        """Wait so many s for the bridge and return whether it is there."""
        return bool(self._service.wait_for_service(timeout_sec=timeout))

    def ask(self) -> Future[Overview]:
        """
        Ask for the overview.

        :raises RuntimeError: no bridge is there (yet)
        """
        if not self._service.service_is_ready():
            raise RuntimeError(f'no bridge at {self._bridge}, or it is not discovered yet')
        told: Future[Overview] = Future()

        def read(answered: Any) -> None:
            try:
                told.set_result(overview_of(answered.result().success, answered.result().message))
            except Exception as error:
                told.set_exception(error)

        self._service.call_async(Trigger.Request()).add_done_callback(read)
        return told

    def ask_window(self) -> None:
        """Ask for the window where that is due and a bridge there, and wait for nothing."""
        now = monotonic()
        if self._given or now < self._ask_at or not self._service.service_is_ready():
            return
        self._ask_at = now + ASK_EVERY
        if self._asked is not None:
            self._service.remove_pending_request(self._asked)
        self._asked = self._service.call_async(Trigger.Request())
        self._asked.add_done_callback(self._learn)

    def watch(self, told: Callable[[list[SessionRow]], None]) -> None:
        """Have the executor call `told` with the sessions each time the bridge tells them."""
        # Also what it told last before this node came.
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

        def read(array: DiagnosticArray) -> None:
            each = ({pair.key: pair.value for pair in status.values} for status in array.status)
            told([session_row(values) for values in each])

        self._node.create_subscription(DiagnosticArray, f'{self._bridge}/sessions', read, qos)

    def _learn(self, answered: Any) -> None:
        self._window = overview_of(answered.result().success, answered.result().message).window

    @cached_property
    def _service(self) -> Any:
        # Only where it is used, as SROS 2 may forbid it; and in a group of its own, as a callback
        # of any other may wait for the answer.
        return self._node.create_client(
            Trigger, f'{self._bridge}/get_sessions', callback_group=ReentrantCallbackGroup()
        )
