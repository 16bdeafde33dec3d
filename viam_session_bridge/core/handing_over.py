# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a base has due, turned into calls under the right machine session (R7, R11, R14).

A command goes out under the machine session of its client session, which is started before its
first one. A stop needs none.
"""

from __future__ import annotations

from viam_session_bridge.core.actions import Cause
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.concurrency_limit import ConcurrencyLimit
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.request_queue import RequestQueue
from viam_session_bridge.core.requests import Doubt, IsMoving, Move, StartSession, StopBase
from viam_session_bridge.core.velocity import ZERO

# s, for the zero velocity: the next Stop waits for it (R7).
LONGEST_ZERO = 0.25


def hand_over_command(
    control: BaseControl,
    sessions: MachineSessions,
    queue: RequestQueue,
    limit: ConcurrencyLimit,
    now: float,
) -> bool:
    """Hand over the waiting command if it may go, or the start of its session; tell if it went."""
    command = control.sendable()
    if command is None:
        return False
    sid = ''
    if command.forward.session and not sessions.unsupervised:
        machine_session = sessions.of(command.forward.session)
        if machine_session is None:
            control.fail_waiting(Cause.NO_SESSION, 'its session ended', now)
            return False
        sid = machine_session.sid
        if not sid:
            if not machine_session.starting:
                number = queue.call(StartSession(machine_session.resume))
                sessions.start(machine_session, number, now)
            return False
    if not limit.has_room(now):
        limit.wait(control.base)
        return False
    number = queue.call(Move(control.base, command.forward.velocity, sid))
    if sid:
        sessions.used(sid, now)
    limit.sent(control.base, number, now)
    control.sent(number, sid, now + queue.timeout)
    return True


def hand_over_stop(
    control: BaseControl, sessions: MachineSessions, queue: RequestQueue, now: float
) -> None:
    """Hand over a Stop that is due, or the one zero velocity after its first error (R7)."""
    if control.zero_due():
        sid = control.last_sid
        if sessions.is_valid(sid, now):
            timeout = min(queue.timeout, LONGEST_ZERO)
            number = queue.call(Move(control.base, ZERO, sid), timeout)
            sessions.used(sid, now)
            control.zero_sent(number, now + timeout)
        else:
            control.skip_zero()
    if control.stop_due(now):
        control.stop_sent(queue.call(StopBase(control.base), control.stop_deadline()), now)


def ask_whether_it_moves(control: BaseControl, queue: RequestQueue, now: float) -> None:
    """Ask if the base moves, where R7 or R22 call for it."""
    if control.watch_due(now):
        control.watched()
        queue.call(IsMoving(control.base, Doubt.UNANSWERED))
    if control.standing_due(now):
        control.standing_asked()
        queue.call(IsMoving(control.base, Doubt.STANDING))
