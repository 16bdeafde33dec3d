# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The simulated machine and the real viam-server give the same answers to the same calls.

Needs viam-sdk for the real one's control; the first run builds that, which takes some minutes.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
import math
from pathlib import Path
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.caller import Caller, MALFORMED, NIL, PATIENCE, UNKNOWN_ID
from support.drive import wait_for
from support.record import Entry, Record
from support.viam_server import ViamServer
from viam_session_bridge.simulation.base import Driver
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam import messages as wire

WINDOW = 0.5  # s
# Windows that no test sees the end of, however busy the computer is.
ANY, LONG = 10.0, 20.0  # s
SPACIOUS = 5.0  # s, a window in which as many sessions can be started as there may be


@pytest.fixture(scope='module', params=[ANY, LONG], ids=['any window', 'long window'])
def addresses(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    directory = tmp_path_factory.mktemp('real')
    with (
        SimulatedMachine(window=request.param) as simulated,
        ViamServer(directory, window=request.param) as real,
        ViamServer(directory, window=request.param, newest=True, name='newest') as newest,
    ):
        yield [simulated.address, real.address, newest.address]


def resumes(call: Caller) -> None:
    session = call.start()
    spellings = [session, session.upper(), f'{{{session}}}', f'urn:uuid:{session}']
    for resume in (*spellings, session.replace('-', ''), UNKNOWN_ID, NIL, '', *MALFORMED):
        call.start(resume)


def heartbeats(call: Caller) -> None:
    for session in (call.start(), UNKNOWN_ID, NIL, '', *MALFORMED):
        call(wire.SEND_SESSION_HEARTBEAT, id=session)


def calls_with_all_kinds_of_ids(call: Caller) -> None:
    session = call.start()
    malformed = [(text,) for text in MALFORMED if text.isascii()]  # as metadata must be
    several = [(session, session), (session, ''), ('x', 'y')]
    for sids in ((), (session,), (session.upper(),), (UNKNOWN_ID,), (NIL,), ('',), *several):
        for method in (wire.SET_VELOCITY, wire.SET_POWER, wire.STOP, wire.IS_MOVING):
            call(method, *sids, name='base')
    for sids in malformed:
        call.drive(*sids)
    call(wire.IS_MOVING, name='base')


def expired_ids(call: Caller) -> None:
    session = call.start()
    call.drive(session)
    call.wait_over(session)
    wait_for(lambda: not call.unnoted(wire.IS_MOVING, name='base').is_moving, 'it was stopped')
    for _ in range(2):
        call(wire.SEND_SESSION_HEARTBEAT, id=session)
        for method in (wire.SET_VELOCITY, wire.SET_POWER):
            call(method, session, name='base')
        call.drive(session)
        for method in (wire.IS_MOVING, wire.STOP):
            call(method, session, name='base')
    # Each time a new one, and the old one stays what it was.
    for resume in (session, session.upper(), session):
        call.start(resume)
    call(wire.SEND_SESSION_HEARTBEAT, id=session)


def two_peers(call: Caller) -> None:
    """List sessions of two peers; without authentication one may use the other's."""
    with Caller(call.address, like=call) as other:
        first, second = call.start(), other.start()
        for _ in range(2):
            call(wire.GET_SESSIONS)
            other(wire.GET_SESSIONS)
            other.drive(first)
        call(wire.SEND_SESSION_HEARTBEAT, id=second)
        call(wire.GET_SESSIONS)
        call(wire.STOP, first, name='base')
        other.start(first)
        call(wire.GET_SESSIONS)


def calls_to_no_base(call: Caller) -> None:
    session = call.start()
    for name in ('nobody', ''):
        for method in (wire.SET_VELOCITY, wire.SET_POWER):
            call(method, session, name=name)
            call(method, UNKNOWN_ID, name=name)
        call(wire.STOP, name=name)
        call(wire.IS_MOVING, name=name)


def compared(addresses: list[str], script: Callable[[Caller], None]) -> None:
    answers = []
    for address in addresses:
        with Caller(address) as caller:
            script(caller)
            answers.append(caller.answers)
    simulated, *real = answers
    for answer in real:
        assert answer == simulated


@pytest.mark.parametrize(
    'script', [resumes, heartbeats, calls_with_all_kinds_of_ids, calls_to_no_base, two_peers]
)
def test_the_answers_are_the_same(addresses: list[str], script: Callable[[Caller], None]) -> None:
    compared(addresses, script)


@pytest.mark.parametrize('addresses', [WINDOW], indirect=True)
def test_the_answers_to_expired_ids_are_the_same(addresses: list[str]) -> None:
    compared(addresses, expired_ids)


def last_user_rule(call: Caller) -> bool:
    """Return whether the base moves after A has lapsed, which drove before B; B's stops it."""
    a, b = call.start(), call.start()
    call.drive(a)
    call.drive(b)
    beats = time.monotonic() + 1.6 * WINDOW
    while time.monotonic() < beats:
        call(wire.SEND_SESSION_HEARTBEAT, id=b)
        time.sleep(WINDOW / 10)  # the pace of a client
    assert a not in [session.id for session in call(wire.GET_SESSIONS).sessions]
    moving = bool(call(wire.IS_MOVING, name='base').is_moving)
    call.wait_over(b)
    # The simulated machine lists no session that is over, before it has come to the stop as well.
    wait_for(lambda: not call.unnoted(wire.IS_MOVING, name='base').is_moving, 'it was stopped')
    return moving


@pytest.mark.parametrize('addresses', [WINDOW], indirect=True)
def test_the_last_user_rule_is_the_same(addresses: list[str]) -> None:
    for address in addresses:
        caller = Caller(address)
        assert last_user_rule(caller), address
        caller.channel.close()


@pytest.mark.parametrize('addresses', [SPACIOUS], indirect=True)
def test_the_greatest_number_of_sessions_is_the_same_and_lapsed_ones_leave_room(
    addresses: list[str],
) -> None:
    with ExitStack() as stack:
        simulated, *real = [stack.enter_context(Caller(address)) for address in addresses]
        for call in (simulated, *real):
            while session := call.start():
                last = session
            assert len(call.live()) == 1025
            assert call.answers[-1][1] == 'StatusCode.UNKNOWN too many concurrent sessions'
            # Those that are there may be used all the same.
            assert call.start(last) == last
            call(wire.SEND_SESSION_HEARTBEAT, id=last)
            call.drive(last)
            assert not call.start()
        for call in (simulated, *real):
            call.wait_over(*call.live())
            assert call.start()
        for call in real:
            assert call.answers == simulated.answers


MOTIONS = (wire.SET_VELOCITY, wire.SET_POWER, wire.STOP)


@dataclass(frozen=True)
class Machine:
    """One machine whose calls take time or hang."""

    address: str
    record: Record

    def begin(self, call: Caller, method: wire.Method, *sids: str) -> Any:
        """Start a call to the base, wait until its handler has begun, and return its future."""
        begun = len(self.record.calls('base', phase='begin'))
        fields = {'linear': wire.Vector3(y=1.0)} if method in MOTIONS[:2] else {}
        request = method.request(name='base', **fields)
        future = method.on(call.channel).future(
            request,
            timeout=PATIENCE,
            metadata=[(wire.SESSION_KEY, sid) for sid in sids],
            wait_for_ready=True,
        )
        self.wait_for(begun + 1, phase='begin')
        return future

    def wait_for(
        self, count: int, call: str | None = None, phase: str | None = None
    ) -> list[Entry]:
        """Wait until so many lines of the base fit, and return those."""

        def enough(_: list[Entry]) -> bool:
            return len(self.record.calls('base', call, phase)) >= count

        self.record.wait_for(enough, PATIENCE, f'{call} {phase}')
        return self.record.calls('base', call, phase)


def machines(directory: Path, stack: ExitStack, driver: Driver, **faults: Any) -> list[Machine]:
    """Start the three machines, with drivers of one kind, told to each in its own way."""
    path = directory / 'simulated.jsonl'
    simulated = SimulatedMachine(window=WINDOW, record=path, driver=driver)
    stack.enter_context(simulated)
    found = [Machine(simulated.address, Record(path))]
    for newest in (False, True):
        real = ViamServer(directory, window=WINDOW, newest=newest, name=f'newest_{newest}')
        stack.enter_context(real)
        real.control(ignore_cancel=driver.ignore_cancel, **faults)
        found.append(Machine(real.address, real.record))
    return found


def test_the_next_call_cancels_the_one_that_runs_on_all_of_them(tmp_path: Path) -> None:
    hang = {f'{call}_hang': True for call in ('set_velocity', 'set_power', 'stop')}
    with ExitStack() as stack:
        for machine in machines(tmp_path, stack, Driver(math.inf, math.inf), **hang):
            call = stack.enter_context(Caller(machine.address))
            for first, second in product(MOTIONS, MOTIONS):
                running = machine.begin(call, first)
                following = machine.begin(call, second)
                answer = (running.code(), running.details())
                assert answer == (grpc.StatusCode.CANCELLED, 'context canceled'), machine
                following.cancel()
            for first in MOTIONS:
                running = machine.begin(call, first)
                assert not call.unnoted(wire.IS_MOVING, name='base').is_moving
                call.unnoted(wire.SEND_SESSION_HEARTBEAT, id=call.start())
                call.unnoted(wire.GET_SESSIONS)
                assert not running.done(), machine
                running.cancel()


def test_a_driver_that_ignores_it_takes_effect_after_the_stop_on_all_of_them(
    tmp_path: Path,
) -> None:
    takes = 1.0
    with ExitStack() as stack:
        driver = Driver(takes, ignore_cancel=True)
        for machine in machines(tmp_path, stack, driver, set_velocity_delay=takes):
            call = stack.enter_context(Caller(machine.address))
            running = machine.begin(call, wire.SET_VELOCITY)
            call.unnoted(wire.STOP, name='base')
            assert not running.done(), machine
            running.result()
            stop, motion = machine.record.calls('base', phase='end')
            assert (stop.call, motion.call, motion.error) == ('stop', 'set_velocity', None)
            assert call.unnoted(wire.IS_MOVING, name='base').is_moving, machine


def test_the_stop_of_a_lapse_cancels_nothing_and_is_not_cancelled_on_all_of_them(
    tmp_path: Path,
) -> None:
    takes = 1.0
    with ExitStack() as stack:
        for machine in machines(tmp_path, stack, Driver(0.0, takes), stop_delay=takes):
            call = stack.enter_context(Caller(machine.address))
            call.drive(call.start())
            machine.wait_for(1, 'stop', 'begin')
            stop = machine.begin(call, wire.STOP)
            assert not machine.record.calls('base', 'stop', 'end'), machine
            stop.result()
            ends = machine.wait_for(2, 'stop', 'end')
            assert [end.error for end in ends] == [None, None], machine


def test_the_stop_of_a_lapse_waits_for_no_command_under_way_on_all_of_them(
    tmp_path: Path,
) -> None:
    takes = 4 * WINDOW
    with ExitStack() as stack:
        for machine in machines(tmp_path, stack, Driver(takes), set_velocity_delay=takes):
            call = stack.enter_context(Caller(machine.address))
            running = machine.begin(call, wire.SET_VELOCITY, call.start())
            machine.wait_for(1, 'stop', 'end')
            assert not running.done(), machine
            running.result()
