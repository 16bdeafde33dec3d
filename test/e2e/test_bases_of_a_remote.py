# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A sub-part's base that is addressed through the main part (`remotes` with a prefix).

The bridge knows the main part alone, with a base of its own (`near`) and the sub-part's (`far`).
The main part holds one session on the sub-part for all its clients.
"""

from __future__ import annotations

from collections.abc import Iterator
import time

import grpc
import pytest

from e2e.conftest import StartBridge, StartPublisher, wait_named
from support.bounds import Load, RECOVERY
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, kill, wait_for
from support.observer import Observer
from support.publisher import HEARTBEATS
from support.publisher_process import PublisherProcess, RATE
from support.record import Entry
from support.viam_server import insecure_channel, ViamServer
from viam_session_bridge.viam import messages as wire

MACHINE_WINDOW = 0.6  # s, of the main part
SUB_PART_WINDOW = 1.0  # s
CALL_TIMEOUT = 0.5  # s: on a busy computer no command is to be stopped for being slow (R10)
ON_TIME = 0.020  # s that a stop may be late, on an idle computer
BASES = {
    'near': {'command_topics': ['/near/cmd_vel']},
    'far': {'resource': 'rem1far', 'command_topics': ['/far/cmd_vel']},
}


@pytest.fixture(scope='module')
def sub_part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    """Return the sub-part."""
    directory = tmp_path_factory.mktemp('sub_part')
    with ViamServer(directory, ['far'], SUB_PART_WINDOW, name='sub_part') as server:
        yield server


@pytest.fixture(scope='module')
def machine(
    sub_part: ViamServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ViamServer]:
    """Return the main part."""
    remote = {'name': 'rem1', 'address': sub_part.address, 'prefix': 'rem1', 'insecure': True}
    directory = tmp_path_factory.mktemp('main_part')
    with ViamServer(directory, ['near'], MACHINE_WINDOW, extra={'remotes': [remote]}) as server:
        yield server


@pytest.fixture
def near(machine: ViamServer, load: Load) -> Iterator[Drive]:
    """Return the main part's own base."""
    yield Drive(machine.record, 'near', load, late=ON_TIME)
    machine.control('near', ignore_cancel=False)


@pytest.fixture
def far(sub_part: ViamServer, machine: ViamServer, load: Load) -> Iterator[Drive]:
    """Return the sub-part's base; the sub-part goes on afterwards, and so does the main part."""
    load.watch(lambda: sub_part.pid)
    yield Drive(sub_part.record, 'far', load, late=ON_TIME)
    sub_part.resume()
    if not machine.running:  # as a test of its death failed before its end
        machine.start()


def test_killed_publisher_stops_the_sub_parts_base_after_the_window(
    bridge: BridgeProcess, far: Drive, start_publisher: StartPublisher
) -> None:
    teleop = start_publisher('teleop')
    sent = teleop.stream('/far/cmd_vel', forward=0.2)
    began = far.wait_driven(sent)[0].t
    stop = far.stopped_after_kill(teleop, '/far/cmd_vel')
    far.not_stopped(began, far.motions()[-1].t)
    far.stands_still(stop.t)


def test_last_user_alone_stops_the_sub_parts_base(
    bridge: BridgeProcess, far: Drive, start_publisher: StartPublisher
) -> None:
    one, two = start_publisher('one'), start_publisher('two')
    sent = one.stream('/far/cmd_vel', forward=0.1)
    first = far.wait_driven(sent, forward=0.1)[0]
    two.stream('/far/cmd_vel', forward=0.2)
    second = far.wait_driven(sent, forward=0.2)[0]
    # What the sub-part sees of both is the main part.
    assert first.session == second.session is not None
    kill(one, '/far/cmd_vel')
    # Long enough for one's machine session to lapse on the main part.
    far.keeps_moving(first.t, WINDOW + MACHINE_WINDOW + 0.3)
    stop = far.stopped_after_kill(two, '/far/cmd_vel')
    far.stands_still(stop.t)


