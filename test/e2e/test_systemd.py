# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The unit that comes with the package, run by a real systemd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import subprocess
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from support.bounds import Load
from support.bridge_process import parameters
from support.domains import ros_environment
from support.drive import Drive
from support.process import ROOT
from support.publisher_process import PublisherProcess
from support.simulated import SimulatedMachineProcess
from support.systemd import Systemd, UNIT

WATCHDOG = 1.5  # s
QUICKER = f'WatchdogSec={WATCHDOG}\nRestartSec=0.1\n'


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SimulatedMachineProcess]:
    with SimulatedMachineProcess(tmp_path, ['base'], 0.6) as machine:
        yield machine


@pytest.fixture
def systemd(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachineProcess
) -> Iterator[Systemd]:
    settings = parameters(machine.address, {'base': {'command_topics': ['/cmd_vel']}})
    systemd = Systemd(tmp_path, settings, ros_environment(own_ros_domain), QUICKER)
    try:
        systemd.start()
    except AssertionError as error:
        pytest.skip(f'no systemd of its own: {error}')
    with systemd:
        yield systemd


def test_unit_is_correct() -> None:
    try:
        ran = subprocess.run(
            ['systemd-analyze', 'verify', str(ROOT / 'systemd' / UNIT)],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except FileNotFoundError:
        pytest.skip('no systemd-analyze')
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, '', '')


def test_hung_bridge_is_restarted_and_drives_by_new_commands(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachineProcess, systemd: Systemd
) -> None:
    with PublisherProcess(tmp_path, 'teleop', own_ros_domain) as teleop, Load() as load:
        base = Drive(machine.record, 'base', load)
        systemd.control('start', UNIT)
        assert systemd.value('ActiveState') == 'active'
        first = systemd.value('MainPID')
        teleop.stream('/cmd_vel', forward=0.2)
        driven = base.wait_driven()[-1].t
        # While it lives, nobody ends it.
        base.wait_driven(driven + 1.5 * WATCHDOG)
        assert systemd.value('MainPID') == first

        hung = time.monotonic()
        systemd.control('kill', '--signal=SIGSTOP', '--kill-who=main', UNIT)
        stop = base.wait_stopped(hung)
        assert stop.cause == 'session'
        teleop.silence('/cmd_vel')
        systemd.wait_until(
            lambda: systemd.value('NRestarts') == '1' and systemd.value('SubState') == 'running',
            'does not restart it',
        )
        base.stands_still(stop.t, WATCHDOG)
        teleop.stream('/cmd_vel', forward=0.2)
        again = base.wait_driven(stop.t)[-1].t

        systemd.control('stop', UNIT)
        stop = base.wait_stopped(again)
        assert stop.cause is None
        assert (systemd.value('Result'), systemd.value('ActiveState')) == ('success', 'inactive')
        base.stands_still(stop.t)
