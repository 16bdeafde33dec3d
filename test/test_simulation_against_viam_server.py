# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The simulated machine and the real viam-server give the same answers to the same calls.

Needs viam-sdk for the real one's control; the first run builds that, which takes some minutes.
"""

from collections.abc import Callable, Iterator
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.viam_server import insecure_channel, ViamServer
from viam_session_bridge.machine import wire
from viam_session_bridge.simulation.server import SimulatedMachine

WINDOW = 0.5  # s
LONG = 20.0  # s, a window that no test sees the end of
UNKNOWN_ID = 'c0ffee00-c0ff-4e00-8000-c0ffeec0ffee'
NIL = '00000000-0000-0000-0000-000000000000'
MALFORMED = ['x', 'g' * 36, 'z' * 32, 'urn:guid:' + UNKNOWN_ID, UNKNOWN_ID + '0', 'ü' * 18]


class Caller:
    """Calls a machine and notes the answers, with names in the place of sessions' ids."""

    def __init__(self, address: str):
        self.channel = insecure_channel(address)
        self.answers: list[tuple[str, str]] = []
        self._names: dict[str, str] = {}

    def __call__(self, method: wire.Method, *sids: str, **fields: Any) -> Any:
        """Return the response, None if there is an error instead."""
        unary = self.channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        metadata = [(wire.SESSION_KEY, sid) for sid in sids]
        response, answer = None, ''
        try:
            response = unary(
                method.request(**fields), metadata=metadata, timeout=10, wait_for_ready=True
            )
            if method == wire.START_SESSION:
                self._names.setdefault(response.id, f'session {len(self._names)}')
            answer = str(response)
        except grpc.RpcError as error:
            answer = f'{error.code()} {error.details()}'
        for session, name in self._names.items():
            answer = answer.replace(session, name)
        self.answers.append((method.path, answer))
        return response

    def start(self, resume: str = '') -> str:
        response = self(wire.START_SESSION, resume=resume)
        return str(response.id) if response else ''

    def drive(self, *sids: str, name: str = 'base') -> None:
        self(wire.SET_VELOCITY, *sids, name=name, linear={'y': 1.0})


@pytest.fixture(scope='module', params=[WINDOW, LONG], ids=['short window', 'long window'])
def addresses(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    directory = tmp_path_factory.mktemp('real')
    with (
        SimulatedMachine(window=request.param) as simulated,
        ViamServer(directory, window=request.param) as real,
    ):
        yield [simulated.address, real.address]


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
    call(wire.MOVE_STRAIGHT, session, name='base', distance_mm=10, mm_per_sec=1000.0)
    call(wire.SPIN, session, name='base', angle_deg=1.0, degs_per_sec=100.0)
    call(wire.IS_MOVING, name='base')
    call(wire.MOVE_STRAIGHT, UNKNOWN_ID, name='base')
    call(wire.SPIN, '', name='base')


def calls_to_no_base(call: Caller) -> None:
    session = call.start()
    for name in ('nobody', ''):
        for method in (wire.SET_VELOCITY, wire.SET_POWER, wire.MOVE_STRAIGHT, wire.SPIN):
            call(method, session, name=name)
            call(method, UNKNOWN_ID, name=name)
        call(wire.STOP, name=name)
        call(wire.IS_MOVING, name=name)


@pytest.mark.parametrize(
    'script', [resumes, heartbeats, calls_with_all_kinds_of_ids, calls_to_no_base]
)
def test_the_answers_are_the_same(
    addresses: list[str], script: Callable[[Caller], None]
) -> None:
    answers = []
    for address in addresses:
        caller = Caller(address)
        script(caller)
        caller.channel.close()
        answers.append(caller.answers)
    assert answers[0] == answers[1]


def last_user_rule(call: Caller) -> list[bool]:
    """Return whether the base moves after A, which drove before B, and after B have lapsed."""
    a, b = call.start(), call.start()
    call.drive(a)
    call.drive(b)
    moving = []
    beats = time.monotonic() + 1.6 * WINDOW
    while time.monotonic() < beats:
        call(wire.SEND_SESSION_HEARTBEAT, id=b)
        time.sleep(WINDOW / 10)  # the pace of a client
    assert a not in [session.id for session in call(wire.GET_SESSIONS).sessions]
    moving.append(call(wire.IS_MOVING, name='base').is_moving)
    while call(wire.GET_SESSIONS).sessions:
        time.sleep(WINDOW / 10)
    moving.append(call(wire.IS_MOVING, name='base').is_moving)
    return moving


@pytest.mark.parametrize('addresses', [WINDOW], indirect=True)
def test_the_last_user_rule_is_the_same(addresses: list[str]) -> None:
    for address in addresses:
        caller = Caller(address)
        assert last_user_rule(caller) == [True, False], address
        caller.channel.close()


@pytest.mark.parametrize('addresses', [LONG], indirect=True)
def test_the_greatest_number_of_sessions_is_the_same(addresses: list[str]) -> None:
    for address in addresses:
        caller = Caller(address)
        for _ in range(1025 - len(caller(wire.GET_SESSIONS).sessions)):
            assert caller.start(), address
        assert not caller.start(), address
        assert caller.answers[-1][1] == 'StatusCode.UNKNOWN too many concurrent sessions'
        caller.channel.close()
