# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Events as lines for the log: what each means, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
import math

from viam_session_bridge.configuration.model import Configuration, StopPolicy
from viam_session_bridge.configuration.table import CALL_TIMEOUT
from viam_session_bridge.core import actions, events
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.round_trip import ANSWERED_WITHIN
from viam_session_bridge.text import did_you_mean, safe_name, safe_words

INFO, WARNING = False, True
BASES_SHOWN = 8
AMPLE = 1.5  # round trips make a `call_timeout` that holds
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


def log_line(
    event: Event, name: Callable[[str], str], configuration: Configuration | None
) -> tuple[bool, str] | None:
    """
    Return an event's line for the log, and whether it is a warning; None for one without a line.

    :param name: how to call a client
    :param configuration: the bridge's; None where it is not known, as to a reader of its event log
    """
    meaning = _meaning(event, name, configuration)
    if meaning is None:
        return None
    warning, text = meaning
    about = getattr(event, 'stop', event)
    where = getattr(about, 'machine', '') or getattr(about, 'base', '')
    return warning, f'{where}: {text}' if where else text


def _meaning(
    event: Event, name: Callable[[str], str], configuration: Configuration | None
) -> tuple[bool, str] | None:
    """Return what an event means for its machine or base, and what can be done about it."""
    why = safe_words(getattr(event, 'detail', ''))
    match event:
        case actions.SessionStarted():
            return INFO, f'session {event.session} of {name(event.client)} started'
        case actions.SessionEnded():
            bases = ', '.join(event.bases)
            what = f'it was the last user of {bases}' if bases else 'it was no last user'
            return INFO, (
                f'session {event.session} of {name(event.client)} ended ({event.cause.value}) '
                f'{event.at - event.sign:.3f} s after its last sign of life: {what}'
            )
        case actions.TakenOver() if event.previous and event.session:
            return INFO, f'{name(event.client)} took over'
        case actions.Refused():
            reason = event.reason.value
            return WARNING, (
                f'refused a command of {name(event.client)} ({reason}): {REMEDIES[reason]}'
            )
        case events.CommandFailed():
            return WARNING, f'a command of {name(event.client)} failed, stopping: {why}'
        case events.CommandsSucceed():
            return INFO, 'its commands succeed again'
        case events.CommandDropped():
            return INFO, (
                f'dropped a command of {name(event.client)}: it waited for a stop for as long as '
                'heartbeat_window; the next one drives once the stop is acknowledged'
            )
        case events.CommandDisplaced():
            return INFO, (
                f'another Viam client called it, and a command of {name(event.client)} ended with '
                'that'
            )
        case events.CommandsTimeOut():
            return WARNING, (
                f'{event.count} commands in a row timed out; if the base is slow and the machine '
                'well, raise call_timeout'
            )
        case events.CallsTakeLonger():
            return WARNING, _how_long(event)
        case events.CallsInTime():
            return INFO, 'its calls are answered within call_timeout again'
        case events.StopAcknowledged():
            return INFO, (
                f'stopped ({event.stop.cause.value}), acknowledged '
                f'{1e3 * (event.at - event.stop.at):.1f} ms later, tries: {event.tries}'
            )
        case events.StopFinal() if event.stop.cause is not actions.Cause.LAPSE and event.tries > 1:
            return INFO, f'its stop is final, tries: {event.tries}'
        case events.MachineSessionExpired():
            return WARNING, f'the machine session of {name(event.client)} expired'
        case events.MachineSessionFailed():
            return WARNING, (
                f'no machine session for {name(event.client)}, no motion: {why}'
                f'{_no_sessions(event)}'
            )
        case events.BaseUnknown():
            return WARNING, _which_bases(event, configuration)
        case events.BaseKnown():
            return INFO, 'its machine knows it now'
        case events.StopFailed():
            return WARNING, f'its stop failed and is repeated until it is acknowledged: {why}'
        case events.StopTimedOut():
            return WARNING, (
                f'its Stop had no answer within {event.timeout:g} s and is repeated, the next has '
                f'{event.next_timeout:g} s: if it takes the base longer to stop, raise '
                'stop_timeout'
            )
        case events.StopOverdue():
            because = f' ({why})' if why else ''
            return WARNING, (
                f'none of {event.tries} stops was acknowledged{because}: see to the base itself, '
                'then to its machine'
            )
        case events.StopGivenUp():
            return WARNING, (
                'its stop is given up without an acknowledgement, for its machine has known no '
                f'such base for a minute ({why}): see that it stands, and '
                f'bases.{event.stop.base}.resource'
            )
        case events.Unsupervised():
            return WARNING, (
                'it has no sessions; driven UNSUPERVISED (allow_unsupervised): if the bridge '
                'dies, nothing stops its bases'
            )
        case events.StillMoving():
            return WARNING, f'it still moves; {_who_moves_it(event, configuration)}'
        case events.AtRest():
            return INFO, 'it stands still'
        case events.MotionUnknown():
            return WARNING, f'whether it stands still is not known, for IsMoving failed: {why}'
        case events.LeftToMachine():
            policy = 'stop_policy is machine'
            if event.foreign is not None:
                policy = f'it has {event.foreign} sessions of others, and {policy}'
            return INFO, f'left to its machine to stop, for {policy}'
        case events.ForeignSessions() if not event.count:
            return INFO, 'it has no sessions of others any more'
        case events.ForeignSessions():
            return WARNING, (
                f'it has {event.count} sessions of others (or of a bridge that ran here a moment '
                'ago). If they drive the same bases, a lapse here stops those under them: set '
                'stop_policy to machine'
            )
        case events.MachineAbsent():
            address = _address(event.machine, configuration)
            return WARNING, f'not connected to {address}, commands are refused: {why}'
        case events.AccessRefused():
            return WARNING, (
                f'it does not let the bridge in, commands are refused ({why}): see '
                f'machines.{event.machine}.credentials_file, or VIAM_API_KEY_ID and VIAM_API_KEY '
                'in the environment'
            )
        case events.MachineClosed():
            return INFO, 'disconnected'
        case events.ChannelChanged() if event.ready:
            return INFO, 'connected'
        case events.ChannelChanged():
            return WARNING, 'not connected, or not let in'
    return None


