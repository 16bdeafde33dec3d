# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated machine over real gRPC, in this process."""

from collections.abc import Callable, Iterator
import json
import math
from pathlib import Path
import time
from typing import Any

import grpc
import pytest

from support.bounds import LATE, Load
from viam_session_bridge.simulation.base import Driver
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam import messages as wire

# s: a session that is not to lapse yet lives through the stalls of a busy computer.
WINDOW = 1.0
PATIENCE = 10.0  # s
FORWARD = {'y': 200.0}


class Client:
    """Calls a machine as a Viam client does."""

    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(address)

    def start(
        self,
        method: wire.Method,
        sids: tuple[str, ...] = (),
        timeout: float = PATIENCE,
        **fields: Any,
    ) -> Any:
        """Start a call and return its future."""
        return method.on(self.channel).future(
            method.request(**fields),
            timeout=timeout,
            metadata=[(wire.SESSION_KEY, sid) for sid in sids],
            wait_for_ready=True,
        )

    def call(self, method: wire.Method, *sids: str, **fields: Any) -> Any:
        return self.start(method, sids, **fields).result()

    def refused(self, method: wire.Method, *sids: str, **fields: Any) -> tuple[Any, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.call(method, *sids, **fields)
        return caught.value.code(), caught.value.details()

    def session(self) -> str:
        return str(self.call(wire.START_SESSION).id)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / 'record.jsonl'


@pytest.fixture
def machine(record: Path) -> Iterator[SimulatedMachine]:
    with SimulatedMachine(bases=('base', 'arm'), window=WINDOW, record=record) as machine:
        yield machine


@pytest.fixture
def client(machine: SimulatedMachine) -> Iterator[Client]:
    client = Client(machine.address)
    yield client
    client.channel.close()


def lines(record: Path) -> list[dict[str, Any]]:
    """Return the whole lines: the last one may be seen while it is written."""
    whole, _, _ = record.read_text().rpartition('\n')
    return [json.loads(line) for line in whole.splitlines()]


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what the condition gives once that is true."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.002)
    return found


def session_stops(record: Path) -> list[dict[str, Any]]:
    return [
        line for line in lines(record) if line.get('cause') == 'session' and line['phase'] == 'end'
    ]


def test_a_session_start_tells_the_window(client: Client) -> None:
    response = client.call(wire.START_SESSION)
    assert wire.to_seconds(response.heartbeat_window) == pytest.approx(WINDOW)
    assert client.call(wire.START_SESSION, resume=response.id).id == response.id


def test_a_command_moves_the_base_and_a_stop_ends_that(
    client: Client, machine: SimulatedMachine
) -> None:
    client.call(wire.SET_VELOCITY, name='base', linear=FORWARD, angular={'z': 30.0})
    state = machine.state('base')
    assert (state.linear, state.angular) == ((0.0, 200.0, 0.0), (0.0, 0.0, 30.0))
    assert client.call(wire.IS_MOVING, name='base').is_moving
    assert not client.call(wire.IS_MOVING, name='arm').is_moving
    client.call(wire.STOP, name='base')
    assert not client.call(wire.IS_MOVING, name='base').is_moving
    client.call(wire.SET_POWER, name='base', linear={'y': 0.5})
    assert machine.state('base').linear == (0.0, 500.0, 0.0)


def test_when_a_session_lapses_its_bases_stop_on_time(
    client: Client, record: Path, load: Load
) -> None:
    session, other = client.session(), client.session()
    for base in ('arm', 'base'):
        client.call(wire.SET_VELOCITY, session, name=base, linear=FORWARD)
    client.call(wire.SET_VELOCITY, name='arm', linear=FORWARD)
    client.call(wire.SEND_SESSION_HEARTBEAT, id=other)
    stop = wait_for(lambda: session_stops(record))[0]
    assert (stop['base'], stop['call'], stop['session']) == ('base', 'stop', session)
    driven = next(line for line in lines(record) if line['base'] == 'base')
    took = stop['t'] - driven['t']
    assert took >= WINDOW - 0.001
    load.hold(took, WINDOW + LATE, driven['t'], stop['t'])
    wait_for(lambda: not client.call(wire.GET_SESSIONS).sessions)
    assert client.call(wire.IS_MOVING, name='arm').is_moving
    assert len(session_stops(record)) == 1


def test_all_bases_of_a_session_stop_in_the_same_instant(tmp_path: Path, load: Load) -> None:
    names = [f'base{number}' for number in range(80)]
    record = tmp_path / 'record'
    with SimulatedMachine(bases=names, window=1.0, record=record) as machine:
        client = Client(machine.address)
        session = client.session()
        for name in names:
            client.call(wire.SET_VELOCITY, session, name=name, linear=FORWARD)
        wait_for(lambda: len(session_stops(record)) == 80)
        times = [stop['t'] for stop in session_stops(record)]
        client.channel.close()
    load.hold(max(times) - min(times), LATE, min(times), max(times))


def test_an_expired_session_is_refused_and_moves_nothing(
    client: Client, machine: SimulatedMachine
) -> None:
    session = client.session()
    wait_for(lambda: not client.call(wire.GET_SESSIONS).sessions)
    expired = (grpc.StatusCode.INVALID_ARGUMENT, wire.SESSION_EXPIRED)
    assert client.refused(wire.SEND_SESSION_HEARTBEAT, id=session) == expired
    assert client.refused(wire.SET_VELOCITY, session, name='base', linear=FORWARD) == expired
    assert not machine.state('base').moving
    assert client.call(wire.START_SESSION, resume=session).id != session


@pytest.mark.parametrize(('sids', 'details'), [
    (['nonsense'], 'invalid UUID length: 8'),
    ([''], 'invalid UUID length: 0'),
    (['x' * 36], 'invalid UUID format'),
    (['a', 'a'], 'found more than one session id in metadata'),
])  # fmt: skip
def test_malformed_and_repeated_ids_are_unknown(
    client: Client, machine: SimulatedMachine, record: Path, sids: list[str], details: str
) -> None:
    refused = client.refused(wire.SET_VELOCITY, *sids, name='base', linear=FORWARD)
    assert refused == (grpc.StatusCode.UNKNOWN, details)
    assert not machine.state('base').moving
    assert lines(record) == []


def test_a_stop_and_is_moving_look_at_no_session(client: Client) -> None:
    client.call(wire.STOP, 'nonsense', 'twice', name='base')
    client.call(wire.IS_MOVING, 'nonsense', name='base')


@pytest.mark.parametrize(
    'method',
    [wire.SET_VELOCITY, wire.SET_POWER, wire.STOP, wire.IS_MOVING],
    ids=lambda method: str(method.path),
)
def test_an_unknown_base_is_not_found_in_viam_servers_words(
    client: Client, method: wire.Method
) -> None:
    details = 'no node found with api rdk:component:base and name nobody'
    assert client.refused(method, name='nobody') == (grpc.StatusCode.UNKNOWN, details)


@pytest.mark.parametrize('path', [
    '/viam.component.base.v1.BaseService/GetProperties',
    '/viam.component.base.v1.BaseService/MoveStraight',
    '/viam.component.arm.v1.ArmService/Stop',
])  # fmt: skip
def test_what_is_not_there_is_unimplemented(client: Client, path: str) -> None:
    method = wire.Method(path, wire.STOP.request, wire.STOP.response)
    assert client.refused(method, name='base')[0] == grpc.StatusCode.UNIMPLEMENTED


def test_sessions_are_listed_with_their_peers(client: Client) -> None:
    session = client.session()
    (listed,) = client.call(wire.GET_SESSIONS).sessions
    assert listed.id == session
    assert listed.peer_connection_info.type == wire.PEER_GRPC
    host, _, port = listed.peer_connection_info.remote_address.rpartition(':')
    assert host == '127.0.0.1'
    assert int(port)


def test_the_bases_are_listed(client: Client) -> None:
    resources = client.call(wire.RESOURCE_NAMES).resources
    listed = [(r.namespace, r.type, r.subtype, r.name) for r in resources]
    assert listed == [('rdk', 'component', 'base', name) for name in ('base', 'arm')]


@pytest.mark.parametrize('ended_by', ['stop', 'command', 'caller', 'lapse'])
def test_a_slow_call_is_cancelled_by_the_next_and_by_its_caller_and_not_by_a_lapse(
    record: Path, ended_by: str
) -> None:
    driver = Driver(drive_time=2 * WINDOW)
    with SimulatedMachine(window=WINDOW, record=record, driver=driver) as machine:
        client = Client(machine.address)
        sids = (client.session(),) if ended_by == 'lapse' else ()
        move = client.start(wire.SET_VELOCITY, sids, name='base', linear=FORWARD)
        wait_for(lambda: lines(record))
        if ended_by == 'stop':
            client.call(wire.STOP, name='base')
        elif ended_by == 'command':
            client.call(wire.SET_VELOCITY, name='base')
        elif ended_by == 'caller':
            move.cancel()
        error = ended(record, 'set_velocity').get('error')
        assert error == (None if ended_by == 'lapse' else 'context canceled')
        assert machine.state('base').moving == (ended_by == 'lapse')
        client.channel.close()


def ended(record: Path, call: str) -> dict[str, Any]:
    """Wait until a call has ended, and return the line of that."""
    found = wait_for(
        lambda: [one for one in lines(record) if (one['call'], one['phase']) == (call, 'end')]
    )
    return dict(found[0])


@pytest.mark.parametrize('ignores', [False, True])
def test_a_slow_call_whose_caller_gave_up_takes_effect_only_if_the_driver_ignores_that(
    record: Path, ignores: bool
) -> None:
    driver = Driver(drive_time=1.5, ignore_cancel=ignores)
    with SimulatedMachine(record=record, driver=driver) as machine:
        client = Client(machine.address)
        with pytest.raises(grpc.RpcError, match='DEADLINE_EXCEEDED'):
            client.start(wire.SET_VELOCITY, timeout=0.5, name='base', linear=FORWARD).result()
        assert not machine.state('base').moving
        error = ended(record, 'set_velocity').get('error')
        assert error == (None if ignores else 'context canceled')
        assert machine.state('base').moving == ignores
        client.channel.close()


def test_stops_that_hang_hold_up_neither_another_base_nor_the_end(record: Path) -> None:
    driver = Driver(stop_time=math.inf, ignore_cancel=True)
    machine = SimulatedMachine(bases=['base', 'arm'], record=record, driver=driver)
    client = Client(machine.address)
    stops = [client.start(wire.STOP, name='base') for _ in range(100)]
    wait_for(lambda: len(lines(record)) == 100)
    client.call(wire.SET_VELOCITY, name='arm', linear=FORWARD)
    assert client.call(wire.IS_MOVING, name='arm').is_moving
    assert not [stop for stop in stops if stop.done()]
    machine.stop()
    assert all(stop.exception() is not None for stop in stops)
    client.channel.close()


def test_a_slow_stop_of_a_lapse_holds_up_no_other_one(record: Path, load: Load) -> None:
    stop_takes = 1.5 * WINDOW
    driver = Driver(stop_time=stop_takes)
    with SimulatedMachine(
        bases=['one', 'two'], window=WINDOW, record=record, driver=driver
    ) as machine:
        client = Client(machine.address)
        client.call(wire.SET_VELOCITY, client.session(), name='one', linear=FORWARD)
        time.sleep(WINDOW / 2)  # so that the stops are due one after the other
        client.call(wire.SET_VELOCITY, client.session(), name='two', linear=FORWARD)
        wait_for(lambda: len(session_stops(record)) == 2)
        stops = [line for line in lines(record) if line['call'] == 'stop']
        begun = [line for line in stops if line['phase'] == 'begin']
        client.channel.close()
    one, two = session_stops(record)
    assert (one['base'], two['base']) == ('one', 'two')
    for begin, end in zip(begun, (one, two), strict=True):
        assert begin['base'] == end['base']
        took = end['t'] - begin['t']
        assert took >= stop_takes
        load.hold(took, stop_takes + LATE, begin['t'], end['t'])
    assert begun[1]['t'] < one['t']


def test_a_record_has_all_calls_in_the_order_of_time(client: Client, record: Path) -> None:
    session = client.session()
    client.call(wire.SET_VELOCITY, session, name='base', linear=FORWARD, angular={'x': 1.5})
    client.call(wire.SET_POWER, name='base', linear={'y': -1.0})
    nan = client.refused(wire.SET_VELOCITY, session, name='arm', linear={'z': float('nan')})
    client.call(wire.IS_MOVING, name='base')
    client.call(wire.STOP, name='base')
    vectors = {'linear': [0.0, 200.0, 0.0], 'angular': [1.5, 0.0, 0.0]}
    noted = lines(record)
    assert [(line.pop('call'), line.pop('phase')) for line in noted] == [
        (call, phase)
        for call in ('set_velocity', 'set_power', 'set_velocity', 'is_moving', 'stop')
        for phase in ('begin', 'end')
    ]
    times = [line.pop('t') for line in noted]
    assert times == sorted(times)
    assert time.monotonic() - PATIENCE < times[0] <= time.monotonic()
    assert noted[0] == noted[1] == {'base': 'base', 'session': session, **vectors}
    assert 'session' not in noted[2]
    assert nan == (grpc.StatusCode.UNKNOWN, 'nan is not a finite number')
    assert noted[5]['error'] == nan[1]
    assert noted[9] == {'base': 'base'}


def test_calls_of_many_threads_leave_whole_lines_in_order(client: Client, record: Path) -> None:
    calls = [client.start(wire.SET_VELOCITY, name='base', linear=FORWARD) for _ in range(200)]
    for call in calls:
        call.result()
    times = [line['t'] for line in lines(record)]
    assert len(times) == 400
    assert times == sorted(times)


def test_a_stopped_machine_leaves_no_thread_and_its_port_is_free(
    record: Path, own_threads: Callable[[], list[str]]
) -> None:
    machine = SimulatedMachine(record=record, driver=Driver(drive_time=math.inf))
    client = Client(machine.address)
    move = client.start(wire.SET_VELOCITY, name='base', linear=FORWARD)
    wait_for(lambda: lines(record))
    assert 'simulated-machine-expiry' in own_threads()
    machine.stop()
    machine.stop()
    assert move.exception() is not None
    assert not [name for name in own_threads() if 'simulated-machine' in name]
    with SimulatedMachine(machine.address) as again:
        assert again.port == machine.port
        assert client.session()
    client.channel.close()


def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    with SimulatedMachine(f'unix:{tmp_path}/socket') as machine:
        client = Client(machine.address)
        assert client.session()
        client.channel.close()


def test_a_port_in_use_is_an_error_that_says_so(machine: SimulatedMachine) -> None:
    with pytest.raises(OSError, match=rf'{machine.address}: Address already in use'):
        SimulatedMachine(machine.address)