def test_killed_bridge_leaves_the_stop_to_the_main_parts_window(
    far: Drive, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge = start_bridge(BASES)
    teleop = start_publisher('teleop')
    sent = teleop.stream('/far/cmd_vel', forward=0.2)
    began = far.wait_driven(sent)[0].t
    bridge.kill()
    stop = far.stopped_by_its_machine(began, MACHINE_WINDOW)
    # Nobody else asked the sub-part to.
    assert stop.session is None
    far.stands_still(stop.t)


def test_killed_main_part_leaves_the_stop_to_the_sub_parts_window_and_drives_again_when_back(
    bridge: BridgeProcess,
    far: Drive,
    load: Load,
    machine: ViamServer,
    start_publisher: StartPublisher,
) -> None:
    teleop = start_publisher('teleop')
    sent = teleop.stream('/far/cmd_vel', forward=0.2)
    began = far.wait_driven(sent)[0].t
    machine.kill()
    # What the main part sent last, a command or the heartbeat behind it, came then.
    stop = far.stopped_by_its_machine(began, SUB_PART_WINDOW)
    far.stands_still(stop.t, 0.2)

    machine.start()
    back = time.monotonic()
    bridge.wait_event('channel_changed', ready=True, since=stop.t)
    again = far.wait_driven(stop.t)[-1].t
    load.hold(again - back, RECOVERY, back, max(again, back))
    stop = far.stopped_after_kill(teleop, '/far/cmd_vel')
    far.stands_still(stop.t)


def hold_sessions(
    machine: ViamServer, sub_part: ViamServer, near: Drive, navigator: PublisherProcess
) -> None:
    """
    Freeze the sub-part and end the session that used its base last.

    The main part then waits for the sub-part's answer to a Stop, and lets no command and no
    heartbeat of any session through meanwhile.
    """
    began = time.monotonic()
    sub_part.pause()
    near.keeps_moving(began, WINDOW)
    navigator.kill()

    def hangs() -> bool:
        with insecure_channel(machine.address) as channel:
            call = wire.GET_SESSIONS.on(channel)
            try:
                call(wire.GET_SESSIONS.request(), timeout=0.5)
            except grpc.RpcError as error:
                return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return False

    wait_for(hangs, 'the main part hangs')


def test_stop_of_the_main_parts_own_base_is_on_time_while_a_frozen_sub_part_holds_its_sessions(
    bridge: BridgeProcess,
    far: Drive,
    machine: ViamServer,
    near: Drive,
    observer: Observer,
    start_publisher: StartPublisher,
    sub_part: ViamServer,
) -> None:
    teleop, navigator = start_publisher('near_teleop'), start_publisher('navigator')
    far.wait_driven(navigator.stream('/far/cmd_vel', forward=0.1))
    sent = teleop.stream('/near/cmd_vel', forward=0.2)
    began = near.wait_driven(sent)[0].t
    # It keeps its speed without a command that could fail.
    teleop.heartbeat()
    wait_named(observer, '/near_teleop', 'near')
    teleop.silence('/near/cmd_vel')
    hold_sessions(machine, sub_part, near, navigator)
    near.keeps_moving(began, 2 * WINDOW)

    killed = time.monotonic()
    stop = near.stopped_after_kill(teleop, HEARTBEATS)
    assert not far.stops(killed), 'the sub-part was to be frozen'
    sub_part.resume()
    far.wait_stopped(killed)
    for base in (near, far):
        base.stands_still(stop.t, 1.0)


def test_commands_that_hang_behind_a_frozen_sub_part_are_stopped_and_move_nothing_in_the_end(
    bridge: BridgeProcess,
    far: Drive,
    load: Load,
    machine: ViamServer,
    near: Drive,
    start_publisher: StartPublisher,
    sub_part: ViamServer,
) -> None:
    machine.control('near', ignore_cancel=True)
    late: list[Entry] = []
    # Now and then viam-server's own lapse gets its lock before the hanging command does, which
    # then moves nothing: that is no evidence that a late command is stopped.
    for attempt in range(5):
        teleop, navigator = (start_publisher(f'{one}_{attempt}') for one in ('near', 'far'))
        far.wait_driven(navigator.stream('/far/cmd_vel', forward=0.1))
        began = teleop.stream('/near/cmd_vel', forward=0.2)
        near.wait_driven(began)
        hold_sessions(machine, sub_part, near, navigator)
        bridge.wait_event('command_failed', base='near', since=began)
        last = near.motions()[-1].t
        stop = near.wait_stopped(last)
        load.hold(stop.t - last, CALL_TIMEOUT + 1.0 / RATE + ON_TIME, last)

        kill(teleop, '/near/cmd_vel')
        bridge.wait_event('session_ended', bases=['near'], since=last)
        thawed = time.monotonic()
        sub_part.resume()
        wait_final(bridge, {'near', 'far'}, thawed)
        late = near.motions(thawed)
        for base in (near, far):
            base.stands_still(time.monotonic(), 1.0)
        if late:
            break
    assert late, 'a late command was to move it, for this to show anything'


def wait_final(bridge: BridgeProcess, bases: set[str], since: float) -> None:
    """Wait until stops of the bases were final at `since` or later."""

    def final() -> bool:
        events = bridge.events('stop_final')
        return bases <= {event['stop']['base'] for event in events if event['at'] >= since}

    wait_for(final, f'the stops of {bases} are final')
