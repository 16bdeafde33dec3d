# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R23: what is set is what runs; a setting that was given and reaches nothing is refused."""

from __future__ import annotations

import pytest

from viam_session_bridge.configuration.parameter_files import (
    find_unreached,
    find_wrong_arguments,
    read_arguments,
    Section,
    sections,
)
from viam_session_bridge.configuration.parsing import find_foreign, find_unused_overrides, lay_out
from viam_session_bridge.text import is_slip

KNOWN = lay_out(('main',), ('base',))
NODE = '/robot1/viam_session_bridge'
TWO_ROBOTS = """
robot1:
  viam_session_bridge: {ros__parameters: {bases: {base: {resource: left}}}}
/robot2/viam_session_bridge: {ros__parameters: {bases: {base: {resource: right}}}}
"""


def unreached(text: str, node: str = NODE) -> list[str]:
    return find_unreached(['a.yaml'], sections('a.yaml', text), node)


def section(name: str, *settings: str) -> str:
    inner = ', '.join(f'{one}: 1' for one in settings)
    return f"'{name}': {{ros__parameters: {{{inner}}}}}\n"


# Sections


def test_a_section_is_named_by_all_that_it_stands_below() -> None:
    assert sections('a.yaml', TWO_ROBOTS) == [
        Section('a.yaml', '/robot1/viam_session_bridge', frozenset({'bases.base.resource'})),
        Section('a.yaml', '/robot2/viam_session_bridge', frozenset({'bases.base.resource'})),
    ]


def test_a_section_that_is_there_twice_counts_twice() -> None:
    text = section('/x', 'machines') + section('/x', 'bases')
    assert [one.names for one in sections('', text)] == [{'machines'}, {'bases'}]


@pytest.mark.parametrize(
    ('name', 'reaches'),
    [
        ('/robot1/viam_session_bridge', True),
        ('/**', True),
        ('/**/viam_session_bridge', True),
        ('/*/viam_session_bridge', True),
        ('/robot1/*', True),
        ('/*', False),
        ('/viam_session_bridge', False),
        ('/*/*/viam_session_bridge', False),
        ('/robot1', False),
        ('/robot1/viam_session_bridge_2', False),
    ],
)
def test_wildcards_stand_for_one_name_or_any_number(name: str, reaches: bool) -> None:
    assert Section('', name, frozenset()).reaches(NODE) is reaches


# Files


@pytest.mark.parametrize(
    'text',
    [
        section('/robot1/viam_session_bridge', 'machines'),
        section('/**', 'machines', 'controller_frequency'),
        section('/**', 'heartbeat_window') + section('/robot1/*', 'bases'),
        section('/**/viam_session_bridge', 'machines') + section('/robot2/x', 'bases'),
        section('/**', 'bases') + section('/robot2/viam_session_bridge', 'bases'),
        section('/**', 'event_log') + section('/controller_server', 'frequency'),
        TWO_ROBOTS,
    ],
)
def test_what_reaches_this_node_is_right_whatever_there_is_for_others(text: str) -> None:
    assert unreached(text) == []


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (section('/viam_session_bridge', 'machines'), "section '/viam_session_bridge' holds mach"),
        (section('left_base', 'heartbeat_window'), "section '/left_base' holds heartbeat_window"),
        (
            section('/**', 'heartbeat_window') + section('/robot2/viam_session_bridge', 'bases'),
            "section '/robot2/viam_session_bridge' holds bases",
        ),
        (section('/**', 'use_sim_time'), 'no setting of this node is in there'),
        (section('/**', 'autostart'), 'no setting of this node is in there'),
        ('', 'no setting of this node is in there'),
    ],
)
def test_what_reaches_another_node_alone_is_refused_with_file_section_and_name(
    text: str, words: str
) -> None:
    (problem,) = unreached(text)
    assert problem.startswith('a.yaml: ')
    assert words in problem
    assert NODE in problem


def test_files_are_judged_together() -> None:
    both = sections('a.yaml', section('/x', 'bases')) + sections('b.yaml', section(NODE, 'bases'))
    assert find_unreached(['a.yaml', 'b.yaml'], both, NODE) == []


def test_without_files_the_defaults_are_what_was_asked_for() -> None:
    assert find_unreached([], [], NODE) == []


# Arguments


def test_files_and_parameters_of_named_nodes_are_among_the_arguments_of_ros() -> None:
    line = (
        'bridge --params-file no.yaml --ros-args --params-file a.yaml -p heartbeat_window:=0.3 '
        '--enable-rosout-logs --param x/y:bases.base.resource:=b:=c -- --params-file no.yaml '
        '--ros-args -r __ns:=/robot1 --params-file b.yaml'
    )
    found = read_arguments(line.split())
    assert found.files == ('a.yaml', 'b.yaml')
    assert [(one.node, one.names) for one in found.sections] == [
        ('/x/y', frozenset({'bases.base.resource'}))
    ]


def test_an_argument_that_is_not_of_ros_or_for_another_node_is_refused() -> None:
    given = read_arguments(['--ros-args', '-p', 'teleop:speed:=1', '-p', f'{NODE}:bases.x:=1'])
    foreign, other = find_wrong_arguments(given, ['params.yaml'], NODE)
    assert foreign.startswith("'params.yaml' is no argument of this program")
    assert other == f'-p teleop:speed:=1: it is for the node /teleop, but this one is {NODE}'


# Names


def test_other_nodes_names_are_told_from_slips() -> None:
    slips = ['heartbeat_windw', 'machine.main.address', 'bases.base.nonsense']
    assert find_foreign([*slips, 'controller_frequency'], KNOWN) == ['controller_frequency']


def test_a_name_like_one_that_is_set_is_another_nodes() -> None:
    given = ['heartbeat_window', 'heartbeat_windows']
    assert find_foreign(given, KNOWN) == ['heartbeat_windows']


@pytest.mark.parametrize(
    ('name', 'slip'),
    [
        ('heartbeat_windw', True), ('heartbeat_windoww', True), ('heartbeat_windov', True),
        ('heartbeat_widnow', True), ('eartbeat_window', True), ('heartbeat_window', False),
        ('heartbeat_wnd', False), ('window', False), ('hearbeat_windw', False),
    ],
)  # fmt: skip
def test_a_slip_is_one_letter(name: str, slip: bool) -> None:
    assert is_slip(name, 'heartbeat_window') is slip


@pytest.mark.parametrize(
    'name',
    [
        'qos_overrides./cmd_vel.subscription.reliabilty',
        'qos_overrides./cmd_vel.subscription.durability',
        'qos_overrides./scan.subscription.depth',
        'qos_overrides./cmd_vel.publisher.depth',
    ],
)
def test_a_qos_override_of_nothing_here_is_refused(name: str) -> None:
    right = 'qos_overrides./cmd_vel.subscription.depth'
    (problem,) = find_unused_overrides([right, name], ['/cmd_vel'])
    assert problem.startswith(f'{name} overrides nothing: /cmd_vel can have subscription.hist')
