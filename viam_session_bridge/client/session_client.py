# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node's side of its sessions: heartbeats for itself or for others, and the overview."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.validate_namespace import validate_namespace
from std_msgs.msg import String

from viam_session_bridge.client.bridge_overview import Told
from viam_session_bridge.client.heartbeats import Heartbeats
from viam_session_bridge.reporting.overview import Overview, SessionRow
from viam_session_bridge.ros.subscription import gids_available

if TYPE_CHECKING:
    from rclpy.node import Node

JAZZY = (
    'this ROS distribution does not tell publishers apart: heartbeats are permissions only, and '
    'with `sessions: auto` a speed has to be repeated'
)


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
        Send nothing yet.

        :param bridge: its node's name, relative to the namespace of `node` or absolute
        :param window: its `heartbeat_window`, s; None: it is asked
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
        self._callback_group = callback_group
        self._told = Told(node, bridge.rstrip('/'), window)
        # Reliable, so that it is heard whatever qos_overrides the bridge has; of those that wait
        # the newest is enough.
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._publisher = node.create_publisher(String, f'{bridge.rstrip("/")}/heartbeat', qos)

    @property
    def window(self) -> float:
        """The heartbeat window, s: as given, as the bridge told, or its default."""
        return self._told.window

    def session(self, topic: str) -> Heartbeats:
        """
        Return this node's own heartbeats, as a publisher of commands.

        With `sessions: auto` they keep the speed it published last, on all its command topics. On
        Jazzy, where the bridge does not know the sender, they are permissions for this topic.

        :raises ValueError: the node has no publisher there
        """
        resolved = self._node.resolve_topic_name(topic)
        if not any(publisher.topic_name == resolved for publisher in self._node.publishers):
            raise ValueError(
                f'topic: {self._node.get_fully_qualified_name()} has no publisher on {resolved}; '
                'create that first'
            )
        if gids_available():
            return self._heartbeats('')
        self._node.get_logger().warning(JAZZY)
        return self._heartbeats(resolved)

    def permission(self, node: str, topic: str) -> Heartbeats:
        """
        Return heartbeats that let another node drive, with `sessions: manual`.

        :param node: its name, relative to this node's namespace or absolute
        :param topic: where it publishes, which is what heartbeats name on Jazzy
        :raises ValueError: no name
        :raises InvalidNamespaceException: a name that no node can have
        """
        if not node.strip('/'):
            raise ValueError('node: the name is empty')
        if not node.startswith('/'):
            node = f'{self._node.get_namespace().rstrip("/")}/{node}'
        validate_namespace(node)  # the form is the same
        resolved = self._node.resolve_topic_name(topic)
        return self._heartbeats(node if gids_available() else resolved)

    def wait_for_bridge(self, timeout: float) -> bool:
        """Wait so many s for the bridge, spinning or not, and return whether it is there."""
        return self._told.wait(timeout)

    def overview(self) -> Future[Overview]:
        """
        Ask the bridge for its overview; to await, or to spin until complete.

        :raises RuntimeError: no bridge is there (yet)
        """
        return self._told.ask()

    def watch(self, told: Callable[[list[SessionRow]], None]) -> None:
        """Have the executor call `told` with the sessions, at each change and once a second."""
        self._told.watch(told)

    def _heartbeats(self, data: str) -> Heartbeats:
        def send() -> None:
            self._publisher.publish(String(data=data))
            self._told.ask_window()

        return Heartbeats(self._node, self._callback_group, send, lambda: self.window)
