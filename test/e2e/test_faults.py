# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that fail and hang on a real viam-server: no older command lives on (R7, R10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
import time
from typing import TYPE_CHECKING

import pytest

from e2e.conftest import patience, StartPublisher
from support.bounds import AT_ONCE, EARLY, Load
from support.bridge_process import BridgeProcess, CALL_TIMEOUT, WINDOW
from support.drive import Drive, wait_for
from support.record import Entry

if TYPE_CHECKING:
    from support.viam_server import ViamServer

pytestmark = [
    pytest.mark.slow_bases,
    pytest.mark.parametrize('machine_kind', ['viam_server'], indirect=True),
]

MACHINE_WINDOW = 2.0  # s
INJECTED = 'injected fault'  # how the recording base has a call fail
BASES = {name: {'command_topics': [f'/{name}/cmd_vel']} for name in ('fails', 'hangs')}

Drives = Callable[[str], Drive]


@pytest.fixture
def faulty(machine: ViamServer) -> Iterator[ViamServer]:
    """Return a machine whose bases may be told to fail; what hangs is released afterwards."""
    yield machine
    for base in BASES:
        machine.control(base, release=True)


def test_command_that_fails_stops_the_base_before_it_moves_again(
    faulty: ViamServer, bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('fails')
    teleop = start_publisher('teleop')
    teleop.stream('/fails/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    faulty.control('fails', set_velocity_failures=1)
    (failed,) = wait_for(lambda: [e for e in base.calls() if e.error == INJECTED], 'it fails')
    stop = base.stopped_within(failed.t)
    base.not_stopped(began, failed.t)
    again = base.wait_driven(stop.t)[0].t
    # The stop is the next call to reach the base, and motion waits for it.
    assert base.calls(failed.t)[1].call == 'stop'
    assert base.motions(failed.t)[0].t == again
    base.keeps_moving(again, WINDOW)
    # The session lived on.
    ended = bridge.events('session_ended', bases=['fails'])
    assert not [event for event in ended if event['at'] >= began]


def test_command_that_hangs_is_stopped_at_its_deadline_and_motion_waits_for_the_stop(
    faulty: ViamServer,
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    start_publisher: StartPublisher,
) -> None:
    base = drive('hangs')
    teleop = start_publisher('teleop')
    teleop.stream('/hangs/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    faulty.control('hangs', set_velocity_hang=True)

    def stopped_motions() -> list[Entry]:
        begun = [one for one in base.calls() if one.phase == 'begin']
        return [one for one, after in pairwise(begun) if one.is_motion and after.call == 'stop']

    wait_for(lambda: bridge.events('command_failed', base='hangs'), 'it times out')
    wait_for(stopped_motions, 'it is stopped')
    hanging = stopped_motions()[0]
    timeout = patience(CALL_TIMEOUT, base.stop_takes)
    stop = base.stopped_within(hanging.t, timeout + AT_ONCE)
    way = 0.02 + load.between(hanging.t - timeout, hanging.t)  # to the base
    assert stop.t - hanging.t >= timeout + base.stop_takes - EARLY - way
    base.not_stopped(began, hanging.t)

    faulty.control('hangs', release=True)
    released = time.monotonic()
    motions = base.wait_driven(released)
    stopped = base.stops()[-1].t
    assert stopped < motions[-1].t
    base.keeps_moving(motions[-1].t, WINDOW)
    last = base.stopped_after_kill(teleop, '/hangs/cmd_vel')
    base.stands_still(last.t, 1.5)
