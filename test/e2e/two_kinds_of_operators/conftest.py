# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS publishers and a Viam SDK program on the bases of one real viam-server (R16, R19).

With `stop_policy: machine` viam-server knows the last user among both kinds, and its stop comes
0.8 to 1 window after that one's last sign of life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.conftest import patience, wait_until_nobody_is_there
from support.bounds import EARLY, LATE, Load
from support.bridge_process import BridgeProcess, parameters
from support.drive import Drive, wait_for
from support.record import Entry
from support.sdk_operator_process import SdkOperatorProcess
from support.viam_server import ViamServer

MACHINE_WINDOW = 1.0  # s: an SDK program beats five times in it, on a busy computer less often
SOONEST = 0.8 * MACHINE_WINDOW  # s after the last sign of life, of viam-server's stop
LOOP = 0.010  # s between two looks of viam-server's at its sessions
CALL_TIMEOUT = 0.5  # s: on a busy computer no command is to be stopped for being slow (R10)
WHILE = 1.4 * MACHINE_WINDOW  # s, in which a lapse and what follows it would show

SDKS_OWN = 'sdks_own'  # a base that no bridge knows

never_slow = pytest.mark.fast_bases(
    'R16 asks a quarter second after the stop is due, and a slow base moves then'
)

Drives = Callable[[str], Drive]
StartOperator = Callable[[], SdkOperatorProcess]


@pytest.fixture(scope='module')
def machine(
    request: pytest.FixtureRequest,
    stop_takes: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ViamServer]:
    """Return the module's machine, which runs."""
    pytest.importorskip('viam', reason='viam-sdk is an extra')
    directory = tmp_path_factory.mktemp('viam_server')
    bases = [*request.module.BASES, SDKS_OWN]
    with ViamServer(directory, bases, MACHINE_WINDOW, stop_takes=stop_takes) as machine:
        yield machine


@pytest.fixture(autouse=True)
def nobody_there(machine: ViamServer) -> None:
    """Wait until the machine has forgotten the sessions of the test before."""
    wait_until_nobody_is_there(machine)


@pytest.fixture(scope='module')
def shared_bridge(
    request: pytest.FixtureRequest,
    machine: ViamServer,
    shared_domain: int,
    stop_takes: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BridgeProcess]:
    """Return a bridge for all bases of the module that leaves the stop to the machine."""
    settings = parameters(
        machine.address,
        request.module.BASES,
        call_timeout=patience(CALL_TIMEOUT, stop_takes),
        heartbeat_window=MACHINE_WINDOW,
        stop_policy='machine',
    )
    with BridgeProcess(tmp_path_factory.mktemp('bridge'), shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def start_operator(machine: ViamServer, load: Load, tmp_path: Path) -> Iterator[StartOperator]:
    """Return what starts a Viam SDK program."""
    with ExitStack() as processes:

        def start() -> SdkOperatorProcess:
            operator = SdkOperatorProcess(tmp_path, machine.address)
            processes.enter_context(operator)
            load.watch(lambda: operator.pid)
            return operator

        yield start


def bridges_stops(bridge: BridgeProcess, base: str) -> list[str]:
    """Return the causes of the bridge's own stops of a base that the machine acknowledged."""
    stops = [event['stop'] for event in bridge.events('stop_acknowledged')]
    return [stop['cause'] for stop in stops if stop['base'] == base]


def viam_server_stops(base: Drive, load: Load, sent: tuple[float, float]) -> Entry:
    """Wait for the one stop and hold it to 0.8 to 1 window after the last sign of life."""
    stop = base.wait_stopped(sent[0])
    soonest = SOONEST + base.stop_takes
    late = MACHINE_WINDOW + base.stop_takes + LOOP + LATE
    assert stop.t - sent[0] >= soonest - EARLY, f'{stop.t - sent[0]:.4f} s after the last sign'
    load.hold(stop.t - sent[1], late, sent[0], stop.t, f'the stop of {base.base}')
    return stop


def left_alone(bridge: BridgeProcess, base: Drive, since: float, stop: Entry) -> None:
    """Wait for the bridge to have found a base at rest that it never stopped itself."""
    bridge.wait_event('at_rest', since=stop.t, base=base.base)
    base.stands_still(stop.t, 0.0)
    assert base.stops(since) == [stop]
    assert not bridges_stops(bridge, base.base)


def says(bridge: BridgeProcess, line: str) -> None:
    """Wait for a line in the bridge's log."""
    wait_for(lambda: line in bridge.output(), f'the log says {line!r}')
