# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that were given parameters, in a ROS domain of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import os
from typing import Any
from unittest import mock

import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import Node
from rclpy.parameter import Parameter

from support.domains import own_domain
from viam_session_bridge.configuration.model import ConfigurationError
from viam_session_bridge.ros.node_parameters import Parameters

MakeNode = Callable[..., Node]


@contextmanager
def node_factory() -> Iterator[MakeNode]:
    """Offer a function that makes nodes from values by name, and from ROS arguments."""
    with own_domain() as domain:
        context = Context()
        with mock.patch.dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST'):
            rclpy.init(args=[], context=context, domain_id=domain)
        nodes: list[Node] = []

        def make(
            overrides: Mapping[str, Any] | None = None, *arguments: str, namespace: str = ''
        ) -> Node:
            node = Node(
                'viam_session_bridge',
                context=context,
                namespace=namespace,
                cli_args=['--ros-args', *arguments],
                parameter_overrides=[
                    Parameter(name, value=value) for name, value in (overrides or {}).items()
                ],
            )
            nodes.append(node)
            return node

        try:
            yield make
        finally:
            while nodes:
                nodes.pop().destroy_node()
            context.try_shutdown()


def problems_of(node: Node) -> tuple[str, ...]:
    """Read the parameters, which must fail; return the messages."""
    with pytest.raises(ConfigurationError) as caught:
        Parameters(node).read()
    return caught.value.problems


def set_one(node: Node, name: str, value: Any) -> tuple[bool, str]:
    """Set a parameter; return whether that was allowed, and why not."""
    result = node.set_parameters([Parameter(name, value=value)])[0]
    return result.successful, result.reason
