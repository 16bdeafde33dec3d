# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a timeline: what each mark tells, and its short label."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    AtRest,
    BaseKnown,
    BaseUnknown,
    CallsInTime,
    CallsTakeLonger,
    CommandDisplaced,
    CommandDropped,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    ForeignSessions,
    LeftToMachine,
    MachineAbsent,
    MachineClosed,
    MachineSessionExpired,
    MachineSessionFailed,
    MotionUnknown,
    StillMoving,
    StopFailed,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
    Unsupervised,
)
from viam_session_bridge.reporting.log_text import log_line
from viam_session_bridge.tools.timeline.lanes import Sign

WHY = {
    Cause.LAPSE: '{name}, its last user, fell silent for the heartbeat window',
    Cause.LEFT: '{name}, its last user, left the ROS graph',
    Cause.DEACTIVATED: 'the bridge was deactivated or shut down',
    Cause.REFUSED: 'a command of {name}, which drove it, was refused',
    Cause.ZERO: 'a zero of {name} could not be forwarded',
    Cause.FAILED: 'a command of {name} failed, timed out or waited a whole window',
    Cause.NO_MACHINE_SESSION: 'the machine started no session for {name}',
    Cause.EXPIRED: 'the machine no longer knew the session of {name}',
    Cause.OLDER: 'an older command may have run late',
    Cause.STILL_MOVING: 'it still moved after its stop',
    Cause.STANDING: 'the zeros of {name} did not bring it to rest',
}
SHORT = {
    Cause.NO_MACHINE_SESSION: 'no session',
    Cause.EXPIRED: 'expired',
    Cause.OLDER: 'older command',
    Cause.STANDING: 'standing zero',
}
# What else is marked: a failure or a note, and its label.
NOTED: dict[type, tuple[Sign, str]] = {
    AccessRefused: (Sign.FAILED, 'not let in'),
    AtRest: (Sign.NOTE, 'at rest'),
    BaseKnown: (Sign.NOTE, 'known again'),
    BaseUnknown: (Sign.FAILED, 'no such base'),
    CallsInTime: (Sign.NOTE, 'calls in time'),
    CallsTakeLonger: (Sign.FAILED, 'calls take longer'),
    CommandDisplaced: (Sign.NOTE, 'displaced'),
    CommandDropped: (Sign.NOTE, 'dropped'),
    CommandFailed: (Sign.FAILED, 'command failed'),
    CommandsSucceed: (Sign.NOTE, 'succeeds again'),
    CommandsTimeOut: (Sign.FAILED, 'timeouts'),
    ForeignSessions: (Sign.NOTE, 'others drive too'),
    LeftToMachine: (Sign.NOTE, 'left to machine'),
    MachineAbsent: (Sign.FAILED, 'does not connect'),
    MachineClosed: (Sign.NOTE, 'disconnected'),
    MachineSessionExpired: (Sign.FAILED, 'session expired'),
    MachineSessionFailed: (Sign.FAILED, 'no session'),
    MotionUnknown: (Sign.FAILED, 'motion unknown'),
    StillMoving: (Sign.FAILED, 'still moves'),
    StopFailed: (Sign.FAILED, 'stop failed'),
    StopGivenUp: (Sign.FAILED, 'stop given up'),
    StopOverdue: (Sign.FAILED, 'stop overdue'),
    StopTimedOut: (Sign.FAILED, 'stop timed out'),
    Unsupervised: (Sign.NOTE, 'unsupervised'),
}


def clock(time: float) -> str:
    """Return a time (s since the epoch) as the local clock showed it, in ms."""
    return datetime.fromtimestamp(time).strftime('%H:%M:%S.%f')[:-3]


def lasted(seconds: float) -> str:
    """Return a duration, short ones in ms."""
    if seconds < 1.0:
        return f'{1e3 * seconds:.1f} ms'
    return f'{seconds:.2f} s' if seconds < 100 else f'{seconds:.0f} s'


def told(event: Event, time: float, name: Callable[[str], str]) -> str:
    """Return what the bridge's own log says of an event, and when."""
    if isinstance(event, AtRest):
        return f'{clock(time)} {event.base}: it stands still'
    line = log_line(event, name, None)  # the parameters are not in the log
    return f'{clock(time)} {line[1] if line else type(event).__name__}'


def why(stop: Stop, name: str) -> str:
    """Return why a base was stopped."""
    return f'{WHY[stop.cause].format(name=name)} ({stop.cause.value})'


def short(cause: Cause) -> str:
    """Return a cause as a label."""
    return SHORT.get(cause, cause.value)
