# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong parameters: the bridge says what is wrong and what would be right, and does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import check_output
from support.bridge_process import BridgeProcess, parameters

BASE: dict[str, Any] = {'command_topics': ['/cmd_vel']}
ADDRESS = 'localhost:8080'


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (
            parameters(ADDRESS, {'base': BASE}, heartbeat_window=0.001),
            ['heartbeat_window', '0.001', '0.03', '60'],
        ),
        (
            parameters(ADDRESS, {'base': {**BASE, 'sessions': 'sometimes'}}),
            ['bases.base.sessions', 'sometimes', 'auto', 'manual', 'disabled'],
        ),
        (
            parameters(ADDRESS, {'base': {**BASE, 'machine': 'mian'}}),
            ['bases.base.machine', 'mian', 'main'],
        ),
        (
            parameters(ADDRESS, {'base': BASE}, stop_timeot=0.5),
            ['stop_timeot', 'stop_timeout'],
        ),
        (
            parameters('robot.example.com:8080', {'base': BASE}),
            ['machines.main.insecure', 'robot.example.com:8080', 'localhost'],
        ),
        (
            parameters(ADDRESS, {'base': BASE}, use_sim_time='yes, please'),
            ['use_sim_time', 'yes, please', 'BOOL'],
        ),
    ],
    ids=['range', 'choice', 'reference', 'name', 'insecure', "ROS's own"],
)
def test_wrong_parameter_is_named_with_its_value_and_what_is_allowed(
    settings: dict[str, Any], words: list[str], own_ros_domain: int, tmp_path: Path
) -> None:
    bridge = BridgeProcess(tmp_path, own_ros_domain, settings)
    bridge.start(ready=False)
    with bridge:
        assert bridge.wait_exit() == 1
    output = bridge.output()
    check_output(output)
    assert any(all(word in line for word in words) for line in output.splitlines()), output


def test_topic_that_a_remapping_makes_impossible_is_named(
    own_ros_domain: int, tmp_path: Path
) -> None:
    settings = parameters(ADDRESS, {'base': BASE})
    remapped = ['-r', '/cmd_vel:=/viam_session_bridge/heartbeat']
    bridge = BridgeProcess(tmp_path, own_ros_domain, settings, arguments=remapped)
    bridge.start(ready=False)
    with bridge:
        assert bridge.wait_exit() == 1
    output = bridge.output()
    check_output(output)
    assert 'cannot subscribe: topic /viam_session_bridge/heartbeat' in output


@pytest.mark.parametrize('folder', ['/dev/null/log', '/proc'])
def test_a_log_folder_of_ros_that_cannot_be_used_is_named_with_the_remedy(
    folder: str, own_ros_domain: int, tmp_path: Path
) -> None:
    settings = parameters(ADDRESS, {'base': BASE})
    environment = {'ROS_LOG_DIR': folder}
    bridge = BridgeProcess(tmp_path, own_ros_domain, settings, environment=environment)
    bridge.start(ready=False)
    with bridge:
        assert bridge.wait_exit() == 1
    (line,) = bridge.output().splitlines()
    assert line.startswith('viam_session_bridge: ROS cannot write its log (')
    assert folder in line
    assert ': set ROS_LOG_DIR to a folder that can be written' in line
