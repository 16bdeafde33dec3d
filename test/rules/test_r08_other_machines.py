# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R8: a hung or unreachable machine delays no other machine."""

from __future__ import annotations

from support.pure import base, hung, machine, Rig, times, WINDOW
from viam_session_bridge.core.requests import StopBase


def test_a_hung_machine_delays_no_other_machines_stop() -> None:
    rig = Rig(
        base('base'),
        base('other', machine='second'),
        machines=[machine('main'), machine('second')],
    )
    rig.drive('A')
    rig.drive('B', topic='/other')
    hung(rig)
    sent = rig.until(WINDOW, times_out=False)
    assert times(sent) == times(sent, StopBase('other')) == [WINDOW]
