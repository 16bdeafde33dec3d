# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""How the real viam-server and the simulated machine start and end: windows, and no stop."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.caller import Caller
from support.machines import KINDS, Machine
from support.viam_server import ViamServer
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam import messages as wire

pytestmark = pytest.mark.parametrize('kind', list(KINDS))


def window_of(machine: Machine | SimulatedMachine) -> float:
    """Return the window that a session's start tells."""
    with Caller(machine.address) as call:
        return wire.to_seconds(call(wire.START_SESSION).heartbeat_window)


@pytest.mark.parametrize('window', [0.03, 60.0])
def test_the_shortest_and_the_longest_window_are_reported_at_the_start_of_a_session(
    kind: str, tmp_path: Path, window: float
) -> None:
    with KINDS[kind](tmp_path, ['base'], window) as machine:
        assert window_of(machine) == pytest.approx(window, abs=1e-9)


@pytest.mark.parametrize('window', [-1.0, 0.029999, 60.000001])
def test_a_shorter_or_longer_window_is_fatal_at_the_start(
    kind: str, tmp_path: Path, window: float
) -> None:
    with pytest.raises(AssertionError, match=r'(?s)ended.*window'):
        KINDS[kind](tmp_path, ['base'], window).start()


def test_the_window_that_nobody_set_is_two_seconds(kind: str, tmp_path: Path) -> None:
    if kind == 'simulated':
        with SimulatedMachine() as simulated:
            assert window_of(simulated) == 2.0
        return
    # What it takes for not set as well: the simulated machine takes that for a mistake.
    zero = KINDS[kind](tmp_path, window=0.0, name='zero')
    unset = KINDS[kind](tmp_path, name='unset')
    assert isinstance(unset, ViamServer)
    del unset.config['network']['sessions']
    with zero, unset:
        assert (window_of(zero), window_of(unset)) == (2.0, 2.0)


def test_a_machine_that_shuts_down_leaves_its_bases_as_they_are(kind: str, tmp_path: Path) -> None:
    with KINDS[kind](tmp_path, ['base'], 2.0) as machine, Caller(machine.address) as call:
        call.drive(call.start())
        assert machine.terminate() == 0
        assert not machine.record.stops('base')
        assert machine.record.moving('base')
