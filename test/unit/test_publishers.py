# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Who publishes, from what the graph shows (R1, R3)."""

from itertools import pairwise

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.topic_endpoint_info import TopicEndpointInfo

from viam_session_bridge.ros.publishers import (
    Looks,
    Publisher,
    Publishers,
    same_node,
    wrong_qos,
    wrong_type,
)

COMMANDS, HEARTBEAT = '/cmd_vel', '/viam_session_bridge/heartbeat'


def info(node: str, process: int, entity: int, namespace: str = '/') -> TopicEndpointInfo:
    gid = [process] * 12 + [0, 0, entity, 3]
    return TopicEndpointInfo(node_name=node, node_namespace=namespace, endpoint_gid=gid)


def registry(rmw: str = 'rmw_fastrtps_cpp') -> Publishers:
    return Publishers([COMMANDS], rmw)


def hidden(there: TopicEndpointInfo) -> TopicEndpointInfo:
    return TopicEndpointInfo(
        node_name='_NODE_NAME_UNKNOWN_',
        node_namespace='_NODE_NAMESPACE_UNKNOWN_',
        endpoint_gid=there.endpoint_gid,
    )


def test_a_publisher_has_gid_topic_node_and_participant() -> None:
    (seen,), left = registry().update(COMMANDS, [info('teleop', 1, 5, '/robot')])
    assert seen == Publisher('01' * 12 + '00000503', COMMANDS, '/robot/teleop', '01' * 12)
    assert left == []


def test_who_comes_appears_once_and_who_goes_leaves_once() -> None:
    publishers = registry()
    one, two = info('one', 1, 1), info('two', 2, 1)
    assert [seen.node for seen in publishers.update(COMMANDS, [one])[0]] == ['/one']
    assert [seen.node for seen in publishers.update(COMMANDS, [one, two])[0]] == ['/two']
    assert publishers.update(COMMANDS, [two, one]) == ([], [])
    appeared, left = publishers.update(COMMANDS, [two])
    assert (appeared, [gone.node for gone in left]) == ([], ['/one'])
    assert publishers.by_gid(left[0].gid) is None
    assert publishers.on(COMMANDS) == publishers.named('/two')


@pytest.mark.parametrize(
    ('rmw', 'gid', 'host'),
    [
        ('rmw_fastrtps_cpp', '010ff0b0e76062370000000000001304', 'f0b0'),
        ('rmw_fastrtps_dynamic_cpp', '010ff0b00d6102700000000000001403', 'f0b0'),
        ('rmw_fastrtps_cpp', '44530b0e76062370000000000001304f', ''),  # a discovery server's
        ('rmw_cyclonedds_cpp', '010ff0b0e76062370000000000001304', ''),
        ('rmw_zenoh_cpp', '010ff0b0e76062370000000000001304', ''),
    ],
)
def test_hosts_are_told_apart_where_the_gid_says_them(rmw: str, gid: str, host: str) -> None:
    assert registry(rmw).host_of(gid) == host


@pytest.mark.parametrize(('rmw', 'numbered'), [
    ('rmw_fastrtps_cpp', True), ('rmw_zenoh_cpp', True), ('rmw_cyclonedds_cpp', False)])
def test_lost_messages_can_be_counted_where_the_middleware_numbers_them(
    rmw: str, numbered: bool
) -> None:
    assert registry(rmw).number_messages is numbered


def test_topics_are_kept_apart() -> None:
    publishers = registry()
    publishers.update(COMMANDS, [info('one', 1, 1)])
    publishers.update(HEARTBEAT, [info('one', 1, 2)])
    assert publishers.update(HEARTBEAT, [])[1][0].topic == HEARTBEAT
    assert len(publishers.on(COMMANDS)) == 1


def test_a_name_that_comes_later_makes_it_appear_again_and_is_never_lost() -> None:
    publishers = registry()
    there = info('teleop', 1, 1)
    (unnamed,), _ = publishers.update(COMMANDS, [hidden(there)])
    assert unnamed.node == ''
    assert publishers.named('') == []
    (named,), left = publishers.update(COMMANDS, [there])
    assert (named.node, named.gid, left) == ('/teleop', unnamed.gid, [])
    assert publishers.update(COMMANDS, [hidden(there)]) == ([], [])
    assert publishers.by_gid(named.gid) == named


def test_named_finds_clients_only() -> None:
    publishers = registry()
    publishers.update(COMMANDS, [info('teleop', 1, 1), info('teleop', 1, 2), info('nav', 2, 1)])
    publishers.update(HEARTBEAT, [info('teleop', 1, 3)])
    assert [seen.topic for seen in publishers.named('/teleop')] == [COMMANDS] * 2
    assert publishers.named('/nobody') == []


