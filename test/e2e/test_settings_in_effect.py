# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R23 as typed: settings that reach nothing are refused, and one line says what holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys

import pytest

from support.domains import ros_environment
from support.process import ProcessUnderTest, ROOT

ONE_BASE = str(ROOT / 'config' / 'one_base.yaml')
SLOW = '{bases: {base: {max_linear_speed: 0.3, sessions: manual}}}'


class Typed(ProcessUnderTest):
    """The bridge, with arguments as a user types them; it reaches no machine."""

    def __init__(self, directory: Path, domain: int) -> None:
        super().__init__(directory, 'bridge', ros_environment(domain))
        self.arguments: list[str] = []

    def command(self) -> list[str]:
        """Return what to run."""
        return [sys.executable, '-m', 'viam_session_bridge', *self.arguments]


@pytest.fixture
def bridge(tmp_path: Path, own_ros_domain: int) -> Iterator[Typed]:
    """Provide a bridge that was not started."""
    bridge = Typed(tmp_path, own_ros_domain)
    yield bridge
    bridge.kill()


def file(directory: Path, text: str) -> str:
    path = directory / 'robot.yaml'
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ('text', 'arguments', 'words'),
    [
        (
            f'left_base: {{ros__parameters: {SLOW}}}',
            '--ros-args --params-file FILE',
            "robot.yaml: section '/left_base' holds bases.base.max_linear_speed and 1 more, but "
            'this node is /viam_session_bridge: ',
        ),
        (
            '',
            f'--ros-args -r __node:=left_base --params-file {ONE_BASE}',
            "one_base.yaml: section '/**/viam_session_bridge' holds base_names and 8 more, but "
            'this node is /left_base: ',
        ),
        (
            f'/robot1/viam_session_bridge: {{ros__parameters: {SLOW}}}',
            '--ros-args --params-file FILE',
            "section '/robot1/viam_session_bridge' holds",
        ),
        (
            f'viam_session_bridge: {{ros__parameters: {SLOW}}}',
            '--ros-args -r __ns:=/robot1 --params-file FILE',
            'but this node is /robot1/viam_session_bridge: ',
        ),
        (
            f'/**: {{ros__parameters: {{heartbeat_window: 0.3}}}}\n'
            f'/robot1/viam_session_bridge: {{ros__parameters: {SLOW}}}',
            '--ros-args --params-file FILE',
            "section '/robot1/viam_session_bridge' holds",
        ),
        (
            '/**: {ros__parameters: {use_sim_time: false}}',
            '--ros-args --params-file FILE -p heartbeat_window:=0.3',
            'robot.yaml: no setting of this node is in there',
        ),
        ('', '--params-file FILE', "'--params-file' is no argument of this program"),
        ('', 'FILE', "robot.yaml' is no argument of this program"),
        ('', '-p heartbeat_window:=0.3', "'heartbeat_window:=0.3' is no argument of this program"),
        ('', '--ros-args -p left:heartbeat_window:=0.3', 'it is for the node /left, but this one'),
        ('', '--ros-args --params-file /no/such.yaml', '/no/such.yaml'),
        ('[', '--ros-args --params-file FILE', 'robot.yaml'),
        ('', '--ros-args --no-such-flag', "ROS arguments: ['--no-such-flag']; see --help"),
        (
            '',
            '--ros-args -p qos_overrides./cmd_vel.subscription.reliabilty:=reliable',
            'reliabilty overrides nothing: /cmd_vel, /viam_session_bridge/heartbeat can have '
            'subscription.history, subscription.depth, subscription.reliability; did you mean ',
        ),
        (
            '',
            '--ros-args -p qos_overrides./scan.subscription.depth:=5',
            'qos_overrides./scan.subscription.depth overrides nothing',
        ),
        (
            '',
            '--ros-args -p qos_overrides./cmd_vel.subscription.durability:=transient_local',
            'durability overrides nothing',
        ),
        (
            f'viam_session_bridge: {{ros__parameters: {{heartbeat_windw: 1.0, {SLOW[1:]}}}',
            '--ros-args --params-file FILE',
            'heartbeat_windw is not a parameter of this node; did you mean heartbeat_window?',
        ),
    ],
)
def test_what_reaches_nothing_is_refused_in_one_line(
    text: str, arguments: str, words: str, bridge: Typed, tmp_path: Path
) -> None:
    bridge.arguments = arguments.replace('FILE', file(tmp_path, text)).split()
    bridge.start()
    assert bridge.wait_exit() == 1
    output = bridge.output()
    assert 'is active' not in output
    assert 'Traceback' not in output
    assert len([line for line in output.splitlines() if words in line]) == 1, output


@pytest.mark.parametrize(
    ('text', 'namespace', 'limit'),
    [
        (
            '/**: {ros__parameters: {use_sim_time: false, frequency: 20.0, max_stamp_age: 0.3, '
            f'{SLOW[1:]}}}\n'
            'controller_server: {ros__parameters: {frequency: 10.0}}',
            '',
            '0.3 m/s',
        ),
        (
            '/robot1/viam_session_bridge: {ros__parameters: {bases: {base: {resource: a}}}}\n'
            f'/robot2/viam_session_bridge: {{ros__parameters: {SLOW}}}',
            '/robot2',
            '0.3 m/s',
        ),
        (f'robot2:\n  viam_session_bridge: {{ros__parameters: {SLOW}}}', '/robot2', '0.3 m/s'),
    ],
    ids=['one for all nodes', 'several robots', 'nested'],
)
def test_what_reaches_this_node_holds_and_a_line_says_so(
    text: str, namespace: str, limit: str, bridge: Typed, tmp_path: Path
) -> None:
    bridge.arguments = ['--ros-args', '-r', f'__ns:={namespace or "/"}']
    bridge.arguments += ['--params-file', file(tmp_path, text)]
    bridge.start()
    bridge.wait_until(lambda: 'is active' in bridge.output(), 'it is not active')
    assert bridge.terminate() == 0
    output = bridge.output()
    assert (
        f'{namespace}/viam_session_bridge is active: base (base of main at localhost:8080) '
        f'follows {namespace}/cmd_vel (Twist), at most {limit}, sessions manual; '
        'heartbeat_window 0.5 s, then the bridge stops the base'
    ) in output
    foreign = [line for line in output.splitlines() if 'of other nodes' in line]
    assert [line.rpartition(': ')[2] for line in foreign] == (
        ['frequency, max_stamp_age (ours is bases.NAME.max_stamp_age)']
        if 'frequency' in text
        else []
    )


@pytest.mark.parametrize('flag', ['--help', '-h'])
def test_help_says_how_it_is_used_and_moves_nothing(flag: str, bridge: Typed) -> None:
    bridge.arguments = [flag]
    bridge.start()
    assert bridge.wait_exit() == 0
    output = bridge.output()
    assert output.startswith('usage: ros2 run viam_session_bridge bridge')
    assert 'is active' not in output
