# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the core says: forward this, stop that, and what became of the sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from viam_session_bridge.core.velocity import Velocity


class Cause(str, Enum):
    """Why a session ended or a base is stopped."""

    LAPSE = 'lapse'  # R2, R6: the window passed
    LEFT = 'left'  # R2: the publisher left the graph
    DEACTIVATED = 'deactivated'  # R19: deactivation or shutdown
    REFUSED = 'refused'  # R10: a newer command of the client that commanded last was refused
    ZERO = 'zero'  # R10: a zero that could not be forwarded
    FAILED = 'failed'  # R10: a command failed, timed out or waited a whole window
    NO_MACHINE_SESSION = 'no machine session'  # R10, R15: the machine session could not be started
    EXPIRED = 'machine session expired'  # R13
    OLDER = 'an older command may have run late'  # R10
    STILL_MOVING = 'still moving'  # R20
    STANDING = 'a zero that does not stop it'  # R22


class Refusal(str, Enum):
    """Why a command was refused (R2, R3, R17)."""

    NON_FINITE = 'non_finite'
    STAMP = 'stamp'
    NOT_READY = 'not_ready'
    TOO_MANY_SESSIONS = 'too_many_sessions'
    NO_SESSION = 'no_session'
    LEFT = 'left'
    INACTIVE = 'inactive'
    OLD = 'old'  # R2


@dataclass(frozen=True)
class Forward:
    """A command was accepted: send it to the base. ``session`` is 0 where it has none."""

    base: str
    client: str
    session: int
    velocity: Velocity
    at: float


@dataclass(frozen=True)
class Stop:
    """
    Stop the base.

    ``session``: the one that ended, 0 where none did. ``sign``: the last sign of life of that
    session.
    """

    base: str
    cause: Cause
    client: str
    at: float
    session: int = 0
    sign: float | None = None

    @property
    def of_session_end(self) -> bool:
        """Whether the end of sessions caused this stop, which R16 may leave to the machine."""
        return self.cause in (Cause.LAPSE, Cause.LEFT, Cause.DEACTIVATED)

    @property
    def motion_after_ack(self) -> bool:
        """Whether R10 caused this stop, not the end of a session."""
        return self.cause in (
            Cause.REFUSED, Cause.ZERO, Cause.FAILED, Cause.NO_MACHINE_SESSION, Cause.OLDER,
        )  # fmt: skip


@dataclass(frozen=True)
class SessionStarted:
    """A session began; ``session`` is its number, unique while the node lives."""

    client: str
    session: int
    at: float


@dataclass(frozen=True)
class SessionEnded:
    """
    A session ended; ``bases`` are those it was the last user of.

    ``sign``: its last sign of life. ``commands`` and ``refusals``: how many it had of each.
    ``heartbeat``: the last one for it, where ``sessions`` is ``manual``.
    """

    client: str
    session: int
    cause: Cause
    bases: tuple[str, ...]
    started: float
    sign: float
    commands: int
    refusals: dict[str, int]
    at: float
    heartbeat: float | None = None


@dataclass(frozen=True)
class TakenOver:
    """A base has a new last user; ``session`` is 0 where the command came without one (R5)."""

    base: str
    client: str
    session: int
    previous: int
    at: float


@dataclass(frozen=True)
class Refused:
    """
    A command was refused.

    ``stamp_age``: of one refused for its stamp, its age in s, negative in the future; None where
    it has no stamp.
    """

    base: str
    client: str
    reason: Refusal
    at: float
    stamp_age: float | None = None


Action = Forward | Stop | SessionStarted | SessionEnded | TakenOver | Refused
