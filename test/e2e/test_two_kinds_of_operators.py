# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS publishers and a Viam SDK program on the bases of one real viam-server (R16, R19).

With `stop_policy: machine` viam-server knows the last user among both kinds, and its stop comes
0.8 to 1 window after that one's last sign of life. A stop that it loses is the bridge's to send,
unless others have sessions there. With `stop_policy: bridge` a lapse stops the base under them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
import time

from lifecycle_msgs.msg import Transition
import pytest

from e2e.conftest import needs_gids, StartBridge, StartPublisher
from support.bounds import AT_ONCE, EARLY, LATE, Load, RECOVERY
from support.bridge_process import BridgeProcess, parameters
from support.drive import Drive, kill, wait_for
from support.observer import Observer
from support.publisher import HEARTBEATS
from support.publisher_process import number_of, PublisherProcess
from support.record import Entry
from support.sdk_operator_process import SdkOperatorProcess
from support.viam_server import insecure_channel, ViamServer
from viam_session_bridge.machine import wire

MACHINE_WINDOW = 1.0  # s: an SDK program beats five times in it, on a busy computer less often
SOONEST = 0.8 * MACHINE_WINDOW  # s after the last sign of life, of viam-server's stop
LOOP = 0.010  # s between two looks of viam-server's at its sessions
VERIFIED = 0.25  # s after viam-server's stop is due
CALL_TIMEOUT = 0.5  # s: on a busy computer no command is to be stopped for being slow (R10)
WHILE = 1.4 * MACHINE_WINDOW  # s, in which a lapse and what follows it would show

BASES = {
    name: {'command_topics': [f'/{name}']}
    for name in (
        'streamed', 'kept', 'handed_over', 'lost', 'contested', 'hung', 'stuck', 'beside',
        'restarted', 'orphaned', 'deactivated', 'ended', 'alone', 'under',
    )
} | {name: {'command_topics': [f'/{name}', '/both']} for name in ('west', 'east')}  # fmt: skip
SDKS_OWN = 'sdks_own'  # a base that no bridge knows

Drives = Callable[[str], Drive]
StartOperator = Callable[[], SdkOperatorProcess]


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    """Return the module's machine, which runs."""
    pytest.importorskip('viam', reason='viam-sdk is an extra')
    directory = tmp_path_factory.mktemp('viam_server')
    with ViamServer(directory, [*BASES, SDKS_OWN], MACHINE_WINDOW) as machine:
        yield machine


@pytest.fixture(autouse=True)
def nobody_there(machine: ViamServer) -> None:
    """Wait until the machine has forgotten the sessions of the test before."""
    wait_for(lambda: not sessions_of(machine), 'the sessions lapse')


