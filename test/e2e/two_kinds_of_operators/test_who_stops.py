# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Who stops which base, with publishers and a Viam SDK program on one machine (R16, R19).

With `stop_policy: machine` viam-server does, and the bridge where nobody else is; with
`stop_policy: bridge` a lapse stops the base under the program.
"""

from __future__ import annotations

import time

from lifecycle_msgs.msg import Transition
import pytest

from e2e.conftest import StartBridge, StartPublisher, wait_named
from e2e.two_kinds_of_operators.conftest import (
    bridges_stops,
    CALL_TIMEOUT,
    Drives,
    left_alone,
    LOOP,
    MACHINE_WINDOW,
    never_slow,
    says,
    SDKS_OWN,
    StartOperator,
    viam_server_stops,
    WHILE,
)
from support.bounds import AT_ONCE, EARLY, LATE, Load
from support.bridge_process import BridgeProcess
from support.drive import DEATH, Drive, freeze, kill, wait_for
from support.observer import Observer
from support.publisher import HEARTBEATS
from support.publisher_process import number_of, PublisherProcess
from support.record import Entry
from support.viam_server import ViamServer

pytestmark = pytest.mark.slow_bases

BASES = {
    name: {'command_topics': [f'/{name}']}
    for name in ('streamed', 'kept', 'handed_over', 'deactivated', 'ended', 'alone', 'under')
} | {name: {'command_topics': [f'/{name}', '/both']} for name in ('west', 'east')}


def fall_silent(teleop: PublisherProcess, topic: str, *bases: Drive) -> float:
    """End a marked stream of 0.1 m/s; return when its last command had come to the bases."""
    teleop.silence(topic)
    last = len(teleop.sent(topic))

    def number(motion: Entry) -> int:
        assert motion.linear is not None
        return number_of(motion.linear[1], 0.1)

    def there() -> bool:
        return all(number(base.motions()[-1]) == last for base in bases)

    wait_for(there, 'the last command came')
    return time.monotonic()


def sdks_motion(base: Drive, since: float) -> Entry:
    """Return the one motion since then: the SDK program's, under a session of its own."""
    (motion,) = base.motions(since)
    assert motion.session not in (None, *(one.session for one in base.motions() if one != motion))
    return motion


# Who stops


@never_slow
def test_viam_server_stops_the_base_of_a_dead_publisher(
    bridge: BridgeProcess, drive: Drives, load: Load, start_publisher: StartPublisher
) -> None:
    base = drive('streamed')
    teleop = start_publisher('streamed')
    teleop.stream('/streamed', forward=0.1)
    began = base.wait_driven()[0].t
    base.keeps_moving(began, WHILE)
    stop = viam_server_stops(base, load, kill(teleop, '/streamed'))
    ended = bridge.wait_event('session_ended', bases=['streamed'])
    assert ended['cause'] == DEATH
    left_alone(bridge, base, began, stop)


