# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The SROS 2 policy against the real nodes: all that they open is allowed, and nothing else is.

Here DDS has no security built in: this holds the policy against the graph, docs/sros2.md says how
it was tried with security enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
import re
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node, NodeNameNonExistentError
from std_msgs.msg import String

from support.bounds import PATIENCE
from support.domains import ros_environment
from support.process import ProcessUnderTest
from viam_session_bridge.ros.node import BridgeNode
from viam_session_bridge.tools.sessions import OverviewClient

CONFIG = Path(__file__).resolve().parents[2] / 'config'
BRIDGE, TELEOP, OPERATOR = '/viam_session_bridge', '/teleop', '/operator'
KINDS = {'topics': ('publish', 'subscribe'), 'services': ('reply', 'request')}
NODES_OWN = {'/parameter_events', '/rosout'}  # topics that every node publishes
SUCCESS = TransitionCallbackReturn.SUCCESS

Rules = dict[str, set[str]]
"""Fully qualified names for each of publish, subscribe, reply and request."""


def policy() -> ElementTree.Element:
    """Return the policy's root, with its comments, which sros2 sees as well."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    return ElementTree.parse(CONFIG / 'sros2_policy.xml', parser).getroot()


def elements(parent: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the children that are no comments."""
    return [child for child in parent if isinstance(child.tag, str)]


def enclaves() -> dict[str, ElementTree.Element]:
    """Return the enclaves by their paths."""
    return {element.attrib['path']: element for element in policy().iter('enclave')}


def qualified(name: str, profile: ElementTree.Element) -> str:
    """Return the full name of what a profile names."""
    namespace = profile.attrib['ns'].rstrip('/')
    if name.startswith('~'):
        return f'{namespace}/{profile.attrib["node"]}{name[1:]}'
    return name if name.startswith('/') else f'{namespace}/{name}'


def allowed(enclave: str) -> Rules:
    """Return what an enclave allows."""
    rules: Rules = {may: set() for kind in KINDS.values() for may in kind}
    for profile in enclaves()[enclave].iter('profile'):
        for group in elements(profile):
            names = [qualified(name.text or '', profile) for name in elements(group)]
            for may in group.attrib:
                rules[may].update(names)
    return rules


def opened(by: Node, name: str) -> Rules:
    """Return what a node of the graph has opened, as another or it itself sees it."""
    asked: Mapping[str, Callable[..., list[tuple[str, list[str]]]]] = {
        'publish': by.get_publisher_names_and_types_by_node,
        'subscribe': by.get_subscriber_names_and_types_by_node,
        'reply': by.get_service_names_and_types_by_node,
        'request': by.get_client_names_and_types_by_node,
    }
    return {may: {found for found, _ in ask(name, '/')} for may, ask in asked.items()}


@pytest.fixture
def bridge(own_ros_domain: int, tmp_path: Path) -> Iterator[BridgeNode]:
    """Return the node with the parameters that the policy is for, and no machine."""
    nowhere = f'machines.main.address:=unix:{tmp_path}/nowhere'
    file = str(CONFIG / 'one_base.yaml')
    rclpy.init(args=['--ros-args', '--params-file', file, '-p', nowhere])
    node = BridgeNode(finished=lambda: None)
    try:
        yield node
    finally:
        if not node.finalized:
            node.trigger_shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def test_sros2_can_read_it() -> None:
    root = policy()
    assert (root.tag, root.attrib) == ('policy', {'version': '0.2.0'})
    (all_enclaves,) = elements(root)
    assert all_enclaves.tag == 'enclaves'
    # sros2 takes a comment among the enclaves for one, and gives up there.
    assert [child.tag for child in all_enclaves] == ['enclave'] * 3
    assert set(enclaves()) == {BRIDGE, TELEOP, OPERATOR}


@pytest.mark.parametrize('enclave', [BRIDGE, TELEOP, OPERATOR])
def test_profiles_are_well_formed(enclave: str) -> None:
    (profiles,) = elements(enclaves()[enclave])
    (profile,) = elements(profiles)
    assert (profiles.tag, profile.tag) == ('profiles', 'profile')
    assert profile.attrib == {'ns': '/', 'node': enclave[1:]}
    named: list[str] = []
    for group in elements(profile):
        ((may, qualifier),) = group.attrib.items()
        assert may in KINDS[group.tag]
        assert qualifier == 'ALLOW'
        names = [name.text or '' for name in elements(group)]
        assert names, f'{may} of nothing'
        assert {name.tag for name in elements(group)} == {group.tag[:-1]}
        assert all(re.fullmatch(r'(~/|/)?\w[\w/*]*', name) for name in names)
        named += [f'{group.tag} {may} {qualified(name, profile)}' for name in names]
    assert len(named) == len(set(named)), 'a rule is there twice'


