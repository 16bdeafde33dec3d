# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a base went as the rules promise, decided from its own record (R6, R7, R9, R10).

The record says when the base moved; the bridge's event log says what was decided, in its order.
Both have times of one clock, and a base's record is in the order of its calls' effects, so that
nothing here has a tolerance:

1. A base moves only while the session that used it last lives, or while a stop of it is pending:
   decided, and not final yet. So once a stop is final, nothing moves without a live session.
2. A stop takes effect after a command only if it was decided after that command was accepted. So
   B is never stopped by A once B's command was acknowledged. A stop that went unanswered, open
   for a whole ``call_timeout``, may be late (R9).

An event log has no accepted commands, only takeovers, and the second is then decided for those;
with ``forward`` events (see :mod:`support.shell_run`) for each command, which needs a speed of its
own. The machine's own sessions must not lapse meanwhile: their stops no bridge decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
import math
from typing import Any

from support.record import Entry

Event = Mapping[str, Any]
Spans = Iterator[tuple[float, float]]

_ACCEPTED = ('taken_over', 'forward')
_SAME = 1e-6  # mm/s


@dataclass(frozen=True)
class Violation:
    """What went against the rules."""

    base: str
    at: float
    what: str


@dataclass(frozen=True)
class _Call:
    """A call that took effect: its end, and when it began."""

    end: Entry
    began: float


def violations(
    entries: Iterable[Entry], events: Iterable[Event], base: str, call_timeout: float
) -> list[Violation]:
    """
    Return all that a base did against the rules.

    :param entries: of the machine's record, from a time on when the base stood still
    :param events: of the bridge's event log since then
    :param call_timeout: s
    """
    calls = list(_effects(entries, base))
    own = [event for event in events if _concerns(event, base)]
    return [*_unattended(calls, own, base), *_belated(calls, own, base, call_timeout)]


def pending(events: Iterable[Event], base: str) -> bool:
    """Whether a stop of the base is decided, neither final nor followed by a command."""
    own = [event for event in events if _concerns(event, base)]
    return any(end == math.inf for _, end in _stops(own))


def _concerns(event: Event, base: str) -> bool:
    named = event['stop']['base'] if 'stop' in event else event.get('base', base)
    return bool(named == base)


def _effects(entries: Iterable[Entry], base: str) -> Iterator[_Call]:
    began: dict[object, list[float]] = {}
    for entry in entries:
        if entry.base != base or entry.call == 'is_moving':
            continue
        # An end may be taken for that of another call just like it, which began before.
        alike = began.setdefault((entry.call, entry.linear, entry.angular, entry.session), [])
        if entry.phase == 'begin':
            alike.append(entry.t)
            continue
        begin = alike.pop(0)
        if entry.takes_effect:
            yield _Call(entry, begin)


def _unattended(calls: list[_Call], events: list[Event], base: str) -> Iterator[Violation]:
    """Find motion with neither a live last user nor a pending stop (the first rule)."""
    covered = sorted([*_last_users(events), *_stops(events)])
    for number, call in enumerate(calls):
        at = call.end.t
        until = calls[number + 1].end.t if number + 1 < len(calls) else math.inf
        for start, end in covered:
            at = end if start <= at < end else at
        if call.end.is_motion and at < until:
            yield Violation(base, at, f'it moves without a live session, at {call.end.linear}')


def _last_users(events: list[Event]) -> Spans:
    """Return when the base had a last user."""
    since, user = math.inf, 0
    for event in events:
        if event['event'] == 'taken_over':
            since, user = min(since, event['at']), event['session']
        elif event['event'] == 'session_ended' and event['session'] == user:
            if since < math.inf:
                yield since, event['at']
            since = math.inf
    if since < math.inf:
        yield since, math.inf


def _stops(events: list[Event]) -> Spans:
    """Return when a stop was pending; a command that is accepted ends that too."""
    since, accepted = math.inf, -math.inf
    for event in events:
        decided = _decided(event)
        if decided is not None and decided >= accepted:
            since = min(since, decided)
        if event['event'] in _ACCEPTED:
            accepted = event['at']
        elif event['event'] != 'stop_final':
            continue
        if since < math.inf:
            yield since, event['at']
        since = math.inf
    if since < math.inf:
        yield since, math.inf


def _decided(event: Event) -> float | None:
    """Return when a stop was decided, if the event says so."""
    if event['event'] in ('stop', 'command_failed'):
        return float(event['at'])
    if event['event'] in ('stop_acknowledged', 'stop_final'):
        return float(event['stop']['at'])
    return None


def _belated(
    calls: list[_Call], events: list[Event], base: str, call_timeout: float
) -> Iterator[Violation]:
    """Find stops that ended a motion, but were decided before its command (the second rule)."""
    motion: _Call | None = None
    for call in calls:
        if call.end.is_motion:
            motion = call
            continue
        if motion is not None and call.end.session != motion.end.session:
            index = _accepted(events, motion)
            unanswered = call.began < motion.began and call.end.t - call.began >= call_timeout
            if index is not None and not unanswered and not _called_for(call, events, index):
                what = f'a stop not decided since ended the motion {motion.end.linear}'
                yield Violation(base, call.end.t, what)
        motion = None


def _called_for(halt: _Call, events: list[Event], index: int) -> bool:
    """Whether a stop, or a zero's command, was decided between that place and its begin."""
    for event in events[index + 1 :]:
        decided = event['at'] if event['event'] in _ACCEPTED else _decided(event)
        if decided is not None and events[index]['at'] <= decided <= halt.began:
            return True
    return False


def _accepted(events: list[Event], motion: _Call) -> int | None:
    """Return the place in the log of what the motion's command was accepted by, if it is told."""
    sid = motion.end.session or 'none'
    client = next((e['client'] for e in events if e.get('sid') == sid), None)
    found: dict[str, int] = {}
    for index, event in enumerate(events):
        fits = event['event'] == 'forward' and _speed(event, motion.end)
        fits |= event['event'] == 'taken_over' and event['client'] == client
        if fits and event['at'] <= motion.began:
            found[event['event']] = index
    return found.get('forward', found.get('taken_over'))


def _speed(forward: Event, motion: Entry) -> bool:
    assert motion.linear is not None
    return bool(abs(forward['velocity']['x'] * 1000.0 - motion.linear[1]) < _SAME)
