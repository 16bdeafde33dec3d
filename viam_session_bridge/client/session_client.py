# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node's side of its sessions: heartbeats for itself or for others, and the overview."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
import threading
from time import monotonic
from typing import Any, TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.validate_namespace import validate_namespace
from std_msgs.msg import String
from std_srvs.srv import Trigger

from viam_session_bridge.reporting.overview import Overview, overview_of, session_row, SessionRow

if TYPE_CHECKING:
    from rclpy.node import Node

BEATS = 5  # heartbeats in a window, as many as Viam's SDKs send
DEFAULT_WINDOW = 0.5  # s, of a bridge that has not reported its own yet
WARNING_INTERVAL = 5.0  # s, between two warnings of a late executor
# A response may be lost, and a bridge be started anew with another window.
WINDOW_REQUEST_INTERVAL = 2.0  # s


class Heartbeats:
    """
    The heartbeats for one node: between ``start`` and ``stop``, or one by one.

    The node's own executor sends them, between the callbacks that publish, so that a node that
    hangs sends none (R3). Viam's SDK for Python sends them from a thread of their own, which goes
    on when a program's control loop is gone.
    """

    def __init__(self, client: SessionClient, data: str) -> None:
        self._client = client  # which makes these
        self._data = data
        self._node = client._node
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
        self._client._send(self._data)

    def start(self) -> None:
        """Send one now, and five in a window from the executor; no effect where started."""
        with self._lock:
            if self._timer is None:
                self.send()
                self._beat_at = monotonic()
                self._timer = self._node.create_timer(
                    self._period(),
                    self._beat,
                    self._client._callback_group,
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
        return min(self._client.window, DEFAULT_WINDOW) / BEATS

    def _beat(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            now = monotonic()
            late, self._beat_at = now - self._beat_at - self._timer.timer_period_ns * 1e-9, now
            if late > self._client.window / 2:
                # What waited behind that (a button let go) comes first, as in R2.
                self._timer.reset()
                self._node.get_logger().warning(
                    f'no heartbeat: the executor was busy for {late:.3f} s',
                    throttle_duration_sec=WARNING_INTERVAL,
                )
                return
            self.send()
            period = int(self._period() * 1e9)
            if self._timer.timer_period_ns != period:  # the bridge reported its window
                self._timer.timer_period_ns = period
                self._timer.reset()


class SessionClient:
    """The client of one bridge in one node; it lives as long as the node."""

    def __init__(
        self,
        node: Node,
        bridge: str = 'viam_session_bridge',
        *,
        window: float | None = None,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        """
        Prepare; nothing is sent yet.

        :param bridge: its node's name, relative to the namespace of ``node`` or absolute
        :param window: its ``heartbeat_window``, s; None: the bridge is asked for it
        :param callback_group: that of the callbacks which publish, or read the operator's button:
            while one of them runs no heartbeat is sent; None: the node's default group
        :raises ValueError: no name, no window, or a group whose callbacks run beside each other
        """
        if not bridge.strip('/'):
            raise ValueError('bridge: the name is empty')
        if window is not None and not 0.0 < window < float('inf'):
            raise ValueError(f'window: {window} is no number of seconds above 0')
        if isinstance(callback_group, ReentrantCallbackGroup):
            raise ValueError(
                'callback_group: in a reentrant group heartbeats go on while another callback '
                'hangs; take a MutuallyExclusiveCallbackGroup'
            )
        self._node = node
        self._bridge = bridge.rstrip('/')
        self._callback_group = callback_group
        self._given_window = window
        self._reported_window = 0.0
        self._window_request: Any = None
        self._window_request_at = 0.0
        # Reliable, so that it is received whatever qos_overrides the bridge has; of those that
        # wait the newest is enough.
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._publisher = node.create_publisher(String, f'{self._bridge}/heartbeat', qos)

    @property
    def window(self) -> float:
        """Return the heartbeat window, s: as given, as last reported, or the default."""
        return self._given_window or self._reported_window or DEFAULT_WINDOW

    def session(self, topic: str) -> Heartbeats:
        """
        Return this node's own heartbeats, as a publisher of commands.

        With ``sessions: auto`` they keep the speed it published last, on all its command topics.

        :raises ValueError: the node has no publisher there
        """
        resolved = self._node.resolve_topic_name(topic)
        if not any(publisher.topic_name == resolved for publisher in self._node.publishers):
            raise ValueError(
                f'topic: {self._node.get_fully_qualified_name()} has no publisher on {resolved}; '
                'create that first'
            )
        return Heartbeats(self, '')

    def permission(self, node: str) -> Heartbeats:
        """
        Return heartbeats that let another node drive, with ``sessions: manual``.

        :param node: its name, relative to this node's namespace or absolute
        :raises ValueError: no name
        :raises InvalidNamespaceException: a name that no node can have
        """
        if not node.strip('/'):
            raise ValueError('node: the name is empty')
        if not node.startswith('/'):
            node = f'{self._node.get_namespace().rstrip("/")}/{node}'
        validate_namespace(node)  # the form is the same
        return Heartbeats(self, node)

    def wait_for_bridge(self, timeout: float) -> bool:
        """Wait so many s for the bridge, spinning or not, and return whether it is there."""
        return bool(self._service.wait_for_service(timeout_sec=timeout))

    def overview(self) -> Future[Overview]:
        """
        Ask the bridge for its overview; to await, or to spin until complete.

        :raises RuntimeError: no bridge is there (yet)
        """
        if not self._service.service_is_ready():
            raise RuntimeError(f'no bridge at {self._bridge}, or it is not discovered yet')
        overview: Future[Overview] = Future()

        def read(responded: Any) -> None:
            try:
                overview.set_result(_overview(responded))
            except Exception as error:
                overview.set_exception(error)

        self._service.call_async(Trigger.Request()).add_done_callback(read)
        return overview

    def watch(self, callback: Callable[[list[SessionRow]], None]) -> None:
        """Have the executor call back with the sessions, at each change and once a second."""
        # Latched: also what the bridge published last before this node came.
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

        def read(array: DiagnosticArray) -> None:
            each = ({pair.key: pair.value for pair in status.values} for status in array.status)
            callback([session_row(values) for values in each])

        self._node.create_subscription(DiagnosticArray, f'{self._bridge}/sessions', read, qos)

    def _send(self, data: str) -> None:
        """Send a heartbeat, and ask for the window where that is due and a bridge there."""
        self._publisher.publish(String(data=data))
        now = monotonic()
        if (
            self._given_window
            or now < self._window_request_at
            or not self._service.service_is_ready()
        ):
            return
        self._window_request_at = now + WINDOW_REQUEST_INTERVAL
        if self._window_request is not None:
            self._service.remove_pending_request(self._window_request)
        self._window_request = self._service.call_async(Trigger.Request())
        self._window_request.add_done_callback(self._learn_window)

    def _learn_window(self, responded: Any) -> None:
        self._reported_window = _overview(responded).window

    @cached_property
    def _service(self) -> Any:
        # Only where it is used, as SROS 2 may forbid it; and in a group of its own, as a callback
        # of any other may wait for the response.
        return self._node.create_client(
            Trigger, f'{self._bridge}/get_sessions', callback_group=ReentrantCallbackGroup()
        )


def _overview(responded: Any) -> Overview:
    response = responded.result()
    return overview_of(response.success, response.message)
