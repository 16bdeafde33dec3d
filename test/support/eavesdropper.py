# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that anyone in the ROS domain, or on the computer, gets to know of the bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from support.drive import wait_for
from support.own_node import NODE, OwnNode
from support.process import ProcessUnderTest

_TOPICS = {'/rosout': Log, '/diagnostics': DiagnosticArray, f'{NODE}/sessions': DiagnosticArray}


class Eavesdropper(OwnNode):
    """Listens from the start, and asks what can be asked."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, 'eavesdropper')
        self._heard: dict[str, list[str]] = {topic: [] for topic in _TOPICS}
        for topic, kind in _TOPICS.items():
            is_latched = topic != '/diagnostics'
            latched = DurabilityPolicy.TRANSIENT_LOCAL if is_latched else DurabilityPolicy.VOLATILE
            self._node.create_subscription(
                kind,
                topic,
                lambda message, heard=self._heard[topic]: heard.append(str(message)),
                QoSProfile(depth=1000, durability=latched),
            )

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
        self._find(name, kind)
        return self._call(name, request, times=5)
