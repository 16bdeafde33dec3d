# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Sessions and last users: who may drive, who drove last, and whose silence stops what.

- R2: a session starts with its client's first accepted command, or with a heartbeat where
  ``sessions`` is ``manual``. It ends when it lapses, when its publisher leaves the graph and when
  the node is deactivated, and never comes back. Messages too old to act on do not come here:
  :mod:`viam_session_bridge.core.old_messages`.
- R3: an accepted command is a sign of life, and so is a heartbeat from the client's own node. A
  heartbeat from any other node is a permission. ``manual`` needs both to be young.
- R4: a session is active exactly while its deadline is ahead. Sessions that are due are ended
  before anything else is looked at.
- R5: a base has at most one last user, the session of the last command accepted for it.
- R6: when a session ends, the bases that it is the last user of are stopped, and no other.

Every method takes ``now`` (s, steady, never backwards) and returns what follows, in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
import heapq

from viam_session_bridge.bounds import BoundedDict
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
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import Velocity

# How many clients that left are remembered, so that a message of theirs still on its way does
# not start a session. Bounded, for a hostile publisher may come and go as often as it likes.
LEFT_CLIENTS_REMEMBERED = 1024
REFUSED_REMEMBERED = 64
LEAST_LATE = 0.02  # s


def tolerated_lateness(window: float) -> float:
    """
    Return by how many seconds the receiving side may be late before it discards (R2).

    A bridge that was frozen for longer must not act on what a publisher, dead by now, once said.
    """
    return max(window / 2, LEAST_LATE)


