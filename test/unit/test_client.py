# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""`SessionClient` without a bridge: when which heartbeats are sent, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from support.bounds import Load
from support.drive import wait_for
from support.own_node import OwnNode
from support.process import ROOT
from viam_session_bridge.client import Heartbeats, SessionClient
from viam_session_bridge.reporting.diagnostics import session_statuses
from viam_session_bridge.reporting.overview import SessionRow

WINDOW = 0.5  # s
PERIOD = WINDOW / 5

MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(own_ros_domain: int) -> Iterator[MakeNode]:
    """Return what makes a node that nobody spins."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=own_ros_domain)
    nodes: list[Node] = []

    def make(name: str = 'driver', **others: Any) -> Node:
        nodes.append(rclpy.create_node(name, context=context, **others))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    """Return a node that publishes commands, and that nobody spins."""
    node = make_node()
    node.create_publisher(Twist, 'cmd_vel', 1)
    return node


class Spun(SessionClient):
    """The client of a node that the test spins, and when its heartbeats were sent."""

    def __init__(self, node: Node, window: float = WINDOW) -> None:
        super().__init__(node, window=window)
        self.sent: list[float] = []
        self.heartbeats = Heartbeats(self, '')
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def _send(self, data: str) -> None:
        self.sent.append(time.monotonic())

    def spin_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline
            self._executor.spin_once(timeout_sec=0.01)

    def spin_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.spin_until(lambda: time.monotonic() >= until)


class Listener(OwnNode):
    """A node of somebody else that hears heartbeats."""

    def __init__(self, domain: int, topic: str, reliability: ReliabilityPolicy) -> None:
        super().__init__(domain, 'listener')
        self.heard: list[str] = []
        qos = QoSProfile(depth=100, reliability=reliability)
        self._node.create_subscription(
            String, topic, lambda message: self.heard.append(message.data), qos
        )


def test_five_heartbeats_come_in_a_window_from_the_start_on(node: Node) -> None:
    spun = Spun(node)
    with Load() as load:
        load.watch(os.getpid)
        began = time.monotonic()
        spun.heartbeats.start()
        assert len(spun.sent) == 1
        spun.spin_until(lambda: len(spun.sent) == 11)
        took = time.monotonic() - began
        assert took >= 2 * WINDOW - 0.02
        load.hold(took, 2 * WINDOW + 0.1, began)


def test_nothing_is_sent_unless_somebody_spins_the_node(node: Node) -> None:
    spun = Spun(node)
    spun.heartbeats.start()
    time.sleep(3 * PERIOD)  # the fault: nobody does
    assert len(spun.sent) == 1


def test_stop_ends_them_and_start_begins_anew(node: Node) -> None:
    spun = Spun(node)
    with spun.heartbeats as heartbeats:
        heartbeats.start()  # changes nothing
        assert (heartbeats.started, len(spun.sent)) == (True, 1)
        spun.spin_until(lambda: len(spun.sent) == 3)
    assert not spun.heartbeats.started
    assert not list(node.timers)
    spun.spin_for(3 * PERIOD)
    assert len(spun.sent) == 3
    spun.heartbeats.start()
    assert len(spun.sent) == 4
    spun.spin_until(lambda: len(spun.sent) == 6)


def test_heartbeat_that_was_due_when_another_thread_stopped_them_is_not_sent(node: Node) -> None:
    spun = Spun(node)
    spun.heartbeats.start()
    spun.heartbeats.stop()
    spun.heartbeats._beat()  # as an executor does that had taken the timer already
    assert len(spun.sent) == 1


def test_heartbeat_after_a_hang_is_left_out_so_that_what_waited_comes_first(node: Node) -> None:
    spun = Spun(node)
    spun.heartbeats.start()
    spun.spin_until(lambda: len(spun.sent) == 3)
    time.sleep(WINDOW + 0.7 * PERIOD)  # the fault: a callback that hangs
    thawed = time.monotonic()
    spun.spin_until(lambda: len(spun.sent) == 4)
    assert spun.sent[3] - thawed >= PERIOD * 0.9
    spun.spin_until(lambda: len(spun.sent) == 6)


def test_button_let_go_during_a_hang_is_looked_at_before_the_next_heartbeat(
    node: Node, make_node: MakeNode
) -> None:
    spun = Spun(node)
    node.create_subscription(String, 'button', lambda _: spun.heartbeats.stop(), 10)
    button: Any = make_node('button').create_publisher(String, 'button', 10)
    wait_for(lambda: button.get_subscription_count() == 1, 'the button is connected')
    spun.heartbeats.start()
    spun.spin_until(lambda: len(spun.sent) == 2)
    button.publish(String(data='let go'))
    time.sleep(WINDOW)  # the fault: a callback that hangs
    spun.spin_until(lambda: not spun.heartbeats.started)
    assert len(spun.sent) == 2


def test_period_follows_the_window(node: Node) -> None:
    spun = Spun(node)
    spun.heartbeats.start()
    spun._given_window = 0.1
    spun.spin_until(lambda: len(spun.sent) == 2)
    with Load() as load:
        load.watch(os.getpid)
        began = time.monotonic()
        spun.spin_until(lambda: len(spun.sent) == 22)
        load.hold(time.monotonic() - began, 20 * 0.02 + 0.1, began)
        spun._given_window = 60.0  # they are cheap: never rarer than for the default
        spun.spin_until(lambda: len(spun.sent) == 24)
        before, last = spun.sent[-2:]
        load.hold(last - before, PERIOD + 0.1, before)


def test_simulated_time_that_stands_holds_none_back(make_node: MakeNode) -> None:
    parameters = [Parameter('use_sim_time', value=True)]
    node = make_node('simulated', parameter_overrides=parameters)
    assert node.get_clock().now().nanoseconds == 0
    spun = Spun(node)
    spun.heartbeats.start()
    spun.spin_until(lambda: len(spun.sent) == 5)


@pytest.mark.parametrize('group', [None, MutuallyExclusiveCallbackGroup()], ids=['default', 'own'])
def test_many_threads_send_none_while_a_callback_of_the_group_hangs(
    node: Node, make_node: MakeNode, own_ros_domain: int, group: Any
) -> None:
    hangs, release = threading.Event(), threading.Event()

    def hang(_: String) -> None:
        hangs.set()
        release.wait(10.0)

    node.create_subscription(String, 'hang', hang, 1, callback_group=group)
    fault: Any = make_node('fault').create_publisher(String, 'hang', 1)
    wait_for(lambda: fault.get_subscription_count() == 1, 'the fault is connected')
    sent: list[str] = []

    class Counted(SessionClient):
        def _send(self, data: str) -> None:
            sent.append(data)
            super()._send(data)

    client = Counted(node, window=WINDOW, callback_group=group)
    executor = MultiThreadedExecutor(4, context=node.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    topic = '/viam_session_bridge/heartbeat'
    with Listener(own_ros_domain, topic, ReliabilityPolicy.RELIABLE) as listener:
        heartbeats = client.session('cmd_vel')
        heartbeats.start()
        wait_for(lambda: len(listener.heard) >= 3, 'heartbeats come')
        fault.publish(String())
        assert hangs.wait(10.0)
        before = len(sent)  # some of which may be on their way
        time.sleep(2 * WINDOW)  # the fault lasts
        assert len(sent) == before
        release.set()
        wait_for(lambda: len(listener.heard) >= before + 3, 'they come again')
        heartbeats.stop()
    executor.shutdown()
    thread.join(10.0)


@pytest.mark.parametrize(
    'reliability', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]
)
def test_they_name_whom_they_speak_for_whatever_the_bridges_qos(
    make_node: MakeNode, own_ros_domain: int, reliability: ReliabilityPolicy
) -> None:
    node = make_node('driver', namespace='/robot')
    node.create_publisher(Twist, 'cmd_vel', 1)
    client = SessionClient(node)
    with Listener(own_ros_domain, '/robot/viam_session_bridge/heartbeat', reliability) as bridge:
        names = {
            client.session('cmd_vel'): '',
            client.permission('teleop'): '/robot/teleop',
            client.permission('/other/teleop'): '/other/teleop',
        }
        for heartbeats, expected in names.items():

            def heard(heartbeats: Heartbeats = heartbeats, expected: str = expected) -> bool:
                heartbeats.send()
                return expected in bridge.heard

            wait_for(heard, f'{expected!r} is heard')
            bridge.heard.clear()


@pytest.mark.parametrize('bridge', ['', '/'])
def test_bridge_without_a_name_is_refused(node: Node, bridge: str) -> None:
    with pytest.raises(ValueError, match='bridge: '):
        SessionClient(node, bridge)


@pytest.mark.parametrize('window', [0.0, -1.0, float('nan'), float('inf')])
def test_window_that_is_none_is_refused(node: Node, window: float) -> None:
    with pytest.raises(ValueError, match='window: '):
        SessionClient(node, window=window)


def test_group_that_goes_on_while_a_callback_hangs_is_refused(node: Node) -> None:
    with pytest.raises(ValueError, match='callback_group: '):
        SessionClient(node, callback_group=ReentrantCallbackGroup())


def test_session_on_a_topic_that_the_node_does_not_publish_is_refused(node: Node) -> None:
    client = SessionClient(node)
    with pytest.raises(ValueError, match='/driver has no publisher on /cmd_vels; create'):
        client.session('cmd_vels')
    client.session('/cmd_vel')


@pytest.mark.parametrize(
    ('name', 'error'),
    [('', ValueError), ('/', ValueError), ('two words', InvalidNamespaceException),
     ('/1st', InvalidNamespaceException)],
)  # fmt: skip
def test_permission_for_a_name_that_no_node_has_is_refused(
    node: Node, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        SessionClient(node).permission(name)


def test_without_a_bridge_there_is_no_overview(node: Node) -> None:
    client = SessionClient(node)
    assert not client.wait_for_bridge(0.1)
    with pytest.raises(RuntimeError, match='no bridge at viam_session_bridge'):
        client.overview()


def test_sessions_published_before_the_node_came_reach_it(
    node: Node, make_node: MakeNode
) -> None:
    row = SessionRow(1, '0a' * 16, '/teleop', '/cmd_vel', 'active', {}, ['base'], 1.0, 0.2, 5, {})
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    bridge: Any = make_node('viam_session_bridge').create_publisher(
        DiagnosticArray, '~/sessions', latched
    )
    bridge.publish(DiagnosticArray(status=session_statuses('/viam_session_bridge', [row])))
    received: list[list[SessionRow]] = []
    SessionClient(node).watch(received.append)
    Spun(node).spin_until(lambda: bool(received))
    assert received == [[row]]


def test_it_brings_nothing_of_the_bridge_into_the_users_node() -> None:
    program = 'import sys, viam_session_bridge.client; print(*sys.modules)'
    ran = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert 'viam_session_bridge.client.session_client' in loaded
    assert not loaded & {'grpc', 'google.protobuf', 'viam_session_bridge.core.bridge'}
