# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the tests' own that asks the bridge and listens to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
import json
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from support.drive import wait_for
from support.own_node import NODE, OwnNode

_SERVICES = {'get_sessions': Trigger, 'change_state': ChangeState, 'get_state': GetState}


class Observer(OwnNode):
    """Services and topics of the bridge."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, 'observer')
        self._statuses: defaultdict[str, list[DiagnosticArray]] = defaultdict(list)
        for name, kind in _SERVICES.items():
            self._find(name, kind)

    def wait_services(self) -> None:
        """Wait until the bridge's services are there, which may take DDS a second."""
        for name in _SERVICES:
            self._wait_service(name)
        # A transition is not to be asked for twice, so its answer must not be lost: DDS finds the
        # ways back in their order, and this is the last one.
        self.state()

    def listen(self, topic: str) -> None:
        """Subscribe to a topic of DiagnosticArray, and to what was published there before."""
        qos = QoSProfile(
            depth=10,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if topic.startswith(NODE)
            else DurabilityPolicy.VOLATILE,
        )
        self._node.create_subscription(DiagnosticArray, topic, self._statuses[topic].append, qos)

    def messages(self, topic: str) -> list[DiagnosticArray]:
        """Return the messages of a topic so far."""
        return list(self._statuses[topic])

    def wait_status(
        self, topic: str, fits: Callable[[DiagnosticStatus, dict[str, str]], bool]
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Wait for a status that fits (it and its values are given) and return it."""

        def found() -> tuple[DiagnosticStatus, dict[str, str]] | None:
            for array in self.messages(topic):
                for status in array.status:
                    values = {value.key: value.value for value in status.values}
                    if fits(status, values):
                        return status, values
            return None

        try:
            status: tuple[DiagnosticStatus, dict[str, str]] = wait_for(found, f'status on {topic}')
        except AssertionError as error:
            seen = self.messages(topic)
            what = f'{error}; of {len(seen)} messages the last is {seen[-1:]}'
            raise AssertionError(what) from None
        return status

    def overview(self) -> dict[str, Any]:
        """Return what `~/get_sessions` answers."""
        answer = self._call('get_sessions', Trigger.Request(), times=5)
        assert answer.success, answer.message
        overview: dict[str, Any] = json.loads(answer.message)
        return overview

    def publishers(self, topic: str) -> list[str]:
        """Return the qualified names of the nodes that publish on a topic, sorted."""
        infos = self._node.get_publishers_info_by_topic(topic)
        return sorted(f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in infos)

    def enclave(self) -> str | None:
        """Return the bridge's security enclave, None while it is not in the graph."""
        nodes = self._node.get_node_names_and_namespaces_with_enclaves()
        found = {f'{namespace.rstrip("/")}/{name}': enclave for name, namespace, enclave in nodes}
        return found.get(NODE)

    def state(self) -> str:
        """Return the lifecycle state's name."""
        return str(self._call('get_state', GetState.Request(), times=5).current_state.label)

    def change_state(self, transition: int) -> bool:
        """Trigger a transition (of `lifecycle_msgs/Transition`)."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._call('change_state', request).success)
