# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The rules and the bases of one machine, for the threads of a server, and the record of its calls.

One lock holds them together, so that a call and its effect are one step: no command takes effect
under a session that has ended, and no stop of an ended session comes after a command that was
accepted later. Nothing is read or written under it, and it is not held while a call waits. A call
that takes time has its effect at the end of that, whatever became of its session, as in
viam-server.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
import json
import logging
import math
import os
import threading
import time
from typing import Any

from viam_session_bridge.simulation.base import (
    BaseState,
    Driver,
    Effect,
    PROMPT,
    SimulatedBase,
    Vector,
)
from viam_session_bridge.simulation.session_rules import Refused, Session, SessionRules

_LONGEST_WAIT = 3600.0  # s at a stretch
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Call:
    """A call that a base's driver serves."""

    base: str
    effect: Effect
    arguments: tuple[Any, ...]
    wanted: Callable[[], bool]
    recorded: dict[str, Any] = field(default_factory=dict)  # besides base and name
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
            session = self._rules.start(time.monotonic(), resume, peer)
            self._new_session.notify()
            return session

    def heartbeat(self, session: str, peer: str) -> None:
        """Heartbeat a session."""
        with self._lock:
            self._rules.heartbeat(time.monotonic(), session, peer)

    def sessions(self) -> tuple[Session, ...]:
        """Return the live sessions."""
        with self._lock:
            return self._rules.sessions(time.monotonic())

    def command(
        self,
        name: str,
        effect: Effect,
        arguments: tuple[Any, ...],
        vectors: tuple[Vector, Vector],
        ids: Sequence[str],
        peer: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Serve a monitored call: ``effect`` gets the base, the time and the arguments.

        ``vectors`` are the linear and angular ones for the record, ``ids`` all values of
        ``viam-sid``. Returns when the driver has served it and the motion is over, if that has an
        end (MoveStraight, Spin). Cancels the other calls to that base, and is refused as CANCELLED
        if another one cancels it. ``wanted`` returns whether the caller still waits.
        """

        def use(now: float) -> str | None:
            known = name if name in self._bases else None
            return self._rules.use(now, known, ids, peer)

        recorded = {'linear': vectors[0], 'angular': vectors[1]}
        self._serve(_Call(name, effect, arguments, wanted, recorded), use)

    def stop(self, name: str, wanted: Callable[[], bool] = lambda: True) -> None:
        """
        Stop a base, for anyone: this call looks at no session and changes no last user.

        Cancels, and is cancelled, as in ``command``.
        """
        self._serve(_Call(name, SimulatedBase.stop, (), wanted), lambda now: None)

    def is_moving(self, name: str) -> bool:
        """Return whether a base moves."""
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
        """Have the calls that wait evaluate ``wanted`` again."""
        with self._lock:
            self._changed.notify_all()

    def run_expiry(self) -> None:
        """Stop the bases of sessions at their deadlines, until the machine is ended."""
        while True:
            with self._lock:
                if self._ended:
                    return
                now = time.monotonic()
                due = self._next_expiry()
                if due > now:
                    # Deadlines only move away, and a new session's is later than all others.
                    self._new_session.wait(min(due - now, _LONGEST_WAIT))
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
        """Serve a call once it is admitted, under the session that ``admit`` returns."""
        takes = self.driver.time_of(call.effect)
        with self._lock:
            now = time.monotonic()
            session = admit(now)
            base = self._base(call.base)
            call.recorded['session'] = session
            self._add_to_record(now, call, 'begin')
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
        """Let a call take effect, and return whether it is a motion that has an end."""
        now = time.monotonic()
        try:
            call.effect(base, now, *call.arguments)
        except ValueError as error:
            call.error = Refused('UNKNOWN', str(error))
        call.begun = base.state(now)
        self._changed.notify_all()
        return call.error is None and call.begun.until < math.inf

    def _end(self, call: _Call) -> None:
        self._calls[call.base].discard(call)
        if call.error is not None:
            call.recorded['error'] = call.error.details
        self._add_to_record(time.monotonic(), call, 'end')

    def _add_to_record(self, now: float, call: _Call, phase: str) -> None:
        self._record.add(now, call.base, call.effect.__name__, phase, **call.recorded)

    def _is_given_up(self, call: _Call) -> bool:
        if self._ended:
            return True
        return not self.driver.ignore_cancel and (call.cancelled or not call.wanted())

    def _wait_served(self, call: _Call, due: float) -> None:
        """Wait until the driver has served a call, or it is given up."""
        while (now := time.monotonic()) < due and not self._is_given_up(call):
            self._changed.wait(min(due - now, _LONGEST_WAIT))
        if now < due:
            call.error = Refused('CANCELLED', 'context canceled')

    def _outlast(self, base: SimulatedBase, call: _Call, begun: BaseState) -> None:
        """Wait until the motion is over, or another call ended it, or it is given up."""

        def under_way(now: float) -> bool:
            return base.state(now).motion == begun.motion and begun.until > now

        while under_way(now := time.monotonic()) and not self._is_given_up(call):
            self._changed.wait(min(begun.until - now, _LONGEST_WAIT))
        if under_way(now):
            base.stop(now)
        if base.state(now).motion != begun.motion:
            call.error = Refused('CANCELLED', 'context canceled')

    def _next_expiry(self) -> float:
        """Return when ``run_expiry`` has something to do next; inf: not yet known."""
        deadline = self._rules.next_deadline()
        stops = [stop.at for stop in self._own_stops]
        return min([*stops, math.inf if deadline is None else deadline])

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
            self._record.add(now, stop.base, 'stop', 'end', session=stop.session, cause='session')
        self._changed.notify_all()


class CallRecord:
    """
    A record of all calls that reached a base, as JSON Lines: each in one unbuffered write.

    A line has ``t`` (time.monotonic(), s), ``base``, ``call`` (set_velocity, set_power, stop,
    move_straight, spin or is_moving), ``phase`` (``begin``, or ``end``: it took effect or failed)
    and, where there is one, ``linear`` and ``angular`` ([x, y, z] as received), ``session`` (its
    id) and ``error`` (of an end that failed). A stop because a session ended has
    ``"cause": "session"``. Lines are in the order of time. Calls that are refused for their
    session or their base's name reach no base.

    ``add`` does no I/O, so that it can be called under the lock that decides the order of calls;
    ``flush`` is called after that, and has written every line that was added before when it
    returns. ``path`` None: keeps nothing. OSError if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | None):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = None if path is None else os.open(path, flags, 0o644)
        self._path = path
        self._lines: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()

    def add(self, now: float, base: str, call: str, phase: str, **fields: Any) -> None:
        """Add a line; fields that are None are left out."""
        if self._file is not None:
            line = {'t': now, 'base': base, 'call': call, 'phase': phase}
            self._lines.append(line | {k: v for k, v in fields.items() if v is not None})

    def flush(self) -> None:
        """Write what was added; a file that takes no more is given up, with an error logged."""
        with self._lock:
            while self._lines and self._file is not None:
                line = json.dumps(self._lines.popleft(), separators=(',', ':'))
                try:
                    os.write(self._file, line.encode() + b'\n')
                except OSError as error:
                    _log.error('the record %s ends here: %s', self._path, error)
                    self._close()

    def close(self) -> None:
        """Write what was added, and close the file."""
        self.flush()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
