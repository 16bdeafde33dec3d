# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A bridge under a supervisor: what it tells it, and what a restart does to a base (R2, R12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import fcntl
from itertools import pairwise
import os
from pathlib import Path
import time
from typing import Any

import pytest

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import BoundMissedError, EARLY, EXIT, LATE, Load
from support.bridge_process import BridgeProcess, parameters
from support.drive import Drive, wait_for
from support.notifications import ENDS, LIVES, Notifications, READY
from support.ports import free_port
from support.publisher_process import PublisherProcess
from support.record import Entry

WATCHDOG = 0.6  # s
WINDOW = 2.0  # s, above any wait for a core on a busy computer
CALL_TIMEOUT = 1.0  # s
# A bridge that was restarted is to drive before the sessions of the one before lapse.
MACHINE_WINDOW = 5.0  # s
BASES = {name: {'command_topics': [f'/{name}/cmd_vel']} for name in ('silent', 'driven')}

Drives = Callable[[str], Drive]


@pytest.fixture(scope='module')
def machine_kind() -> str:
    """Return the real one: whose sessions lapse when is up to it alone here."""
    return 'viam_server'


class Supervised(BridgeProcess):
    """A bridge with a supervisor; nobody listens at its machine's address."""

    def __init__(
        self, directory: Path, domain: int, notifications: Notifications, **others: Any
    ) -> None:
        bases = {'base': {'command_topics': ['/cmd_vel']}}
        settings = parameters(f'127.0.0.1:{free_port()}', bases, **others)
        super().__init__(directory, domain, settings)
        self._environment |= {
            'NOTIFY_SOCKET': notifications.address,
            'WATCHDOG_USEC': f'{WATCHDOG * 1e6:.0f}',
        }

    def wait_ready(self) -> None:
        """Wait for nothing: that is up to the tests."""


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[Notifications]:
    with Notifications(tmp_path) as notifications:
        yield notifications


@pytest.mark.parametrize('autostart', [True, False], ids=['active', 'unconfigured'])
def test_is_ready_in_time_alive_at_the_pace_and_stopping_at_the_end(
    tmp_path: Path,
    own_ros_domain: int,
    notifications: Notifications,
    autostart: bool,
) -> None:
    with (
        Supervised(tmp_path, own_ros_domain, notifications, autostart=autostart) as bridge,
        Load() as load,
    ):
        load.watch(lambda: bridge.pid)
        (ready,) = notifications.wait(READY)
        # Which it opens when it is configured.
        assert (tmp_path / 'bridge.events.jsonl').exists() is autostart
        lives = notifications.wait(LIVES, ready, times=5)
        wished = time.monotonic()
        assert bridge.terminate() == 0
    (ends,) = notifications.wait(ENDS)
    for before, after in pairwise([ready, *lives]):
        load.hold(after - before, WATCHDOG / 2, before, after)
    load.hold(ends - wished, EXIT, wished)
    # The executor may be about to tell that it lives when the end begins.
    assert [text for text in notifications.texts() if text != LIVES] == [READY, ENDS]


def test_bridge_that_cannot_start_is_never_ready(
    tmp_path: Path, own_ros_domain: int, notifications: Notifications
) -> None:
    wrong = {'heartbeat_window': -1.0}
    with Supervised(tmp_path, own_ros_domain, notifications, **wrong) as bridge:
        assert bridge.wait_exit() == 1
        assert 'heartbeat_window' in bridge.output()
    assert notifications.texts() == []


def test_frozen_bridge_tells_nothing_until_it_is_thawed(
    tmp_path: Path, own_ros_domain: int, notifications: Notifications
) -> None:
    with Supervised(tmp_path, own_ros_domain, notifications) as bridge:
        notifications.wait(LIVES)
        bridge.pause()
        notifications.wait_end_of_life(time.monotonic(), WATCHDOG)
        bridge.resume()
        notifications.wait(LIVES, time.monotonic())


def test_bridge_whose_reporter_waits_for_a_hung_disk_tells_nothing(
    tmp_path: Path, own_ros_domain: int, notifications: Notifications
) -> None:
    disk = tmp_path / 'disk'
    os.mkfifo(disk)
    pipe = os.open(disk, os.O_RDWR | os.O_NONBLOCK)
    with Supervised(tmp_path, own_ros_domain, notifications, event_log=str(disk)) as bridge:
        notifications.wait(LIVES)
        # What is not read fills the pipe, and the next event's writer hangs.
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(pipe, bytes(1))
        with PublisherProcess(tmp_path, 'teleop', own_ros_domain) as teleop:
            teleop.stream('/cmd_vel', forward=0.2)
            notifications.wait_end_of_life(time.monotonic(), WATCHDOG)
        assert bridge.running
    os.close(pipe)


def test_restarted_bridge_moves_nothing_by_itself_and_lets_the_old_sessions_lapse(
    drive: Drives, load: Load, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    silent, driven = drive('silent'), drive('driven')
    # On a busy computer no command is to be stopped for being slow (R10).
    bridge = start_bridge(BASES, heartbeat_window=WINDOW, call_timeout=CALL_TIMEOUT)
    publishers = {base: start_publisher(f'{base.base}_teleop') for base in (silent, driven)}
    for base, teleop in publishers.items():
        teleop.stream(f'/{base.base}/cmd_vel', forward=0.2, marked=True)
    for base in publishers:
        base.wait_driven()
    publishers[silent].silence('/silent/cmd_vel')
    # Within its window, so that both bases move under sessions of the bridge that is killed.
    bridge.kill()
    killed = time.monotonic()
    assert silent.moving and driven.moving
    old = {motion.session for base in publishers for motion in base.motions()}
    bridge.start()

    def of_new_sessions(base: Drive) -> list[Entry]:
        # What was under way to the machine when the bridge was killed may have come after that.
        return [motion for motion in base.motions(killed) if motion.session not in old]

    # The publisher that goes on takes its base over, in a session of its own.
    again = wait_for(lambda: of_new_sessions(driven), 'the other base is driven again')[0]
    lapsed = silent.wait_stopped(killed)
    if again.t >= lapsed.t:
        raise BoundMissedError('the bridge took longer to start than the sessions lived')
    # The other base is stopped by the machine, for its old session, and by nobody else.
    assert not bridge.events('stop')
    last = silent.motions()[-1]
    assert last.session in old
    sent = publishers[silent].sent_for(last, '/silent/cmd_vel', 0.2)
    assert lapsed.t - sent >= MACHINE_WINDOW - EARLY
    load.hold(lapsed.t - last.t, MACHINE_WINDOW + LATE, last.t)
    silent.stands_still(lapsed.t, 1.0)
    assert len(silent.stops(killed)) == 1
    # The old session of the base that is driven lapsed, too, and is not its last user.
    driven.not_stopped(killed)
    driven.keeps_moving(killed, 0.5)

    ordered = publishers[silent].stream('/silent/cmd_vel', forward=0.2)
    silent.wait_driven(ordered)
    new = {motion.session for base in publishers for motion in of_new_sessions(base)}
    assert len(new) == 2
