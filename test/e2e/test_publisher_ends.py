# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers that die, freeze, leave and take over: whose silence stops which base (R2 to R6)."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import TYPE_CHECKING

import pytest

from e2e.conftest import MACHINE_WINDOW, StartPublisher, wait_until_nobody_is_there
from support.bounds import EARLY, LEFT, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import DEATH, Drive, kill

if TYPE_CHECKING:
    from e2e.conftest import Machine

pytestmark = pytest.mark.slow_bases

BASES = {
    name: {'command_topics': [f'/{name}/cmd_vel']}
    for name in ('killed', 'frozen', 'handed_over', 'first', 'second', 'left', 'once', 'one_node')
} | {name: {'command_topics': [f'/{name}/cmd_vel', '/both/cmd_vel']} for name in ('west', 'east')}

Drives = Callable[[str], Drive]


def test_killed_publisher_stops_its_base_after_the_window(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('killed')
    teleop = start_publisher('teleop')
    teleop.stream('/killed/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    stop = base.stopped_after_kill(teleop, '/killed/cmd_vel')
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t)
    ended = bridge.wait_event('session_ended', bases=['killed'])
    assert ended['cause'] == DEATH


def test_frozen_publisher_stops_its_base_and_drives_again_in_a_new_session(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('frozen')
    teleop = start_publisher('teleop')
    teleop.stream('/frozen/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    teleop.pause()
    stop = base.stopped_one_window_after(teleop.last_sent('/frozen/cmd_vel'))
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t)
    ended = bridge.wait_event('session_ended', bases=['frozen'])
    assert ended['cause'] == 'lapse'

    teleop.resume()
    again = base.wait_driven(stop.t)[0].t
    started = bridge.wait_event('session_started', client=ended['client'], since=ended['at'])
    assert started['session'] > ended['session']
    base.keeps_moving(again, 2 * WINDOW)


def test_last_user_alone_stops_the_base(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('handed_over')
    one, two = start_publisher('one'), start_publisher('two')
    one.stream('/handed_over/cmd_vel', forward=0.1)
    began = base.wait_driven(forward=0.1)[0].t
    two.stream('/handed_over/cmd_vel', forward=0.2)
    base.wait_driven(forward=0.2)
    # Not later than its end one is no last user any more, for two goes on.
    last = kill(one, '/handed_over/cmd_vel')[1]
    # Long enough for the machine session of one to lapse as well.
    base.keeps_moving(began, WINDOW + MACHINE_WINDOW + 0.3)
    ended = bridge.wait_event('session_ended', since=last)
    assert (ended['cause'], ended['bases']) == (DEATH, [])
    # What was under way when it died came before.
    assert all(motion.linear == (0.0, 200.0, 0.0) for motion in base.motions(ended['at']))

    stop = base.stopped_after_kill(two, '/handed_over/cmd_vel')
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t)


def test_each_of_two_publishers_stops_its_own_base(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    first, second = drive('first'), drive('second')
    one, two = start_publisher('one'), start_publisher('two')
    one.stream('/first/cmd_vel', forward=0.1)
    two.stream('/second/cmd_vel', forward=0.2)
    began = second.wait_driven()[0].t
    first.wait_driven()
    stop = first.stopped_after_kill(one, '/first/cmd_vel')
    first.stands_still(stop.t)
    second.keeps_moving(began, MACHINE_WINDOW)
    stop = second.stopped_after_kill(two, '/second/cmd_vel')
    second.stands_still(stop.t)
    first.stands_still(stop.t)


def test_publisher_of_two_bases_stops_only_the_one_that_nobody_took_over(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    west, east = drive('west'), drive('east')
    both, taker = start_publisher('both'), start_publisher('taker')
    both.stream('/both/cmd_vel', forward=0.1)
    began = west.wait_driven(forward=0.1)[0].t
    east.wait_driven(forward=0.1)
    taker.stream('/east/cmd_vel', forward=0.2)
    east.wait_driven(forward=0.2)
    killed = time.monotonic()
    stop = west.stopped_after_kill(both, '/both/cmd_vel')
    ended = bridge.wait_event('session_ended', since=killed)
    assert (ended['cause'], ended['bases']) == (DEATH, ['west'])
    east.keeps_moving(began, MACHINE_WINDOW + 0.3)
    west.stands_still(stop.t)
    west.not_stopped(began, killed)

    stop = east.stopped_after_kill(taker, '/east/cmd_vel')
    east.stands_still(stop.t)
    west.stands_still(stop.t)


def test_publisher_that_leaves_stops_its_base_sooner_than_the_window(
    bridge: BridgeProcess, drive: Drives, load: Load, start_publisher: StartPublisher
) -> None:
    base = drive('left')
    teleop = start_publisher('teleop')
    teleop.stream('/left/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    teleop.leave()
    last, _ = teleop.last_sent('/left/cmd_vel')
    stop = base.stopped_within(last, LEFT)
    assert bridge.wait_event('session_ended', bases=['left'])['cause'] == 'left'
    base.not_stopped(began, last)
    base.stands_still(stop.t)


def test_single_command_moves_the_base_for_one_window(
    bridge: BridgeProcess, drive: Drives, machine: Machine, start_publisher: StartPublisher
) -> None:
    base = drive('once')
    teleop = start_publisher('teleop')
    teleop.stream('/once/cmd_vel', forward=0.2)
    base.wait_driven()
    teleop.silence('/once/cmd_vel')
    stop = base.stopped_one_window_after(teleop.last_sent('/once/cmd_vel'))
    base.stands_still(stop.t)
    # The machine stops it once more, for its own session; the simulated one has forgotten that
    # already when it comes to the stop.
    wait_until_nobody_is_there(machine)
    base.wait_stopped(base.motions()[-1].t + MACHINE_WINDOW - EARLY)

    sent = teleop.once('/once/cmd_vel', forward=0.1)
    base.wait_driven(sent, times=1, forward=0.1)
    stop = base.stopped_one_window_after((sent, sent))
    base.not_stopped(sent, sent + WINDOW - EARLY)
    base.stands_still(stop.t)
    assert len(base.motions(sent)) == 1


def test_two_publishers_of_one_node_are_two_clients(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('one_node')
    node = start_publisher('behaviours')
    node.stream('/one_node/cmd_vel', publisher='spin', turn=0.1)
    base.wait_driven()
    node.stream('/one_node/cmd_vel', publisher='drive', forward=0.2)
    began = base.wait_driven(forward=0.2)[0].t
    silent = time.monotonic()
    node.silence('/one_node/cmd_vel', publisher='spin')
    base.keeps_moving(began, WINDOW + MACHINE_WINDOW + 0.3)
    ended = bridge.wait_event('session_ended', since=silent)
    assert (ended['cause'], ended['bases']) == ('lapse', [])

    node.silence('/one_node/cmd_vel', publisher='drive')
    base.stopped_one_window_after(node.last_sent('/one_node/cmd_vel'))
    base.stands_still(time.monotonic())
