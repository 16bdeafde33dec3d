# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
Sessions, last users and windows over time: one table for the real viam-server and the simulated.

Needs viam-sdk for the real one's control; the first run builds that, which takes some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import math
import os
import threading
import time

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from viam.gen.common.v1 import common_pb2

from support.bounds import Load
from support.caller import Caller, NIL, UNKNOWN_ID
from support.do_command import BASE_METHOD
from support.drive import observe, wait_for
from support.machines import KINDS, Machine
from support.record import Entry
from support.viam_server import ViamServer
from viam_session_bridge.viam import messages as wire

WINDOW = 1.0  # s
BEAT = WINDOW / 5  # s, as Viam's SDKs do
ON_TIME = 0.020  # s that a stop may be late, on an idle computer
COMMANDS = (wire.SET_VELOCITY, wire.SET_POWER)
DO = wire.Method(BASE_METHOD, common_pb2.DoCommandRequest, common_pb2.DoCommandResponse)
FAILS = replace(wire.SET_VELOCITY)  # one whose handler fails

Step = tuple[wire.Method, str]  # with the ids to send, separated by spaces: a, b, any other text


def name(method: wire.Method) -> str:
    return 'FailingSetVelocity' if method is FAILS else method.path.rpartition('/')[2]


# Who is the last user after these steps: at whose lapse the machine stops the base.
LAST_USERS: dict[str, tuple[str, list[Step]]] = {
    'nobody used it': ('', [(wire.STOP, 'a'), (wire.IS_MOVING, 'a'), (DO, 'a')]),
    'the later of two': ('b', [(wire.SET_VELOCITY, 'a'), (wire.SET_VELOCITY, 'b')]),
    'the later of two, again': (
        'a',
        [(wire.SET_VELOCITY, 'a'), (wire.SET_VELOCITY, 'b'), (wire.SET_VELOCITY, 'a')],
    ),
    'after a stop': ('a', [(wire.SET_VELOCITY, 'a'), (wire.STOP, '')]),
    'after a stop of another session': ('a', [(wire.SET_VELOCITY, 'a'), (wire.STOP, 'b')]),
    'after an unmonitored question': ('a', [(wire.SET_VELOCITY, 'a'), (wire.IS_MOVING, 'b')]),
    'after an unmonitored order': ('a', [(wire.SET_VELOCITY, 'a'), (DO, 'b')]),
    'after a failure': ('b', [(wire.SET_VELOCITY, 'a'), (FAILS, 'b')]),
    'after nothing but a failure': ('a', [(FAILS, 'a')]),
    'after a failure without a session': ('', [(wire.SET_VELOCITY, 'a'), (FAILS, '')]),
}
for _method in COMMANDS:
    LAST_USERS |= {
        f'{name(_method)} makes one': ('b', [(wire.SET_VELOCITY, 'a'), (_method, 'b')]),
        f'{name(_method)} without a session': ('', [(wire.SET_VELOCITY, 'a'), (_method, '')]),
        f'{name(_method)} with the nil id': ('', [(wire.SET_VELOCITY, 'a'), (_method, NIL)]),
    }
    for _refused in ('b b', 'b expired', 'expired', UNKNOWN_ID, 'malformed'):
        _case = f'{name(_method)} refused: {_refused}'
        LAST_USERS[_case] = ('a', [(wire.SET_VELOCITY, 'a'), (_method, _refused)])

# Whether this keeps a session alive that is used for nothing else.
SIGNS_OF_LIFE: dict[str, tuple[bool, Step]] = {
    'nothing': (False, (wire.GET_SESSIONS, '')),
    'its heartbeat': (True, (wire.SEND_SESSION_HEARTBEAT, '')),
    'its resumption': (True, (wire.START_SESSION, '')),
    'a new session': (False, (wire.START_SESSION, 'a')),
    'a command that fails': (True, (FAILS, 'a')),
    'a command that is refused': (False, (wire.SET_VELOCITY, 'a a')),
    'a command to no base': (True, (wire.SET_VELOCITY, 'a')),
}
for _method in (*COMMANDS, wire.STOP, wire.IS_MOVING, DO, wire.GET_SESSIONS, wire.RESOURCE_NAMES):
    SIGNS_OF_LIFE[name(_method)] = (_method in COMMANDS, (_method, 'a'))


