# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Events as lines for the log: what each means, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
import math

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    MachineConfiguration,
    StopPolicy,
)
from viam_session_bridge.configuration.table import CALL_TIMEOUT
from viam_session_bridge.core import actions, events
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.round_trip import ANSWERED_WITHIN
from viam_session_bridge.text import counted, did_you_mean, safe_name, safe_words, some

BASES_SHOWN = 8
AMPLE = 1.5  # round trips make a `call_timeout` that holds
CLOCKS_DIFFER = 365 * 86400.0  # s: no clock that runs in real time is off by so much and not seen
REMEDIES = {
    'non_finite': 'a number is NaN or infinite; correct the publisher',
    'stamp': 'it has no stamp, or one that is older or further ahead than max_stamp_age; the log '
    'says which',
    'not_ready': 'the machine is not connected; check its address and the machine itself',
    'too_many_sessions': 'max_sessions of the machine is reached; publishers come and go too fast',
    'no_session': 'sessions is manual and there is no heartbeat for it on ~/heartbeat',
    'left': 'its publisher has left the graph',
    'inactive': 'the bridge is not active',
    'old': 'older than heartbeat_window, or from before a freeze; check the network and the load',
}


def what_holds(node: str, configuration: Configuration) -> str:
    """Return the line that says what the bridge does from its activation on (R23)."""
    machines = {machine.name: machine for machine in configuration.machines}
    bases = [_what_drives(base, machines[base.machine]) for base in configuration.bases]
    stops = 'the bridge' if configuration.stop_policy is StopPolicy.BRIDGE else 'the machine'
    return (
        f'{node} is active: {"; ".join(bases)}; heartbeat_window '
        f'{configuration.heartbeat_window:g} s, then {stops} stops the base'
    )


def _what_drives(base: BaseConfiguration, machine: MachineConfiguration) -> str:
    topics = [f'{topic} (Twist)' for topic in base.command_topics]
    topics += [f'{topic} (TwistStamped)' for topic in base.stamped_command_topics]
    limits = [
        f'{limit:g} {unit}'
        for limit, unit in ((base.max_linear_speed, 'm/s'), (base.max_angular_speed, 'rad/s'))
        if limit
    ]
    most = f'at most {" and ".join(limits)}' if limits else 'no speed limit'
    return (
        f'{base.name} ({base.resource} of {machine.name} at {machine.address}) follows '
        f'{", ".join(topics)}, {most}, sessions {base.sessions.value}'
    )


