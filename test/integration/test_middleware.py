# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The bridge stays out of Fast DDS's shared memory, unless its user wants it there."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.utilities import get_rmw_implementation_identifier

from support.bridge_process import BridgeProcess, parameters
from support.domains import FIRST_PORT, PORTS, udp_ports
from support.ports import free_port
from support.process import ProcessUnderTest
from support.publisher_process import PublisherProcess
from viam_session_bridge.ros.main import avoid_shared_memory, LOCALHOST

FAST_DDS = 'rmw_fastrtps_cpp'
PROFILES, OLD = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


def changed(middleware: str = FAST_DDS, **environment: str) -> dict[str, str]:
    """Return what it changes in an environment."""
    after = dict(environment)
    avoid_shared_memory(middleware, after)
    return {name: value for name, value in after.items() if environment.get(name) != value}


def test_udp_is_chosen_for_fast_dds_alone() -> None:
    assert changed() == {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}
    assert changed('rmw_fastrtps_dynamic_cpp') == changed()
    assert changed('rmw_cyclonedds_cpp', ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST') == {}


def test_what_the_user_chose_stays() -> None:
    chosen = {'FASTDDS_BUILTIN_TRANSPORTS': 'SHM', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    assert changed(**chosen) == {}


@pytest.mark.parametrize('own', [PROFILES, OLD, 'ROS_STATIC_PEERS'])
def test_a_user_who_has_settings_of_discovery_keeps_them(own: str) -> None:
    localhost = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', own: 'something'}
    assert changed(**localhost) == {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}


def test_localhost_becomes_a_profile() -> None:
    after = changed(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    assert after['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SYSTEM_DEFAULT'
    assert after[PROFILES] == str(LOCALHOST)
    assert OLD not in after  # at which others than Jazzy's would warn


def test_jazzy_knows_the_profile_by_its_old_name() -> None:
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    avoid_shared_memory(FAST_DDS, environment, jazzy=True)
    assert environment[OLD] == str(LOCALHOST)


def sockets(process: ProcessUnderTest) -> set[str]:
    """Return what Fast DDS's threads are named after: how they receive."""
    names = []
    for thread in Path(f'/proc/{process.pid}/task').iterdir():
        with suppress(OSError):  # it ended meanwhile
            names.append((thread / 'comm').read_text().strip())
    return {name.split('.')[1] for name in names if name.startswith('dds.')}


def in_dds(process: ProcessUnderTest) -> bool:
    return 'udp' in sockets(process)


@pytest.mark.skipif(
    get_rmw_implementation_identifier() != FAST_DDS, reason='about the shared memory of Fast DDS'
)
@pytest.mark.parametrize('first', ['the bridge', 'the publisher'])
def test_started_for_localhost_it_has_no_shared_memory_and_hears_who_has(
    own_ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    for name in (PROFILES, OLD):
        monkeypatch.delenv(name)
    # No machine is needed: a command that is refused was heard.
    settings = parameters(f'127.0.0.1:{free_port()}', {'base': {'command_topics': ['/cmd_vel']}})
    users = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', **dict.fromkeys((PROFILES, OLD), '')}
    bridge = BridgeProcess(tmp_path, own_ros_domain, settings, environment=users)
    teleop = PublisherProcess(tmp_path, 'teleop', own_ros_domain)
    both = [bridge, teleop] if first == 'the bridge' else [teleop, bridge]
    with ExitStack() as running:
        for process in both:
            process.start(ready=False)
            running.enter_context(process)
            process.wait_until(partial(in_dds, process), 'it is in DDS')
        teleop.stream('/cmd_vel', forward=0.1)
        bridge.wait_event('refused', base='base')
        assert 'shm' in sockets(teleop)
        assert 'shm' not in sockets(bridge)
        # Nor does it listen to those on other computers.
        assert FIRST_PORT + PORTS * own_ros_domain not in udp_ports()
