# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that anyone in the ROS domain, or on the computer, gets to know of the bridge."""

from __future__ import annotations

import contextlib
from pathlib import Path
import threading
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from support.bounds import PATIENCE
from support.drive import wait_for
from support.observer import NODE
from support.process import ProcessUnderTest

_TOPICS = {'/rosout': Log, '/diagnostics': DiagnosticArray, f'{NODE}/sessions': DiagnosticArray}


class Eavesdropper:
    """Listens from the start, and asks what can be asked."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self._node = rclpy.create_node('eavesdropper', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}
        self._heard: dict[str, list[str]] = {topic: [] for topic in _TOPICS}
        for topic, kind in _TOPICS.items():
            said = topic != '/diagnostics'
            latched = DurabilityPolicy.TRANSIENT_LOCAL if said else DurabilityPolicy.VOLATILE
            self._node.create_subscription(
                kind,
                topic,
                lambda message, heard=self._heard[topic]: heard.append(str(message)),
                QoSProfile(depth=1000, durability=latched),
            )
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> Eavesdropper:
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

    def all_of(self, process: ProcessUnderTest) -> str:
        """Return the topics, the services, all parameters and the command line, as text."""
        wait_for(lambda: self._heard['/rosout'], 'something on /rosout')
        names = self._ask('list_parameters', ListParameters, ListParameters.Request())
        answers = [names, self._ask('get_sessions', Trigger, Trigger.Request())]
        # Each for itself: one that is not declared empties the whole answer.
        for name in (*names.result.names, 'machines.main.api_key'):
            get, describe = GetParameters.Request(names=[name]), DescribeParameters.Request()
            describe.names = [name]
            answers.append(self._ask('get_parameters', GetParameters, get))
            answers.append(self._ask('describe_parameters', DescribeParameters, describe))
        command = Path(f'/proc/{process.pid}/cmdline').read_text()
        return '\n'.join([self.heard(), *map(str, answers), command])

    def heard(self) -> str:
        """Return what came on the topics so far, as text."""
        return '\n'.join(line for lines in self._heard.values() for line in list(lines))

    def _ask(self, name: str, kind: Any, request: Any) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, f'{NODE}/{name}')
        client = self._clients[name]
        assert client.wait_for_service(PATIENCE), f'no service {name}'
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(PATIENCE), f'{name} does not answer'
        return future.result()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