# What each kind of event means for its machine or base, and what can be done about it: ``who`` is
# its client, ``why`` the machine's words, ``more`` what ``_more`` adds.
_INFOS: dict[type[Event], str] = {
    actions.SessionStarted: 'session {event.session} of {who} started',
    actions.SessionEnded: 'session {event.session} of {who} ended ({event.cause.value}) {more}',
    actions.TakenOver: '{who} took over',
    events.CommandsSucceed: 'its commands succeed again',
    events.CommandDropped:
        'dropped a command of {who}: it waited for a stop for as long as heartbeat_window; the '
        'next one drives once the stop is acknowledged',
    events.CommandDisplaced:
        'another Viam client called it and so cut a command of {who} short',
    events.CallsInTime: 'its calls are answered within call_timeout again',
    events.StopAcknowledged:
        'stopped ({event.stop.cause.value}), acknowledged {more} ms later, tries: {event.tries}',
    events.StopFinal: 'its stop is final, tries: {event.tries}',
    events.BaseKnown: 'its machine knows it now',
    events.AtRest: 'it stands still',
    events.LeftToMachine: 'left to its machine to stop: {more}stop_policy is machine',
    events.MachineClosed: 'disconnected',
}  # fmt: skip
_WARNINGS: dict[type[Event], str] = {
    actions.Refused: 'refused a command of {who} ({event.reason.value}): {more}',
    events.CommandFailed: 'a command of {who} failed, stopping: {why}',
    events.CommandsTimeOut:
        '{more} in a row timed out; if the machine is well and only the base is slow, '
        'raise call_timeout',
    events.CallsTakeLonger: 'calls take {more}',
    events.MachineSessionExpired: 'the machine session of {who} expired',
    events.MachineSessionFailed: 'no machine session for {who}, no motion: {why}{more}',
    events.BaseUnknown: '{more}',
    events.StopFailed: 'its stop failed and is repeated until it is acknowledged: {why}',
    events.StopTimedOut:
        'its Stop had no answer within {event.timeout:g} s and is repeated with '
        '{event.next_timeout:g} s: if the base takes longer to stop, raise stop_timeout',
    events.StopOverdue:
        'none of {event.tries} stops was acknowledged{more}: check the base itself, then its '
        'machine',
    events.StopGivenUp:
        'its stop is given up without an acknowledgement: its machine has known no such base '
        'for a minute ({why}). Check that it stands still, and bases.{event.stop.base}.resource',
    events.Unsupervised:
        'it has no sessions; driven UNSUPERVISED (allow_unsupervised): if the bridge dies, '
        'nothing stops its bases',
    events.StillMoving: 'it still moves; {more}',
    events.MotionUnknown: 'whether it stands still is not known, as IsMoving failed: {why}',
    events.ForeignSessions:
        'it has {more} of others (or of a bridge that ran here a moment ago). If they drive the '
        'same bases, a lapse here stops those even while they drive: set stop_policy to machine',
    events.MachineAbsent: 'not connected to {more}, commands are refused: {why}',
    events.AccessRefused:
        'it does not let the bridge in, commands are refused ({why}): check '
        'machines.{event.machine}.credentials_file, or VIAM_API_KEY_ID and VIAM_API_KEY in the '
        'environment',
    events.ChannelChanged: 'not connected, or not let in',
}  # fmt: skip


def subject_of(event: Event) -> tuple[str, str]:
    """Return the machine, or the base, that an event is about; '' for neither."""
    about = getattr(event, 'stop', event)
    machine = getattr(about, 'machine', '')
    return machine, '' if machine else getattr(about, 'base', '')


def log_line(
    event: Event, name: Callable[[str], str], configuration: Configuration | None
) -> tuple[bool, str] | None:
    """
    Return an event's line for the log, and whether it is a warning; None for one without a line.

    :param name: how to call a client
    :param configuration: the bridge's; None where it is not known, as to a reader of its event log
    """
    warning = type(event) in _WARNINGS
    text = _WARNINGS.get(type(event)) or _INFOS.get(type(event), '')
    match event:
        case actions.TakenOver() if not event.previous or not event.session:
            text = ''
        case events.StopFinal() if event.stop.cause is actions.Cause.LAPSE or event.tries < 2:
            text = ''
        case events.ForeignSessions(count=0):
            warning, text = False, 'it has no sessions of others any more'
        case events.ChannelChanged(ready=True):
            warning, text = False, 'connected'
    if not text:
        return None
    meaning = text.format(
        event=event,
        who=name(getattr(event, 'client', '')),
        why=safe_words(getattr(event, 'detail', '')),
        more=_more(event, configuration),
    )
    where = ''.join(subject_of(event))
    return warning, f'{where}: {meaning}' if where else meaning


