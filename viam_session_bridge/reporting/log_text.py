# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What happened, in one line for the log: what it means and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
import math

from viam_session_bridge.configuration.limits import CALL_TIMEOUT
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    MachineConfiguration,
    StopPolicy,
)
from viam_session_bridge.core.actions import (
    Cause,
    Refused,
    SessionEnded,
    SessionStarted,
    TakenOver,
)
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    AtRest,
    BaseKnown,
    BaseUnknown,
    CallsInTime,
    CallsTakeLonger,
    ChannelChanged,
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
    StopAcknowledged,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
    Unsupervised,
)
from viam_session_bridge.core.round_trip import ANSWERED_WITHIN
from viam_session_bridge.reporting.active_problems import shown, words
from viam_session_bridge.text import did_you_mean

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


def tell(
    event: Event, name: Callable[[str], str], configuration: Configuration | None
) -> tuple[bool, str] | None:
    """
    Put an event in words.

    :param name: how to call a client
    :param configuration: the bridge's; None where that is not known, as to who reads its event log
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
            f'{event.base}: a command of {name(event.client)} failed, stopping: '
            f'{words(event.detail)}'
        )
    if isinstance(event, CommandsSucceed):
        return False, f'{event.base}: its commands succeed again'
    if isinstance(event, CommandDropped):
        return False, (
            f'{event.base}: dropped a command of {name(event.client)}: it waited for a stop for '
            'as long as heartbeat_window; the next one drives once the stop is acknowledged'
        )
    if isinstance(event, CommandDisplaced):
        return False, (
            f'{event.base}: another Viam client called it, and a command of {name(event.client)} '
            'ended with that'
        )
    if isinstance(event, CommandsTimeOut):
        return True, (
            f'{event.base}: {event.count} commands in a row timed out; if the base is slow and '
            'the machine well, raise call_timeout'
        )
    if isinstance(event, CallsTakeLonger):
        return True, f'{event.machine}: {_how_long(event)}'
    if isinstance(event, CallsInTime):
        return False, f'{event.machine}: its calls are answered within call_timeout again'
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
            f'{words(event.detail)}{_no_sessions(event)}'
        )
    if isinstance(event, BaseUnknown):
        return True, f'{event.base}: {_which_bases(event, _base(event.base, configuration))}'
    if isinstance(event, BaseKnown):
        return False, f'{event.base}: its machine knows it now'
    if isinstance(event, StopFailed):
        return True, (
            f'{event.stop.base}: its stop failed and is repeated until it is acknowledged: '
            f'{words(event.detail)}'
        )
    if isinstance(event, StopTimedOut):
        return True, (
            f'{event.stop.base}: its Stop had no answer within {event.timeout:g} s and is '
            f'repeated, the next has {event.next_timeout:g} s: if it takes the base longer to '
            'stop, raise stop_timeout'
        )
    if isinstance(event, StopOverdue):
        why = f' ({words(event.detail)})' if event.detail else ''
        return True, (
            f'{event.stop.base}: none of {event.tries} stops was acknowledged{why}: see to the '
            'base itself, then to its machine'
        )
    if isinstance(event, StopGivenUp):
        return True, (
            f'{event.stop.base}: its stop is given up without an acknowledgement, for its machine '
            f'has known no such base for a minute ({words(event.detail)}): see that it stands, '
            f'and bases.{event.stop.base}.resource'
        )
    if isinstance(event, Unsupervised):
        return True, (
            f'{event.machine}: it has no sessions; driven UNSUPERVISED (allow_unsupervised): if '
            'the bridge dies, nothing stops its bases'
        )
    if isinstance(event, StillMoving):
        return True, f'{event.base}: it still moves; {_whose(event, configuration)}'
    if isinstance(event, AtRest):
        return False, f'{event.base}: it stands still'
    if isinstance(event, MotionUnknown):
        return True, (
            f'{event.base}: whether it stands still is not known, for IsMoving failed: '
            f'{words(event.detail)}'
        )
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
            f'{event.machine}: not connected to {_address(event.machine, configuration)}, '
            f'commands are refused: {words(event.detail)}'
        )
    if isinstance(event, AccessRefused):
        return True, (
            f'{event.machine}: it does not let the bridge in, commands are refused '
            f'({words(event.detail)}): see machines.{event.machine}.credentials_file, or '
            'VIAM_API_KEY_ID and VIAM_API_KEY in the environment'
        )
    if isinstance(event, MachineClosed):
        return False, f'{event.machine}: disconnected'
    if isinstance(event, ChannelChanged):
        state = 'connected' if event.ready else 'not connected, or not let in'
        return not event.ready, f'{event.machine}: {state}'
    return None


def about(event: Event) -> str:
    """Return the machine or base that an event is about; each has its share of the log."""
    about = getattr(event, 'stop', event)
    return str(getattr(about, 'machine', None) or getattr(about, 'base', ''))


def _base(name: str, configuration: Configuration | None) -> BaseConfiguration | None:
    bases = configuration.bases if configuration is not None else ()
    return next((base for base in bases if base.name == name), None)


def _address(machine: str, configuration: Configuration | None) -> str:
    machines: tuple[MachineConfiguration, ...] = configuration.machines if configuration else ()
    return next((one.address for one in machines if one.name == machine), 'its address')


def _how_long(event: CallsTakeLonger) -> str:
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


def _whose(event: StillMoving, configuration: Configuration | None) -> str:
    if event.stopped:
        return 'nobody else is known to have a session there: stopping it again'
    if configuration is not None and configuration.stop_policy is StopPolicy.BRIDGE:
        return 'another Viam client drives it (see stop_policy), or it does not obey'
    return 'another Viam client drives it, or it does not obey'


def _no_sessions(event: MachineSessionFailed) -> str:
    if 'UNIMPLEMENTED' not in event.detail:
        return ''
    return (
        ': it has no sessions, so nothing would stop its bases if this bridge died: see that '
        f'machines.{event.machine}.address is a viam-server that has them, or set '
        f'machines.{event.machine}.allow_unsupervised to true'
    )


def _which_bases(event: BaseUnknown, base: BaseConfiguration | None) -> str:
    """Say what is wrong with the base, or which there are instead."""
    if base is None:
        return 'its machine has no base of that resource, or it is not ready'
    if event.detail:
        return (
            f'{base.machine} has a base {base.resource!r} that is not ready: {words(event.detail)}'
        )
    if base.resource in event.bases:
        return (
            f'{base.machine} lists a base {base.resource!r} that is not ready: it failed to '
            'start, or starts still; see the log of its machine'
        )
    there = [repr(shown(name)) for name in sorted(event.bases)]
    more = f' and {len(there) - BASES_SHOWN} more' if len(there) > BASES_SHOWN else ''
    has = f'its bases are {", ".join(there[:BASES_SHOWN])}{more}' if there else 'it has no base'
    return (
        f'{base.machine} has no base {base.resource!r}, {has}: see bases.{base.name}.resource'
        f'{did_you_mean(base.resource, map(shown, event.bases))}'
    )
