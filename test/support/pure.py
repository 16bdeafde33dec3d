# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The bridge without I/O on a bench: time is handed in, and the test plays the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
import os
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
    StopPolicy,
)
from viam_session_bridge.core.bridge import Bridge, Event
from viam_session_bridge.core.events import StopFinal
from viam_session_bridge.core.requests import (
    Answer,
    Call,
    GetMachineStatus,
    GetSessions,
    IsMoving,
    Listed,
    Move,
    Outcome,
    Reach,
    Request,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import Velocity

T = TypeVar('T')
R = TypeVar('R', bound=Request)

WINDOW = 0.5
CALL_TIMEOUT = 0.25
MACHINE_WINDOW = 60.0  # so long that heartbeats stay out of tests that are not about them
SESSION_WINDOW = 2.0  # s, so short that machine sessions are heartbeated
STOPPING_WINDOW = 1.0  # s, of a machine that does the stopping

STOP = StopBase('base')
NAN = float('nan')

THOROUGH = os.environ.get('HYPOTHESIS_PROFILE') == 'thorough'


def model_settings(examples: int, steps: int) -> settings:
    """Return settings for a stateful test; HYPOTHESIS_PROFILE=thorough tries 20 times as much."""
    return settings(
        max_examples=examples * 20 if THOROUGH else examples,
        stateful_step_count=steps * 2 if THOROUGH else steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def machine(
    name: str = 'main',
    *,
    call_timeout: float = CALL_TIMEOUT,
    max_sessions: int = 256,
    allow_unsupervised: bool = False,
) -> MachineConfiguration:
    return MachineConfiguration(
        name=name,
        address='localhost:8080',
        insecure=True,
        call_timeout=call_timeout,
        max_sessions=max_sessions,
        allow_unsupervised=allow_unsupervised,
    )


def base(
    name: str = 'base',
    *topics: str,
    machine: str = 'main',
    sessions: SessionsMode = SessionsMode.AUTO,
    max_linear_speed: float = 0.0,
    max_angular_speed: float = 0.0,
    max_stamp_age: float = 0.0,
) -> BaseConfiguration:
    return BaseConfiguration(
        name=name,
        machine=machine,
        resource=name,
        command_topics=topics or (f'/{name}',),
        stamped_command_topics=(),
        sessions=sessions,
        drive_mode=DriveMode.VELOCITY,
        max_linear_speed=max_linear_speed,
        max_angular_speed=max_angular_speed,
        max_stamp_age=max_stamp_age,
    )


def configuration(
    *bases: BaseConfiguration,
    machines: Iterable[MachineConfiguration] = (),
    window: float = WINDOW,
    stop_timeout: float = 2.0,
    stop_policy: StopPolicy = StopPolicy.BRIDGE,
) -> Configuration:
    return Configuration(
        stop_policy=stop_policy,
        heartbeat_window=window,
        shutdown_timeout=2.0,
        stop_timeout=stop_timeout,
        event_log='',
        machines=tuple(machines) or (machine(),),
        bases=bases or (base(),),
    )


def forward(x: float) -> Velocity:
    return Velocity(x, 0.0, 0.0)


class Rig:
    """
    An active bridge whose machines are ready, at time 0.

    Every feed returns the requests that it led to. Calls wait for the test's answer; :meth:`until`
    lets those time out whose deadline comes. Answered at once, and shown to no test: whether a
    base moves (R20), with no, but to those that `verify`; that it is reached (R7), with yes, but
    to those in which it `stalls`; which bases there are, with all, but to those that `list_bases`.
    """

    def __init__(
        self,
        *bases: BaseConfiguration,
        verify: bool = False,
        stalls: bool = False,
        list_bases: bool = False,
        random: Callable[[], float] = lambda: 0.5,
        **options: object,
    ) -> None:
        self.bridge = Bridge(configuration(*bases, **options), random)  # type: ignore[arg-type]
        self._verify = verify
        self._stalls = stalls
        self._list_bases = list_bases
        self.now = 0.0
        self.wake_at = NEVER
        self.calls: list[tuple[Call, float]] = []  # in flight, with their deadlines
        self.events: list[Event] = []
        self.machine_window = MACHINE_WINDOW
        self._sids = 0
        for name in self.bridge.machines:
            self.feed(partial(self.bridge.channel, name, True, self.now))
        self.feed(lambda: self.bridge.activate(self.now))
        self.events.clear()

    def feed(self, *feeds: Callable[[], None]) -> list[Request]:
        """Feed, all before the one drain, and return what is handed over."""
        for feed in feeds:
            feed()
        out = self.bridge.drain(self.now)
        self.events += out.events
        self.wake_at = min(self.wake_at, out.wake_at)
        calls = [call for call in out.calls if not self._hides(call.request)]
        self.calls += [(call, self.now + call.timeout) for call in calls]
        usual = Answer(Outcome.OK, moving=False, listed=Listed((), {}, True))
        for call in out.calls:
            if self._hides(call.request):
                self.feed(partial(self.bridge.answered, call, usual, self.now))
        return [call.request for call in calls]

    def _hides(self, request: Request) -> bool:
        if isinstance(request, IsMoving):
            return not self._verify
        if isinstance(request, GetMachineStatus):
            return not self._list_bases
        return isinstance(request, Reach) and not self._stalls

    # The publishers

    def command(self, client: str, x: float = 0.3, topic: str = '/base') -> list[Request]:
        return self.feed(lambda: self.bridge.command(client, topic, forward(x), None, self.now))

    def heartbeat(self, client: str, topic: str = '/base', own: bool = True) -> list[Request]:
        return self.feed(lambda: self.bridge.heartbeat(client, topic, own, self.now))

    def left(self, client: str) -> list[Request]:
        return self.feed(lambda: self.bridge.left(client, self.now))

    def deactivate(self) -> list[Request]:
        return self.feed(lambda: self.bridge.deactivate(self.now))

    # The machine

    def channel(self, ready: bool, machine: str = 'main') -> list[Request]:
        return self.feed(lambda: self.bridge.channel(machine, ready, self.now))

    def pending(self, kind: type[R]) -> list[R]:
        """Return the requests in flight of a kind, oldest first."""
        return [call.request for call, _ in self.calls if isinstance(call.request, kind)]

    def answer(
        self,
        kind: type[Request],
        outcome: Outcome = Outcome.OK,
        *,
        sid: str = '',
        newest: bool = False,
        where: Callable[[Request], bool] = lambda request: True,
        moving: bool = False,
        sids: tuple[str, ...] = (),
        detail: str = '',
        listed: Listed | None = None,
    ) -> list[Request]:
        """Answer the oldest (or newest) call in flight of a kind."""
        matching = [
            entry
            for entry in self.calls
            if isinstance(entry[0].request, kind) and where(entry[0].request)
        ]
        assert matching, f'no {kind.__name__} in flight, only {self.calls}'
        entry = matching[-1 if newest else 0]
        self.calls.remove(entry)
        detail = detail or ('' if outcome is Outcome.OK else outcome.value)
        answer = Answer(outcome, detail, moving=moving, sids=sids, listed=listed)
        if kind is StartSession and outcome is Outcome.OK:
            self._sids += 1
            sid = sid or f'sid-{self._sids}'
            answer = Answer(outcome, sid=sid, window=self.machine_window)
        return self.feed(lambda: self.bridge.answered(entry[0], answer, self.now))

    def drive(self, client: str, x: float = 0.3, topic: str = '/base') -> None:
        """Let a client drive: all calls that its command takes are answered OK."""
        self.command(client, x, topic)
        if self.pending(StartSession):
            self.answer(StartSession)
        while self.pending(Move):
            self.answer(Move)

    def acknowledge(self) -> list[Request]:
        """Answer all stops in flight, and the zeros beside them."""
        led_to: list[Request] = []
        while self.pending(StopBase):
            led_to += self.answer(StopBase)
        return led_to

    # Time

    def until(self, when: float, *, times_out: bool = True) -> list[tuple[float, Request]]:
        """Let time pass, with ticks and timeouts where they fall due; return what was sent."""
        sent: list[tuple[float, Request]] = []
        while True:
            deadlines = [deadline for _, deadline in self.calls] if times_out else []
            if (due := min([self.wake_at, *deadlines])) > when:
                break
            self.now = max(self.now, due)
            overdue = next((e for e in self.calls if e[1] <= self.now), None)
            if times_out and overdue is not None:
                self.calls.remove(overdue)
                answer = Answer(Outcome.TIMED_OUT, 'timed out')
                requests = self.feed(partial(self.bridge.answered, overdue[0], answer, self.now))
            else:
                requests = self.tick()
            sent += [(round(self.now, 6), request) for request in requests]
        self.now = when
        return sent

    def tick(self) -> list[Request]:
        """Let the lapse clock tick now."""
        self.wake_at = NEVER
        return self.feed(lambda: self.bridge.tick(self.now))

    # What is reported

    def events_of(self, kind: type[T]) -> list[T]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def hung(rig: Rig) -> Rig:
    """Leave A's newest command in flight."""
    rig.command('A', 0.4)
    assert rig.pending(Move)
    return rig


def times(sent: list[tuple[float, Request]], request: Request = STOP) -> list[float]:
    """Return when a request was sent."""
    return [at for at, one in sent if one == request]


def is_final(rig: Rig) -> bool:
    return bool(rig.events_of(StopFinal)) and rig.bridge.not_final() == {}


def base_of_two() -> Rig:
    """Let A (sid-1) drive a base that B (sid-2) drove before."""
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.command('B')
    rig.answer(Move)
    rig.answer(StartSession)
    rig.answer(Move)
    rig.drive('A')
    assert rig.calls == []
    return rig


def go(x: float, sid: str = 'sid-1', name: str = 'base') -> Move:
    return Move(name, Velocity(x), sid)


def left_to_machine(*bases: BaseConfiguration, **options: Any) -> Rig:
    """Return a bench whose machine does the stopping (R16); A commanded `base` at time 0."""
    rig = Rig(*bases, verify=True, stop_policy=StopPolicy.MACHINE, **options)
    rig.machine_window = STOPPING_WINDOW
    rig.drive('A')
    return rig


def driving(*bases: str, window: float = WINDOW, **options: object) -> Rig:
    """Let A drive the first base under sid-1, on a machine whose window is 2 s."""
    names = bases or ('base',)
    rig = Rig(
        *[base(name) for name in names],
        window=window,
        machines=[machine(**options)],  # type: ignore[arg-type]
    )
    rig.machine_window = SESSION_WINDOW
    rig.drive('A', topic=f'/{names[0]}')
    return rig


def beside_a_lost_one(rig: Rig) -> Rig:
    """Let a command go without an answer, and a newer one of A's be in flight."""
    rig.command('A', 0.4)
    rig.until(CALL_TIMEOUT)
    rig.acknowledge()
    rig.command('A', 0.5)
    return rig


def keep_alive(rig: Rig, until: float) -> list[Request]:
    """Let A's heartbeats keep its session alive; its commands get no answer."""
    sent: list[Request] = []
    while rig.now < until:
        sent += [request for _, request in rig.until(rig.now + 0.1, times_out=False)]
        rig.heartbeat('A')
        while rig.pending(GetSessions):
            rig.answer(GetSessions)
        while rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
    return sent
