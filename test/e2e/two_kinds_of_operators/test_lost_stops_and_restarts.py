# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Stops that viam-server loses, and its restarts, under `stop_policy: machine` (R16).

A lost stop is the bridge's to send, unless others have sessions on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
import time

import pytest

from e2e.conftest import patience, StartPublisher
from e2e.two_kinds_of_operators.conftest import (
    bridges_stops,
    CALL_TIMEOUT,
    Drives,
    left_alone,
    MACHINE_WINDOW,
    never_slow,
    says,
    SDKS_OWN,
    SOONEST,
    StartOperator,
    viam_server_stops,
    WHILE,
)
from support.bounds import AT_ONCE, EARLY, LATE, Load, RECOVERY
from support.bridge_process import BridgeProcess
from support.drive import Drive, kill, wait_for
from support.viam_server import ViamServer

VERIFIED = 0.25  # s after viam-server's stop is due

pytestmark = pytest.mark.slow_bases

BASES = {
    name: {'command_topics': [f'/{name}']}
    for name in ('lost', 'contested', 'hung', 'stuck', 'beside', 'restarted', 'orphaned')
}


# Stops that viam-server loses


def test_a_stop_that_viam_server_lost_is_the_bridges_to_send(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('lost')
    teleop = start_publisher('lost')
    teleop.stream('/lost', forward=0.1)
    began = base.wait_driven()[0].t
    machine.control('lost', stop_failures=1)
    sent = kill(teleop, '/lost')
    stop = base.wait_stopped(began)
    # That a stop failed shows when it ends, and until then viam-server answers no GetSessions.
    due = MACHINE_WINDOW + max(VERIFIED, base.stop_takes) + base.stop_takes
    assert stop.t - sent[0] >= MACHINE_WINDOW + VERIFIED + base.stop_takes - EARLY
    load.hold(stop.t - sent[1], due + LATE, sent[0], stop.t)
    failed, *_ = [entry for entry in base.calls(began) if entry.call == 'stop' and entry.error]
    assert failed.t - sent[0] >= SOONEST - EARLY
    assert failed.t < stop.t
    bridge.wait_event('stop_final', since=stop.t)
    assert bridges_stops(bridge, 'lost') == ['still moving']
    (found,) = [one for one in bridge.events('still_moving', base='lost') if one['at'] >= began]
    assert (found['foreign'], found['stopped']) == (0, True)
    base.stands_still(stop.t)


@never_slow
def test_a_stop_that_viam_server_lost_is_reported_where_an_sdk_program_is(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    start_operator: StartOperator,
    start_publisher: StartPublisher,
) -> None:
    """The bridge cannot know that it is not the program that moves the base."""
    base = drive('contested')
    start_operator().drive(SDKS_OWN, 0.2)
    teleop = start_publisher('contested')
    teleop.stream('/contested', forward=0.1)
    began = base.wait_driven()[0].t
    machine.control('contested', stop_failures=1)
    sent = kill(teleop, '/contested')
    found = bridge.wait_event('still_moving', base='contested', since=began)
    assert (found['foreign'], found['stopped']) == (1, False)
    assert found['at'] - sent[0] >= MACHINE_WINDOW + VERIFIED - EARLY
    load.hold(found['at'] - sent[1], MACHINE_WINDOW + VERIFIED + LATE, sent[0])
    says(bridge, 'contested: it still moves; another Viam client drives it')
    assert base.moving
    assert not bridges_stops(bridge, 'contested')

    again = start_publisher('again')
    again.stream('/contested', forward=0.1)
    base.wait_driven(sent[1], times=20)
    stop = viam_server_stops(base, load, kill(again, '/contested'))
    left_alone(bridge, base, began, stop)


@pytest.fixture
def released(machine: ViamServer) -> Iterator[ViamServer]:
    """Return the machine, whose calls that hang go on afterwards."""
    yield machine
    for name in ('hung', 'stuck'):
        machine.control(name, release=True)


def hang_the_next_stop(machine: ViamServer, base: Drive) -> None:
    """Let viam-server's next stop of a base hang, with the lock of all sessions, and no other."""
    machine.control(base.base, stop_hang=True)
    wait_for(lambda: [e for e in base.calls() if e.call == 'stop'], 'viam-server stops the base')
    machine.control(base.base, stop_hang=False)


def test_a_stop_that_hangs_in_viam_server_is_the_bridges_to_send(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    released: ViamServer,
    start_publisher: StartPublisher,
    stop_takes: float,
) -> None:
    base = drive('hung')
    teleop = start_publisher('hung')
    teleop.stream('/hung', forward=0.1)
    base.wait_driven()
    sent = kill(teleop, '/hung')
    hang_the_next_stop(released, base)
    asked = VERIFIED + patience(CALL_TIMEOUT, stop_takes)
    bound = MACHINE_WINDOW + asked + stop_takes + LATE
    stop = wait_for(lambda: base.stops(sent[0]), 'the bridge stops it')[0]
    load.hold(stop.t - sent[1], bound, sent[0], stop.t)


def test_commands_stuck_behind_a_stop_that_hangs_move_nothing_for_good(
    bridge: BridgeProcess, drive: Drives, released: ViamServer, start_publisher: StartPublisher
) -> None:
    """They wait for its lock, and run under sessions that viam-server has forgotten by then."""
    stuck, beside = drive('stuck'), drive('beside')
    one, two = start_publisher('stuck'), start_publisher('beside')
    one.stream('/stuck', forward=0.1)
    two.stream('/beside', forward=0.1)
    stuck.wait_driven()
    beside.wait_driven()
    sent = kill(one, '/stuck')
    hang_the_next_stop(released, stuck)
    failed = bridge.wait_event('command_failed', base='beside', since=sent[0])
    beside.stopped_within(failed['at'], AT_ONCE)
    kill(two, '/beside')
    since = time.monotonic()
    released.control('stuck', release=True)
    bridge.wait_event('session_ended', since=failed['at'])

    def final() -> bool:
        finals = bridge.events('stop_final')
        return any(one['at'] > since and one['stop']['base'] == 'beside' for one in finals)

    wait_for(final, 'the last stop is final')
    for base in (beside, stuck):
        base.stands_still(time.monotonic())


# Restarts of viam-server


@never_slow
def test_a_publisher_drives_on_after_a_restart_and_viam_server_stops_it(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('restarted')
    teleop = start_publisher('restarted')
    teleop.stream('/restarted', forward=0.1)
    before = base.wait_driven()[-1]
    machine.restart()
    back = time.monotonic()
    again = base.wait_driven(back)[0]
    load.hold(again.t - back, RECOVERY, back, again.t)
    assert again.session not in (None, before.session)
    # Past the stop that R10 would make of a command cut by the kill, if no newer one came.
    base.keeps_moving(again.t, WHILE + CALL_TIMEOUT)
    sent = kill(teleop, '/restarted')
    stop = viam_server_stops(base, load, sent)
    bridge.wait_event('at_rest', since=stop.t, base='restarted')
    assert base.stops(again.t) == [stop]


def test_nothing_moves_after_a_restart_whose_publisher_is_dead(
    bridge: BridgeProcess, drive: Drives, machine: ViamServer, start_publisher: StartPublisher
) -> None:
    base = drive('orphaned')
    teleop = start_publisher('orphaned')
    teleop.stream('/orphaned', forward=0.1)
    base.wait_driven()
    kill(teleop, '/orphaned')
    machine.kill()
    bridge.wait_event('session_ended', bases=['orphaned'])
    machine.start()
    back = time.monotonic()
    # A command that the kill cut is stopped by the bridge, any other is found to have ended.
    wait_for(
        lambda: bridge.events('at_rest', base='orphaned') or bridges_stops(bridge, 'orphaned'),
        'the bridge has seen to it',
    )
    assert not machine.control('orphaned', get=True)['moving']
    assert not base.motions(back)
