# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether the demo went as told: pure, from what the four processes wrote down.

All times are s of CLOCK_MONOTONIC, which is one for all processes of a computer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EARLY = 0.005  # s before the window is over that a stop may come
LATE = 0.25  # s after it, with all that a busy computer adds
WATCHED = 0.5  # s without motion after the stop, at least
ENOUGH = 5  # commands that make it driving

_MOTIONS = ('set_velocity', 'set_power')

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What was written down, and what was done when."""

    window: float
    events: Sequence[Line]  # the bridge's event log
    calls: Sequence[Line]  # the base's own record
    navigator_sent: Sequence[Line]
    teleop_killed: float
    navigator_killed: float
    watched_until: float


@dataclass(frozen=True)
class Finding:
    """One thing that was told, and whether it went so."""

    so: bool
    text: str


def judge(written: Written) -> list[Finding]:
    """Return a finding for each thing that was told."""
    started = [event['session'] for event in written.events if event['event'] == 'session_started']
    if len(started) != 2:
        return [Finding(False, f'two sessions, one a publisher: there were {len(started)}')]
    teleop, navigator = started
    taken = _first(
        event for event in written.events
        if event['event'] == 'taken_over' and event['session'] == navigator
    )  # fmt: skip
    ends = {
        event['session']: event for event in written.events if event['event'] == 'session_ended'
    }
    if taken is None:
        return [Finding(False, 'the navigator took the base over: it never did')]
    return [
        _drove(written, taken),
        _took_over(written, taken, teleop),
        _teleop_without_effect(written, taken, ends.get(teleop)),
        _stopped(written),
        _decided(written, ends.get(navigator)),
        _no_motion_after(written),
    ]


def stop_of(written: Written) -> float | None:
    """Return when the base was first stopped after the navigator was killed, None for never."""
    return next(
        (call['t'] for call in _effects(written)
         if call['call'] == 'stop' and call['t'] >= written.navigator_killed),
        None,
    )  # fmt: skip


def last_sent(written: Written) -> float | None:
    """Return when the navigator last sent a sign of life, by its own notes."""
    return max((line['t'] for line in written.navigator_sent), default=None)


def _drove(written: Written, taken: Line) -> Finding:
    before = [call for call in _effects(written) if _moves(call) and call['t'] < taken['at']]
    text = f'the teleop drove the base ({len(before)} commands took effect)'
    return Finding(len(before) >= ENOUGH, text)


def _took_over(written: Written, taken: Line, teleop: int) -> Finding:
    after = [call for call in _effects(written) if _moves(call) and call['t'] > taken['at']]
    return Finding(
        taken['previous'] == teleop and len(after) >= ENOUGH,
        f'the navigator took the base over from it ({len(after)} commands took effect)',
    )


def _teleop_without_effect(written: Written, taken: Line, ended: Line | None) -> Finding:
    told = "the teleop's death stopped nothing"
    if ended is None or ended['at'] > written.navigator_killed:
        return Finding(False, f'{told}: its session had not ended when the navigator was killed')
    if ended['bases']:
        bases = ', '.join(ended['bases'])
        return Finding(False, f'{told}: it was still the last user of {bases}')
    between = [
        call for call in _effects(written) if taken['at'] < call['t'] < written.navigator_killed
    ]
    stops = [call for call in between if not _moves(call) and call['call'] != 'is_moving']
    if stops:
        return Finding(False, f'{told}: the base was stopped {len(stops)} times')
    since = max(ended['at'], written.teleop_killed)
    went_on = [call for call in between if _moves(call) and call['t'] > since]
    return Finding(
        len(went_on) >= ENOUGH, f'{told} ({len(went_on)} commands took effect after it)'
    )


def _stopped(written: Written) -> Finding:
    told = "the navigator's death stopped it"
    stop, sent = stop_of(written), last_sent(written)
    if stop is None or sent is None:
        return Finding(False, f'{told}: it did not')
    after = stop - sent
    least, most = written.window - EARLY, written.window + LATE
    return Finding(
        least <= after <= most,
        f'{told} after {1e3 * after:.1f} ms (expected: {1e3 * least:.0f} to {1e3 * most:.0f})',
    )


def _decided(written: Written, ended: Line | None) -> Finding:
    told = 'because its session lapsed as the last user of the base'
    if ended is None:
        return Finding(False, f'{told}: the session never ended')
    if ended['cause'] != 'lapse' or not ended['bases']:
        bases = ', '.join(ended['bases']) or 'none'
        return Finding(False, f'{told}: its end was {ended["cause"]}, last user of {bases}')
    return Finding(True, told)


def _no_motion_after(written: Written) -> Finding:
    told = 'it did not move again'
    stop = stop_of(written)
    if stop is None:
        return Finding(False, f'{told}: it was never stopped')
    watched = written.watched_until - stop
    motions = [call for call in _effects(written) if _moves(call) and call['t'] > stop]
    if motions:
        return Finding(False, f'{told}: {len(motions)} commands took effect after the stop')
    return Finding(watched >= WATCHED, f'{told} (watched for {watched:.1f} s)')


def _effects(written: Written) -> list[Line]:
    """Return the calls that took effect, in their order."""
    return [call for call in written.calls if call['phase'] == 'end' and not call.get('error')]


def _moves(call: Line) -> bool:
    return call['call'] in _MOTIONS and any((*call['linear'], *call['angular']))


def _first(lines: Iterable[Line]) -> Line | None:
    return next(iter(lines), None)
