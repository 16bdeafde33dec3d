# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What happened, in one line for the log: what it means and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from viam_session_bridge.bridge import Event
from viam_session_bridge.configuration import BaseConfiguration
from viam_session_bridge.core.said import Cause, Refused, SessionEnded, SessionStarted, TakenOver
from viam_session_bridge.machine.happened import (
    AccessRefused,
    BaseKnown,
    BaseUnknown,
    ChannelChanged,
    CommandFailed,
    CommandsTimeOut,
    ForeignSessions,
    LeftToMachine,
    MachineAbsent,
    MachineClosed,
    MachineSessionExpired,
    MachineSessionFailed,
    StillMoving,
    StopAcknowledged,
    StopFinal,
    StopOverdue,
    Unsupervised,
)
from viam_session_bridge.ros.problems import shown
from viam_session_bridge.suggestion import did_you_mean

BASES_SHOWN = 8
REMEDIES = {
    'non_finite': 'a number is NaN or infinite; mend the publisher',
    'stamp': 'its stamp is out of max_stamp_age; synchronise the clocks, or raise it',
    'not_ready': 'the machine is not connected; see its address and the machine itself',
    'too_many_sessions': 'max_sessions of the machine is reached; publishers come and go too fast',
    'no_session': 'sessions is manual and there is no heartbeat for it on ~/heartbeat',
    'left': 'its publisher has left the graph',
    'inactive': 'the node is not active',
    'old': 'older than heartbeat_window, or from before a freeze; see to the network and the load',
}


def tell(
    event: Event,
    name: Callable[[str], str],
    addresses: Mapping[str, str],
    configured: Mapping[str, BaseConfiguration],
) -> tuple[bool, str] | None:
    """
    Put an event in words.

    :param name: how to call a client
    :param addresses: of the machines
    :param configured: the bases
    :return: whether it is a warning, and the line; None for what only the event log keeps
    """
    if isinstance(event, SessionStarted):
        return False, f'session {event.session} of {name(event.client)} started'
    if isinstance(event, SessionEnded):
        bases = ', '.join(event.bases)
        what = f'it was the last user of {bases}' if bases else 'it was no last user'
        return False, (
            f'session {event.session} of {name(event.client)} ended ({event.cause.value}) '
            f'{event.at - event.sign:.3f} s after its last sign of life: {what}'
        )
    if isinstance(event, TakenOver) and event.previous and event.session:
        return False, f'{event.base}: {name(event.client)} took over'
    if isinstance(event, Refused):
        return True, (
            f'{event.base}: refused a command of {name(event.client)} ({event.reason.value}): '
            f'{REMEDIES[event.reason.value]}'
        )
    if isinstance(event, CommandFailed):
        return True, (
            f'{event.base}: a command of {name(event.client)} failed, stopping: {event.detail}'
        )
    if isinstance(event, CommandsTimeOut):
        return True, (
            f'{event.base}: {event.count} commands in a row timed out; if the base is slow and '
            'the machine well, raise call_timeout'
        )
    if isinstance(event, StopAcknowledged):
        return False, (
            f'{event.stop.base}: stopped ({event.stop.cause.value}), acknowledged '
            f'{1e3 * (event.at - event.stop.at):.1f} ms later, tries: {event.tries}'
        )
    if isinstance(event, StopFinal) and event.stop.cause is not Cause.LAPSE and event.tries > 1:
        return False, f'{event.stop.base}: its stop is final, tries: {event.tries}'
    if isinstance(event, MachineSessionExpired):
        return True, f'{event.machine}: the machine session of {name(event.client)} expired'
    if isinstance(event, MachineSessionFailed):
        return True, (
            f'{event.machine}: no machine session for {name(event.client)}, no motion: '
            f'{event.detail}{_no_sessions(event)}'
        )
    if isinstance(event, BaseUnknown):
        return True, f'{event.base}: {_which_bases(event, configured[event.base])}'
    if isinstance(event, BaseKnown):
        return False, f'{event.base}: its machine knows it now'
    if isinstance(event, StopOverdue):
        return True, (
            f'{event.stop.base}: none of {event.tries} stops was acknowledged: see to the base '
            'itself, then to its machine'
        )
    if isinstance(event, Unsupervised):
        return True, (
            f'{event.machine}: it has no sessions; driven UNSUPERVISED (allow_unsupervised): if '
            'the bridge dies, nothing stops its bases'
        )
    if isinstance(event, StillMoving):
        whose = 'another Viam client drives it (see stop_policy), or it does not obey'
        if event.stopped:
            whose = 'nobody else is known to have a session there: stopping it again'
        return True, f'{event.base}: it still moves; {whose}'
    if isinstance(event, LeftToMachine):
        why = 'stop_policy is machine'
        if event.foreign is not None:
            why = f'it has {event.foreign} sessions of others, and {why}'
        return False, f'{event.base}: left to its machine to stop, for {why}'
    if isinstance(event, ForeignSessions) and not event.count:
        return False, f'{event.machine}: it has no sessions of others any more'
    if isinstance(event, ForeignSessions):
        return True, (
            f'{event.machine}: it has {event.count} sessions of others (or of a bridge that ran '
            'here a moment ago). If they drive the same bases, a lapse here stops those under '
            'them: set stop_policy to machine'
        )
    if isinstance(event, MachineAbsent):
        return True, (
            f'{event.machine}: not connected to {addresses[event.machine]}, commands are refused: '
            f'{event.detail}'
        )
    if isinstance(event, AccessRefused):
        return True, (
            f'{event.machine}: it does not let the bridge in, commands are refused '
            f'({event.detail}): see machines.{event.machine}.credentials_file, or VIAM_API_KEY_ID '
            'and VIAM_API_KEY in the environment'
        )
    if isinstance(event, MachineClosed):
        return False, f'{event.machine}: disconnected'
    if isinstance(event, ChannelChanged):
        state = 'connected' if event.ready else 'not connected, or not let in'
        return not event.ready, f'{event.machine}: {state}'
    return None


def about(event: Event) -> str:
    """Return the machine or base that an event is about; each has its share of the log."""
    if isinstance(event, (StopAcknowledged, StopFinal, StopOverdue)):
        return event.stop.base
    return str(getattr(event, 'machine', None) or getattr(event, 'base', ''))


def _no_sessions(event: MachineSessionFailed) -> str:
    if 'UNIMPLEMENTED' not in event.detail:
        return ''
    return (
        ': it has no sessions, so nothing would stop its bases if this bridge died: see that '
        f'machines.{event.machine}.address is a viam-server that has them, or set '
        f'machines.{event.machine}.allow_unsupervised to true'
    )


def _which_bases(event: BaseUnknown, base: BaseConfiguration) -> str:
    """Say which bases there are instead."""
    if base.resource in event.bases:
        return (
            f'{base.machine} lists a base {base.resource!r} and does not find it: it failed to '
            'start, or starts still; see the log of its machine'
        )
    there = [repr(shown(name)) for name in sorted(event.bases)]
    more = f' and {len(there) - BASES_SHOWN} more' if len(there) > BASES_SHOWN else ''
    has = f'its bases are {", ".join(there[:BASES_SHOWN])}{more}' if there else 'it has no base'
    return (
        f'{base.machine} has no base {base.resource!r}, {has}: see bases.{base.name}.resource'
        f'{did_you_mean(base.resource, map(shown, event.bases))}'
    )
