# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a base's sender has due, turned into calls under the right machine session (R7, R11, R14).

A command goes out under the machine session of its client session, which is started before its
first one. A stop needs none.
"""

from __future__ import annotations

from viam_session_bridge.core.said import Cause
from viam_session_bridge.core.velocity import ZERO
from viam_session_bridge.machine.calls import Move, StartSession, StopBase
from viam_session_bridge.machine.crowd import Crowd
from viam_session_bridge.machine.machine_sessions import MachineSessions
from viam_session_bridge.machine.outbox import Outbox
from viam_session_bridge.machine.sender import Sender


def hand_over_command(
    sender: Sender, sessions: MachineSessions, outbox: Outbox, crowd: Crowd, now: float
) -> bool:
    """Hand over the waiting command if it may go, or the start of its session; tell if it went."""
    command = sender.sendable()
    if command is None:
        return False
    sid = ''
    if command.forward.session and not sessions.unsupervised:
        machine_session = sessions.of(command.forward.session)
        if machine_session is None:
            sender.fail_waiting(Cause.NO_SESSION, 'its session ended', now)
            return False
        sid = machine_session.sid
        if not sid:
            if not machine_session.starting:
                number = outbox.call(StartSession(machine_session.resume))
                sessions.start(machine_session, number, now)
            return False
    if not crowd.has_room(now):
        crowd.wait(sender.base)
        return False
    number = outbox.call(Move(sender.base, command.forward.velocity, sid))
    if sid:
        sessions.used(sid, now)
    crowd.sent(sender.base, number, now)
    sender.sent(number, sid, now + outbox.timeout)
    return True


def hand_over_stop(sender: Sender, sessions: MachineSessions, outbox: Outbox, now: float) -> None:
    """Hand over a stop that is due, and the one zero velocity after its first error (R7)."""
    if sender.stop_due(now):
        sender.stop_sent(outbox.call(StopBase(sender.base)), now)
    if sender.zero_due():
        sid = sender.last_sid
        if sessions.is_valid(sid, now):
            number = outbox.call(Move(sender.base, ZERO, sid))
            sessions.used(sid, now)
            sender.zero_sent(number, now + outbox.timeout)
        else:
            sender.skip_zero()
