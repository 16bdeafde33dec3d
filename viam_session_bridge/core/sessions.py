# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The session rules: who may drive, who drove last, and whose silence stops what (R2 to R6, R17).

Every method takes ``now`` (s, steady, never backwards) and returns what is to be done, in order.
Sessions that are due are ended before anything else is looked at.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
import heapq

from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import (
    Action,
    Cause,
    Forward,
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.session import Session
from viam_session_bridge.core.velocity import Velocity

# How many clients that left are remembered, so that a message of theirs still on its way does
# not start a session. Bounded, for a hostile publisher may come and go as often as it likes.
LEFT_CLIENTS_REMEMBERED = 1024


class SessionTable:
    """All sessions and last users of one bridge."""

    def __init__(self, window: float, modes: Mapping[str, SessionsMode]) -> None:
        """
        Start without any session.

        :param window: s, the time a session lives past its last sign of life
        :param modes: for each base its parameter ``sessions``
        """
        self.window = window
        self._modes = dict(modes)
        self._sessions: dict[str, Session] = {}
        self._last_users: dict[str, Session] = {}
        self._commanders: dict[str, str] = {}
        self._left: OrderedDict[str, None] = OrderedDict()
        self._numbers = 0
        # (deadline at the time of the push, number, session): a sign of life only moves the
        # session's own deadline, the entry is put right when it comes up.
        self._due: list[tuple[float, int, Session]] = []

    def set_window(self, window: float) -> None:
        """Have all sessions live so long past their signs of life from now on (R16)."""
        if window != self.window:
            self.window = window
            self._due = [(s.deadline(window), s.number, s) for s in self._sessions.values()]
            heapq.heapify(self._due)

    @property
    def sessions(self) -> Iterable[Session]:
        """The active sessions, oldest first."""
        return self._sessions.values()

    def session(self, client: str) -> Session | None:
        """Return the client's active session."""
        return self._sessions.get(client)

    def last_user(self, base: str) -> Session | None:
        """Return the session that used the base last (R5)."""
        return self._last_users.get(base)

    def command(
        self,
        client: str,
        base: str,
        velocity: Velocity,
        now: float,
        refusal: Refusal | None = None,
    ) -> list[Action]:
        """
        Take a command of the client's for the base.

        :param refusal: why the machine or the message itself rules it out, if it does
        """
        actions = self.expire(now)
        session = self._sessions.get(client)
        mode = self._modes[base]
        refusal = self._refusal(client, velocity, mode, session) or refusal
        if refusal is not None:
            return actions + self._refuse(client, base, velocity.is_zero, refusal, now)
        previous = self._last_users.get(base)
        if mode is SessionsMode.DISABLED:
            session = None
        elif session is None:
            session = self._start(client, mode, now)
            actions.append(SessionStarted(client, session.number, now))
        if session is not None:
            session.sign = now
            session.commands += 1
        if previous is not session:
            self._take_over(base, previous, session)
            actions.append(TakenOver(base, client, _number(session), _number(previous), now))
        self._commanders[base] = client
        actions.append(Forward(base, client, _number(session), velocity, now))
        return actions

    def discard(
        self, client: str, base: str, velocity: Velocity | None, now: float
    ) -> list[Action]:
        """
        Take that a command of the client's for the base was discarded: it is refused (R2).

        :param velocity: what it said; None where it could not be read
        """
        is_zero = velocity is not None and velocity.is_zero
        return self.expire(now) + self._refuse(client, base, is_zero, Refusal.OLD, now)

    def heartbeat(self, client: str, mode: SessionsMode, own: bool, now: float) -> list[Action]:
        """
        Take a heartbeat for the client (R3).

        :param mode: that of the bases which the client commands
        :param own: whether the client's own node sent it; another's is a permission
        """
        actions = self.expire(now)
        session = self._sessions.get(client)
        if session is None:
            if mode is SessionsMode.MANUAL and client not in self._left:
                session = self._start(client, mode, now)
                actions.append(SessionStarted(client, session.number, now))
            return actions
        session.heartbeat = now
        if own:
            session.sign = now
        return actions

    def left(self, client: str, now: float) -> list[Action]:
        """Take that the client's publisher left the graph; refuse it until :meth:`seen` (R2)."""
        actions = self.expire(now)
        self._left[client] = None
        while len(self._left) > LEFT_CLIENTS_REMEMBERED:
            self._left.popitem(last=False)
        if client in self._sessions:
            actions += self._end(self._sessions[client], Cause.LEFT, now)
        return actions

    def seen(self, client: str) -> None:
        """Take that the graph shows the client's publisher."""
        self._left.pop(client, None)

    def displaced(self, base: str) -> None:
        """Take that another Viam client's call took the place of the base's last command (R16)."""
        self._commanders.pop(base, None)
        last_user = self._last_users.get(base)
        if last_user is not None:
            self._take_over(base, last_user, None)

    def expire(self, now: float) -> list[Action]:
        """End every session that is due (R4)."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            _, number, session = heapq.heappop(self._due)
            if self._sessions.get(session.client) is not session:
                continue  # ended in the meantime
            deadline = session.deadline(self.window)
            if deadline > now:
                heapq.heappush(self._due, (deadline, number, session))
            else:
                actions += self._end(session, Cause.LAPSE, now)
        return actions

    def next_deadline(self) -> float | None:
        """Return when :meth:`expire` is to be called next; it may turn out to be early."""
        return self._due[0][0] if self._due else None

    def end_all(self, now: float) -> list[Action]:
        """End all sessions, for deactivation and shutdown (R2, R19)."""
        actions = self.expire(now)
        for session in list(self._sessions.values()):
            actions += self._end(session, Cause.DEACTIVATED, now)
        return actions

    def _refusal(
        self, client: str, velocity: Velocity, mode: SessionsMode, session: Session | None
    ) -> Refusal | None:
        if client in self._left:
            return Refusal.LEFT
        if not velocity.is_finite:
            return Refusal.NON_FINITE
        if mode is SessionsMode.MANUAL and session is None:
            return Refusal.NO_SESSION
        return None

    def _refuse(
        self, client: str, base: str, is_zero: bool, reason: Refusal, now: float
    ) -> list[Action]:
        commanded_last = self._commanders.get(base) == client
        if commanded_last and is_zero:
            return [Stop(base, Cause.ZERO, client, now)]
        if client in self._sessions:
            self._sessions[client].refusals[reason.value] += 1
        actions: list[Action] = [Refused(base, client, reason, now)]
        if commanded_last:
            actions.append(Stop(base, Cause.REFUSED, client, now))
        return actions

    def _start(self, client: str, mode: SessionsMode, now: float) -> Session:
        self._numbers += 1
        session = Session(self._numbers, client, mode, started=now, sign=now, heartbeat=now)
        self._sessions[client] = session
        heapq.heappush(self._due, (session.deadline(self.window), session.number, session))
        return session

    def _take_over(self, base: str, previous: Session | None, session: Session | None) -> None:
        if previous is not None:
            previous.last_used.discard(base)
        if session is None:
            del self._last_users[base]
        else:
            self._last_users[base] = session
            session.last_used.add(base)

    def _end(self, session: Session, cause: Cause, now: float) -> list[Action]:
        del self._sessions[session.client]
        bases = tuple(sorted(session.last_used))
        actions: list[Action] = [
            SessionEnded(
                client=session.client,
                session=session.number,
                cause=cause,
                bases=bases,
                started=session.started,
                sign=session.sign,
                commands=session.commands,
                refusals=dict(session.refusals),
                at=now,
            )
        ]
        for base in bases:
            self._take_over(base, session, None)
            actions.append(Stop(base, cause, session.client, now, session.number, session.sign))
        return actions


def _number(session: Session | None) -> int:
    return session.number if session is not None else 0
