# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""TLS, API keys and access tokens on the running bridge without ROS: real gRPC, real time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
import threading
import time
from typing import TypeVar

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from support.bounds import AT_ONCE, EARLY, LATE, Load
from support.certificates import Authority
from support.drive import Drive, wait_for
from support.secured import SecuredMachine
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    CommandFailed,
    CommandsSucceed,
    MachineAbsent,
)
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.runtime import Runtime
from viam_session_bridge.viam import messages as wire
from viam_session_bridge.viam.credentials import complete

T = TypeVar('T', bound=Event)

WINDOW = 0.4  # s
SECRET = 'a-secret-that-nobody-may-see'
KEYS = {'id': SECRET}
ENVIRONMENT = {'VIAM_API_KEY_ID': 'id', 'VIAM_API_KEY': SECRET}


class Running:
    """A shell with one base a machine, each driven at 50 Hz by a thread from ``drive`` on."""

    def __init__(self, configuration: Configuration, environment: Mapping[str, str]) -> None:
        self.failures: list[BaseException] = []
        self._events: list[Event] = []
        self._topics = [base.command_topics[0] for base in configuration.bases]
        self._ended = threading.Event()
        self._driving = threading.Thread(target=self._drive, daemon=True)
        self.runtime = Runtime(
            complete(configuration, environment), lambda: None, self.failures.append
        )
        self.runtime.start()
        self.runtime.activate()

    @property
    def ready(self) -> bool:
        """Whether all machines are."""
        return self.runtime.look(
            lambda bridge, now: all(m.ready for m in bridge.machines.values())
        )

    def events(self, kind: type[T]) -> list[T]:
        """Return what happened of a kind so far."""
        self._events += self.runtime.events()
        return [event for event in self._events if isinstance(event, kind)]

    def drive(self) -> None:
        """Begin to command."""
        self._driving.start()

    def close(self) -> None:
        """End it."""
        self._ended.set()
        if self._driving.ident is not None:
            self._driving.join()
        self.runtime.close()

    def _drive(self) -> None:
        while not self._ended.wait(0.02):
            for topic in self._topics:
                self.runtime.command(f'client of {topic}', topic, Velocity(x=0.2))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the key into the environment, where the bridge looks for it at every login."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope='module')
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return who issues the machines' certificates."""
    return Authority(tmp_path_factory.mktemp('authority'))


MakeMachine = Callable[..., SecuredMachine]


@pytest.fixture
def make_machine(tmp_path: Path, authority: Authority) -> Iterator[MakeMachine]:
    """Return what starts machines; by default they want the key of the environment."""
    certificate = authority.issue('127.0.0.1')
    machines: list[SecuredMachine] = []

    def make(**settings: object) -> SecuredMachine:
        settings = {'keys': KEYS, 'name': f'machine{len(machines)}', **settings}
        machine = SecuredMachine(tmp_path, certificate, **settings)  # type: ignore[arg-type]
        machines.append(machine)
        return machine

    yield make
    for machine in machines:
        machine.stop()


@contextmanager
def running(
    authority: Authority,
    *addresses: str,
    resources: tuple[str, ...] = ('base',),
    **changes: object,
) -> Iterator[Running]:
    """Run a bridge with these machines, which end before it does; each has these bases."""
    machine = MachineConfiguration(
        'm', '', False, 0.25, 256, False, ca_file=str(authority.ca_file)
    )
    machines = tuple(
        replace(machine, name=f'm{number}', address=address, **changes)  # type: ignore[arg-type]
        for number, address in enumerate(addresses)
    )
    bases = tuple(
        BaseConfiguration(
            f'{resource}{number}', f'm{number}', resource, (f'/{resource}{number}',), (),
            SessionsMode.AUTO, DriveMode.VELOCITY, 0.0, 0.0, 0.0,
        )
        for number, _ in enumerate(addresses) for resource in resources
    )  # fmt: skip
    bridge = Running(Configuration(WINDOW, 1.0, '', machines, bases), ENVIRONMENT)
    try:
        yield bridge
        assert bridge.failures == []
    finally:
        bridge.close()


