# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files, read by ROS itself: the examples, and what people write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.parameter import Parameter

from support.markdown import Page
from support.parameter_nodes import MakeNode, node_factory, problems_of
from viam_session_bridge.configuration.model import (
    Configuration,
    DriveMode,
    SessionsMode,
    StopPolicy,
    Transport,
)
from viam_session_bridge.configuration.parameter_files import sections
from viam_session_bridge.ros.node_parameters import Parameters

CONFIG = Path(__file__).resolve().parents[2] / 'config'


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    with node_factory() as make:
        yield make


@pytest.fixture
def configure(make_node: MakeNode) -> Callable[[str, str], Configuration]:
    """Offer a function that reads an example of config/ on a node in a namespace."""

    def read(name: str, namespace: str) -> Configuration:
        file = str(CONFIG / f'{name}.yaml')
        return Parameters(make_node({}, '--params-file', file, namespace=namespace)).read()

    return read


Configure = Callable[[str, str], Configuration]
in_namespaces = pytest.mark.parametrize('namespace', ['', '/robot/one'])


@in_namespaces
def test_one_base(configure: Configure, namespace: str) -> None:
    (base,) = configure('one_base', namespace).bases
    assert (base.max_linear_speed, base.command_topics) == (0.5, (f'{namespace}/cmd_vel',))


@in_namespaces
def test_dead_man(configure: Configure, namespace: str) -> None:
    configuration = configure('dead_man', namespace)
    assert configuration.heartbeat_window == 0.3
    assert configuration.bases[0].sessions is SessionsMode.MANUAL


@in_namespaces
def test_two_bases(configure: Configure, namespace: str) -> None:
    front, rear = configure('two_bases', namespace).bases
    assert (front.machine, rear.machine) == ('front', 'rear')
    assert rear.stamped_command_topics == (f'{namespace}/rear/cmd_vel',)
    assert rear.drive_mode is DriveMode.POWER


@in_namespaces
def test_cloud_machine(configure: Configure, namespace: str) -> None:
    configuration = configure('cloud_machine', namespace)
    (main,) = configuration.machines
    assert (main.transport, main.has_credentials) == (Transport.WEBRTC, True)
    assert configuration.stop_policy is StopPolicy.MACHINE


@in_namespaces
def test_several_topics(configure: Configure, namespace: str) -> None:
    (base,) = configure('several_topics', namespace).bases
    assert base.command_topics == (f'{namespace}/joy_vel', '/web/cmd_vel')
    assert base.stamped_command_topics == (f'{namespace}/cmd_vel',)
    assert base.max_stamp_age == 0.5


@in_namespaces
def test_sub_part(configure: Configure, namespace: str) -> None:
    configuration = configure('sub_part', namespace)
    rover, trailer = configuration.machines
    assert (rover.parent, trailer.parent) == ('', 'rover')
    assert not trailer.insecure and trailer.has_credentials
    both = set.intersection(*(set(base.command_topics) for base in configuration.bases))
    assert both == {'/both/cmd_vel'}


@in_namespaces
def test_teleop_and_nav2(configure: Configure, namespace: str) -> None:
    configuration = configure('teleop_and_nav2', namespace)
    (base,) = configuration.bases
    assert (base.command_topics, base.stamped_command_topics) == (
        (), (f'{namespace}/cmd_vel_out',),
    )  # fmt: skip
    assert configuration.heartbeat_window == 1.0


def test_twist_mux_is_given_what_it_asks_for_and_fits_the_bridge(
    make_node: MakeNode, configure: Configure
) -> None:
    """Hold its file against twist_mux 4.x, which fails on a missing or a mistyped parameter."""
    file = str(CONFIG / 'twist_mux.yaml')
    node = make_node({}, '--params-file', file, '-r', '__node:=twist_mux')
    given = {name: one.value for name, one in node._parameter_overrides.items()}
    kinds = {name: type(value) for name, value in given.items()}
    named = {tuple(name.split('.')[:2]) for name in given if '.' in name}
    assert {section for section, _ in named} == {'topics', 'locks'}
    asked = {'topic': str, 'timeout': float, 'priority': int}
    assert kinds == {
        'use_stamped': bool,
        **{f'{section}.{name}.{key}': asked[key] for section, name in named for key in asked},
    }
    priorities = [given[f'topics.{name}.priority'] for at, name in named if at == 'topics']
    assert len(set(priorities)) == len(priorities) and min(priorities) > 0
    assert given['locks.pause.priority'] > max(priorities) <= 255
    # A topic that fell silent lets the next one through before the bridge stops the base.
    window = configure('teleop_and_nav2', '').heartbeat_window
    assert max(value for name, value in given.items() if 'timeout' in name) < window
    assert given['use_stamped'] is True


def test_no_example_is_forgotten() -> None:
    # By the name of its test: the only way to add a file is to say what it is to mean.
    names = {file.stem for file in CONFIG.iterdir() if file.suffix != '.xml'}
    looked_at = {name for name in names if f'test_{name}' in globals()}
    assert names - looked_at == {'twist_mux'}
    assert {file.name for file in CONFIG.glob('*.xml')} == {'sros2_policy.xml'}


BLOCKS = [
    pytest.param(fence.text, id=f'{path.stem}-{number}')
    for path in sorted([*CONFIG.parent.glob('*.md'), *(CONFIG.parent / 'docs').rglob('*.md')])
    for number, fence in enumerate(Page(path).fences)
    if 'ros__parameters' in fence.text
]


@pytest.mark.parametrize('block', BLOCKS)
def test_what_the_documentation_shows_works(
    make_node: MakeNode, tmp_path: Path, block: str
) -> None:
    file = tmp_path / 'parameters.yaml'
    file.write_text(block)
    node = make_node({}, '--params-file', str(file))
    given = node._parameter_overrides
    assert given, 'the file names another node'
    assert Parameters(node).read().bases


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
        'heartbeat_windw is not', 'shutdown_timeout is nan', 'event_log is true,',
        "machines.main.insecure is 'true',", 'bases.base.machine is empty,',
        "bases.base.command_topics is 'cmd_vel',",
    )  # fmt: skip
    problems = problems_of(make_node({}, *arguments))
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize('namespace', ['', '/robot', '/robot/one'])
@pytest.mark.parametrize(
    'section',
    [
        'viam_session_bridge', '/viam_session_bridge', 'robot/viam_session_bridge',
        '/robot/viam_session_bridge', '/**', '/*', '/**/viam_session_bridge',
        '/*/viam_session_bridge', '/robot/*', '/robot/**', '/*/*', '/robot/*/viam_session_bridge',
    ],
)  # fmt: skip
def test_a_section_reaches_the_node_by_our_reading_as_by_that_of_ros(
    make_node: MakeNode, tmp_path: Path, section: str, namespace: str
) -> None:
    text = f"'{section}': {{ros__parameters: {{heartbeat_window: 0.3}}}}"
    file = tmp_path / 'robot.yaml'
    file.write_text(text)
    node = make_node({}, '--params-file', str(file), namespace=namespace)
    ((ours,), theirs) = sections(str(file), text), node._parameter_overrides
    assert ours.reaches(node.get_fully_qualified_name()) is ('heartbeat_window' in theirs)
