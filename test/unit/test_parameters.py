# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that were given to a real node: what is accepted, refused and said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.parameter import Parameter

from support.parameter_junk import INSECURE, ROWS
from support.parameter_nodes import MakeNode, node_factory, problems_of, set_one
from viam_session_bridge.configuration.model import (
    DriveMode,
    SessionsMode,
)
from viam_session_bridge.configuration.table import Kind
from viam_session_bridge.ros.node_parameters import Parameters

OUT_OF_RANGE = [
    (name, number)
    for name, row in ROWS.items()
    if row.kind is Kind.NUMBER
    for number in (float('nan'), float('inf'), -1.0)
] + [('machines.main.max_sessions', 0), ('machines.main.max_sessions', 1025)]


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    with node_factory() as make:
        yield make


# Defaults


def test_defaults_are_the_designs(make_node: MakeNode) -> None:
    configuration = Parameters(make_node(INSECURE)).read()
    assert configuration.heartbeat_window == 0.5
    assert (configuration.shutdown_timeout, configuration.stop_timeout) == (2.0, 2.0)
    assert configuration.event_log == ''
    (machine,) = configuration.machines
    assert (machine.name, machine.address) == ('main', 'localhost:8080')
    assert (machine.call_timeout, machine.max_sessions) == (0.25, 256)
    assert not machine.allow_unsupervised
    (base,) = configuration.bases
    assert (base.name, base.machine, base.resource) == ('base', 'main', 'base')
    assert (base.command_topics, base.stamped_command_topics) == (('/cmd_vel',), ())
    assert (base.sessions, base.drive_mode) == (SessionsMode.AUTO, DriveMode.VELOCITY)
    assert base.mirrored_reverse
    assert (base.max_linear_speed, base.max_angular_speed, base.max_stamp_age) == (0, 0, 0)


def test_a_base_belongs_to_the_first_machine_and_has_its_own_name(make_node: MakeNode) -> None:
    node = make_node(
        {'machine_names': ['left'], 'machines.left.insecure': True, 'base_names': ['wheels']}
    )
    (base,) = Parameters(node).read().bases
    assert (base.machine, base.resource) == ('left', 'wheels')


def test_every_parameter_is_described(make_node: MakeNode) -> None:
    node = make_node()
    Parameters(node)
    for name, row in ROWS.items():
        descriptor = node.describe_parameter(name)
        assert descriptor.description.startswith(row.description)
        assert 'read-only once' in descriptor.additional_constraints
        assert not row.unit or f'Unit: {row.unit}.' in descriptor.description
        assert bool(row.allowed) == bool(
            descriptor.floating_point_range or descriptor.integer_range
        )
        assert not descriptor.dynamic_typing


# Mistakes


@pytest.mark.parametrize(('name', 'value'), OUT_OF_RANGE)
def test_a_number_out_of_range_is_no_matter_for_construction(
    make_node: MakeNode, name: str, value: Any
) -> None:
    (problem,) = problems_of(make_node({**INSECURE, name: value}))
    assert problem.startswith(f'{name} is {value}')


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('heartbeat_window', '0.5', "is '0.5', but must be a number from 0.03 to 60 s (without"),
        ('heartbeat_window', True, 'is true, but must be a number'),
        ('bases.base.command_topics', 'cmd_vel', "is 'cmd_vel', but must be a list of texts: "
         'write [cmd_vel]'),
        ('bases.base.resource', 1, 'is 1, but must be a text: write it in quotes'),
        ('bases.base.sessions', 'manul', 'auto or manual or disabled; did you mean manual?'),
        ('stop_policy', 'robot', "is 'robot', but must be bridge or machine"),
        ('machines.main.transport', 'web', "is 'web', but must be direct or webrtc"),
        ('bases.base.command_topics', ['1st'], "has '1st', but topic name token must not start"),
        ('heartbeat_windw', 0.5, 'is not a parameter of this node; did you mean heartbeat_window'),
        ('bases.base.max_linear_sped', 0.5, 'did you mean bases.base.max_linear_speed'),
        ('machine.main.address', 'a:1', 'did you mean machines.main.address'),
        ('machines.main', 'a:1', 'is not a parameter of this node'),
        ('machines.other.address', 'a:1', "'other' is not in machine_names [main]: add it there"),
        ('bases.bse.resource', 'a', "'bse' is not in base_names [base]: add it there or remove "
         'this; did you mean base?'),
        ('level_timeout', -1.0, 'is -1.0, but must be from 0 to 3600 s'),
        ('machines.main.ca_file', 'ca.pem', 'machines.main.insecure is true, and without TLS'),
        ('machines.main.allow_plaintxt', True, 'did you mean machines.main.allow_plaintext'),
        ('machines.main.api_key', 'x', 'is not a parameter of this node'),
        ('machines.main.parent', 'a', "is 'a', but machine_names has only main"),
        ('machines.main.parent', 'main', 'closes a circle (main -> main)'),
    ],
)  # fmt: skip
def test_a_mistake_has_a_remedy(make_node: MakeNode, name: str, value: Any, words: str) -> None:
    (problem,) = problems_of(make_node({**INSECURE, name: value}))
    assert problem.startswith(name)
    assert words in problem


