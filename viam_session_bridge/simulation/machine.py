# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The rules and the bases of one machine, for the threads of a server.

One lock holds them together, so that a call and its effect are one step: no command takes effect
under a session that has ended, and no stop of an ended session comes after a command that was
accepted later. Nothing is read or written under it, and it is not held while a call waits.
"""

from collections.abc import Callable, Iterable, Sequence
import os
import threading
import time
from typing import Any

from .base import BaseState, SimulatedBase, Vector
from .record import CallRecord
from .session_rules import Refused, Session, SessionRules

_A_WHILE = 3600.0  # s; the longest wait at a stretch


class Machine:
    """
    One simulated machine; end it, then close it.

    ValueError for a window that viam-server would not take, OSError for a record that cannot be
    opened. Its methods raise Refused for what viam-server answers with an error.
    """

    def __init__(
        self, bases: Iterable[str], window: float, record: str | os.PathLike[str] | None = None
    ):
        self._rules = SessionRules(window)
        now = time.monotonic()
        self._bases = {name: SimulatedBase(now) for name in bases}
        self._record = CallRecord(record)
        self._lock = threading.Lock()
        self._new_session = threading.Condition(self._lock)
        self._new_motion = threading.Condition(self._lock)
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
        effect: Callable[[SimulatedBase, float], None],
        ids: Sequence[str],
        peer: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Take a monitored call: `effect` gets the base and the time.

        `vectors` are the linear and angular ones for the record, `ids` all values of `viam-sid`.
        Returns when the motion is over, if it has an end (MoveStraight, Spin), and is refused as
        CANCELLED if another call ended it before. `wanted` tells whether the caller still waits.
        """
        line = {'linear': vectors[0], 'angular': vectors[1]}
        with self._lock:
            now = time.monotonic()
            base = self._bases.get(name)
            session = self._rules.use(now, name if base else None, ids, peer=peer)
            base = self._base(name)
            self._record.add(now, name, call, 'begin', session=session, **line)
            error = None
            try:
                effect(base, now)
            except ValueError as fault:
                error = Refused('UNKNOWN', str(fault))
            self._new_motion.notify_all()
            begun = base.state(now)
            waits = error is None and begun.until < float('inf')
            if not waits:
                self._end(name, call, error, session=session, **line)
        self._record.flush()
        if waits:
            error = self._outlast(base, begun, wanted)
            with self._lock:
                self._end(name, call, error, session=session, **line)
            self._record.flush()
        if error is not None:
            raise error

    def stop(self, name: str) -> None:
        """Stop a base, for anyone: this call looks at no session and changes no last user."""
        with self._lock:
            self._stop(name)
        self._record.flush()

    def is_moving(self, name: str) -> bool:
        """Tell whether a base moves."""
        with self._lock:
            base = self._base(name)
            now = time.monotonic()
            self._record.add(now, name, 'is_moving', 'begin')
            moving = base.state(now).moving
            self._end(name, 'is_moving')
        self._record.flush()
        return moving

    def state(self, name: str) -> BaseState:
        """Return where a base is and how it moves, unrecorded."""
        with self._lock:
            return self._base(name).state(time.monotonic())

    def wake(self) -> None:
        """Have the calls that wait for a motion look at `wanted` again."""
        with self._lock:
            self._new_motion.notify_all()

    def run_expiry(self) -> None:
        """Stop the bases of sessions at their deadlines, until the machine is ended."""
        while True:
            with self._lock:
                if self._ended:
                    return
                deadline = self._rules.next_deadline()
                now = time.monotonic()
                if deadline is None or deadline > now:
                    # Deadlines only move away, and a new session's is later than all others.
                    left = _A_WHILE if deadline is None else deadline - now
                    self._new_session.wait(left)
                    continue
                for lapse in self._rules.expire(now):
                    for name in lapse.bases:
                        self._stop(name, session=lapse.session, cause='session')
            self._record.flush()

    def end(self) -> None:
        """End the expiry and the calls that wait; bases stay as they are."""
        with self._lock:
            self._ended = True
            self._new_session.notify_all()
            self._new_motion.notify_all()

    def close(self) -> None:
        """Close the record, once no call can come any more."""
        self._record.close()

    def _base(self, name: str) -> SimulatedBase:
        if name not in self._bases:
            raise Refused('UNKNOWN', f'no node found with api rdk:component:base and name {name}')
        return self._bases[name]

    def _stop(self, name: str, **what: Any) -> None:
        base = self._base(name)
        now = time.monotonic()
        self._record.add(now, name, 'stop', 'begin', **what)
        base.stop(now)
        self._new_motion.notify_all()
        self._end(name, 'stop', **what)

    def _end(self, name: str, call: str, error: Refused | None = None, **what: Any) -> None:
        details = None if error is None else error.details
        self._record.add(time.monotonic(), name, call, 'end', error=details, **what)

    def _outlast(
        self, base: SimulatedBase, begun: BaseState, wanted: Callable[[], bool]
    ) -> Refused | None:
        """Wait until the motion is over, and return how it failed, if another call ended it."""

        def under_way(now: float) -> bool:
            return base.state(now).motion == begun.motion and begun.until > now

        with self._lock:
            while under_way(now := time.monotonic()) and wanted() and not self._ended:
                self._new_motion.wait(min(begun.until - now, _A_WHILE))
            if under_way(now):
                base.stop(now)
            over = base.state(now).motion == begun.motion
        return None if over else Refused('CANCELLED', 'context canceled')
