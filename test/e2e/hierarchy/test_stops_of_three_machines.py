# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Stops go to all machines in the same instant, and none waits for another (R8, R18)."""

from __future__ import annotations

import time

import pytest

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
from support.bounds import EARLY, Load, RECOVERY
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import kill
from support.record import Entry
from support.viam_server import ViamServer

pytestmark = pytest.mark.slow_bases


def stopped_on_time(drive: Drives, part: str, sent: tuple[float, float], load: Load) -> Entry:
    """Hold a base's stop to a window after the last sign of life (its two bounds)."""
    base = drive(part)
    stop = base.wait_stopped(sent[0])
    due = WINDOW + base.stop_takes
    assert sent[0] + due - EARLY <= stop.t
    load.hold(stop.t - sent[1], due + ON_TIME, sent[0], stop.t, f'the stop of {part}')
    return stop


def test_death_of_their_publisher_stops_the_bases_of_all_machines_in_the_same_instant(
    bridge: BridgeProcess, drive: Drives, drive_all: DriveAll, load: Load
) -> None:
    sent = kill(drive_all(), ALL)
    times = [stopped_on_time(drive, part, sent, load).t for part in PARENTS]
    load.hold(max(times) - min(times), ON_TIME, sent[0] + WINDOW, max(times))
    ended = bridge.wait_event('session_ended', since=sent[0])
    assert (ended['cause'], sorted(ended['bases'])) == ('lapse', sorted(PARENTS))
    for part in PARENTS:
        drive(part).stands_still(max(times), WINDOW / 2)


@pytest.mark.parametrize('how', ['frozen', 'its Stop hangs'])
def test_hung_sub_part_delays_no_stop_of_the_parts_above_it(
    how: str,
    bridge: BridgeProcess,
    drive: Drives,
    drive_all: DriveAll,
    hand: ViamServer,
    load: Load,
) -> None:
    teleop = drive_all()
    began = time.monotonic()
    if how == 'frozen':
        freeze(hand, bridge)
    else:
        hand.control('hand', stop_hang=True)
    for part in ('arm', 'main'):
        drive(part).keeps_moving(began, WINDOW / 2)
    sent = kill(teleop, ALL)
    for part in ('arm', 'main'):
        stopped_on_time(drive, part, sent, load)
        wait_final(bridge, part, sent[0])
    assert not finals(bridge, 'hand', began)
    let_go(hand)
    wait_final(bridge, 'hand', sent[0])
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
    for part in ('hand', 'main'):
        drive(part).keeps_moving(began, WINDOW)
    sent = kill(teleop, ALL)
    for part in PARENTS:
        stopped_on_time(drive, part, sent, load)
