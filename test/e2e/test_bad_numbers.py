# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that are none: the base stops at once, whatever heartbeats say (R10, R17)."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import pytest

from e2e.conftest import StartPublisher, wait_named
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, wait_for
from support.observer import Observer

BAD: dict[str, dict[str, Any]] = {
    'nan': {'forward': math.nan},
    'infinite': {'forward': 0.1, 'turn': -math.inf},
}
BEATS = {'silent': False, 'with_heartbeats': True}
BASES = {
    f'{bad}_{beats}': {'command_topics': [f'/{bad}_{beats}/cmd_vel']}
    for bad in BAD
    for beats in BEATS
} | {'other': {'command_topics': ['/other/cmd_vel']}}

Drives = Callable[[str], Drive]


@pytest.mark.parametrize('beats', ['silent', 'with_heartbeats'])
@pytest.mark.parametrize('bad', BAD)
def test_bad_number_stops_the_base_at_once_and_nobody_else(
    bad: str,
    beats: str,
    bridge: BridgeProcess,
    drive: Drives,
    machine_kind: str,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    name = f'{bad}_{beats}'
    topic = f'/{name}/cmd_vel'
    base, other = drive(name), drive('other')
    # The graph keeps the name of a killed node for a while: nobody else may have had it.
    node = f'{name}_{machine_kind}'
    broken, healthy = start_publisher(node), start_publisher('healthy')
    healthy.stream('/other/cmd_vel', forward=0.1)
    if BEATS[beats]:
        broken.heartbeat()
    broken.stream(topic, forward=0.2)
    began = base.wait_driven(times=25)[0].t
    other_began = other.wait_driven(began)[0].t
    if BEATS[beats]:
        wait_named(observer, f'/{node}', name)
    sent = broken.stream(topic, **BAD[bad])
    stop = base.stopped_within(sent)
    base.not_stopped(began, sent)
    base.stands_still(stop.t, 3 * WINDOW)
    other.keeps_moving(other_began, WINDOW)
    rows = [row for row in observer.overview()['sessions'] if row['topic'] == topic]
    assert rows[0]['refusals']['non_finite'] > 0
    if BEATS[beats]:
        assert rows[0]['state'] == 'active'
    else:
        # A refused command is no sign of life.
        wait_for(lambda: bridge.events('session_ended', client=rows[0]['client']), 'it lapses')

    resumed = broken.stream(topic, forward=0.2)
    again = base.wait_driven_again(stop.t, resumed).t
    base.keeps_moving(again, WINDOW)
    other.not_stopped(other_began)
