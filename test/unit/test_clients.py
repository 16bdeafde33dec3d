# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Who a message is from and whom a heartbeat means, and what a hostile publisher cannot do."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
from typing import cast

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped, Vector3
from rclpy.topic_endpoint_info import TopicEndpointInfo
from std_msgs.msg import Header

from viam_session_bridge.core.velocity import Velocity, ZERO
from viam_session_bridge.reporting.active_problems import BRIDGE, SHOWN
from viam_session_bridge.ros.clients import (
    Clients,
    LINES_KEPT,
    NAMES_KEPT,
    SHOWN_FOR,
)
from viam_session_bridge.ros.command_messages import command_of
from viam_session_bridge.ros.publishers import Publishers, UNKNOWN
from viam_session_bridge.runtime import Runtime

TOPIC, HEARTBEAT = '/cmd_vel', '/bridge/heartbeat'
TELEOP, COPY, OPERATOR = 1, 2, 3  # processes
STILL = Twist()
DRIVE = Twist(linear=Vector3(x=0.3), angular=Vector3(z=0.1))


def gid(process: int, number: int = 0) -> str:
    """Return the GID of a publisher of a process's."""
    return (bytes([process]) + number.to_bytes(15, 'big')).hex()


@dataclass
class Rig:
    """Clients with a graph and a runtime of the test's own."""

    graph: dict[str, dict[str, str]] = field(
        default_factory=lambda: {TOPIC: {}, HEARTBEAT: {}}
    )  # node by GID, by topic
    fed: list[tuple[object, ...]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    now: float = 0.0
    ros_time: float = 0.0
    rmw: str = 'rmw_fastrtps_cpp'
    nodes: list[str] = field(default_factory=list)  # in the graph

    def __post_init__(self) -> None:
        self.publishers = Publishers([TOPIC], self.rmw)
        self.clients = Clients(
            cast(Runtime, self), self.publishers, lambda: self.ros_time, self.node_names,
            self.lines.append,
        )  # fmt: skip

    def node_names(self) -> list[tuple[str, str]]:
        """Return the nodes as rclpy does: name and namespace."""
        split = [node.rpartition('/') for node in self.nodes]
        return [(name, namespace or '/') for namespace, _, name in split]

    def comes(self, gid: str, node: str, topic: str = TOPIC) -> None:
        """Let the graph show a publisher."""
        self.graph[topic][gid] = node
        self._look(topic)

    def goes(self, gid: str, topic: str = TOPIC) -> None:
        """Let the graph show it no more."""
        del self.graph[topic][gid]
        self._look(topic)

    def beat(self, gid: str, data: str) -> None:
        """Send a heartbeat."""
        self.clients.heartbeat(gid, data, self.now)

    def beats_fed(self) -> list[object]:
        """Return the heartbeats that were fed since the last call: client and whether own."""
        beats: list[object] = [fed[1:] for fed in self.fed if fed[0] == 'heartbeat']
        self.fed.clear()
        return beats

    def refused_heartbeats(self) -> dict[str, int]:
        """Return how many were refused, by reason."""
        counts = self.clients.counts.items()
        return {what.removeprefix('refused_heartbeats_'): n for (what, _), n in counts}

    def _look(self, topic: str) -> None:
        infos = [
            TopicEndpointInfo(
                node_name=node.lstrip('/'),
                node_namespace='/',
                endpoint_gid=list(bytes.fromhex(gid)),
            )
            for gid, node in self.graph[topic].items()
        ]
        appeared, left = self.publishers.update(topic, infos)
        self.clients.publishers_changed(topic, appeared, left)

    # As a runtime that is fed by the clients

    def command(
        self, client: str, topic: str, velocity: Velocity, age: float | None, taken_at: float
    ) -> None:
        assert taken_at == self.now
        self.fed.append(('command', client, velocity, age))

    def discard(self, client: str, topic: str, velocity: Velocity | None) -> None:
        self.fed.append(('discard', client, velocity))

    def heartbeat(self, client: str, topic: str, own: bool, taken_at: float) -> None:
        assert taken_at == self.now
        self.fed.append(('heartbeat', client, own))

    def left(self, client: str) -> None:
        self.fed.append(('left', client, None))

    def seen(self, client: str) -> None:
        self.fed.append(('seen', client, None))


@pytest.fixture
def rig() -> Rig:
    """Return one in which teleop publishes commands and heartbeats."""
    rig = Rig()
    rig.comes(gid(TELEOP), '/teleop')
    rig.comes(gid(TELEOP, 1), '/teleop', HEARTBEAT)
    rig.fed.clear()
    return rig


# Identity (R1, R3)


@pytest.mark.parametrize('data', ['', '/teleop', 'teleop'])
def test_a_heartbeat_of_the_clients_own_node_is_its_own(rig: Rig, data: str) -> None:
    rig.beat(gid(TELEOP, 1), data)
    assert rig.beats_fed() == [(gid(TELEOP), True)]


def test_a_heartbeat_of_another_node_is_a_permission(rig: Rig) -> None:
    rig.comes(gid(OPERATOR, 1), '/operator', HEARTBEAT)
    rig.beat(gid(OPERATOR, 1), '/teleop')
    assert rig.beats_fed() == [(gid(TELEOP), False)]


def test_a_heartbeat_of_one_that_copied_the_name_is_a_permission(rig: Rig) -> None:
    rig.comes(gid(COPY, 1), '/teleop', HEARTBEAT)
    rig.beat(gid(COPY, 1), '/teleop')
    assert rig.beats_fed() == [(gid(TELEOP), False)]


def test_a_heartbeat_without_a_name_is_never_for_one_whose_name_the_sender_copied(
    rig: Rig,
) -> None:
    rig.comes(gid(COPY, 1), '/teleop', HEARTBEAT)
    rig.beat(gid(COPY, 1), '')
    assert rig.beats_fed() == []
    assert rig.refused_heartbeats() == {'unknown': 1}


def test_a_name_that_two_nodes_have_is_refused_to_each_of_them_and_to_others(rig: Rig) -> None:
    rig.comes(gid(OPERATOR, 1), '/operator', HEARTBEAT)
    rig.comes(gid(COPY), '/teleop')
    for sender in (TELEOP, COPY, OPERATOR):
        rig.beat(gid(sender, 1), '/teleop')
    assert rig.beats_fed() == []
    assert rig.refused_heartbeats() == {'ambiguous': 3}
    rig.goes(gid(COPY))
    rig.fed.clear()
    rig.beat(gid(OPERATOR, 1), '/teleop')
    assert rig.beats_fed() == [(gid(TELEOP), False)]


def test_ones_own_heartbeats_without_a_name_count_though_the_name_was_copied(rig: Rig) -> None:
    rig.comes(gid(COPY), '/teleop')
    rig.comes(gid(COPY, 1), '/teleop', HEARTBEAT)
    rig.beat(gid(TELEOP, 1), '')
    assert rig.beats_fed() == [(gid(TELEOP), True)]
    rig.beat(gid(COPY, 1), '')
    assert rig.beats_fed() == [(gid(COPY), True)]


@dataclass
class Zenoh(Rig):
    """As with Zenoh: a GID says nothing of the process."""

    rmw: str = 'rmw_zenoh_cpp'


@pytest.mark.parametrize('data', ['', '/teleop'])
def test_where_processes_are_not_told_apart_the_name_decides(data: str) -> None:
    rig = Zenoh()
    rig.comes(gid(TELEOP), '/teleop')
    rig.comes(gid(TELEOP, 1), '/teleop', HEARTBEAT)
    rig.nodes = ['/teleop', '/bridge', '/robot/teleop']
    rig.beat(gid(TELEOP, 1), data)
    assert rig.beats_fed() == [(gid(TELEOP), True)]


@pytest.mark.parametrize('data', ['', '/teleop'])
@pytest.mark.parametrize('sender', ['/teleop', '/operator'])
def test_where_they_are_not_a_name_that_two_nodes_have_is_nobodys_own(
    sender: str, data: str
) -> None:
    rig = Zenoh()
    rig.comes(gid(TELEOP), '/teleop')
    rig.comes(gid(COPY, 1), sender, HEARTBEAT)
    rig.nodes = ['/teleop', '/operator', '/teleop']
    rig.beat(gid(COPY, 1), data)
    assert rig.beats_fed() == []
    reason = 'unknown' if (sender, data) == ('/operator', '') else 'ambiguous'
    assert rig.clients.counts == {(f'refused_heartbeats_{reason}', ''): 1}


def test_who_has_a_name_is_asked_at_the_moment_of_the_heartbeat() -> None:
    rig = Zenoh()
    rig.comes(gid(TELEOP), '/teleop')
    rig.comes(gid(TELEOP, 1), '/teleop', HEARTBEAT)
    for nodes, beats in (1, 1), (2, 0), (1, 1):
        rig.nodes = ['/teleop'] * nodes
        rig.beat(gid(TELEOP, 1), '')
        assert len(rig.beats_fed()) == beats
    (line,) = rig.lines
    assert line == (
        "~/heartbeat for '/teleop' refused (ambiguous): several nodes have that name, and this "
        'middleware does not tell them apart; give each its own'
    )


# Commands


def test_a_command_is_fed_in_the_plane_without_an_age(rig: Rig) -> None:
    rig.clients.command(TOPIC, gid(TELEOP), command_of(DRIVE), 0.0)
    assert rig.fed == [('command', gid(TELEOP), Velocity(0.3, 0.0, 0.1), None)]


@pytest.mark.parametrize(
    ('stamp', 'age'),
    [
        (Time(sec=90, nanosec=500_000_000), 9.5),
        (Time(sec=101), -1.0),
        (Time(sec=-1, nanosec=999_999_999), pytest.approx(100.0)),
        (Time(sec=100, nanosec=1_000_000_000), math.inf),
        (Time(sec=100, nanosec=2**32 - 1), math.inf),
        (Time(), math.inf),
    ],
)
def test_a_stamp_gives_an_age_and_one_that_is_zero_or_no_time_is_out_of_every_range(
    rig: Rig, stamp: Time, age: float
) -> None:
    rig.ros_time = 100.0
    message = TwistStamped(header=Header(stamp=stamp), twist=DRIVE)
    rig.clients.command(TOPIC, gid(TELEOP), command_of(message), 0.0)
    assert rig.fed == [('command', gid(TELEOP), Velocity(0.3, 0.0, 0.1), age)]


def test_a_stamp_of_zero_is_one_while_time_stands_at_zero(rig: Rig) -> None:
    rig.ros_time = 0.0
    rig.clients.command(TOPIC, gid(TELEOP), command_of(TwistStamped(twist=DRIVE)), 0.0)
    assert rig.fed == [('command', gid(TELEOP), Velocity(0.3, 0.0, 0.1), 0.0)]


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('axes', ['linear', 'angular'])
@pytest.mark.parametrize('axis', ['x', 'y', 'z'])
def test_a_number_that_is_not_finite_spoils_the_velocity_on_whichever_axis(
    axes: str, axis: str, number: float
) -> None:
    assert not command_of(Twist(**{axes: Vector3(**{axis: number})})).velocity.is_finite


def test_axes_that_are_not_forwarded_are_reported_once_each(rig: Rig) -> None:
    message = Twist(linear=Vector3(z=1.0), angular=Vector3(x=0.1, y=0.2))
    for _ in range(100):
        rig.clients.command(TOPIC, gid(TELEOP), command_of(message), 0.0)
    assert [line.split()[1] for line in rig.lines] == ['linear.z', 'angular.x', 'angular.y']


# What is discarded (R2)


@pytest.mark.parametrize(
    ('message', 'velocity'),
    [
        (DRIVE, Velocity(0.3, 0.0, 0.1)),
        (TwistStamped(twist=DRIVE), Velocity(0.3, 0.0, 0.1)),
        (STILL, ZERO),
        (None, None),
    ],
)
def test_a_discarded_command_is_fed_as_that(
    rig: Rig, message: Twist | TwistStamped | None, velocity: Velocity | None
) -> None:
    rig.clients.discard(TOPIC, gid(TELEOP), message and command_of(message))
    assert rig.fed == [('discard', gid(TELEOP), velocity)]


def test_old_messages_are_counted_and_reported_once_for_each_topic(rig: Rig) -> None:
    for _ in range(100):
        rig.clients.count('old_messages', TOPIC)
    assert rig.clients.counts == {('old_messages', TOPIC): 100}
    (line,) = rig.lines
    assert line.startswith(f'{TOPIC}: messages come too late and are discarded (R2)')


@pytest.mark.parametrize(
    ('publisher', 'name'),
    [
        (gid(TELEOP), '/teleop on /cmd_vel'),
        (gid(TELEOP, 1), '/teleop on /bridge/heartbeat'),
        (gid(COPY), gid(COPY)),
    ],
)
def test_a_clock_that_was_set_is_reported_with_whose_it_is(
    rig: Rig, publisher: str, name: str
) -> None:
    rig.clients.clock_set(publisher, 3600.0, 0.0)
    (line,) = rig.lines
    assert line.startswith(f'{name}: the clock of its computer was set back by 3600.0 s, or ')


def test_of_many_clocks_that_were_set_a_few_are_reported(rig: Rig) -> None:
    for number in range(1000):
        rig.clients.clock_set(gid(COPY, number), 1.0, 0.0)
    assert len(rig.lines) <= 20


# What is reported


@pytest.mark.parametrize(('count', 'what'), [(1, '1 message (R2)'), (2, '2 messages (R2)')])
def test_what_a_late_wake_up_cost_is_reported(rig: Rig, count: int, what: str) -> None:
    rig.clients.discarded(count, 0.4)
    (line,) = rig.lines
    assert f'was 0.400 s late and discarded what waited, {what}' in line


def test_one_that_cost_nothing_is_not(rig: Rig) -> None:
    rig.clients.discarded(0, 0.4)
    assert rig.lines == []


def test_a_refused_heartbeat_is_counted_each_time_and_reported_once(rig: Rig) -> None:
    for _ in range(100):
        rig.beat(gid(TELEOP, 1), '/nobody')
        rig.now += 0.02
    assert rig.refused_heartbeats() == {'unknown': 100}
    assert len(rig.lines) == 1
    assert rig.lines[0].startswith("~/heartbeat for '/nobody' refused (unknown): ")


def test_a_heartbeat_before_its_node_is_in_the_graph_is_told_to_be_early(rig: Rig) -> None:
    rig.beat(gid(COPY, 1), '')
    assert rig.lines == [
        "~/heartbeat for '' refused (unknown): the graph does not show its node yet; the next "
        'ones count'
    ]


def test_refused_heartbeats_of_many_names_are_reported_a_few_at_a_time(rig: Rig) -> None:
    for number in range(10_000):
        rig.beat(gid(TELEOP, 1), f'/nobody_{number}')
        rig.now += 0.001
    assert rig.refused_heartbeats() == {'unknown': 10_000}
    assert len(rig.lines) <= 20
    assert 'more like this' in rig.lines[-1]


def test_after_many_names_another_ones_refusal_is_still_reported(rig: Rig) -> None:
    for number in range(2 * LINES_KEPT):
        rig.beat(gid(TELEOP, 1), f'/nobody_{number}')
        rig.now += 2.0
    rig.lines.clear()
    rig.comes(gid(COPY), '/teleop')
    rig.beat(gid(TELEOP, 1), '/teleop')
    assert 'ambiguous' in rig.lines[0]


def test_of_a_long_name_only_the_beginning_is_kept_and_reported(rig: Rig) -> None:
    rig.beat(gid(TELEOP, 1), 'x' * 1_000_000)
    rig.beat(gid(TELEOP, 1), 'x' * 1_000_001)
    assert len(rig.lines) == 1
    assert len(rig.lines[0]) < 400


def test_one_that_is_there_keeps_its_name_however_many_come_and_go(rig: Rig) -> None:
    rig.clients.command(TOPIC, gid(TELEOP), command_of(STILL), 0.0)
    for number in range(2 * NAMES_KEPT):
        rig.clients.command(TOPIC, gid(COPY, number), command_of(STILL), 0.0)
    assert rig.clients.describe(gid(TELEOP)) == ('/teleop', TOPIC)
    rig.clients.command(TOPIC, gid(TELEOP), command_of(STILL), 0.0)
    assert rig.clients.describe(gid(TELEOP)) == ('/teleop', TOPIC)


def test_one_that_left_is_named_until_many_more_left(rig: Rig) -> None:
    rig.goes(gid(TELEOP))
    assert rig.clients.describe(gid(TELEOP)) == ('/teleop', TOPIC)
    for number in range(NAMES_KEPT):
        rig.clients.command(TOPIC, gid(COPY, number), command_of(STILL), 0.0)
    assert rig.clients.describe(gid(TELEOP)) == ('', '')


def test_lost_messages_are_counted_and_reported_once_for_each_topic(rig: Rig) -> None:
    for _ in range(100):
        rig.clients.count('lost_messages', TOPIC, 3)
    assert rig.clients.counts == {('lost_messages', TOPIC): 300}
    (line,) = rig.lines
    assert line.startswith(f'{TOPIC}: messages are lost on their way: ')


# Publishers that are not heard


def info(name: str, kind: str = 'a/msg/T', namespace: str = '/') -> TopicEndpointInfo:
    return TopicEndpointInfo(node_name=name, node_namespace=namespace, topic_type=kind)


def test_many_are_reported_a_few_at_a_time_and_shown(rig: Rig) -> None:
    for number in range(1000):
        rig.clients.incompatible(TOPIC, info(f'n{number}'), 'it is mute: speak', rig.now)
        rig.now += 0.01
    assert rig.lines[0] == '/cmd_vel: /n0 is not heard: it is mute: speak'
    assert len(rig.lines) <= 20
    assert len(rig.clients.problems.lines(BRIDGE, rig.now)) == SHOWN + 1


def test_one_is_reported_once_a_minute_and_shown_until_it_is_seen_no_more(rig: Rig) -> None:
    for number in range(61):
        rig.clients.incompatible(TOPIC, info('nav', namespace='/robot'), 'mute', 2.0 * number)
    assert rig.lines == ['/cmd_vel: /robot/nav is not heard: mute'] * 3
    assert len(rig.clients.problems.lines(BRIDGE, 119.9 + SHOWN_FOR)) == 1
    assert rig.clients.problems.lines(BRIDGE, 120.0 + SHOWN_FOR) == []


def test_one_whose_name_is_not_known_yet_is_reported_when_it_is(rig: Rig) -> None:
    rig.clients.incompatible(TOPIC, info(UNKNOWN), 'mute', 0.0)
    assert rig.lines == []
    rig.clients.incompatible(TOPIC, info('nav'), 'mute', 0.1)
    assert len(rig.lines) == 1


def test_what_a_stranger_calls_itself_makes_no_lines_and_no_long_ones(rig: Rig) -> None:
    rig.clients.incompatible(TOPIC, info('x\ny' * 1000), 'mute', 0.0)
    (line,) = rig.lines
    assert '\n' not in line
    assert len(line) < 300
