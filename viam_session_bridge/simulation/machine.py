# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The rules and the bases of one machine, for the threads of a server.

One lock holds them together, so that a call and its effect are one step: no command takes effect
under a session that has ended, and no stop of an ended session comes after a command that was
accepted later. Nothing is read or written under it, and it is not held while a call waits. A call
that takes time has its effect at the end of that, whatever became of its session, as in
viam-server.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
import os
import threading
import time
from typing import Any

from .base import BaseState, SimulatedBase, Vector
from .driver import Driver, PROMPT
from .record import CallRecord
from .session_rules import Refused, Session, SessionRules

_A_WHILE = 3600.0  # s; the longest wait at a stretch
_Effect = Callable[[SimulatedBase, float], None]


@dataclass(eq=False)
class _Call:
    """A call that a base's driver serves; `what` is for the record."""

    base: str
    name: str
    effect: _Effect
    wanted: Callable[[], bool]
    what: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    begun: BaseState | None = None  # how the base moved right after the effect
    error: Refused | None = None


@dataclass(frozen=True)
class _OwnStop:
    """A stop because a session ended: no call of a client, which others could cancel."""

    at: float
    base: str
    session: str


class Machine:
    """
    One simulated machine; end it, then close it. All its bases have drivers of one kind.

    ValueError for a window that viam-server would not take, OSError for a record that cannot be
    opened. Its methods raise Refused for what viam-server answers with an error.
    """

    def __init__(
        self,
        bases: Iterable[str],
        window: float,
        record: str | os.PathLike[str] | None = None,
        driver: Driver = PROMPT,
    ):
        self.driver = driver
        self._rules = SessionRules(window)
        now = time.monotonic()
        self._bases = {name: SimulatedBase(now) for name in bases}
        self._calls: dict[str, set[_Call]] = {name: set() for name in self._bases}
        self._own_stops: list[_OwnStop] = []
        self._record = CallRecord(record)
        self._lock = threading.Lock()
        self._new_session = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)  # a call is cancelled, a base moves anew
        self._ended = False

    @property
    def window(self) -> float:
        """The heartbeat window, in seconds."""
        return self._rules.window

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bases."""
        return tuple(self._bases)

    def start_session(self, resume: str, peer: str) -> str:
        """Start or resume a session and return its id."""
        with self._lock:
            session = self._rules.start(time.monotonic(), resume, peer=peer)
            self._new_session.notify()
            return session

    def heartbeat(self, session: str, peer: str) -> None:
        """Heartbeat a session."""
        with self._lock:
            self._rules.heartbeat(time.monotonic(), session, peer=peer)

    def sessions(self) -> tuple[Session, ...]:
        """Return the live sessions."""
        with self._lock:
            return self._rules.sessions(time.monotonic())

    def command(
        self,
        name: str,
        call: str,
        vectors: tuple[Vector, Vector],
        effect: _Effect,
        ids: Sequence[str],
        peer: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Take a monitored call: `effect` gets the base and the time.

        `vectors` are the linear and angular ones for the record, `ids` all values of `viam-sid`.
        Returns when the driver has served it and the motion is over, if that has an end
        (MoveStraight, Spin). Cancels the other calls to that base, and is refused as CANCELLED if
        another one cancels it. `wanted` tells whether the caller still waits.
        """

        def use(now: float) -> str | None:
            known = name if name in self._bases else None
            return self._rules.use(now, known, ids, peer=peer)

        line = {'linear': vectors[0], 'angular': vectors[1]}
        self._serve(_Call(name, call, effect, wanted, line), use)

    def stop(self, name: str, wanted: Callable[[], bool] = lambda: True) -> None:
        """
        Stop a base, for anyone: this call looks at no session and changes no last user.

        Cancels, and is cancelled, as in `command`.
        """
        self._serve(_Call(name, 'stop', SimulatedBase.stop, wanted), lambda now: None)

    def is_moving(self, name: str) -> bool:
        """Tell whether a base moves."""
        with self._lock:
            base = self._base(name)
            now = time.monotonic()
            for phase in ('begin', 'end'):
                self._record.add(now, name, 'is_moving', phase)
            moving = base.state(now).moving
        self._record.flush()
        return moving

    def state(self, name: str) -> BaseState:
        """Return where a base is and how it moves, unrecorded."""
        with self._lock:
            return self._base(name).state(time.monotonic())

    def wake(self) -> None:
        """Have the calls that wait look at `wanted` again."""
        with self._lock:
            self._changed.notify_all()

    def run_expiry(self) -> None:
        """Stop the bases of sessions at their deadlines, until the machine is ended."""
        while True:
            with self._lock:
                if self._ended:
                    return
                now = time.monotonic()
                next_at = self._next_expiry()
                if next_at > now:
                    # Deadlines only move away, and a new session's is later than all others.
                    self._new_session.wait(min(next_at - now, _A_WHILE))
                    continue
                for lapse in self._rules.expire(now):
                    for name in lapse.bases:
                        self._begin_own_stop(now, name, lapse.session)
                self._end_own_stops()
            self._record.flush()

    def end(self) -> None:
        """End the expiry and the calls that wait; bases stay as they are."""
        with self._lock:
            self._ended = True
            self._new_session.notify_all()
            self._changed.notify_all()

    def close(self) -> None:
        """Close the record, once no call can come any more."""
        self._record.close()

    def _base(self, name: str) -> SimulatedBase:
        if name not in self._bases:
            raise Refused('UNKNOWN', f'no node found with api rdk:component:base and name {name}')
        return self._bases[name]

    def _serve(self, call: _Call, admit: Callable[[float], str | None]) -> None:
        """Serve a call once it is admitted, under the session that `admit` returns."""
        takes = self.driver.time_of(call.name)
        with self._lock:
            now = time.monotonic()
            session = admit(now)
            base = self._base(call.base)
            call.what['session'] = session
            self._record.add(now, call.base, call.name, 'begin', **call.what)
            for other in self._calls[call.base]:
                other.cancelled = True
            self._changed.notify_all()
            self._calls[call.base].add(call)
            waits = takes > 0 or self._act(base, call)
            if not waits:
                self._end(call)
        self._record.flush()
        if waits:
            with self._lock:
                if call.begun is None:
                    self._wait_served(call, now + takes)
                    if call.error is None:
                        self._act(base, call)
                else:
                    self._outlast(base, call, call.begun)
                self._end(call)
            self._record.flush()
        if call.error is not None:
            raise call.error

    def _act(self, base: SimulatedBase, call: _Call) -> bool:
        """Let a call take effect, and tell whether it is a motion that has an end."""
        now = time.monotonic()
        try:
            call.effect(base, now)
        except ValueError as fault:
            call.error = Refused('UNKNOWN', str(fault))
        call.begun = base.state(now)
        self._changed.notify_all()
        return call.error is None and call.begun.until < float('inf')

    def _end(self, call: _Call) -> None:
        self._calls[call.base].discard(call)
        details = None if call.error is None else call.error.details
        self._record.add(time.monotonic(), call.base, call.name, 'end', error=details, **call.what)

    def _given_up(self, call: _Call) -> bool:
        if self._ended:
            return True
        return not self.driver.ignore_cancel and (call.cancelled or not call.wanted())

    def _wait_served(self, call: _Call, due: float) -> None:
        """Wait until the driver has served a call, or it is given up."""
        while (now := time.monotonic()) < due and not self._given_up(call):
            self._changed.wait(min(due - now, _A_WHILE))
        if now < due:
            call.error = Refused('CANCELLED', 'context canceled')

    def _outlast(self, base: SimulatedBase, call: _Call, begun: BaseState) -> None:
        """Wait until the motion is over, or another call ended it, or it is given up."""

        def under_way(now: float) -> bool:
            return base.state(now).motion == begun.motion and begun.until > now

        while under_way(now := time.monotonic()) and not self._given_up(call):
            self._changed.wait(min(begun.until - now, _A_WHILE))
        if under_way(now):
            base.stop(now)
        if base.state(now).motion != begun.motion:
            call.error = Refused('CANCELLED', 'context canceled')

    def _next_expiry(self) -> float:
        """Return when `run_expiry` has something to do next; inf: not yet known."""
        deadline = self._rules.next_deadline()
        stops = [stop.at for stop in self._own_stops]
        return min([*stops, float('inf') if deadline is None else deadline])

    def _begin_own_stop(self, now: float, base: str, session: str) -> None:
        self._record.add(now, base, 'stop', 'begin', session=session, cause='session')
        self._own_stops.append(_OwnStop(now + self.driver.stop_time, base, session))

    def _end_own_stops(self) -> None:
        """End those that are due."""
        now = time.monotonic()
        due = [stop for stop in self._own_stops if stop.at <= now]
        self._own_stops = [stop for stop in self._own_stops if stop.at > now]
        for stop in due:
            self._bases[stop.base].stop(now)
            what = {'session': stop.session, 'cause': 'session'}
            self._record.add(now, stop.base, 'stop', 'end', **what)
        self._changed.notify_all()
