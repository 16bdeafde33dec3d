# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files, read by ROS itself: the examples, and what people write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.parameter import Parameter

from support.parameter_nodes import MakeNode, node_factory, problems_of
from viam_session_bridge.configuration import DriveMode, SessionsMode, StopPolicy, Transport
from viam_session_bridge.ros.parameters import Parameters

CONFIG = Path(__file__).resolve().parents[1] / 'config'


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    with node_factory() as make:
        yield make


@pytest.mark.parametrize('namespace', ['', '/robot/one'])
@pytest.mark.parametrize('file', sorted(CONFIG.glob('*.yaml')), ids=lambda file: file.stem)
def test_the_examples_work(make_node: MakeNode, file: Path, namespace: str) -> None:
    node = make_node({}, '--params-file', str(file), namespace=namespace)
    configuration = Parameters(node).read()
    name = file.stem
    if name == 'one_base':
        (base,) = configuration.bases
        assert (base.max_linear_speed, base.command_topics) == (0.5, (f'{namespace}/cmd_vel',))
    elif name == 'dead_man':
        assert configuration.heartbeat_window == 0.3
        assert configuration.bases[0].sessions is SessionsMode.MANUAL
    elif name == 'two_bases':
        front, rear = configuration.bases
        assert (front.machine, rear.machine) == ('front', 'rear')
        assert rear.stamped_command_topics == (f'{namespace}/rear/cmd_vel',)
        assert rear.drive_mode is DriveMode.POWER
    elif name == 'cloud_machine':
        (main,) = configuration.machines
        assert (main.transport, main.has_credentials) == (Transport.WEBRTC, True)
        assert configuration.stop_policy is StopPolicy.MACHINE
    else:
        pytest.fail(f'{file} is not looked at')


def from_file(tmp_path: Path, lines: str) -> tuple[str, ...]:
    """Write a parameter file; return the arguments that name it."""
    file = tmp_path / 'parameters.yaml'
    body = ''.join(f'    {line}\n' for line in lines.splitlines())
    file.write_text(f'viam_session_bridge:\n  ros__parameters:\n{body}')
    return '--params-file', str(file)


def test_empty_lists_and_sections_of_a_file(make_node: MakeNode, tmp_path: Path) -> None:
    arguments = from_file(
        tmp_path,
        'machines: {main: {insecure: true}}\n'
        'base_names: [a, b]\n'
        'bases: {b: {command_topics: [], stamped_command_topics: [stamped]}, a: {}}',
    )
    node = make_node({}, *arguments)
    first, second = Parameters(node).read().bases
    assert (first.command_topics, first.stamped_command_topics) == (('/cmd_vel',), ())
    assert (second.command_topics, second.stamped_command_topics) == ((), ('/stamped',))
    empty = node.get_parameter('bases.b.command_topics')
    assert (empty.type_, list(empty.value)) == (Parameter.Type.STRING_ARRAY, [])


def test_what_ros_misreads_is_explained(make_node: MakeNode, tmp_path: Path) -> None:
    arguments = from_file(
        tmp_path,
        'machines: {main: {insecure: true}}\n'
        'base_names: [a, b]\n'
        'bases: {a: {}, b: {resource: wheels}}',
    )
    (problem,) = problems_of(make_node({}, *arguments))
    assert problem.startswith('bases.a.b.resource is not')
    assert "'a: {}'" in problem


def test_slips_in_a_file(make_node: MakeNode, tmp_path: Path) -> None:
    arguments = from_file(
        tmp_path,
        'heartbeat_windw: 1\n'
        'shutdown_timeout: .nan\n'
        'event_log: on\n'
        'machines: {main: {insecure: "true"}}\n'
        'bases: {base: {command_topics: cmd_vel, machine: []}}',
    )
    starts = (
        'heartbeat_windw is not', 'event_log is true,', "machines.main.insecure is 'true',",
        'bases.base.machine is empty,', "bases.base.command_topics is 'cmd_vel',",
        'shutdown_timeout is nan',
    )  # fmt: skip
    problems = problems_of(make_node({}, *arguments))
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(start)
