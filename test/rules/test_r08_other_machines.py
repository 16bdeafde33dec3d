# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R8: a hung or unreachable machine delays no other machine."""

from __future__ import annotations

import pytest

from support.pure import base, go, hung, machine, Rig, STOP, times, WINDOW
from viam_session_bridge.core.requests import SendHeartbeat, StopBase

MACHINE_WINDOW = 1.0


@pytest.fixture
def rig() -> Rig:
    """Let A's newest command hang on one machine, while B drives on another."""
    rig = Rig(
        base('base'),
        base('other', machine='second'),
        machines=[machine('main'), machine('second')],
    )
    rig.machine_window = MACHINE_WINDOW
    rig.drive('A')
    rig.drive('B', topic='/other')
    return hung(rig)


def test_it_delays_no_stop(rig: Rig) -> None:
    sent = rig.until(WINDOW, times_out=False)
    assert times(sent) == times(sent, StopBase('other')) == [WINDOW]


def test_it_delays_no_command(rig: Rig) -> None:
    assert rig.command('B', 0.4, '/other') == [go(0.4, 'sid-2', 'other')]


def test_it_delays_no_heartbeat(rig: Rig) -> None:
    sent = rig.until(MACHINE_WINDOW / 5, times_out=False)
    assert times(sent, SendHeartbeat('sid-2')) == [MACHINE_WINDOW / 5]


def test_a_stop_that_hangs_delays_none_either(rig: Rig) -> None:
    assert rig.left('A') == [STOP]
    assert rig.command('B', 0.4, '/other') == [go(0.4, 'sid-2', 'other')]
    assert rig.left('B') == [StopBase('other')]