def _address(machine: str, configuration: Configuration | None) -> str:
    machines = configuration.machines if configuration is not None else ()
    return next((one.address for one in machines if one.name == machine), 'its address')


def _how_long(event: events.CallsTakeLonger) -> str:
    parameter = f'machines.{event.machine}.call_timeout ({event.call_timeout:g} s)'
    if event.round_trip is None:
        return (
            f'calls take longer than {parameter}, and one that had {ANSWERED_WITHIN:g} s was not '
            'answered either: see the machine and the network'
        )
    took = f'calls take {event.round_trip:.2f} s, longer than {parameter}'
    if event.call_timeout >= CALL_TIMEOUT.high:
        return f'{took}, which cannot be longer: see the machine and the network'
    longer = min(math.ceil(10 * AMPLE * event.round_trip) / 10, CALL_TIMEOUT.high)
    return f'{took}: set it to {longer:g}'


def _who_moves_it(event: events.StillMoving, configuration: Configuration | None) -> str:
    if event.stopped:
        return 'nobody else is known to have a session there: stopping it again'
    if configuration is not None and configuration.stop_policy is StopPolicy.BRIDGE:
        return 'another Viam client drives it (see stop_policy), or it does not obey'
    return 'another Viam client drives it, or it does not obey'


def _no_sessions(event: events.MachineSessionFailed) -> str:
    if 'UNIMPLEMENTED' not in event.detail:
        return ''
    return (
        ': it has no sessions, so nothing would stop its bases if this bridge died: see that '
        f'machines.{event.machine}.address is a viam-server that has them, or set '
        f'machines.{event.machine}.allow_unsupervised to true'
    )


def _which_bases(event: events.BaseUnknown, configuration: Configuration | None) -> str:
    """Say what is wrong with the base, or which there are instead."""
    bases = configuration.bases if configuration is not None else ()
    base = next((one for one in bases if one.name == event.base), None)
    if base is None:
        return 'its machine has no base of that resource, or it is not ready'
    if event.detail:
        why = safe_words(event.detail)
        return f'{base.machine} has a base {base.resource!r} that is not ready: {why}'
    if base.resource in event.bases:
        return (
            f'{base.machine} lists a base {base.resource!r} that is not ready: it failed to '
            'start, or starts still; see the log of its machine'
        )
    there = [repr(safe_name(name)) for name in sorted(event.bases)]
    more = f' and {len(there) - BASES_SHOWN} more' if len(there) > BASES_SHOWN else ''
    has = f'its bases are {", ".join(there[:BASES_SHOWN])}{more}' if there else 'it has no base'
    return (
        f'{base.machine} has no base {base.resource!r}, {has}: see bases.{base.name}.resource'
        f'{did_you_mean(base.resource, map(safe_name, event.bases))}'
    )
