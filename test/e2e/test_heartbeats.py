# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Who keeps a session alive, by which sign of life, and what goes on without sessions (R3)."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from e2e.conftest import MACHINE_WINDOW, StartPublisher, wait_named
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, freeze, wait_for
from support.observer import Observer
from support.publisher import HEARTBEATS

MANUAL = ('refused', 'beat_ends', 'commands_end', 'own', 'twins')
BASES: dict[str, dict[str, Any]] = {
    name: {
        'command_topics': [f'/{name}/cmd_vel'],
        'sessions': 'manual' if name in MANUAL else 'auto',
    }
    for name in ('kept', 'permitted', *MANUAL)
}

Drives = Callable[[str], Drive]


def topic_of(base: str) -> str:
    """Return the command topic of a base."""
    return f'/{base}/cmd_vel'


def test_own_heartbeats_keep_a_speed_that_is_not_repeated(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('kept')
    teleop = start_publisher('teleop')
    teleop.heartbeat()
    teleop.stream(topic_of('kept'), forward=0.2)
    began = base.wait_driven()[0].t
    wait_named(observer, '/teleop', 'kept')
    base.wait_driven(time.monotonic(), times=20)
    teleop.silence(topic_of('kept'))
    last_command = teleop.last_sent(topic_of('kept'))[1]
    base.keeps_moving(began, 2 * (WINDOW + MACHINE_WINDOW))
    assert not base.motions(last_command + MACHINE_WINDOW)

    teleop.end_heartbeat()
    stop = base.stopped_one_window_after(teleop.last_sent(HEARTBEATS))
    base.stands_still(stop.t)


def test_heartbeats_of_another_node_do_not_keep_a_publisher_alive(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('permitted')
    teleop, operator = start_publisher('driver'), start_publisher('operator')
    operator.heartbeat('/driver')
    teleop.stream(topic_of('permitted'), forward=0.2)
    began = base.wait_driven(times=25)[0].t
    stop = base.stopped_one_window_after(freeze(teleop, topic_of('permitted')))
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t, 2 * WINDOW)


def test_manual_refuses_commands_without_a_heartbeat(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('refused')
    teleop = start_publisher('teleop')
    teleop.stream(topic_of('refused'), forward=0.2)
    bridge.wait_event('refused', base='refused', reason='no_session')
    base.stands_still(0.0, 2 * WINDOW)
    assert not bridge.events('session_started', client=client_of(bridge, 'refused'))
    (row,) = [row for row in observer.overview()['bases'] if row['base'] == 'refused']
    assert row['refusals']['no_session'] > 5
    assert row['session'] == 0


def client_of(bridge: BridgeProcess, base: str) -> str:
    """Return the client whose command for a base was refused last."""
    client: str = bridge.events('refused', base=base)[-1]['client']
    return client


def test_manual_stops_when_the_heartbeats_end_though_commands_go_on(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('beat_ends')
    teleop, operator = start_publisher('beat_ends'), start_publisher('operator')
    teleop.stream(topic_of('beat_ends'), forward=0.2)
    operator.heartbeat('/beat_ends')
    began = base.wait_driven()[0].t
    base.keeps_moving(began, 2 * WINDOW)
    operator.end_heartbeat()
    stop = base.stopped_one_window_after(operator.last_sent(HEARTBEATS))
    base.stands_still(stop.t, 2 * WINDOW)
    assert len(teleop.sent(topic_of('beat_ends'))) > 50

    resumed = time.monotonic()
    operator.heartbeat('/beat_ends')
    again = base.wait_driven_again(stop.t, resumed).t
    base.keeps_moving(again, WINDOW)


def test_manual_stops_when_the_commands_end_though_heartbeats_go_on(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('commands_end')
    teleop, operator = start_publisher('commands_end'), start_publisher('operator')
    teleop.stream(topic_of('commands_end'), forward=0.2)
    operator.heartbeat('/commands_end')
    began = base.wait_driven(times=20)[0].t
    stop = base.stopped_one_window_after(freeze(teleop, topic_of('commands_end')))
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t, 2 * WINDOW)


def test_manual_takes_heartbeats_of_the_publishers_own(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('own')
    teleop = start_publisher('own')
    teleop.stream(topic_of('own'), forward=0.2)
    teleop.heartbeat()
    began = base.wait_driven()[0].t
    base.keeps_moving(began, 2 * WINDOW)
    teleop.end_heartbeat()
    stop = base.stopped_one_window_after(teleop.last_sent(HEARTBEATS))
    base.stands_still(stop.t, 2 * WINDOW)


def test_heartbeat_for_a_name_of_two_nodes_is_refused(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('twins')
    for name in ('twin_a', 'twin_b'):
        twin = start_publisher('twin', name=name)
        twin.stream(topic_of('twins'), forward=0.2)
    # Until the graph shows both by their name there may be one alone that is meant.
    wait_for(
        lambda: observer.publishers(topic_of('twins')) == ['/twin', '/twin'], 'both are there'
    )
    since = time.monotonic()
    operator = start_publisher('operator')
    operator.heartbeat('/twin')
    wait_for(lambda: "'/twin' refused (ambiguous)" in bridge.output(), 'the refusal is reported')
    base.stands_still(since, 2 * WINDOW)