def _more(event: Event, configuration: Configuration | None) -> str:
    match event:
        case actions.SessionEnded():
            bases = ', '.join(event.bases)
            what = f'it was the last user of {bases}' if bases else 'it stops no base'
            if not event.commands and event.cause is actions.Cause.LAPSE:  # see EmptySessions
                what = 'the client sent no command, and its sessions are not logged until it does'
            return f'{_silence(event)}: {what}'
        case actions.Refused(reason=actions.Refusal.STAMP):
            return _wrong_stamp(event, configuration)
        case actions.Refused():
            return REMEDIES[event.reason.value]
        case events.CommandsTimeOut():
            return counted(event.count, 'command')
        case events.ForeignSessions():
            return counted(event.count, 'session')
        case events.CallsTakeLonger():
            return _how_long(event)
        case events.StopAcknowledged():
            return f'{1e3 * (event.at - event.stop.at):.1f}'
        case events.MachineSessionFailed() if 'UNIMPLEMENTED' in event.detail:
            return (
                ': it has no sessions, so nothing would stop its bases if this bridge died: check '
                f'that machines.{event.machine}.address is a viam-server that has them, or set '
                f'machines.{event.machine}.allow_unsupervised to true'
            )
        case events.BaseUnknown():
            return _which_bases(event, configuration)
        case events.StopOverdue() if event.detail:
            return f' ({safe_words(event.detail)})'
        case events.StillMoving() if event.stopped:
            return 'nobody else is known to have a session there: stopping it again'
        case events.StillMoving():
            known = configuration is not None and configuration.stop_policy is StopPolicy.BRIDGE
            see = ' (see stop_policy)' if known else ''
            return f'another Viam client drives it{see}, or it does not obey'
        case events.LeftToMachine():
            others = event.foreign
            return '' if others is None else f'it has {counted(others, "session")} of others, and '
        case events.MachineAbsent():
            machines = configuration.machines if configuration is not None else ()
            known_as = {machine.name: machine.address for machine in machines}
            return known_as.get(event.machine, 'its address')
    return ''


def _silence(event: actions.SessionEnded) -> str:
    """Say for how long a session had no sign of life: its own, or a heartbeat for it (R3)."""
    own = f'{event.at - event.sign:.3f} s after its last sign of life'
    if event.heartbeat is None or event.heartbeat == event.sign:
        return own
    permission = f'{event.at - event.heartbeat:.3f} s after the last heartbeat for it'
    first, second = (own, permission) if event.sign < event.heartbeat else (permission, own)
    return f'{first}, {second}'


def _wrong_stamp(event: actions.Refused, configuration: Configuration | None) -> str:
    bases = configuration.bases if configuration is not None else ()
    limit = f'bases.{event.base}.max_stamp_age'
    limit += ''.join(f' ({one.max_stamp_age:g} s)' for one in bases if one.name == event.base)
    if event.stamp_age is None:
        return (
            f'it has no stamp, and {limit} is set: let its publisher stamp its commands, or set '
            'that to 0'
        )
    if abs(event.stamp_age) > CLOCKS_DIFFER:
        return (
            'its stamp and the clock of this node are years apart: use_sim_time is true for only '
            'one of the two, or nothing publishes /clock'
        )
    if event.stamp_age < 0.0:
        return (
            f'its stamp is {-event.stamp_age:.2f} s in the future, further than {limit}: '
            'synchronise the clocks, or raise that'
        )
    return (
        f'its stamp is {event.stamp_age:.2f} s old, more than {limit}: let its publisher give '
        "repeated commands a new stamp (Nav2's velocity_smoother does not), synchronise the "
        'clocks, or raise that'
    )


def _how_long(event: events.CallsTakeLonger) -> str:
    parameter = f'machines.{event.machine}.call_timeout ({event.call_timeout:g} s)'
    if event.round_trip is None:
        return (
            f'longer than {parameter}, and one that was given {ANSWERED_WITHIN:g} s was not '
            'answered either: check the machine and the network'
        )
    took = f'{event.round_trip:.2f} s, longer than {parameter}'
    if event.call_timeout >= CALL_TIMEOUT.high:
        return f'{took}, which is the longest allowed: check the machine and the network'
    longer = min(math.ceil(10 * AMPLE * event.round_trip) / 10, CALL_TIMEOUT.high)
    return f'{took}: set it to {longer:g}'


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
            'start, or is still starting; see the log of its machine'
        )
    there = [repr(safe_name(name)) for name in sorted(event.bases)]
    has = f'its bases are {some(there, BASES_SHOWN)}' if there else 'it has no base'
    return (
        f'{base.machine} has no base {base.resource!r}, {has}: check bases.{base.name}.resource'
        f'{did_you_mean(base.resource, map(safe_name, event.bases))}'
    )
