# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The bridge in front of a machine: each client of a script is a publisher."""

from __future__ import annotations

import math
import time
from typing import Any

from geometry_msgs.msg import Twist
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from campaigns.differential.script import Do, Script, Step
from support.bounds import PATIENCE
from support.publisher import HEARTBEATS

_DEPTH = 100
_POLL = 0.01  # s


class Domain:
    """A ROS domain that publishers are made in."""

    def __init__(self, number: int) -> None:
        """Join it."""
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=number)

    def __enter__(self) -> Domain:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.try_shutdown()

    def node(self, name: str) -> Node:
        """Return a node with as little as possible to it."""
        return rclpy.create_node(
            name,
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter('start_type_description_service', value=False)],
        )


def topic(prefix: str, bases: tuple[str, ...]) -> str:
    """Return the topic of a script's clients that command these bases."""
    return f'/{prefix}/{"_".join(bases)}'


class PublishingPlayer:
    """Makes the steps of one script by publishing."""

    def __init__(self, domain: Domain, script: Script, prefix: str) -> None:
        """
        Make the publishers.

        :param prefix: of the topics and the nodes
        """
        self.wrong: list[str] = []
        self._topics = {client: topic(prefix, bases) for client, bases in script.clients.items()}
        self._names = {client: f'{prefix}_{client}' for client in script.clients}
        self._nodes = {client: domain.node(name) for client, name in self._names.items()}
        self._commands: dict[str, Any] = {}
        does = {(step.do, step.client) for step in script.steps}
        self._beats = {
            client: node.create_publisher(String, HEARTBEATS, _DEPTH)
            for client, node in self._nodes.items()
            if (Do.BEAT, client) in does
        }
        if any(do is Do.PERMISSION for do, _ in does):
            self._nodes[''] = domain.node(f'{prefix}_operator')
            self._beats[''] = self._nodes[''].create_publisher(String, HEARTBEATS, _DEPTH)
        self.ready()

    def ready(self) -> bool:
        """Make the publishers anew that left; tell whether there were any."""
        self.wrong = []
        gone = self._topics.keys() - self._commands.keys()
        for client in gone:
            node = self._nodes[client]
            self._commands[client] = node.create_publisher(Twist, self._topics[client], _DEPTH)
        return bool(gone)

    def await_matched(self) -> None:
        """Wait until all publishers are heard."""
        deadline = time.monotonic() + PATIENCE
        for publisher in (*self._commands.values(), *self._beats.values()):
            while not publisher.get_subscription_count():
                assert time.monotonic() < deadline, f'nobody hears {publisher.topic_name}'
                time.sleep(_POLL)

    def prepare(self, step: Step) -> None:
        """Do nothing: a message takes no preparation."""

    def do(self, step: Step, alive: bool, free: frozenset[str]) -> None:
        """Make a step; its message has left when this returns."""
        match step.do:
            case Do.COMMAND | Do.ZERO | Do.NON_FINITE:
                twist = Twist()
                twist.linear.x = math.nan if step.do is Do.NON_FINITE else step.speed / 1000.0
                self._commands[step.client].publish(twist)
            case Do.BEAT:
                self._beats[step.client].publish(String())
            case Do.PERMISSION:
                self._beats[''].publish(String(data=f'/{self._names[step.client]}'))
            case Do.LEAVE:
                self._nodes[step.client].destroy_publisher(self._commands.pop(step.client))