@pytest.mark.parametrize(('rmw', 'one_node'), [
    ('rmw_fastrtps_cpp', False), ('rmw_cyclonedds_cpp', False), ('rmw_zenoh_cpp', True)])
def test_two_nodes_of_one_name_are_told_apart_by_their_participants(
    rmw: str, one_node: bool
) -> None:
    publishers = registry(rmw)
    publishers.update(COMMANDS, [info('teleop', 1, 1), info('teleop', 2, 1)])
    one, other = publishers.named('/teleop')
    assert same_node(one, other) is one_node


def test_same_node() -> None:
    publishers = registry()
    publishers.update(COMMANDS, [info('teleop', 1, 1), info('nav', 1, 2), info('', 1, 3)])
    publishers.update(HEARTBEAT, [info('teleop', 1, 4), info('', 1, 5)])
    teleop, nav, unknown = publishers.on(COMMANDS)
    heartbeat, unknown_heartbeat = publishers.on(HEARTBEAT)
    assert same_node(teleop, heartbeat)
    assert not same_node(nav, heartbeat)
    assert not same_node(unknown, unknown_heartbeat)
    assert same_node(unknown, unknown)


def test_looks_follow_a_change_and_never_end() -> None:
    looks = Looks(0.0)
    at, now = [], looks.next_at
    assert now == 0.0
    while now < 10.0:
        looks.looked(now, now)
        at.append(round(looks.next_at - now, 3))
        now = looks.next_at
    assert at[:5] == [0.02, 0.04, 0.08, 0.16, 0.32]
    assert at[-1] == Looks.SLOWEST
    looks.changed(now)
    assert looks.next_at == now


def test_a_storm_of_changes_is_looked_at_every_20_ms_at_first_then_ten_times_a_second() -> None:
    looks, seen, now = Looks(0.0), [], 0.0
    while now < 1.0:
        looks.changed(now)
        if now >= looks.next_at:
            looks.looked(now, now)
            seen.append(now)
        now += 0.0001
    pauses = [round(then - before, 2) for before, then in pairwise(seen)]
    assert pauses == [0.02] * 6 + [0.08] + [0.1] * (len(pauses) - 7)
    assert len(seen) == 15
    assert looks.next_at <= now + Looks.EVERY, 'and at its end'


def test_a_dear_look_is_taken_less_often() -> None:
    looks = Looks(0.0)
    looks.looked(0.0, 0.25)
    looks.changed(0.3)
    assert looks.next_at == pytest.approx(0.25 + 0.25 / Looks.SHARE)


# Publishers that are not heard

TWIST, STAMPED = 'geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped'


@pytest.mark.parametrize(
    ('there', 'wanted', 'remedy'),
    [
        (STAMPED, TWIST, f'move the topic to stamped_command_topics, or have it publish {TWIST}'),
        (TWIST, STAMPED, f'move the topic to command_topics, or have it publish {STAMPED}'),
        ('std_msgs/msg/String', TWIST, 'let it publish that, or on another topic'),
        (TWIST, 'std_msgs/msg/String', 'let it publish that, or on another topic'),
    ],
)
def test_another_type_has_a_remedy(there: str, wanted: str, remedy: str) -> None:
    assert wrong_type(there, wanted) == (
        f'it publishes {there}, the bridge expects {wanted}: {remedy}'
    )


@pytest.mark.parametrize(
    ('why', 'setting'),
    [
        ('Volatile publisher and transient local subscription', 'durability'),
        ('Subscription has a deadline, but publisher does not', 'deadline'),
        ("Publisher's liveliness is automatic and subscription's is manual by topic",
         'liveliness'),
        ('Subscription has a liveliness lease duration, but publisher does not',
         'liveliness_lease_duration'),
    ],
)  # fmt: skip
def test_an_incompatible_qos_is_named_with_the_setting(why: str, setting: str) -> None:
    assert wrong_qos(COMMANDS, f'ERROR: {why};') == (
        f'incompatible QoS, {setting} ({why}): let it offer what the bridge requests'
    )


def test_one_that_is_not_reliable_enough_is_named_with_the_parameter() -> None:
    why = 'Best effort publisher and reliable subscription'
    assert wrong_qos(COMMANDS, f'ERROR: {why};') == (
        f'incompatible QoS, reliability ({why}): set '
        'qos_overrides./cmd_vel.subscription.reliability to best_effort, or let it publish as '
        'reliable'
    )


def test_every_reason_of_an_incompatible_qos_is_named() -> None:
    assert '(one, two)' in wrong_qos(COMMANDS, 'ERROR: one;ERROR: two;')


def test_what_a_stranger_calls_its_type_makes_no_lines_and_no_long_ones() -> None:
    words = wrong_type('a\n[WARN] all is well' * 1000, TWIST)
    assert '\n' not in words
    assert len(words) < 300
