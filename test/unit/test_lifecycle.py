# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node in this process: every state is entered twice, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from std_srvs.srv import Trigger

from viam_session_bridge.ros.node import BridgeNode
from viam_session_bridge.simulation.server import SimulatedMachine

BOUND = 10.0  # s, for what has to happen but whose time is not the point
SUCCESS = TransitionCallbackReturn.SUCCESS


def wait_for(what: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
    end = time.monotonic() + BOUND
    while not what():
        assert time.monotonic() < end, 'it did not come about'
        meanwhile()
        time.sleep(0.005)


class Teleop:
    """A publisher that is heard as soon as the bridge has discovered it."""

    def __init__(self) -> None:
        self.node: Node = rclpy.create_node('teleop')
        self._publisher = self.node.create_publisher(Twist, '/cmd_vel', 10)

    def publish(self) -> None:
        twist = Twist()
        twist.linear.x = 0.2
        self._publisher.publish(twist)


@pytest.fixture
def machine() -> Iterator[SimulatedMachine]:
    with SimulatedMachine() as running:
        yield running


@pytest.fixture
def ros(own_ros_domain: int, machine: SimulatedMachine) -> Iterator[None]:
    parameters = {'machines.main.address': machine.address, 'machines.main.insecure': 'true'}
    given = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    rclpy.init(args=['--ros-args', *given])
    yield
    rclpy.try_shutdown()


@pytest.fixture
def bridge(ros: None) -> Iterator[BridgeNode]:
    # No executor: transitions are its thread's business, and here they are this thread's.
    node = BridgeNode(finished=lambda: None)
    yield node
    if not node.finalized:
        node.trigger_shutdown()
    node.destroy_node()


@pytest.fixture
def bridge_threads(own_threads: Callable[[], list[str]]) -> Callable[[], set[str]]:
    return lambda: set(own_threads()) & {'receiver', 'lapse clock'}


def test_every_state_can_be_entered_again(
    bridge: BridgeNode, machine: SimulatedMachine, bridge_threads: Callable[[], set[str]]
) -> None:
    teleop = Teleop()

    def moving() -> bool:
        return machine.state('base').moving

    for _ in range(2):
        assert bridge.trigger_configure() == SUCCESS
        for _ in range(2):
            assert bridge.trigger_activate() == SUCCESS
            wait_for(moving, meanwhile=teleop.publish)
            assert bridge.trigger_deactivate() == SUCCESS
            wait_for(lambda: not moving())
            assert bridge_threads() == {'lapse clock', 'receiver'}
        assert bridge.trigger_cleanup() == SUCCESS
        assert bridge_threads() == set()
    teleop.node.destroy_node()


def test_who_drives_while_the_node_is_inactive_is_told_so(
    bridge: BridgeNode, machine: SimulatedMachine, capfd: pytest.CaptureFixture[str]
) -> None:
    teleop = Teleop()

    def refused() -> int:
        response = bridge._get_sessions(Trigger.Request(), Trigger.Response())
        return int(json.loads(response.message)['bases'][0]['refusals'].get('inactive', 0))

    assert bridge.trigger_configure() == SUCCESS
    wait_for(lambda: refused() > 0, meanwhile=teleop.publish)
    assert bridge.trigger_activate() == SUCCESS
    wait_for(lambda: machine.state('base').moving, meanwhile=teleop.publish)
    assert bridge.trigger_deactivate() == SUCCESS
    wait_for(lambda: not machine.state('base').moving)
    before = refused()
    wait_for(lambda: refused() > before + 5, meanwhile=teleop.publish)
    assert not machine.state('base').moving
    assert bridge.trigger_cleanup() == SUCCESS
    log = capfd.readouterr().err
    assert log.count('refused a command of /teleop (inactive): the bridge is not active') == 1
    assert '/viam_session_bridge is inactive: its sessions have ended' in log
    teleop.node.destroy_node()


def test_after_a_cleanup_its_own_machine_sessions_are_not_those_of_others(
    bridge: BridgeNode, machine: SimulatedMachine, capfd: pytest.CaptureFixture[str]
) -> None:
    teleop = Teleop()
    for _ in range(2):
        assert bridge.trigger_configure() == SUCCESS
        assert bridge.trigger_activate() == SUCCESS
        wait_for(lambda: machine.state('base').moving, meanwhile=teleop.publish)
        assert bridge.trigger_deactivate() == SUCCESS
        assert bridge.trigger_cleanup() == SUCCESS
    assert 'of others' not in capfd.readouterr().err
    teleop.node.destroy_node()


def test_shutdown_while_active_stops_the_base_and_ends_the_threads(
    bridge: BridgeNode, machine: SimulatedMachine, bridge_threads: Callable[[], set[str]]
) -> None:
    teleop = Teleop()
    assert bridge.trigger_configure() == SUCCESS
    assert bridge.trigger_activate() == SUCCESS
    wait_for(lambda: machine.state('base').moving, meanwhile=teleop.publish)
    assert bridge.trigger_shutdown() == SUCCESS
    assert not machine.state('base').moving
    assert bridge_threads() == set()
    assert bridge.finalized
    assert bridge.never_stopped == []
    teleop.node.destroy_node()
