# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What happened between the bridge and a machine, for logs, diagnostics and the event log."""

from __future__ import annotations

from dataclasses import dataclass

from viam_session_bridge.core.actions import Stop

SID_SHOWN = 8  # characters of a machine session's id: it is a secret between client and machine


@dataclass(frozen=True)
class StopAcknowledged:
    """A machine acknowledged a stop for the first time, after so many tries."""

    stop: Stop
    tries: int
    at: float


@dataclass(frozen=True)
class StopFailed:
    """A stop failed for the first time, for the reason that the machine gives (R7)."""

    stop: Stop
    detail: str
    at: float


@dataclass(frozen=True)
class StopTimedOut:
    """A Stop took longer than its deadline; the next one has a longer one (R7). Both in s."""

    stop: Stop
    timeout: float
    next_timeout: float
    at: float


@dataclass(frozen=True)
class StopOverdue:
    """
    No stop was acknowledged for 5 s, and again after each further minute.

    ``detail``: why the last one failed, in the machine's words; empty where none failed.
    """

    stop: Stop
    tries: int
    detail: str
    at: float


@dataclass(frozen=True)
class StopGivenUp:
    """A stop is given up unacknowledged: for a minute the machine knew no such base (R7)."""

    stop: Stop
    detail: str
    at: float


@dataclass(frozen=True)
class StopFinal:
    """A stop is final (R7). ``timed_out``: commands unanswered since the one before."""

    stop: Stop
    tries: int
    timed_out: int
    at: float


@dataclass(frozen=True)
class StillMoving:
    """
    A base moves long after its stop (R20), or its machine was to have stopped it (R16).

    ``foreign``: how many sessions of others the machine lists, None where it did not say.
    ``stopped``: whether it is stopped anew.
    """

    base: str
    foreign: int | None
    stopped: bool
    at: float


@dataclass(frozen=True)
class LeftToMachine:
    """
    A base is left to its machine to stop (R16, R19).

    ``foreign``: how many sessions of others that machine lists, None where that was not asked.
    """

    base: str
    foreign: int | None
    at: float


@dataclass(frozen=True)
class AtRest:
    """A base that was left to its machine (R16), or reported as moving (R20), stands still."""

    base: str
    at: float


@dataclass(frozen=True)
class MotionUnknown:
    """
    A base could not be asked whether it moves (R20).

    ``detail``: why, in the machine's words.
    """

    base: str
    detail: str
    at: float


@dataclass(frozen=True)
class ForeignSessions:
    """
    Others have sessions on the machine, and the bridge cannot see what they did last (R16).

    With a ``count`` of 0: they no longer have any.
    """

    machine: str
    count: int
    at: float


@dataclass(frozen=True)
class BaseUnknown:
    """
    The machine has no base of the name that is configured, or one that is not ready.

    ``bases``: the names of those it has. ``detail``: why it is not ready, in the machine's words;
    empty where it does not say.
    """

    base: str
    bases: tuple[str, ...]
    detail: str
    at: float


@dataclass(frozen=True)
class BaseKnown:
    """The machine has a base that was reported as unknown."""

    base: str
    at: float


@dataclass(frozen=True)
class CommandFailed:
    """A command failed; its base is being stopped (R10)."""

    base: str
    client: str
    detail: str
    at: float


@dataclass(frozen=True)
class CommandDropped:
    """A command waited a whole window for a stop of the bridge, and was dropped (R14)."""

    base: str
    client: str
    at: float


@dataclass(frozen=True)
class CommandDisplaced:
    """Another Viam client's call took the place of a command of the bridge (R16)."""

    base: str
    client: str
    at: float


@dataclass(frozen=True)
class CallsTakeLonger:
    """
    A machine's calls take longer than its ``call_timeout``; both in s (R10).

    ``round_trip``: of a call with more time; None where that had no answer either.
    """

    machine: str
    call_timeout: float
    round_trip: float | None
    at: float


@dataclass(frozen=True)
class CallsInTime:
    """The calls of a machine that took longer are answered within ``call_timeout`` again."""

    machine: str
    at: float


@dataclass(frozen=True)
class CommandsSucceed:
    """A command succeeded, the first after one that failed (R10)."""

    base: str
    at: float


@dataclass(frozen=True)
class CommandsTimeOut:
    """So many commands in a row timed out: ``call_timeout`` may be too short (R10)."""

    base: str
    count: int
    at: float


@dataclass(frozen=True)
class MachineSessionStarted:
    """A client's machine session was started, or resumed with the same id (R11)."""

    machine: str
    client: str
    sid: str
    resumed: bool
    at: float


@dataclass(frozen=True)
class MachineSessionExpired:
    """The machine no longer knows a session that the bridge took to be alive (R13)."""

    machine: str
    client: str
    sid: str
    at: float


@dataclass(frozen=True)
class MachineSessionFailed:
    """A machine session could not be started: no motion (R15)."""

    machine: str
    client: str
    detail: str
    at: float


@dataclass(frozen=True)
class Unsupervised:
    """The machine has no sessions; it is driven without the second layer (R15)."""

    machine: str
    at: float


@dataclass(frozen=True)
class ChannelChanged:
    """The channel to a machine became ready, or is no longer ready."""

    machine: str
    ready: bool
    at: float


@dataclass(frozen=True)
class MachineAbsent:
    """The channel to a machine has not connected for a while; ``detail`` is the reason."""

    machine: str
    detail: str
    at: float


@dataclass(frozen=True)
class AccessRefused:
    """A machine gave no access token, or refused calls for lack of one."""

    machine: str
    detail: str
    at: float


@dataclass(frozen=True)
class MachineClosed:
    """The bridge disconnected from a machine after its stops were final (R18)."""

    machine: str
    at: float


MachineEvent = (
    StopAcknowledged
    | StopFinal
    | StopFailed
    | StopTimedOut
    | StopOverdue
    | StopGivenUp
    | StillMoving
    | LeftToMachine
    | AtRest
    | MotionUnknown
    | ForeignSessions
    | BaseUnknown
    | BaseKnown
    | CommandFailed
    | CommandDropped
    | CommandDisplaced
    | CallsTakeLonger
    | CallsInTime
    | CommandsSucceed
    | CommandsTimeOut
    | MachineSessionStarted
    | MachineSessionExpired
    | MachineSessionFailed
    | Unsupervised
    | ChannelChanged
    | MachineAbsent
    | AccessRefused
    | MachineClosed
)
