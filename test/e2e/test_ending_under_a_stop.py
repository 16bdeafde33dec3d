# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the exit waits for while the Stop of a slow base is open (R19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import signal
import time

import pytest

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import EXIT, LATE, Load
from support.bridge_process import BridgeProcess
from support.drive import Drive, wait_for
from support.viam_server import ViamServer

STOP_TAKES = 2.5  # s
STOP_TIMEOUT = 3.0  # s
SHUTDOWN_TIMEOUT = 1.0  # s
SHORTER, LONGER = 0.6, 2.0  # s, the machine's window beside that
BASES = {'base': {'command_topics': ['/cmd_vel']}}


Drives = Callable[[str], Drive]


@pytest.fixture
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ViamServer]:
    """Return a machine with the window that the test is about, whose Stop takes long."""
    with ViamServer(tmp_path, list(BASES), request.param) as machine:
        machine.control('base', stop_delay=STOP_TAKES)
        yield machine


def asked_to_end(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> tuple[BridgeProcess, Drive, float]:
    """Ask a bridge that drives the base to end, and return when; its Stop is open."""
    base = drive('base')
    bridge = start_bridge(BASES, stop_timeout=STOP_TIMEOUT, shutdown_timeout=SHUTDOWN_TIMEOUT)
    start_publisher('teleop').stream('/cmd_vel', forward=0.2)
    base.wait_driven()
    wished = time.monotonic()
    bridge.send_signal(signal.SIGTERM)
    wait_for(lambda: [one for one in base.calls(wished) if one.call == 'stop'], 'it is stopped')
    return bridge, base, wished


@pytest.mark.parametrize('machine', [SHORTER], indirect=True)
def test_it_waits_for_the_stop_where_the_machines_own_session_has_lapsed(
    drive: Drives, load: Load, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, base, wished = asked_to_end(drive, start_bridge, start_publisher)
    assert bridge.wait_exit() == 0
    took = time.monotonic() - wished
    assert took >= STOP_TAKES
    load.hold(took, STOP_TAKES + EXIT, wished)
    stop = base.stopped_within(wished, STOP_TAKES + 2 * LATE)
    base.stands_still(stop.t)


@pytest.mark.parametrize('machine', [LONGER], indirect=True)
def test_it_leaves_the_base_to_a_machine_session_that_covers_it_and_says_so(
    machine: ViamServer,
    drive: Drives,
    load: Load,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge, base, wished = asked_to_end(drive, start_bridge, start_publisher)
    assert bridge.wait_exit() == 1
    took = time.monotonic() - wished
    assert took >= SHUTDOWN_TIMEOUT
    load.hold(took, SHUTDOWN_TIMEOUT + EXIT, wished)
    assert 'base: its stop was never acknowledged within shutdown_timeout' in bridge.output()
    machine.control('base', stop_delay=0.0)
    last = base.motions()[-1].t
    # The exit cut a Stop of the bridge's, besides the one beside a command.
    stop = wait_for(lambda: base.stops(wished), 'its machine stops it')[0]
    assert stop.session is None
    load.hold(stop.t - last, LONGER + 2 * LATE, last, stop.t)
    base.stands_still(stop.t)


@pytest.mark.parametrize('machine', [LONGER], indirect=True)
def test_a_stop_that_was_acknowledged_and_is_not_final_yet_is_reported_and_no_failure(
    machine: ViamServer, drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    machine.control('base', stop_delay=0.0)
    base = drive('base')
    # Less than the second in which a command without an answer may run after all (R7).
    bridge = start_bridge(BASES, shutdown_timeout=0.7)
    start_publisher('teleop').stream('/cmd_vel', forward=0.2)
    base.wait_driven()
    machine.control('base', set_velocity_delay=STOP_TAKES)
    wait_for(lambda: 'failed, stopping' in bridge.output(), 'a command timed out')
    bridge.send_signal(signal.SIGTERM)
    assert bridge.wait_exit() == 0
    assert 'base: its stop was acknowledged, but is not final after' in bridge.output()
