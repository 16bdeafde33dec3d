# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
viam-server's rules for machine sessions: pure, with the time handed in.

The rules, and the codes and texts of what is refused, are those of go.viam.com/rdk
(session/session.go, robot/session_manager.go, robot/session_web.go, StartSession in
robot/server/server.go) and of github.com/google/uuid. Deliberately different:

- a session is over at its deadline, not when a loop gets to it: nothing revives it after that,
  it is not counted any more and GetSessions does not list it;
- `expire` only says what to stop: nothing waits for a stop, and a base that was commanded by
  somebody else meanwhile is not among them.

Times are seconds of one monotonic clock of the caller's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import hmac
import re
import uuid

from ..viam.messages import SESSION_EXPIRED

MIN_WINDOW, MAX_WINDOW = 0.03, 60.0  # s, both allowed
# viam-server looks whether there are more than 1024 before it adds one.
MAX_SESSIONS = 1025

_NIL = str(uuid.UUID(int=0))
_DASHED = re.compile('-'.join(f'[0-9a-fA-F]{{{digits}}}' for digits in (8, 4, 4, 4, 12)))
_URN = 'urn:uuid:'


class Refused(Exception):  # noqa: N818 (the project's word)
    """A call that is answered with an error: a grpc.StatusCode's name, and the details."""

    def __init__(self, code: str, details: str):
        super().__init__(f'{code}: {details}')
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Session:
    """A session; its `peer` is where the last heartbeat came from, such as '127.0.0.1:54321'."""

    id: str
    owner: str
    peer: str
    deadline: float


@dataclass(frozen=True)
class Lapse:
    """The end of a session, and the bases that it was the last user of: those must stop."""

    session: str
    bases: tuple[str, ...]


def check_window(window: float) -> float:
    """Return the heartbeat window, in seconds; ValueError unless it is one viam-server takes."""
    if not MIN_WINDOW <= window <= MAX_WINDOW:
        raise ValueError(f'window must be {MIN_WINDOW:g} to {MAX_WINDOW:g} seconds, not {window}')
    return window


def parse_id(text: str) -> str:
    """
    Return the id in the one form that it is kept in: 36 characters, lower case.

    Takes the four forms that Go's uuid.Parse takes, by their length in bytes: plain, with
    'urn:uuid:' before it, in any one character on either side (meant for braces), and without
    dashes. Raises Refused (UNKNOWN) for all else.
    """
    length = len(text.encode())
    if length not in (36, 45, 38, 32):
        raise Refused('UNKNOWN', f'invalid UUID length: {length}')
    if length == 45 and text[:9].lower() != _URN:
        raise Refused('UNKNOWN', f'invalid urn prefix: "{text[:9]}"')
    plain = {36: text, 45: text[9:], 38: text[1:37]}.get(length)
    if plain is None:
        plain = '-'.join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if not _DASHED.fullmatch(plain):
        raise Refused('UNKNOWN', 'invalid UUID format')
    return plain.lower()


class SessionRules:
    """
    Sessions and last users of one machine; not thread-safe.

    `owner` is the authenticated entity, '' without authentication. ValueError for a window that
    is not 0.03 to 60 seconds.
    """

    def __init__(self, window: float, new_id: Callable[[], str] = lambda: str(uuid.uuid4())):
        self.window = check_window(window)
        self._new_id = new_id
        self._sessions: dict[str, Session] = {}
        self._last_users: dict[str, str] = {}

    def start(self, now: float, resume: str = '', owner: str = '', peer: str = '') -> str:
        """
        Start a session, or heartbeat the one to resume, and return its id (as in `resume`).

        A session to resume that is over, unknown or another owner's gives a new one, silently.
        Refused (UNKNOWN) if `resume` is malformed or there are MAX_SESSIONS.
        """
        if resume and self._beat(now, parse_id(resume), owner, peer):
            return resume
        if len(self.sessions(now)) >= MAX_SESSIONS:
            raise Refused('UNKNOWN', 'too many concurrent sessions')
        session = Session(self._new_id(), owner, peer, now + self.window)
        self._sessions[session.id] = session
        return session.id

    def heartbeat(self, now: float, session: str, owner: str = '', peer: str = '') -> None:
        """Heartbeat a session; Refused if malformed (UNKNOWN) or not live and one's own."""
        if not self._beat(now, parse_id(session), owner, peer):
            raise Refused('INVALID_ARGUMENT', SESSION_EXPIRED)

    def use(
        self, now: float, base: str | None, ids: Sequence[str], owner: str = '', peer: str = ''
    ) -> str | None:
        """
        Take a monitored call, before its handler runs, and return its session's id, if it has one.

        `ids` are all values of `viam-sid`. A session that is named is heartbeated, and becomes
        the base's last user; a call without one clears the last user. `base` is None if there is
        no base of that name: the call is a heartbeat all the same. Refused, with nothing changed,
        if the id is malformed or there are several (UNKNOWN), or it is not live and one's own.
        """
        if len(ids) > 1:
            raise Refused('UNKNOWN', 'found more than one session id in metadata')
        session = parse_id(ids[0]) if ids else _NIL
        if session != _NIL and not self._beat(now, session, owner, peer):
            raise Refused('INVALID_ARGUMENT', SESSION_EXPIRED)
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

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do next, None while there are no sessions."""
        return min((session.deadline for session in self._sessions.values()), default=None)

    def sessions(self, now: float) -> tuple[Session, ...]:
        """Return the live sessions, of all owners, oldest first."""
        return tuple(session for session in self._sessions.values() if session.deadline > now)

    def last_user(self, base: str) -> str | None:
        """Return the id of the session that used the base last, None if none is."""
        return self._last_users.get(base)

    def _beat(self, now: float, id_: str, owner: str, peer: str) -> bool:
        session = self._sessions.get(id_)
        if session is None or session.deadline <= now:
            return False
        # In constant time: an owner must not be found out by trying.
        if not hmac.compare_digest(owner.encode(), session.owner.encode()):
            return False
        self._sessions[id_] = replace(session, peer=peer, deadline=now + self.window)
        return True
