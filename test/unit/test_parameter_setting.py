# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Setting parameters: until the node is configured, and only to what they can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.parameter import Parameter

from support.parameter_junk import INSECURE, JUNK_GIVEN, ROWS
from support.parameter_nodes import MakeNode, node_factory, set_one
from viam_session_bridge.configuration.model import ConfigurationError
from viam_session_bridge.ros.node_parameters import Parameters


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    with node_factory() as make:
        yield make


def test_what_is_set_before_configuring_counts(make_node: MakeNode) -> None:
    node = make_node({'heartbeat_window': 'long'})
    parameters = Parameters(node)
    assert set_one(node, 'heartbeat_window', 2) == (True, '')
    assert set_one(node, 'bases.base.stamped_command_topics', ['stamped']) == (True, '')
    assert set_one(node, 'bases.base.command_topics', []) == (True, '')
    assert set_one(node, 'machines.main.insecure', True) == (True, '')
    configuration = parameters.read()
    assert configuration.heartbeat_window == 2.0
    assert configuration.bases[0].command_topics == ()
    assert configuration.bases[0].stamped_command_topics == ('/stamped',)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('heartbeat_window', float('nan'), 'out of range'),
        ('heartbeat_window', 0.01, 'out of range'),
        ('heartbeat_window', True, 'Wrong parameter type'),
        ('machines.main.max_sessions', 1025, 'out of range'),
        ('bases.base.command_topics', 'cmd_vel', 'Wrong parameter type'),
        ('bases.base.sessions', 'manul', 'did you mean manual?'),
        ('stop_policy', 'robot', 'must be bridge or machine'),
    ],
)
def test_what_cannot_be_is_refused_when_set(
    make_node: MakeNode, name: str, value: Any, words: str
) -> None:
    node = make_node(INSECURE)
    parameters = Parameters(node)
    successful, reason = set_one(node, name, value)
    assert not successful
    assert words in reason
    parameters.read()


def test_a_locked_parameter_says_how_to_change_it(make_node: MakeNode) -> None:
    node = make_node(INSECURE)
    parameters = Parameters(node)
    before = parameters.read()
    parameters.locked = True
    for name in ROWS:
        successful, reason = set_one(node, name, node.get_parameter(name).value)
        assert not successful
        assert reason.startswith(f'{name} is read-only while the node is configured')
        assert 'clean it up' in reason
    assert parameters.read() == before
    parameters.locked = False
    assert set_one(node, 'heartbeat_window', 0.25) == (True, '')
    assert parameters.read().heartbeat_window == 0.25


def test_no_parameter_can_be_deleted(make_node: MakeNode) -> None:
    node = make_node(INSECURE)
    Parameters(node)
    result = node.set_parameters([Parameter('heartbeat_window', Parameter.Type.NOT_SET)])[0]
    assert not result.successful


def test_parameters_come_and_go_with_the_names(make_node: MakeNode) -> None:
    node = make_node({'machines.rear.address': '[::1]:8081'})
    parameters = Parameters(node)
    assert set_one(node, 'machine_names', ['rear']) == (True, '')
    assert not node.has_parameter('machines.main.address')
    assert node.get_parameter('machines.rear.address').value == '[::1]:8081'
    assert node.get_parameter('bases.base.machine').value == 'rear'
    assert set_one(node, 'machines.rear.insecure', True) == (True, '')
    assert set_one(node, 'base_names', ['one', 'two']) == (True, '')
    assert set_one(node, 'bases.two.command_topics', ['two']) == (True, '')
    configuration = parameters.read()
    assert [base.resource for base in configuration.bases] == ['one', 'two']
    with pytest.raises(ParameterNotDeclaredException):
        set_one(node, 'machines.main.address', 'localhost:1')


@pytest.mark.parametrize(
    ('value', 'expected'), [(None, True), (True, True), (False, False), ('no', True), (0, True)]
)
def test_autostart_is_known_early(make_node: MakeNode, value: Any, expected: bool) -> None:
    node = make_node({} if value is None else {'autostart': value})
    Parameters(node)
    assert node.get_parameter('autostart').value is expected


def test_junk_on_a_node() -> None:
    with node_factory() as make:

        @settings(max_examples=60, deadline=None, database=None)
        @given(JUNK_GIVEN, JUNK_GIVEN)
        def on_a_node(overrides: dict[str, Any], later: dict[str, Any]) -> None:
            node = make(INSECURE | overrides)
            parameters = Parameters(node)
            check_reading(parameters)
            for name, value in later.items():
                if node.has_parameter(name) and name in ROWS:
                    set_one(node, name, value)
            check_reading(parameters)
            node.destroy_node()

        on_a_node()


def check_reading(parameters: Parameters) -> None:
    try:
        parameters.read()
    except ConfigurationError as error:
        assert error.problems