def refused_first(machine: SecuredMachine, since: float) -> float:
    """Return when the machine first refused a call after its tokens were void."""
    refused: list[float] = wait_for(
        lambda: [at for at in machine.refused if at > since], 'refused'
    )
    return refused[0]


def test_a_token_is_renewed_before_it_expires_whatever_the_machines_clock_says(
    authority: Authority, make_machine: MakeMachine, load: Load
) -> None:
    machines = [make_machine(lifetime=2.0, clock_ahead=ahead) for ahead in (3600.0, -3600.0)]
    with running(authority, *(machine.address for machine in machines)) as bridge:
        wait_for(lambda: bridge.ready, 'ready')
        bridge.drive()
        drives = [Drive(machine.record, 'base', load) for machine in machines]
        began = [drive.wait_driven()[0].t for drive in drives]
        wait_for(lambda: all(len(one.granted) >= 3 for one in machines), 'two renewals')
        for machine, drive, start in zip(machines, drives, began, strict=True):
            for one, other in pairwise(machine.granted):
                assert other - one >= 1.6 - EARLY
                load.hold(other - one, 1.6 + LATE, one)
            assert machine.refused == []
            drive.not_stopped(start)
            drive.keeps_moving(start, WINDOW)


def test_calls_that_are_refused_in_mid_drive_stop_the_base_before_it_moves_with_a_new_token(
    authority: Authority, make_machine: MakeMachine, load: Load
) -> None:
    machine = make_machine()
    with running(authority, machine.address) as bridge:
        wait_for(lambda: bridge.ready, 'ready')
        bridge.drive()
        base = Drive(machine.record, 'base', load)
        base.wait_driven()
        for pause in (0.0, 0.05, 0.1):
            refused = refused_first(machine, machine.void_tokens())
            stop = base.stopped_within(refused, pause + AT_ONCE)
            again = base.wait_driven(refused)[0]
            assert stop.t < again.t
            load.hold(again.t - stop.t, AT_ONCE, stop.t)
            base.keeps_moving(again.t, WINDOW)
        # What waited behind a refused command may fail as well, or be refused later.
        wait_for(lambda: len(bridge.events(CommandsSucceed)) == 3, 'three times it went on')
        details = Counter(event.detail for event in bridge.events(CommandFailed))
        assert details.pop('UNAUTHENTICATED: authentication required') == 3
        assert details.keys() <= {'the machine cannot be reached'}
        assert bridge.events(AccessRefused) == []
        assert len(machine.granted) == 4


def test_a_machine_that_refuses_its_own_tokens_is_asked_ever_more_slowly(
    authority: Authority, make_machine: MakeMachine, load: Load
) -> None:
    machine = make_machine()
    with running(authority, machine.address) as bridge:
        wait_for(lambda: bridge.ready, 'ready')
        machine.compose = lambda token: f'{token}x'
        bridge.drive()
        base = Drive(machine.record, 'base', load)
        base.wait_driven()
        machine.void_tokens()
        (refusal,) = wait_for(lambda: bridge.events(AccessRefused), 'reported')
        assert refusal.detail == 'UNAUTHENTICATED: authentication required'
        # Of the first, and after pauses of 0, 0.05, 0.1, 0.2, 0.4 and 0.8 s.
        assert len(machine.granted) == 7
        assert refusal.at - machine.granted[1] >= 1.54
        # With each: a command, a stop, a zero, a heartbeat, the question whether the machine
        # itself refuses, and what was under way until it answered.
        assert len(machine.refused) <= 6 * 7
        machine.compose = lambda token: token
        mended = time.monotonic()
        load.hold(base.wait_driven(mended)[0].t - mended, 4.0, mended)


