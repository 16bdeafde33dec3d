# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
viam-server's rules for machine sessions: pure, with the time handed in.

The rules, and the codes and texts of what is refused, are those of go.viam.com/rdk
(session/session.go, robot/session_manager.go, robot/session_web.go, StartSession in
robot/server/server.go) and of github.com/google/uuid, without authentication. Deliberately
different:

- a session is over at its deadline, not when a loop gets to it: nothing revives it after that,
  it is not counted any more and GetSessions does not list it;
- ``expire`` only returns what to stop: nothing waits for a stop, and a base that was commanded by
  somebody else meanwhile is not among them.

Times are seconds of one monotonic clock of the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
import re
import uuid

from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW
from viam_session_bridge.viam.messages import SESSION_EXPIRED

# viam-server checks whether there are more than 1024 before it adds one.
MAX_SESSIONS = 1025

_NIL = str(uuid.UUID(int=0))
_DASHED = re.compile('-'.join(f'[0-9a-fA-F]{{{digits}}}' for digits in (8, 4, 4, 4, 12)))
_URN = 'urn:uuid:'


class RefusedCallError(Exception):
    """A call that is answered with an error: a grpc.StatusCode's name, and the details."""

    def __init__(self, code: str, details: str):
        super().__init__(f'{code}: {details}')
        self.code = code
        self.details = details


@dataclass(frozen=True)
class SimulatedSession:
    """A session; ``peer`` is where its last heartbeat came from, such as '127.0.0.1:54321'."""

    id: str
    peer: str
    deadline: float


@dataclass(frozen=True)
class Lapse:
    """The end of a session, and the bases that it was the last user of: those must stop."""

    session: str
    bases: tuple[str, ...]


def parse_id(text: str) -> str:
    """
    Return the id in the one form that it is kept in: 36 characters, lower case.

    Takes the four forms that Go's uuid.Parse takes, by their length in bytes: plain, with
    'urn:uuid:' before it, in any one character on either side (meant for braces), and without
    dashes. Raises RefusedCallError (UNKNOWN) for all else.
    """
    length = len(text.encode())
    dashed = '-'.join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    plain = {36: text, 45: text[9:], 38: text[1:37], 32: dashed}.get(length)
    if plain is None:
        raise RefusedCallError('UNKNOWN', f'invalid UUID length: {length}')
    if length == 45 and text[:9].lower() != _URN:
        raise RefusedCallError('UNKNOWN', f'invalid urn prefix: "{text[:9]}"')
    if not _DASHED.fullmatch(plain):
        raise RefusedCallError('UNKNOWN', 'invalid UUID format')
    return plain.lower()


class SessionRules:
    """
    Sessions and last users of one machine; not thread-safe.

    ValueError for a window that viam-server would not take.
    """

    def __init__(self, window: float):
        if window not in HEARTBEAT_WINDOW:
            raise ValueError(f'window must be {HEARTBEAT_WINDOW} seconds, not {window}')
        self.window = window
        self._sessions: dict[str, SimulatedSession] = {}
        self._last_users: dict[str, str] = {}

    def start(self, now: float, resume: str = '', peer: str = '') -> str:
        """
        Start a session, or heartbeat the one to resume, and return its id (as in ``resume``).

        A session to resume that is over or unknown gives a new one, silently.
        RefusedCallError (UNKNOWN) if ``resume`` is malformed or there are MAX_SESSIONS.
        """
        if resume and self._beat(now, parse_id(resume), peer):
            return resume
        if len(self.sessions(now)) >= MAX_SESSIONS:
            raise RefusedCallError('UNKNOWN', 'too many concurrent sessions')
        session = SimulatedSession(str(uuid.uuid4()), peer, now + self.window)
        self._sessions[session.id] = session
        return session.id

    def heartbeat(self, now: float, session: str, peer: str = '') -> None:
        """Heartbeat a session; RefusedCallError if it is malformed (UNKNOWN) or not live."""
        if not self._beat(now, parse_id(session), peer):
            raise RefusedCallError('INVALID_ARGUMENT', SESSION_EXPIRED)

    def use(
        self, now: float, base: str | None, ids: Sequence[str], peer: str = ''
    ) -> str | None:
        """
        Apply a monitored call, before its handler runs, and return its session's id, if any.

        ``ids`` are all values of ``viam-sid``. A session that is named is heartbeated, and becomes
        the base's last user; a call without one clears the last user. ``base`` is None if there is
        no base of that name: the call is a heartbeat all the same. RefusedCallError, with
        nothing changed, if the id is malformed or there are several (UNKNOWN), or its session is
        not live.
        """
        if len(ids) > 1:
            raise RefusedCallError('UNKNOWN', 'found more than one session id in metadata')
        session = parse_id(ids[0]) if ids else _NIL
        if session != _NIL and not self._beat(now, session, peer):
            raise RefusedCallError('INVALID_ARGUMENT', SESSION_EXPIRED)
        user = None if session == _NIL else session
        if base is not None:
            self._last_users.pop(base, None)
            if user is not None:
                self._last_users[base] = user
        return user

    def expire(self, now: float) -> tuple[Lapse, ...]:
        """End the sessions whose deadline has come, first due first; their bases must stop."""
        due = [session for session in self._sessions.values() if session.deadline <= now]
        lapses = []
        for session in sorted(due, key=lambda session: session.deadline):
            del self._sessions[session.id]
            bases = tuple(base for base, user in self._last_users.items() if user == session.id)
            for base in bases:
                del self._last_users[base]
            lapses.append(Lapse(session.id, bases))
        return tuple(lapses)

    def next_deadline(self) -> float:
        """Return when ``expire`` has something to do next, inf while there are no sessions."""
        return min((session.deadline for session in self._sessions.values()), default=math.inf)

    def sessions(self, now: float) -> tuple[SimulatedSession, ...]:
        """Return the live sessions, oldest first."""
        return tuple(session for session in self._sessions.values() if session.deadline > now)

    def _beat(self, now: float, session_id: str, peer: str) -> bool:
        session = self._sessions.get(session_id)
        if session is None or session.deadline <= now:
            return False
        self._sessions[session_id] = replace(session, peer=peer, deadline=now + self.window)
        return True
