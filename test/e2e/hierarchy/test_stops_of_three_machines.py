# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Stops go to all machines in the same instant, and none waits for another (R8, R18)."""

from __future__ import annotations

import time

import pytest

from e2e.conftest import patience
from e2e.hierarchy.conftest import (
    ALL,
    DriveAll,
    Drives,
    finals,
    freeze,
    let_go,
    ON_TIME,
    PARENTS,
    Tree,
    wait_final,
)
from support.bounds import Load, RECOVERY
from support.bridge_process import BridgeProcess, CALL_TIMEOUT, WINDOW
from support.drive import DEATH, stops_after_kill
from support.viam_server import ViamServer
from viam_session_bridge.core.unresolved_commands import SETTLED_AFTER_PROBE

pytestmark = pytest.mark.slow_bases


def test_death_of_their_publisher_stops_the_bases_of_all_machines_in_the_same_instant(
    bridge: BridgeProcess, drive: Drives, drive_all: DriveAll, load: Load
) -> None:
    teleop = drive_all()
    killed = time.monotonic()
    times = [stop.t for stop in stops_after_kill(teleop, ALL, *map(drive, PARENTS))]
    load.hold(max(times) - min(times), ON_TIME, min(times), max(times))
    ended = bridge.wait_event('session_ended', since=killed)
    assert (ended['cause'], sorted(ended['bases'])) == (DEATH, sorted(PARENTS))
    for part in PARENTS:
        drive(part).stands_still(max(times), WINDOW / 2)


@pytest.mark.parametrize('how', ['frozen', 'its Stop hangs'])
def test_hung_sub_part_delays_no_stop_of_the_parts_above_it(
    how: str,
    bridge: BridgeProcess,
    drive: Drives,
    drive_all: DriveAll,
    hand: ViamServer,
) -> None:
    teleop = drive_all()
    began = time.monotonic()
    if how == 'frozen':
        freeze(hand, bridge)
    else:
        hand.control('hand', stop_hang=True)
    for part in ('arm', 'main'):
        drive(part).keeps_moving(began, WINDOW / 2)
    killed = time.monotonic()
    stops_after_kill(teleop, ALL, drive('arm'), drive('main'))
    for part in ('arm', 'main'):
        wait_final(bridge, part, killed)
    assert not finals(bridge, 'hand', began)
    let_go(hand)
    wait_final(bridge, 'hand', killed)
    for part in PARENTS:
        drive(part).stands_still(time.monotonic(), WINDOW / 2)


def test_killed_sub_part_is_driven_again_when_it_is_back_and_none_above_or_below_stops(
    bridge: BridgeProcess, drive: Drives, drive_all: DriveAll, load: Load, tree: Tree
) -> None:
    teleop = drive_all()
    began = time.monotonic()
    arm = drive('arm')
    before = arm.motions()[-1].session
    tree['arm'].kill()
    bridge.wait_event('channel_changed', machine='arm', ready=False, since=began)
    tree['arm'].start()
    back = time.monotonic()
    again = arm.wait_driven(back)[0]
    load.hold(again.t - back, RECOVERY, back)
    assert again.session not in (None, before)
    # Until a command that the kill cut off counts as answered, a Stop may be sent once more (R7).
    unanswered = patience(CALL_TIMEOUT, arm.stop_takes) + SETTLED_AFTER_PROBE
    arm.keeps_moving(again.t, unanswered + WINDOW)
    for part in ('hand', 'main'):
        drive(part).keeps_moving(began, WINDOW)
    stops_after_kill(teleop, ALL, *map(drive, PARENTS))
