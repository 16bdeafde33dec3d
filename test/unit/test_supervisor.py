# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The notification protocol, at a real socket."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from support.notifications import ENDS, LIVES, Notifications, READY
from viam_session_bridge.ros import systemd
from viam_session_bridge.ros.systemd import Supervisor

PID = 4711


def supervisor(environment: dict[str, str]) -> Supervisor:
    return Supervisor(environment, PID, pytest.fail)


@pytest.mark.parametrize('abstract', [False, True], ids=['path', 'abstract'])
def test_notifications_arrive_in_order(tmp_path: Path, abstract: bool) -> None:
    with Notifications(tmp_path, abstract=abstract) as notifications:
        process = supervisor({'NOTIFY_SOCKET': notifications.address})
        process.notify(systemd.READY)
        process.notify(systemd.LIVES)
        process.notify(systemd.ENDS)
        notifications.wait(ENDS)
    assert notifications.texts() == [READY, LIVES, ENDS]


@pytest.mark.parametrize(
    ('variables', 'watchdog'),
    [
        ({}, None),
        ({'WATCHDOG_USEC': '1500000'}, 1.5),
        ({'WATCHDOG_USEC': '1500000', 'WATCHDOG_PID': str(PID)}, 1.5),
        ({'WATCHDOG_USEC': '1500000', 'WATCHDOG_PID': '1'}, None),
        ({'WATCHDOG_USEC': '0'}, None),
        ({'WATCHDOG_USEC': 'soon'}, None),
        ({'WATCHDOG_USEC': ''}, None),
    ],
)
def test_watchdog_is_meant_for_this_process(
    variables: dict[str, str], watchdog: float | None
) -> None:
    assert supervisor({'NOTIFY_SOCKET': '/nowhere', **variables}).watchdog == watchdog


def test_without_a_socket_there_is_no_supervisor() -> None:
    nobody = supervisor({'WATCHDOG_USEC': '1500000'})
    assert nobody.watchdog is None
    nobody.notify(systemd.READY)


def test_children_do_not_inherit_what_was_meant_for_this_process() -> None:
    environment = {
        'NOTIFY_SOCKET': '/nowhere', 'WATCHDOG_USEC': '1', 'WATCHDOG_PID': '1', 'HOME': '/',
    }  # fmt: skip
    supervisor(environment)
    assert environment == {'HOME': '/'}


def test_lost_notification_is_warned_about_and_no_more(tmp_path: Path) -> None:
    warnings: list[str] = []
    address = str(tmp_path / 'gone')
    Supervisor({'NOTIFY_SOCKET': address}, PID, warnings.append).notify(systemd.READY)
    (warning,) = warnings
    assert warning.startswith('NOTIFY_SOCKET: READY=1 was lost: ')
    assert 'No such file' in warning


def test_supervisor_that_takes_nothing_delays_for_a_second_only(tmp_path: Path) -> None:
    # In a process of its own, whose end proves it.
    program = (
        'import socket, sys\n'
        'from viam_session_bridge.ros.systemd import Supervisor\n'
        'full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n'
        'full.bind(sys.argv[1])\n'
        'warned = []\n'
        'supervisor = Supervisor({"NOTIFY_SOCKET": sys.argv[1]}, 1, warned.append)\n'
        'while not warned: supervisor.notify("WATCHDOG=1")\n'
        'print(*warned)\n'
    )
    ran = subprocess.run(
        [sys.executable, '-c', program, str(tmp_path / 'full')],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert 'WATCHDOG=1 was lost: timed out' in ran.stdout, ran.stderr