def test_a_key_over_plaintext_is_named_whatever_the_transport_is(make_node: MakeNode) -> None:
    problems = problems_of(
        make_node(
            {
                **INSECURE,
                'machines.main.credentials_file': 'key.json',
                'machines.main.transport': 'web',
            }
        )
    )
    assert [problem.split()[0] for problem in problems] == [
        'machines.main.transport', 'machines.main.credentials_file'
    ]  # fmt: skip


def test_all_mistakes_are_named_at_once(make_node: MakeNode) -> None:
    problems = problems_of(
        make_node(
            {
                'heartbeat_window': 'long',
                'shutdown_timeout': -1.0,
                'machines.main.insecure': 'yes',
                'machines.main.call_timeout': 9.0,
                'bases.base.command_topics': ['a b'],
                'bases.base.machin': 'main',
                'machines.other.address': 'a:1',
                'machines.other.insecure': True,
            }
        )
    )
    named = {problem.split()[0].rstrip(',:') for problem in problems}
    assert named == {
        'heartbeat_window', 'shutdown_timeout', 'machines.main.insecure',
        'machines.main.call_timeout', 'bases.base.command_topics', 'bases.base.machin',
        'machines.other.address',
    }  # fmt: skip
    assert len(problems) == len(named)


@pytest.mark.parametrize('names', ([], ['a', 'a'], ['a.b'], [''], 'main', [1]))
@pytest.mark.parametrize('parameter', ('machine_names', 'base_names'))
def test_bad_names_are_reported_before_what_hangs_on_them(
    make_node: MakeNode, parameter: str, names: Any
) -> None:
    (problem,) = problems_of(make_node({parameter: names}))
    assert problem.startswith(parameter)


# What is harmless


def test_whole_numbers_are_numbers(make_node: MakeNode) -> None:
    node = make_node(
        INSECURE
        | {
            'heartbeat_window': 1,
            'bases.base.max_linear_speed': 2,
            'machines.main.call_timeout': 1,
        }
    )
    configuration = Parameters(node).read()
    assert configuration.heartbeat_window == 1.0
    assert isinstance(configuration.heartbeat_window, float)
    assert configuration.bases[0].max_linear_speed == 2.0
    assert node.get_parameter('heartbeat_window').type_ == Parameter.Type.DOUBLE


def test_what_ros_itself_declares_is_left_alone(make_node: MakeNode) -> None:
    node = make_node(
        {
            **INSECURE,
            'use_sim_time': True,
            'start_type_description_service': False,
            'qos_overrides./cmd_vel.subscription.depth': 3,
            'diagnostic_updater.period': 2.0,
            'declared_elsewhere': 1,
        }
    )
    parameters = Parameters(node)
    node.declare_parameter('declared_elsewhere', 0)
    parameters.read()
    parameters.locked = True
    assert set_one(node, 'declared_elsewhere', 2)[0]


def test_topics_are_resolved(make_node: MakeNode) -> None:
    node = make_node(
        INSECURE | {'bases.base.command_topics': ['cmd_vel', '/joy', '~/own']},
        '-r',
        'cmd_vel:=remapped',
        namespace='/robot',
    )
    (base,) = Parameters(node).read().bases
    assert base.command_topics == ('/robot/remapped', '/joy', '/robot/viam_session_bridge/own')


def test_topics_are_compared_once_resolved(make_node: MakeNode) -> None:
    (problem,) = problems_of(
        make_node(INSECURE | {'bases.base.command_topics': ['cmd_vel', '/cmd_vel']})
    )
    assert problem == 'bases.base.command_topics has /cmd_vel 2 times: name it once'