def test_one_base_that_lacks_a_key_of_its_own_stops_no_other(
    authority: Authority, make_machine: MakeMachine, load: Load
) -> None:
    machine = make_machine(bases=('base', 'other'))
    with running(authority, machine.address, resources=('base', 'other')) as bridge:
        wait_for(lambda: bridge.ready, 'ready')
        bridge.drive()
        drives = [Drive(machine.record, name, load) for name in ('base', 'other')]
        began = max(drive.wait_driven()[0].t for drive in drives)
        machine.refusing.add('other')

        def for_want_of_a_key() -> list[CommandFailed]:
            failed = bridge.events(CommandFailed)  # after a stall for want of an answer as well
            return [one for one in failed if 'the motor controller wants a key' in one.detail]

        failed = wait_for(lambda: for_want_of_a_key()[3:], 'it fails again and again')
        machine.refusing.clear()
        assert {event.base for event in failed} == {'other0'}
        drives[1].wait_driven(time.monotonic())
        drives[0].not_stopped(began)
        drives[0].keeps_moving(began, WINDOW)
        assert len(machine.granted) == 1
        assert machine.refused == []
        assert bridge.events(AccessRefused) == []


@pytest.mark.parametrize('token', ['', 'two\nlines', 'ключ', 'nul\0'], ids=ascii)
def test_a_token_that_cannot_be_one_is_reported_and_harms_nothing(
    authority: Authority, make_machine: MakeMachine, token: str
) -> None:
    machine, other = make_machine(), make_machine()
    machine.compose = lambda _: token
    with running(authority, machine.address, other.address) as bridge:
        (refusal,) = wait_for(lambda: bridge.events(AccessRefused), 'reported')
        assert (refusal.machine, refusal.detail) == (
            'm0', 'it gives an access token that is not valid',
        )  # fmt: skip
        machine.compose = lambda token: token
        wait_for(lambda: bridge.ready, 'ready')


def test_a_key_that_a_machine_repeats_in_its_error_is_not_reported(
    authority: Authority, make_machine: MakeMachine
) -> None:
    machine = make_machine(keys={'id': 'another'})
    machine.refusal = f'no key {SECRET} here'
    with running(authority, machine.address) as bridge:
        (refusal,) = wait_for(lambda: bridge.events(AccessRefused), 'reported')
        assert refusal.detail == 'UNAUTHENTICATED: no key *** here'


def test_a_key_in_the_environment_locks_nobody_out_of_a_machine_that_wants_none(
    authority: Authority, make_machine: MakeMachine
) -> None:
    machine = make_machine(keys=None)
    with running(authority, machine.address) as bridge:
        wait_for(lambda: bridge.ready, 'ready')


def test_no_key_goes_to_a_machine_whose_certificate_is_not_accepted(
    authority: Authority, make_machine: MakeMachine, tmp_path: Path
) -> None:
    machine = make_machine()
    with running(Authority(tmp_path, 'other'), machine.address) as bridge:
        (absent,) = wait_for(lambda: bridge.events(MachineAbsent), 'reported')
        assert 'its certificate is not accepted' in absent.detail
        assert not bridge.ready
        assert machine.granted == []


def test_no_key_goes_over_plaintext(authority: Authority) -> None:
    pytest.importorskip('h2', reason='comes with viam-sdk')
    from support.bad_peers import HalfMachine

    peer = HalfMachine()
    try:
        with running(authority, peer.address, insecure=True, ca_file='') as bridge:
            wait_for(lambda: bridge.ready, 'ready')
            bridge.drive()
            wait_for(lambda: (':path', wire.SET_VELOCITY.path) in peer.headers, 'driven')
    finally:
        peer.stop()
    names = {name for name, _ in peer.headers}
    assert 'viam-sid' in names
    assert 'authorization' not in names
    assert (':path', wire.AUTHENTICATE.path) not in peer.headers
    assert SECRET.encode() not in peer.received
