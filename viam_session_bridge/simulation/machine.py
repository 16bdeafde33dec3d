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
from dataclasses import dataclass
from io import FileIO
import json
import logging
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
from viam_session_bridge.simulation.session_rules import (
    RefusedCallError,
    SessionRules,
    SimulatedSession,
)

_LONGEST_WAIT = 3600.0  # s at a stretch
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Call:
    """A call that a base's driver serves."""

    name: str
    base: SimulatedBase
    effect: Effect
    vectors: tuple[Vector, ...]  # linear and angular; of a stop none
    session: str | None
    wanted: Callable[[], bool]
    cancelled: bool = False
    error: RefusedCallError | None = None


class Machine:
    """
    One simulated machine; end it, then close it. All its bases have drivers of one kind.

    ValueError for a window that viam-server would not take, OSError for a record that cannot be
    opened. Its methods raise RefusedCallError for what viam-server answers with an error.
    """

    def __init__(
        self,
        bases: Iterable[str],
        window: float,
        record: str | os.PathLike[str] | None = None,
        driver: Driver = PROMPT,
    ):
        self.driver = driver
        self.window = window
        self._rules = SessionRules(window)
        now = time.monotonic()
        self._bases = {name: SimulatedBase(now) for name in bases}
        self.names = tuple(self._bases)
        self._calls: dict[str, set[_Call]] = {name: set() for name in self._bases}
        self._record = CallRecord(record)
        self._lock = threading.Lock()
        self._new_session = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)  # a call is cancelled or given up
        self._ended = False

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

    def sessions(self) -> tuple[SimulatedSession, ...]:
        """Return the live sessions."""
        with self._lock:
            return self._rules.sessions(time.monotonic())

    def command(
        self,
        name: str,
        effect: Effect,
        vectors: tuple[Vector, Vector],
        ids: Sequence[str],
        peer: str,
        wanted: Callable[[], bool],
    ) -> None:
        """
        Serve a monitored call: ``effect`` gets the base, the time and the vectors.

        ``ids`` are all values of ``viam-sid``. Returns when the driver has served it. Cancels the
        other calls to that base, and is refused as CANCELLED if another one cancels it. ``wanted``
        returns whether the caller still waits.
        """
        self._serve(name, effect, vectors, wanted, (ids, peer))

    def stop(self, name: str, wanted: Callable[[], bool]) -> None:
        """Stop a base, for anyone, under no session; cancels and is cancelled as ``command``."""
        self._serve(name, SimulatedBase.stop, (), wanted)

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
        # When each takes effect, its base and the session that ended. They are no calls of a
        # client, which others could cancel.
        stops: list[tuple[float, str, str]] = []
        while True:
            with self._lock:
                if self._ended:
                    return
                now = time.monotonic()
                due = min([self._rules.next_deadline(), *(at for at, _, _ in stops)])
                if due > now:
                    # Deadlines only move away, and a new session's is later than all others.
                    self._new_session.wait(min(due - now, _LONGEST_WAIT))
                    continue
                for lapse in self._rules.expire(now):
                    for name in lapse.bases:
                        self._note_own_stop(now, name, 'begin', lapse.session)
                        stops.append((now + self.driver.stop_time, name, lapse.session))
                for _, name, session in (stop for stop in stops if stop[0] <= now):
                    self._bases[name].stop(now)
                    self._note_own_stop(now, name, 'end', session)
                stops = [stop for stop in stops if stop[0] > now]
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
            raise RefusedCallError(
                'UNKNOWN', f'no node found with api rdk:component:base and name {name}'
            )
        return self._bases[name]

    def _serve(
        self,
        name: str,
        effect: Effect,
        vectors: tuple[Vector, ...],
        wanted: Callable[[], bool],
        user: tuple[Sequence[str], str] | None = None,
    ) -> None:
        """Serve a call, if monitored under the session of its user: ids and peer."""
        takes = self.driver.time_of(effect)
        with self._lock:
            now = time.monotonic()
            known = name if name in self._bases else None
            session = self._rules.use(now, known, *user) if user is not None else None
            call = _Call(name, self._base(name), effect, vectors, session, wanted)
            self._note(now, call, 'begin')
            for other in self._calls[name]:
                other.cancelled = True
            self._changed.notify_all()
            self._calls[name].add(call)
            if not takes:
                self._end(call)
        self._record.flush()
        if takes:
            with self._lock:
                self._wait_served(call, now + takes)
                self._end(call)
            self._record.flush()
        if call.error is not None:
            raise call.error

    def _wait_served(self, call: _Call, due: float) -> None:
        """Wait until the driver has served a call, or it is given up."""
        while (now := time.monotonic()) < due:
            given_up = not self.driver.ignore_cancel and (call.cancelled or not call.wanted())
            if self._ended or given_up:
                call.error = RefusedCallError('CANCELLED', 'context canceled')
                return
            self._changed.wait(min(due - now, _LONGEST_WAIT))

    def _end(self, call: _Call) -> None:
        """Let a call take effect, unless it was given up."""
        now = time.monotonic()
        if call.error is None:
            try:
                call.effect(call.base, now, *call.vectors)
            except ValueError as error:
                call.error = RefusedCallError('UNKNOWN', str(error))
        self._calls[call.name].discard(call)
        self._note(now, call, 'end', error=call.error and call.error.details)

    def _note(self, now: float, call: _Call, phase: str, **fields: Any) -> None:
        if call.vectors:
            fields['linear'], fields['angular'] = call.vectors
        name = call.effect.__name__
        self._record.add(now, call.name, name, phase, session=call.session, **fields)

    def _note_own_stop(self, now: float, base: str, phase: str, session: str) -> None:
        self._record.add(now, base, 'stop', phase, session=session, cause='session')


class CallRecord:
    """
    A record of all calls that reached a base, as JSON Lines: each in one unbuffered write.

    A line has ``t`` (time.monotonic(), s), ``base``, ``call`` (set_velocity, set_power, stop or
    is_moving), ``phase`` (``begin``, or ``end``: it took effect or failed) and, where there is
    one, ``linear`` and ``angular`` ([x, y, z] as received), ``session`` (its id) and ``error`` (of
    an end that failed). A stop because a session ended has ``"cause": "session"``. Lines are in
    the order of time. Calls that are refused for their session or their base's name reach no base.

    ``add`` does no I/O, so that it can be called under the lock that decides the order of calls;
    ``flush`` is called after that, and has written every line that was added before when it
    returns. ``path`` None: keeps nothing. OSError if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | None):
        self._file = None if path is None else FileIO(path, 'a')
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
                    self._file.write(line.encode() + b'\n')
                except OSError as error:
                    _log.error('the record %s ends here: %s', self._file.name, error)
                    self._close()

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
