# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Machines that come late, restart, and hang beside others (R8, R13, R17)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import time
from typing import TYPE_CHECKING

import pytest

from e2e.conftest import make_machine, StartBridge, StartPublisher
from support.bounds import Load, RECOVERY
from support.bridge_process import WINDOW
from support.drive import Drive, kill, wait_for
from support.publisher_process import number_of

if TYPE_CHECKING:
    from e2e.conftest import Machine

pytestmark = pytest.mark.slow_bases

BASES = {'base': {'command_topics': ['/cmd_vel']}, 'other': {'command_topics': ['/other']}}

Drives = Callable[[str], Drive]


@pytest.fixture
def machine(machine_kind: str, stop_takes: float, tmp_path: Path) -> Iterator[Machine]:
    """Return a machine of the test's own, which does not run yet."""
    machine = make_machine(machine_kind, tmp_path, list(BASES), 2.0, stop_takes)
    try:
        yield machine
    finally:
        machine.kill()


def test_restarted_machine_is_driven_again_by_itself_with_a_new_machine_session(
    drive: Drives,
    load: Load,
    machine: Machine,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    machine.start()
    bridge = start_bridge({'base': BASES['base']})
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2, marked=True)
    base = drive('base')
    first = base.wait_driven()
    machine.kill()
    bridge.wait_event('channel_changed', ready=False)
    down = len(base.calls())
    numbers = len(teleop.sent('/cmd_vel'))
    machine.start()
    back = time.monotonic()
    (again, *_) = base.wait_driven(first[-1].t, times=1 + len(base.motions(first[-1].t)))[-1:]
    load.hold(again.t - back, RECOVERY, back)
    assert again.linear is not None
    assert number_of(again.linear[1], 0.2) > numbers
    assert again.session not in (None, first[0].session)
    base.wait_driven(again.t, times=20)
    # The outage left a stop that was still to be done, and nothing of before it moves the base.
    after = base.calls()[down:]
    assert all(
        number_of(entry.linear[1], 0.2) > numbers
        for entry in after
        if entry.is_motion and entry.linear is not None
    )
    base.keeps_moving(again.t, 2 * WINDOW)


def test_machine_that_arrives_late_gets_nothing_of_before(
    drive: Drives,
    load: Load,
    machine: Machine,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge = start_bridge({'base': BASES['base']}, ready=False)
    early = start_publisher('early')
    early.stream('/cmd_vel', forward=0.1)
    bridge.wait_event('refused', reason='not_ready')
    kill(early, '/cmd_vel')
    machine.start()
    back = time.monotonic()
    bridge.wait_event('channel_changed', ready=True)
    load.hold(time.monotonic() - back, RECOVERY, back)
    base = drive('base')
    base.stands_still(0.0, 2 * WINDOW)
    assert not bridge.events('session_started')

    late = start_publisher('late')
    late.stream('/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    base.keeps_moving(began, WINDOW)
    assert all(motion.linear == (0.0, 200.0, 0.0) for motion in base.motions())
    stop = base.stopped_after_kill(late, '/cmd_vel')
    base.stands_still(stop.t)


@pytest.mark.fast_bases('no Stop')
def test_machine_that_arrives_late_is_driven_by_who_streams_already(
    drive: Drives,
    load: Load,
    machine: Machine,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge = start_bridge({'base': BASES['base']}, ready=False)
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2, marked=True)
    bridge.wait_event('refused', reason='not_ready')
    numbers = len(teleop.sent('/cmd_vel'))
    machine.start()
    back = time.monotonic()
    base = drive('base')
    motions = base.wait_driven()
    load.hold(motions[0].t - back, RECOVERY, back)
    assert motions[0].linear is not None
    assert number_of(motions[0].linear[1], 0.2) > numbers
    base.keeps_moving(motions[0].t, WINDOW)


def test_hung_machine_delays_no_stop_on_another(
    drive: Drives,
    load: Load,
    machine: Machine,
    machine_kind: str,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    stop_takes: float,
    tmp_path: Path,
) -> None:
    machine.start()
    (tmp_path / 'hung').mkdir()
    with make_machine(machine_kind, tmp_path / 'hung', ['other'], 2.0, stop_takes) as hung:
        bridge = start_bridge(
            {name: {**BASES[name], 'machine': name} for name in BASES},
            machine_names=list(BASES),
            machines={
                name: {'address': one.address, 'insecure': True}
                for name, one in (('base', machine), ('other', hung))
            },
        )
        base, other = drive('base'), Drive(hung.record, 'other', load, stop_takes)
        teleop, second = start_publisher('teleop'), start_publisher('second')
        second.stream('/other', forward=0.1, marked=True)
        teleop.stream('/cmd_vel', forward=0.2)
        other.wait_driven()
        began = base.wait_driven()[0].t
        hung.pause()
        wait_for(lambda: bridge.events('command_failed', base='other'), 'a command timed out')
        base.keeps_moving(began, WINDOW)
        stop = base.stopped_after_kill(teleop, '/cmd_vel')
        base.stands_still(stop.t)

        # What was on its way into the freeze may still run at the thaw, beside the stop.
        numbers = len(second.sent('/other'))
        thawed = time.monotonic()
        hung.resume()
        again = wait_for(
            lambda: [
                motion
                for motion in other.motions(thawed)
                if motion.linear is not None and number_of(motion.linear[1], 0.1) > numbers
            ],
            'driven again',
        )[0]
        stops = [stop for stop in other.stops(thawed) if stop.t < again.t]
        assert stops, 'motion after a timeout needs an acknowledged stop first'
        other.keeps_moving(again.t, WINDOW)