@never_slow
def test_viam_server_stops_the_base_of_a_publisher_that_kept_its_speed_by_heartbeats(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('kept')
    teleop = start_publisher('kept')
    teleop.heartbeat()
    teleop.stream('/kept', forward=0.1)
    began = base.wait_driven()[0].t
    wait_named(observer, '/kept', 'kept')
    base.wait_driven(time.monotonic(), times=20)
    teleop.silence('/kept')
    base.keeps_moving(began, WHILE)
    stop = viam_server_stops(base, load, kill(teleop, HEARTBEATS))
    assert stop.t - teleop.last_sent('/kept')[1] > WHILE
    left_alone(bridge, base, began, stop)


@never_slow
def test_a_base_that_an_sdk_program_took_over_outlives_the_publisher_and_the_other_does_not(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    start_operator: StartOperator,
    start_publisher: StartPublisher,
) -> None:
    west, east = drive('west'), drive('east')
    teleop, operator = start_publisher('both'), start_operator()
    teleop.stream('/both', forward=0.1, marked=True)
    began = west.wait_driven()[0].t
    took_over = fall_silent(teleop, '/both', west, east)
    operator.drive('east', 0.2)
    stop = viam_server_stops(west, load, kill(teleop, '/both'))
    left_alone(bridge, west, began, stop)
    east.keeps_moving(began, MACHINE_WINDOW)
    sdks_motion(east, took_over)
    bridge.wait_event('still_moving', base='east', since=took_over)
    (found,) = [one for one in bridge.events('still_moving') if one['at'] >= took_over]
    assert (found['base'], found['foreign'], found['stopped']) == ('east', 1, False)

    # A sign of life whose time is known: its heartbeats may be late.
    told = time.monotonic()
    operator.drive('east', 0.2)
    operator.kill()
    stop = viam_server_stops(east, load, (told, time.monotonic()))
    assert east.stops(began) == [stop]
    assert not bridges_stops(bridge, 'east')


@never_slow
def test_a_base_that_a_publisher_took_over_outlives_the_sdk_program(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    start_operator: StartOperator,
    start_publisher: StartPublisher,
) -> None:
    base = drive('handed_over')
    teleop, operator = start_publisher('handed_over'), start_operator()
    operator.drive('handed_over', 0.2)
    began = base.motions()[0].t
    base.keeps_moving(began, WHILE)
    teleop.stream('/handed_over', forward=0.1)
    base.wait_driven(forward=0.1)
    operator.kill()
    killed = time.monotonic()
    base.keeps_moving(began, WHILE)
    stop = viam_server_stops(base, load, kill(teleop, '/handed_over'))
    assert stop.t - killed > WHILE
    left_alone(bridge, base, began, stop)


# Deactivation and shutdown


@pytest.mark.parametrize('name', ['deactivated', 'ended'])
def test_a_bridge_that_goes_leaves_its_base_to_viam_server_where_an_sdk_program_is(
    name: str,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    observer: Observer,
    start_bridge: StartBridge,
    start_operator: StartOperator,
    start_publisher: StartPublisher,
) -> None:
    base = drive(name)
    operator = start_operator()
    bridge = start_bridge({name: BASES[name]}, stop_policy='machine', call_timeout=CALL_TIMEOUT)
    teleop = start_publisher('teleop')
    teleop.stream(f'/{name}', forward=0.1, marked=True)
    began = base.wait_driven()[0].t
    operator.drive(SDKS_OWN, 0.2)
    if name == 'ended':
        assert bridge.terminate() == 0
    else:
        assert observer.change_state(Transition.TRANSITION_DEACTIVATE)
    left = bridge.wait_event('left_to_machine', base=name)
    assert left['foreign'] == 1
    says(bridge, f'{name}: left to its machine to stop: it has 1 session of others')
    stop = base.wait_stopped(began)
    last = base.motions()[-1]
    due = MACHINE_WINDOW + base.stop_takes
    assert stop.t - teleop.sent_for(last, f'/{name}', 0.1) >= due - EARLY
    load.hold(stop.t - last.t, due + LOOP + LATE, last.t)
    assert not bridges_stops(bridge, name)
    base.stands_still(stop.t)
    assert teleop.running


def test_a_bridge_that_goes_stops_its_base_at_once_where_nobody_else_is(
    drive: Drives,
    machine: ViamServer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    base = drive('alone')
    bridge = start_bridge(
        {'alone': BASES['alone']}, stop_policy='machine', call_timeout=CALL_TIMEOUT
    )
    start_publisher('teleop').stream('/alone', forward=0.1)
    base.wait_driven()
    wished = time.monotonic()
    assert bridge.terminate() == 0
    stop = base.stopped_within(wished, AT_ONCE)
    assert bridges_stops(bridge, 'alone') == ['deactivated']
    assert not bridge.events('left_to_machine')
    base.stands_still(stop.t)


# The bridge's own policy


def test_the_bridges_own_policy_stops_a_base_under_an_sdk_program_and_says_so_before(
    drive: Drives,
    machine: ViamServer,
    start_bridge: StartBridge,
    start_operator: StartOperator,
    start_publisher: StartPublisher,
) -> None:
    """docs/concepts.md, "Other Viam programs on the same base"."""
    base = drive('under')
    operator = start_operator()
    operator.drive(SDKS_OWN, 0.2)
    window = 1.5  # s, for the program to take over in
    bridge = start_bridge(
        {'under': BASES['under']},
        stop_policy='bridge',
        heartbeat_window=window,
        call_timeout=CALL_TIMEOUT,
    )
    assert bridge.wait_event('foreign_sessions', machine='main')['count'] == 1
    says(bridge, 'main: it has 1 session of others')
    says(bridge, 'set stop_policy to machine')

    teleop = start_publisher('teleop')
    teleop.stream('/under', forward=0.1, marked=True)
    base.wait_driven()
    took_over = fall_silent(teleop, '/under', base)
    operator.drive('under', 0.2)
    stop = base.stopped_one_window_after(freeze(teleop, '/under'), window)
    assert sdks_motion(base, took_over).t < stop.t
    assert operator.running
    bridge.wait_event('stop_final')
    assert bridges_stops(bridge, 'under') == ['lapse']