@pytest.fixture(scope='module')
def shared_bridge(
    machine: ViamServer, shared_domain: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BridgeProcess]:
    """Return a bridge for all bases that leaves the stop to the machine."""
    settings = parameters(
        machine.address,
        BASES,
        call_timeout=CALL_TIMEOUT,
        heartbeat_window=MACHINE_WINDOW,
        stop_policy='machine',
    )
    with BridgeProcess(tmp_path_factory.mktemp('bridge'), shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def start_operator(machine: ViamServer, load: Load, tmp_path: Path) -> Iterator[StartOperator]:
    """Return what starts a Viam SDK program."""
    with ExitStack() as processes:

        def start() -> SdkOperatorProcess:
            operator = SdkOperatorProcess(tmp_path, machine.address)
            processes.enter_context(operator)
            load.watch(lambda: operator.pid)
            return operator

        yield start


def sessions_of(machine: ViamServer) -> list[str]:
    """Return the ids of the sessions that the machine has."""
    get = wire.GET_SESSIONS
    with insecure_channel(machine.address) as channel:
        answer = get.on(channel)(get.request(), timeout=5.0, wait_for_ready=True)
    return [session.id for session in answer.sessions]


def bridges_stops(bridge: BridgeProcess, base: str) -> list[str]:
    """Return the causes of the bridge's own stops of a base that the machine acknowledged."""
    stops = [event['stop'] for event in bridge.events('stop_acknowledged')]
    return [stop['cause'] for stop in stops if stop['base'] == base]


def viam_server_stops(base: Drive, load: Load, sent: tuple[float, float]) -> Entry:
    """Wait for the one stop and hold it to 0.8 to 1 window after the last sign of life."""
    stop = base.wait_stopped(sent[0])
    widened = load.since(sent[0])
    late = MACHINE_WINDOW + LOOP + LATE + widened
    assert stop.t - sent[0] >= SOONEST - EARLY, f'{stop.t - sent[0]:.4f} s after the last sign'
    assert stop.t - sent[1] <= late, f'{stop.t - sent[1]:.4f} s after the last, not {late:.4f}'
    return stop


def left_alone(bridge: BridgeProcess, base: Drive, since: float, stop: Entry) -> None:
    """Wait for the bridge to have found a base at rest that it never stopped itself."""
    bridge.wait_event('at_rest', since=stop.t, base=base.base)
    base.stands_still(stop.t, 0.0)
    assert base.stops(since) == [stop]
    assert not bridges_stops(bridge, base.base)


def says(bridge: BridgeProcess, line: str) -> None:
    """Wait for a line in the bridge's log."""
    wait_for(lambda: line in bridge.output(), f'the log says {line!r}')


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
    assert ended['cause'] == 'lapse'
    left_alone(bridge, base, began, stop)


@needs_gids
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
    # A heartbeat counts only from when the graph names its sender, later than its messages come.
    wait_for(
        lambda: any(
            row['node'] == '/kept' and row['bases'] == ['kept']
            for row in observer.overview()['sessions']
        ),
        'the graph names /kept',
    )
    base.wait_driven(time.monotonic(), times=20)
    teleop.silence('/kept')
    base.keeps_moving(began, WHILE)
    stop = viam_server_stops(base, load, kill(teleop, HEARTBEATS))
    assert stop.t - teleop.last_sent('/kept')[1] > WHILE
    left_alone(bridge, base, began, stop)


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
    (found,) = bridge.events('still_moving')
    assert (found['base'], found['foreign'], found['stopped']) == ('east', 1, False)

    killed = time.monotonic()
    operator.kill()
    stop = viam_server_stops(east, load, (killed, killed))
    assert east.stops(began) == [stop]
    assert not bridges_stops(bridge, 'east')


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
    widened = load.since(sent[0])
    assert stop.t - sent[0] >= MACHINE_WINDOW + VERIFIED - EARLY
    assert stop.t - sent[1] <= MACHINE_WINDOW + VERIFIED + LATE + widened, f'{widened:.4f}'
    failed, *_ = [entry for entry in base.calls(began) if entry.call == 'stop' and entry.error]
    assert failed.t - sent[0] >= SOONEST - EARLY
    assert failed.t < stop.t
    bridge.wait_event('stop_final', since=stop.t)
    assert bridges_stops(bridge, 'lost') == ['still moving']
    (found,) = bridge.events('still_moving', base='lost')
    assert (found['foreign'], found['stopped']) == (0, True)
    base.stands_still(stop.t)


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
    found = bridge.wait_event('still_moving', base='contested')
    assert (found['foreign'], found['stopped']) == (1, False)
    assert found['at'] - sent[0] >= MACHINE_WINDOW + VERIFIED - EARLY
    assert found['at'] - sent[1] <= MACHINE_WINDOW + VERIFIED + LATE + load.since(sent[0])
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
) -> None:
    base = drive('hung')
    teleop = start_publisher('hung')
    teleop.stream('/hung', forward=0.1)
    base.wait_driven()
    sent = kill(teleop, '/hung')
    hang_the_next_stop(released, base)
    bound = MACHINE_WINDOW + VERIFIED + CALL_TIMEOUT + LATE
    wait_for(
        lambda: base.stops(sent[0]),
        'the bridge stops it',
        sent[1] + bound + load.since(sent[0]) - time.monotonic(),
    )


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
    again = base.wait_driven(back, timeout=RECOVERY + load.since(back))[0]
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
    teleop.stream(f'/{name}', forward=0.1)
    began = base.wait_driven()[0].t
    operator.drive(SDKS_OWN, 0.2)
    if name == 'ended':
        assert bridge.terminate() == 0
    else:
        assert observer.change_state(Transition.TRANSITION_DEACTIVATE)
    left = bridge.wait_event('left_to_machine', base=name)
    assert left['foreign'] == 1
    says(bridge, f'{name}: left to its machine to stop, for it has 1 sessions of others')
    last = base.motions()[-1].t
    stop = base.wait_stopped(began)
    assert stop.t - last >= MACHINE_WINDOW - EARLY
    assert stop.t - last <= MACHINE_WINDOW + LOOP + LATE + load.since(last)
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
    """README, "Other Viam programs on the same base"."""
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
    says(bridge, 'main: it has 1 sessions of others')
    says(bridge, 'set stop_policy to machine')

    teleop = start_publisher('teleop')
    teleop.stream('/under', forward=0.1, marked=True)
    base.wait_driven()
    took_over = fall_silent(teleop, '/under', base)
    operator.drive('under', 0.2)
    stop = base.stopped_one_window_after(kill(teleop, '/under'), window)
    assert sdks_motion(base, took_over).t < stop.t
    assert operator.running
    bridge.wait_event('stop_final')
    assert bridges_stops(bridge, 'under') == ['lapse']
