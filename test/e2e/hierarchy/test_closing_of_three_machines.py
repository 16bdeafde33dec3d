# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Machines are disconnected in stages: sub-parts first, a hung one is not waited for (R18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import signal
import time

from lifecycle_msgs.msg import Transition
import pytest

from e2e.conftest import StartBridge
from e2e.hierarchy.conftest import (
    BASES,
    DriveAll,
    Drives,
    finals,
    freeze,
    hierarchy,
    let_go,
    LEVEL_TIMEOUT,
    ON_TIME,
    PARENTS,
    SHUTDOWN_TIMEOUT,
    Tree,
    wait_final,
)
from support.bounds import BoundMissedError, EXIT, Load
from support.bridge_process import BridgeProcess
from support.drive import wait_for
from support.observer import Observer
from support.viam_server import insecure_channel, ViamServer
from viam_session_bridge.viam import messages as wire

pytestmark = pytest.mark.slow_bases

Deactivate = Callable[[], float]


@pytest.fixture
def deactivate(bridge: BridgeProcess, observer: Observer) -> Iterator[Deactivate]:
    """Return what deactivates the bridge and says when; afterwards it drives again."""
    observer.wait_services()

    def deactivate() -> float:
        since = time.monotonic()
        assert observer.change_state(Transition.TRANSITION_DEACTIVATE)
        return since

    began = time.monotonic()
    yield deactivate
    gone = closed(bridge, began)
    since = time.monotonic()
    assert observer.change_state(Transition.TRANSITION_ACTIVATE)
    for part in gone:
        bridge.wait_event('channel_changed', machine=part, ready=True, since=since)


def closed(bridge: BridgeProcess, since: float) -> dict[str, float]:
    """Return when each machine was closed, in the order of the event log."""
    events = bridge.events('machine_closed')
    return {event['machine']: event['at'] for event in events if event['at'] >= since}


def wait_closed(bridge: BridgeProcess, since: float, *parts: str) -> dict[str, float]:
    """Wait until these machines were closed, and return when; no others were."""
    wait_for(lambda: closed(bridge, since).keys() >= set(parts), f'{parts} are closed')
    times = closed(bridge, since)
    assert times.keys() == set(parts)
    return times


def sessions(server: ViamServer) -> set[str]:
    """Return the ids of the sessions that a machine has."""
    with insecure_channel(server.address) as channel:
        call = wire.GET_SESSIONS.on(channel)
        response = call(wire.GET_SESSIONS.request(), timeout=5, wait_for_ready=True)
        return {session.id for session in response.sessions}


def test_deactivation_closes_the_deepest_machine_first_each_after_its_final_stop(
    bridge: BridgeProcess,
    deactivate: Deactivate,
    drive: Drives,
    drive_all: DriveAll,
    load: Load,
    stop_takes: float,
    tree: Tree,
) -> None:
    teleop = drive_all()
    own = {part: drive(part).motions()[-1].session for part in PARENTS}
    assert all(own[part] in sessions(server) for part, server in tree.items())
    since = deactivate()
    times = wait_closed(bridge, since, *PARENTS)
    assert list(times) == list(PARENTS)
    ended = bridge.wait_event('session_ended', since=since)
    assert (ended['cause'], sorted(ended['bases'])) == ('deactivated', sorted(PARENTS))
    for part in PARENTS:
        (final,) = finals(bridge, part, since)
        assert final <= times[part]
        stop = drive(part).wait_stopped(since)
        load.hold(stop.t - ended['at'], stop_takes + ON_TIME, since)
    # Nobody waited for a timeout.
    load.hold(times['main'] - ended['at'], stop_takes + ON_TIME, since)
    # Whatever the publisher sends now, on no machine does its session live on.
    for part, server in tree.items():
        wait_for(
            lambda s=server, part=part: own[part] not in sessions(s),  # type: ignore[misc]
            f'{part}: lapsed',
        )
    assert teleop.running


def test_parents_of_a_frozen_machine_close_without_it_after_level_timeout(
    bridge: BridgeProcess,
    deactivate: Deactivate,
    drive_all: DriveAll,
    hand: ViamServer,
    load: Load,
) -> None:
    drive_all()
    freeze(hand, bridge)
    since = deactivate()
    times = wait_closed(bridge, since, 'arm', 'main')
    ready = {part: finals(bridge, part, since)[0] for part in ('arm', 'main')}
    assert times['arm'] >= ready['arm'] + LEVEL_TIMEOUT
    # Its own wait is over, or it has nobody to wait for any more.
    assert times['main'] >= min(times['arm'], ready['main'] + LEVEL_TIMEOUT)
    for part, at in times.items():
        load.hold(at - ready[part], LEVEL_TIMEOUT + ON_TIME, ready[part] + LEVEL_TIMEOUT, at, part)
    let_go(hand)
    final = wait_final(bridge, 'hand', since)
    assert wait_closed(bridge, since, *PARENTS)['hand'] >= final


def test_parents_close_at_once_when_a_hanging_stop_below_them_becomes_final_in_time(
    bridge: BridgeProcess,
    deactivate: Deactivate,
    drive_all: DriveAll,
    hand: ViamServer,
    load: Load,
) -> None:
    drive_all()
    hand.control('hand', stop_hang=True)
    since = deactivate()
    ready = max(wait_final(bridge, part, since) for part in ('arm', 'main'))
    wait_for(lambda: time.monotonic() > ready + LEVEL_TIMEOUT / 4, 'the parents wait')
    before = closed(bridge, since)
    let_go(hand)
    final = wait_final(bridge, 'hand', since)
    if final >= ready + LEVEL_TIMEOUT:
        raise BoundMissedError('let go so late that it shows nothing')
    assert not before
    times = wait_closed(bridge, since, *PARENTS)
    assert list(times) == list(PARENTS)
    assert final <= times['hand']
    load.hold(times['main'] - final, ON_TIME, final)


def test_exit_waits_for_a_frozen_sub_part_until_shutdown_timeout_and_names_it_alone(
    drive: Drives,
    drive_all: DriveAll,
    hand: ViamServer,
    load: Load,
    start_bridge: StartBridge,
    stop_takes: float,
    tree: Tree,
) -> None:
    bridge = start_bridge(BASES, **hierarchy(tree, stop_takes))
    drive_all()
    freeze(hand, bridge)
    wished = time.monotonic()
    bridge.send_signal(signal.SIGTERM)
    assert bridge.wait_exit() == 1
    took = time.monotonic() - wished
    assert took >= SHUTDOWN_TIMEOUT
    load.hold(took, SHUTDOWN_TIMEOUT + EXIT, wished)
    for part in ('arm', 'main'):
        drive(part).stopped_within(wished)
    wait_closed(bridge, wished, 'arm', 'main')
    (named,) = [line for line in bridge.output().splitlines() if 'shutdown_timeout' in line]
    assert 'hand: its stop was never acknowledged within shutdown_timeout' in named
