# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A bridge that dies or hangs: the machine stops the base, nothing is replayed (R2, R12)."""

from __future__ import annotations

from collections.abc import Callable
import time

from e2e.conftest import MACHINE_WINDOW, StartBridge, StartPublisher
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, wait_for
from support.publisher_process import number_of, PublisherProcess

BASES = {
    name: {'command_topics': [f'/{name}/cmd_vel']}
    for name in ('crashed', 'frozen', 'thawed', 'briefly')
}

Drives = Callable[[str], Drive]


def driving(
    name: str, start_bridge: StartBridge, start_publisher: StartPublisher, drive: Drives
) -> tuple[BridgeProcess, PublisherProcess, Drive]:
    """Start a bridge and a publisher that streams through it, each message marked."""
    base = drive(name)
    bridge = start_bridge({name: BASES[name]})
    teleop = start_publisher('teleop')
    teleop.stream(f'/{name}/cmd_vel', forward=0.2, marked=True)
    base.wait_driven()
    return bridge, teleop, base


def test_killed_bridge_leaves_the_stop_to_the_machine(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, teleop, base = driving('crashed', start_bridge, start_publisher, drive)
    began = base.motions()[0].t
    bridge.kill()
    stop = base.stopped_by_its_machine(base.motions()[-1].t, MACHINE_WINDOW)
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t)
    assert teleop.running


def test_frozen_bridge_leaves_the_stop_to_the_machine_and_drives_again_when_thawed(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, teleop, base = driving('frozen', start_bridge, start_publisher, drive)
    began = base.motions()[0].t
    bridge.pause()
    stop = base.stopped_by_its_machine(base.motions()[-1].t, MACHINE_WINDOW)
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t)
    thawed = len(teleop.sent('/frozen/cmd_vel'))
    bridge.resume()
    again = base.wait_driven(stop.t)
    assert bridge.running
    # What waited meanwhile is not replayed.
    assert again[0].linear is not None
    assert number_of(again[0].linear[1], 0.2) > thawed
    assert again[-1].session != base.motions()[0].session
    base.keeps_moving(again[-1].t, 2 * WINDOW)


def test_publisher_that_died_while_the_bridge_was_frozen_moves_nothing_after_the_thaw(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, teleop, base = driving('thawed', start_bridge, start_publisher, drive)
    bridge.pause()
    frozen = len(teleop.sent('/thawed/cmd_vel'))
    wait_for(lambda: len(teleop.sent('/thawed/cmd_vel')) >= frozen + 10, 'some messages wait')
    teleop.kill()
    stop = base.stopped_by_its_machine(base.motions()[-1].t, MACHINE_WINDOW)
    base.stands_still(stop.t)
    bridge.resume()
    bridge.wait_event('session_ended')
    base.stands_still(stop.t, 1.0)
    assert not bridge.events('session_started', session=2)


def test_publisher_that_died_in_a_short_freeze_is_stopped_at_the_thaw(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, teleop, base = driving('briefly', start_bridge, start_publisher, drive)
    bridge.pause()
    frozen = len(teleop.sent('/briefly/cmd_vel'))
    teleop.kill()
    last = teleop.last_sent('/briefly/cmd_vel')
    # Between the bridge's window and the machine's.
    wait_for(lambda: time.monotonic() > last[1] + WINDOW + 0.05, 'the window has passed')
    bridge.resume()
    stop = base.wait_stopped(last[0])
    assert stop.t - last[0] >= WINDOW
    base.stands_still(stop.t, 1.0)
    assert len(teleop.sent('/briefly/cmd_vel')) >= frozen
