# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the tests' own that asks the bridge and listens to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
import contextlib
import json
import threading
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from support.bounds import PATIENCE
from support.drive import wait_for

NODE = '/viam_session_bridge'


class Observer:
    """Services and topics of the bridge, in a ROS context of its own."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self._node = rclpy.create_node('observer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._statuses: defaultdict[str, list[DiagnosticArray]] = defaultdict(list)
        self._clients: dict[str, Any] = {
            name: self._node.create_client(kind, f'{NODE}/{name}')
            for name, kind in (
                ('get_sessions', Trigger),
                ('get_state', GetState),
                ('change_state', ChangeState),
            )
        }
        self._thread = threading.Thread(target=self._spin, name='observer', daemon=True)

    def __enter__(self) -> Observer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def wait_services(self) -> None:
        """Wait until the bridge's services are there, which may take DDS a second."""
        for name, client in self._clients.items():
            assert client.wait_for_service(PATIENCE), f'no service {name}'

    def listen(self, topic: str) -> None:
        """Subscribe to a topic of DiagnosticArray, and to what was said there before."""
        qos = QoSProfile(
            depth=10,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if topic.startswith(NODE)
            else DurabilityPolicy.VOLATILE,
        )
        self._node.create_subscription(DiagnosticArray, topic, self._statuses[topic].append, qos)

    def wait_status(
        self, topic: str, fits: Callable[[DiagnosticStatus, dict[str, str]], bool]
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Wait for a status that fits (it and its values are given) and return it."""

        def found() -> tuple[DiagnosticStatus, dict[str, str]] | None:
            for array in list(self._statuses[topic]):
                for status in array.status:
                    values = {value.key: value.value for value in status.values}
                    if fits(status, values):
                        return status, values
            return None

        status: tuple[DiagnosticStatus, dict[str, str]] = wait_for(found, f'status on {topic}')
        return status

    def overview(self) -> dict[str, Any]:
        """Return what `~/get_sessions` answers."""
        answer = self._call('get_sessions', Trigger.Request())
        assert answer.success, answer.message
        overview: dict[str, Any] = json.loads(answer.message)
        return overview

    def publishers(self, topic: str) -> list[str]:
        """Return the qualified names of the nodes that publish on a topic, sorted."""
        infos = self._node.get_publishers_info_by_topic(topic)
        return sorted(f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in infos)

    def state(self) -> str:
        """Return the lifecycle state's name."""
        return str(self._call('get_state', GetState.Request()).current_state.label)

    def change_state(self, transition: int) -> bool:
        """Trigger a transition (of `lifecycle_msgs/Transition`)."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._call('change_state', request).success)

    def _call(self, name: str, request: Any) -> Any:
        self.wait_services()
        client = self._clients[name]
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(PATIENCE), f'{name} does not answer'
        return future.result()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