@pytest.fixture(scope='module', params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope='module')
def machine(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    bases = ['base', *(f'base{number}' for number in range(len(LAST_USERS)))]
    with KINDS[kind](tmp_path_factory.mktemp(kind), bases, WINDOW) as machine:
        yield machine


@pytest.fixture
def load(machine: Machine) -> Iterator[Load]:
    with Load() as load:
        load.watch(lambda: machine.pid)
        load.watch(os.getpid)
        yield load


class User(Caller):
    """Uses sessions and bases, and notes when it last used a session."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.address)
        self.last_used: dict[str, tuple[float, float]] = {}  # s, by id: about to, and done
        self._machine = machine

    def new(self) -> str:
        """Start a session."""
        before = time.monotonic()
        session = str(self.unnoted(wire.START_SESSION).id)
        self.last_used[session] = (before, time.monotonic())
        return session

    def use(self, method: wire.Method, sids: list[str], base: str, session: str = '') -> None:
        """Make a call that may be refused; one of `FAILS` has to fail."""
        speed = 100.0
        if method is FAILS:
            speed = math.nan  # which fails on the simulated machine
            if isinstance(self._machine, ViamServer):
                self._machine.control(base, set_velocity_failures=1)
        fields = {
            wire.SEND_SESSION_HEARTBEAT.path: {'id': session},
            wire.START_SESSION.path: {'resume': '' if sids else session},
            wire.GET_SESSIONS.path: {},
            wire.RESOURCE_NAMES.path: {},
            wire.SET_VELOCITY.path: {'name': base, 'linear': wire.Vector3(y=speed)},
            wire.SET_POWER.path: {'name': base, 'linear': wire.Vector3(y=0.1)},
        }.get(method.path, {'name': base})
        before = time.monotonic()
        answer = 'OK'
        try:
            self.unnoted(method, *sids, **fields)
        except grpc.RpcError as error:
            answer = f'{error.code().name}: {error.details()}'
        assert answer != 'OK' or method is not FAILS
        if sids and method in COMMANDS and (answer == 'OK' or method is FAILS):
            self.last_used[sids[0]] = (before, time.monotonic())


@contextmanager
def kept_alive(machine: Machine) -> Iterator[User]:
    """Return who heartbeats every session of its own `last_used`, on a thread of its own."""
    user, ended = User(machine), threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            for session in list(user.last_used):
                before = time.monotonic()
                user.unnoted(wire.SEND_SESSION_HEARTBEAT, id=session)
                user.last_used[session] = (before, time.monotonic())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        with user:
            yield user
            ended.set()
            thread.join()
    finally:
        ended.set()


def on_time(stop: Entry, used: tuple[float, float], load: Load) -> None:
    """Hold the machine's stop to a window after the session was last used."""
    late = stop.t - used[1] - WINDOW
    assert stop.t >= used[0] + WINDOW, f'{stop.base} was stopped {-late:.4f} s too early'
    load.hold(late, ON_TIME, used[0] + WINDOW, stop.t, f'the stop of {stop.base}')


def test_the_base_stops_when_the_session_lapses_that_used_it_last_and_at_no_other_time(
    load: Load, machine: Machine
) -> None:
    bases = {case: f'base{number}' for number, case in enumerate(LAST_USERS)}
    firsts, seconds = {}, {}
    with User(machine) as user:
        expired = user.new()
        user.wait_over(expired)
        with kept_alive(machine) as other:
            for case, (_, steps) in LAST_USERS.items():
                first = firsts[case] = user.new()
                second = seconds[case] = other.new()
                ids = {'a': first, 'b': second, 'expired': expired}
                for method, sids in steps:
                    user.use(method, [ids.get(sid, sid) for sid in sids.split()], bases[case])
            user.wait_over(*firsts.values())
        user.wait_over(*seconds.values())

    def stops(case: str) -> list[Entry]:
        own = [method for method, _ in LAST_USERS[case][1]].count(wire.STOP)
        return machine.record.stops(bases[case])[own:]

    def last_users() -> dict[str, str]:
        lapse = {case: other.last_used[second][0] + WINDOW for case, second in seconds.items()}
        return {
            case: ''.join('a' if stop.t < lapse[case] else 'b' for stop in stops(case))
            for case in LAST_USERS
        }

    def as_in_the_table() -> None:
        assert last_users() == {case: last_user for case, (last_user, _) in LAST_USERS.items()}

    due = sum(bool(last_user) for last_user, _ in LAST_USERS.values())
    wait_for(lambda: sum(map(bool, last_users().values())) >= due, 'the bases are stopped')
    observe(0.1, as_in_the_table)
    used = {'a': (user, firsts), 'b': (other, seconds)}
    for case, (last_user, _) in LAST_USERS.items():
        if last_user:
            who, sessions = used[last_user]
            on_time(stops(case)[0], who.last_used[sessions[case]], load)


def test_a_session_lives_as_long_as_calls_come_that_are_signs_of_life(machine: Machine) -> None:
    with User(machine) as user:
        sessions = {case: user.new() for case in SIGNS_OF_LIFE}
        end = time.monotonic() + 1.6 * WINDOW
        while time.monotonic() < end:
            for case, (_, (method, sids)) in SIGNS_OF_LIFE.items():
                base = 'nobody' if case == 'a command to no base' else 'base'
                session = sessions[case]
                user.use(method, [session] * len(sids.split()), base, session)
            time.sleep(BEAT / 2)
        live = user.live()
    assert {case: session in live for case, session in sessions.items()} == {
        case: lives for case, (lives, _) in SIGNS_OF_LIFE.items()
    }