def test_only_the_operators_own_tools_have_names_with_a_star() -> None:
    stars = {
        (enclave, may, name)
        for enclave in enclaves()
        for may, names in allowed(enclave).items()
        for name in names
        if '*' in name
    }
    assert {(enclave, may) for enclave, may, _ in stars} == {(OPERATOR, 'reply')}
    assert all(name.startswith('/_') for _, _, name in stars)


def test_the_bridge_opens_what_it_is_allowed_to_and_nothing_else(bridge: BridgeNode) -> None:
    assert bridge.trigger_configure() == SUCCESS
    assert bridge.trigger_activate() == SUCCESS
    assert opened(bridge, bridge.get_name()) == allowed(BRIDGE)


def test_it_opens_nothing_else_in_other_states(bridge: BridgeNode) -> None:
    rules = allowed(BRIDGE)

    def within_the_rules() -> bool:
        return all(found <= rules[may] for may, found in opened(bridge, BRIDGE[1:]).items())

    assert within_the_rules(), 'unconfigured'
    for transition in ('configure', 'activate', 'deactivate', 'cleanup', 'configure'):
        assert getattr(bridge, f'trigger_{transition}')() == SUCCESS
        assert within_the_rules(), transition


class ScriptedPublisher(ProcessUnderTest):
    """The package's own publisher, with heartbeats, as the node that the policy has."""

    def command(self) -> list[str]:
        """Return what to run."""
        module = 'viam_session_bridge.tools.scripted_publisher'
        return [sys.executable, '-m', module, TELEOP[1:], '--heartbeat', BRIDGE]


@pytest.fixture
def watcher(own_ros_domain: int) -> Iterator[Node]:
    """Return a node that sees the graph from outside."""
    rclpy.init(args=[])
    node = rclpy.create_node('watcher')
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def test_a_publisher_opens_what_it_is_allowed_to_and_nothing_else(
    watcher: Node, tmp_path: Path, own_ros_domain: int
) -> None:
    heard: list[str] = []
    for kind, topic in ((Twist, '/cmd_vel'), (String, f'{BRIDGE}/heartbeat')):
        watcher.create_subscription(kind, topic, lambda _, topic=topic: heard.append(topic), 10)
    expected = allowed(TELEOP)
    found: Rules = {}

    def seen() -> bool:
        # It sends when it has opened all; the graph tells of that a little later.
        rclpy.spin_once(watcher, timeout_sec=0.01)
        with suppress(NodeNameNonExistentError):
            found.update(opened(watcher, TELEOP[1:]))
        return len(set(heard)) == 2 and found == expected

    with ScriptedPublisher(tmp_path, 'teleop', ros_environment(own_ros_domain)):
        end = time.monotonic() + PATIENCE
        while not seen() and time.monotonic() < end:
            pass
    assert found == expected


def test_the_table_of_sessions_opens_what_an_operator_is_allowed_to(bridge: BridgeNode) -> None:
    assert bridge.trigger_configure() == SUCCESS
    with OverviewClient(BRIDGE) as table:
        found = opened(table._own, table._own.get_name())
    rules = allowed(OPERATOR)
    assert found['request'] == {f'{BRIDGE}/get_sessions'}
    assert found['reply']
    for may, names in found.items():
        for name in names:
            assert any(fnmatchcase(name, rule) for rule in rules[may]), (may, name)


def test_each_is_allowed_no_more_of_the_bridge_than_there_is() -> None:
    bridge, teleop, operator = allowed(BRIDGE), allowed(TELEOP), allowed(OPERATOR)
    assert teleop['publish'] == bridge['subscribe'] | NODES_OWN
    assert teleop['subscribe'] == teleop['request'] == set()
    assert operator['publish'] == NODES_OWN
    assert operator['subscribe'] == bridge['publish'] - NODES_OWN
    assert operator['request'] <= bridge['reply']
    # What `sessions`, and `ros2 lifecycle get` and `set` call; parameters are nobody's to set.
    called = ('get_sessions', 'get_state', 'get_available_transitions', 'change_state')
    assert operator['request'] == {f'{BRIDGE}/{service}' for service in called}
    tools = ('_ros2cli_*', '_sessions_*')
    assert operator['reply'] == {f'/{node}/get_type_description' for node in tools}
