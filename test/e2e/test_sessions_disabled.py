# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A base whose sessions are disabled: no lapse stops it, the end of the bridge does (R3, R19)."""

from __future__ import annotations

from collections.abc import Callable
import time

from lifecycle_msgs.msg import Transition
import pytest

from e2e.conftest import MACHINE_WINDOW, StartBridge, StartPublisher
from support.bounds import AT_ONCE, EXIT, Load
from support.bridge_process import WINDOW
from support.drive import Drive, kill
from support.observer import Observer

pytestmark = pytest.mark.slow_bases

BASES = {
    name: {'command_topics': ['/cmd_vel'], 'sessions': 'disabled'}
    for name in ('deactivate', 'SIGTERM')
}

Drives = Callable[[str], Drive]


@pytest.mark.parametrize('end', ['deactivate', 'SIGTERM'])
def test_base_goes_on_without_its_publisher_until_the_bridge_ends(
    end: str,
    drive: Drives,
    load: Load,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    base = drive(end)
    bridge = start_bridge({end: BASES[end]})
    assert f'bases.{end}.sessions is disabled' in bridge.output()
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    kill(teleop, '/cmd_vel')
    base.keeps_moving(began, WINDOW + MACHINE_WINDOW + 0.3)
    assert {motion.session for motion in base.motions()} == {None}
    observer.wait_services()
    ended = time.monotonic()
    if end == 'deactivate':
        assert observer.change_state(Transition.TRANSITION_DEACTIVATE)
        assert bridge.running
    else:
        assert bridge.terminate() == 0
        load.hold(time.monotonic() - ended, EXIT, ended)
    stop = base.stopped_within(ended, AT_ONCE + 0.1)
    base.stands_still(stop.t, WINDOW)