@dataclass
class Session:
    """
    The time a client is connected.

    :param number: unique while the node lives, from 1
    :param started: s, steady
    :param sign: when the client's own node last gave a sign of life
    :param heartbeat: when anyone's heartbeat for the client last came
    :param last_used: the bases that this session is the last user of
    :param commands: how many were accepted
    :param refusals: how many were refused, by reason
    """

    number: int
    client: str
    mode: SessionsMode
    started: float
    sign: float
    heartbeat: float
    last_used: set[str] = field(default_factory=set)
    commands: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    def deadline(self, window: float) -> float:
        """Return when this session lapses; it is active exactly while that is ahead (R4)."""
        if self.mode is SessionsMode.MANUAL:
            return min(self.sign, self.heartbeat) + window
        return self.sign + window


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
        self.active: dict[str, Session] = {}  # by client, the oldest first
        self.due_at = NEVER  # when to expire next; it may turn out to be early
        self._last_users: dict[str, Session] = {}
        self._commanders: dict[str, str] = {}
        self._left: BoundedDict[str, None] = BoundedDict(LEFT_CLIENTS_REMEMBERED)
        # Clients without a session whose last command was refused: why, and when.
        self.refused: BoundedDict[str, tuple[Refusal, float]] = BoundedDict(REFUSED_REMEMBERED)
        self._numbers = 0
        # (deadline at the time of the push, number, session): a sign of life only moves the
        # session's own deadline, the entry is put right when it comes up.
        self._due: list[tuple[float, int, Session]] = []

    def set_window(self, window: float) -> None:
        """Set how long sessions live past their last sign of life, for all of them (R16)."""
        if window != self.window:
            self.window = window
            self._due = [(s.deadline(window), s.number, s) for s in self.active.values()]
            heapq.heapify(self._due)
            self.due_at = self._due[0][0] if self._due else NEVER

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
        Accept or refuse a command of the client's for the base.

        :param refusal: why the machine or the message itself rules it out, if it does
        """
        actions = self.expire(now) if self.due_at <= now else []
        session = self.active.get(client)
        mode = self._modes[base]
        if client in self._left:
            refusal = Refusal.LEFT
        elif not velocity.is_finite:
            refusal = Refusal.NON_FINITE
        elif mode is SessionsMode.MANUAL and session is None:
            refusal = Refusal.NO_SESSION
        if refusal is not None:
            return actions + self._refuse(client, base, velocity.is_zero, refusal, now)
        previous = self._last_users.get(base)
        if mode is SessionsMode.DISABLED:
            session = None
            self.refused.pop(client, None)
        elif session is None:
            session = self._start(client, mode, now)
            actions.append(SessionStarted(client, session.number, now))
        number = 0
        if session is not None:
            number = session.number
            session.sign = now
            session.commands += 1
        if previous is not session:
            self._take_over(base, previous, session)
            before = 0 if previous is None else previous.number
            actions.append(TakenOver(base, client, number, before, now))
        self._commanders[base] = client
        actions.append(Forward(base, client, number, velocity, now))
        return actions

    def discard(
        self, client: str, base: str, velocity: Velocity | None, now: float
    ) -> list[Action]:
        """
        Refuse a command of the client's for the base that was discarded (R2).

        :param velocity: what it said; None where it could not be read
        """
        is_zero = velocity is not None and velocity.is_zero
        return self.expire(now) + self._refuse(client, base, is_zero, Refusal.OLD, now)

    def heartbeat(self, client: str, mode: SessionsMode, own: bool, now: float) -> list[Action]:
        """
        Handle a heartbeat for the client (R3).

        :param mode: that of the bases which the client commands
        :param own: whether the client's own node sent it; another's is a permission
        """
        actions = self.expire(now)
        session = self.active.get(client)
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
        """End the session of a publisher that left the graph; refuse it until :meth:`seen`."""
        actions = self.expire(now)
        self._left[client] = None
        if client in self.active:
            actions += self._end(self.active[client], Cause.LEFT, now)
        return actions

    def seen(self, client: str) -> None:
        """Accept commands of a client whose publisher the graph shows (R2)."""
        self._left.pop(client, None)

    def displaced(self, base: str) -> None:
        """Clear the last user of a base that another Viam client's call took over (R16)."""
        self._commanders.pop(base, None)
        last_user = self._last_users.get(base)
        if last_user is not None:
            self._take_over(base, last_user, None)

    def expire(self, now: float) -> list[Action]:
        """End every session that is due (R4)."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            _, number, session = heapq.heappop(self._due)
            if self.active.get(session.client) is not session:
                continue  # ended in the meantime
            deadline = session.deadline(self.window)
            if deadline > now:
                heapq.heappush(self._due, (deadline, number, session))
            else:
                actions += self._end(session, Cause.LAPSE, now)
        self.due_at = self._due[0][0] if self._due else NEVER
        return actions

    def end_all(self, now: float) -> list[Action]:
        """End all sessions, for deactivation and shutdown (R2, R19)."""
        actions = self.expire(now)
        for session in list(self.active.values()):
            actions += self._end(session, Cause.DEACTIVATED, now)
        return actions

    def _refuse(
        self, client: str, base: str, is_zero: bool, reason: Refusal, now: float
    ) -> list[Action]:
        commanded_last = self._commanders.get(base) == client
        if commanded_last and is_zero:
            return [Stop(base, Cause.ZERO, client, now)]
        if client in self.active:
            self.active[client].refusals[reason.value] += 1
        else:
            self.refused[client] = reason, now
        actions: list[Action] = [Refused(base, client, reason, now)]
        if commanded_last:
            actions.append(Stop(base, Cause.REFUSED, client, now))
        return actions

    def _start(self, client: str, mode: SessionsMode, now: float) -> Session:
        self._numbers += 1
        session = Session(self._numbers, client, mode, started=now, sign=now, heartbeat=now)
        self.active[client] = session
        self.refused.pop(client, None)
        heapq.heappush(self._due, (session.deadline(self.window), session.number, session))
        self.due_at = self._due[0][0]
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
        del self.active[session.client]
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
                heartbeat=session.heartbeat if session.mode is SessionsMode.MANUAL else None,
            )
        ]
        for base in bases:
            del self._last_users[base]
            actions.append(Stop(base, cause, session.client, now, session.number, session.sign))
        return actions
