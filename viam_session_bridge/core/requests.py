# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is asked of a machine, and what became of it.

Pure: requests are numbered here, the channel turns them into gRPC calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from viam_session_bridge.core.velocity import Velocity


@dataclass(frozen=True)
class Move:
    """Send a velocity (or, by the base's ``drive_mode``, a power) under a machine session."""

    base: str
    velocity: Velocity
    sid: str


@dataclass(frozen=True)
class StopBase:
    """Send ``Stop``."""

    base: str


@dataclass(frozen=True)
class StartSession:
    """Start a machine session, resuming ``resume`` if the machine still has it."""

    resume: str


@dataclass(frozen=True)
class SendHeartbeat:
    """Keep a machine session alive."""

    sid: str


class Purpose(Enum):
    """Why the machine's sessions are asked for."""

    SETTLE = 'whether a command without an answer had its turn'  # R7
    ROUND_TRIP = 'how long a call takes'  # R10
    STANDING = 'who else may move a base that does not stand under a zero'  # R22
    VERIFY = 'who else may move a base that still moves'  # R20
    LEFT = 'who else may move a base that its machine did not stop'  # R16
    DEACTIVATE = 'whether to leave its bases to the machine'  # R19
    REPORT = 'whether others drive there'  # R16


@dataclass(frozen=True)
class GetSessions:
    """
    Ask for the machine's sessions: in viam-server it waits its turn behind all commands.

    :param about: the base that still moves, where that is why
    """

    purpose: Purpose = Purpose.SETTLE
    about: str = ''


class Doubt(Enum):
    """Why a base is asked whether it moves."""

    VERIFY = 'its stop is final'  # R20
    LEFT = 'its machine was to stop it'  # R16
    UNANSWERED = 'a command without an answer may have run after its stop'  # R7
    STANDING = 'all its commands were zero for a window'  # R22


@dataclass(frozen=True)
class IsMoving:
    """Ask whether a base moves."""

    base: str
    doubt: Doubt = Doubt.VERIFY


@dataclass(frozen=True)
class Reach:
    """Ask something that waits for nothing in the machine, to see that it is reached (R7)."""


@dataclass(frozen=True)
class ListBases:
    """Ask which bases the machine has."""


@dataclass(frozen=True)
class GetMachineStatus:
    """Ask which bases the machine has, and what became of them; old machines do not know it."""


@dataclass(frozen=True)
class Authenticate:
    """Ask for an access token; it stays in the channel."""


@dataclass(frozen=True)
class Redial:
    """Let go of the connection, whatever is under way on it, and make a new one (R7)."""


@dataclass(frozen=True)
class Diagnose:
    """Find out why the machine cannot be connected to; the answer's detail says it."""


Question = IsMoving | GetSessions | Reach | ListBases | GetMachineStatus
Request = (
    Move | StopBase | StartSession | SendHeartbeat | Question | Authenticate | Redial | Diagnose
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """
    One call to hand to gRPC.

    :param number: unique in its machine, ascending in the order of handing over
    :param timeout: s, its deadline
    """

    number: int
    machine: str
    request: Request
    timeout: float


class Outcome(Enum):
    """What became of a call: its status came from the machine, or it timed out or was cut."""

    OK = 'ok'
    FAILED = 'failed'
    SESSION_EXPIRED = 'session expired'
    UNIMPLEMENTED = 'not implemented'
    UNAUTHENTICATED = 'no valid access token'
    CANCELLED = 'cancelled'
    TIMED_OUT = 'timed out'
    CUT = 'cut'

    @property
    def answered(self) -> bool:
        """Whether the status came from the machine (glossary)."""
        return self not in (Outcome.TIMED_OUT, Outcome.CUT)


@dataclass(frozen=True)
class Listed:
    """
    Which bases a machine has.

    :param bases: their names in its configuration, sorted
    :param lacking: those of ours that are not ready, by our names; the value is why, in the
        machine's words, or empty
    :param complete: whether the machine has tried to make all it is to have; None where it does
        not say
    """

    bases: tuple[str, ...]
    lacking: Mapping[str, str]
    complete: bool | None = None


@dataclass(frozen=True)
class Answer:
    """
    The end of a call.

    :param detail: the error in words, empty where there is none
    :param sid: of ``StartSession``, the machine session
    :param window: of ``StartSession``, the machine's window in s
    :param sids: of ``GetSessions``, every session the machine lists
    :param moving: of ``IsMoving``
    :param listed: of ``ListBases`` and ``GetMachineStatus``
    :param lifetime: of ``Authenticate``, s until the token expires; 0 where that is not known
    """

    outcome: Outcome
    detail: str = ''
    sid: str = ''
    window: float = 0.0
    sids: tuple[str, ...] = ()
    moving: bool = False
    listed: Listed | None = None
    lifetime: float = 0.0


class RequestQueue:
    """The calls of one machine: waiting to be handed to gRPC, or in flight."""

    def __init__(self, machine: str, timeout: float) -> None:
        """Start empty; ``timeout``: s, the deadline of every call."""
        self.timeout = timeout
        self.last = 0  # the number of the newest call, 0 before the first
        self._machine = machine
        self._waiting: list[Call] = []
        self._open: dict[int, Request] = {}

    def call(self, request: Request, timeout: float | None = None) -> int:
        """Add a call and return its number; ``timeout`` in s where it has one of its own."""
        self.last += 1
        self._open[self.last] = request
        self._waiting.append(Call(self.last, self._machine, request, timeout or self.timeout))
        return self.last

    def answered(self, number: int) -> Request:
        """Remove a call that ended; return what it asked."""
        return self._open.pop(number)

    def take(self) -> list[Call]:
        """Return the calls to hand over now, in order."""
        calls, self._waiting = self._waiting, []
        return calls
