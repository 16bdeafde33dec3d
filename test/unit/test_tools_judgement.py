# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's findings about records that are handed in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from viam_session_bridge.tools.demo import judge, Record

Lines = list[dict[str, Any]]


def call(at: float, what: str = 'set_velocity', speed: float = 150.0, **other: Any) -> Any:
    line = {'t': at, 'base': 'base', 'call': what, 'phase': 'end', **other}
    if what == 'set_velocity':
        line.update(linear=[0.0, speed, 0.0], angular=[0.0, 0.0, 0.0])
    return line


def ended(session: int, at: float, *bases: str, cause: str = 'lapse') -> dict[str, Any]:
    bases_of = list(bases)
    return {
        'event': 'session_ended', 'session': session, 'at': at, 'cause': cause, 'bases': bases_of,
    }  # fmt: skip


STARTED = [{'event': 'session_started', 'session': number} for number in (1, 2)]
TAKEN_OVER = {'event': 'taken_over', 'session': 2, 'previous': 1, 'at': 2.0}
# The teleop from 1 to 2, killed at 3; the navigator from 2 to 5, its last message at 4.95.
DRIVEN = [call(1.0 + 0.05 * count, speed=300.0) for count in range(20)]
DRIVEN += [call(2.01 + 0.05 * count) for count in range(59)]
STOPPED = call(5.452, 'stop')
RECORD = Record(
    events=[*STARTED, TAKEN_OVER, ended(1, 3.49), ended(2, 5.451, 'base')],
    calls=[*DRIVEN, call(5.4515, 'stop', phase='begin'), STOPPED, call(5.6, 'is_moving')],
    navigator_sent=[{'t': 4.90}, {'t': 4.95}],
    teleop_killed=3.0,
    navigator_killed=4.97,
    watched_until=6.5,
)


CLAIMS = [
    'the teleop drove the base', 'the navigator took the base over',
    "the teleop's death stopped nothing", "the navigator's death stopped it",
    'because its session ended', 'it did not move again',
]  # fmt: skip
DROVE, TOOK_OVER, STOPPED_NOTHING, STOPPED_IT, CAUSE, RESTED = CLAIMS


def wrong(record: Record) -> list[str]:
    return [finding.claim for finding in judge(record) if not finding.true]


def with_events(*events: dict[str, Any]) -> Record:
    return replace(RECORD, events=[*STARTED, *events])


def test_all_is_found_so_in_the_record_of_a_story_that_went_well() -> None:
    assert wrong(RECORD) == []
    assert [(finding.claim, finding.measured) for finding in judge(RECORD)] == [
        (DROVE, '20 commands took effect'),
        (TOOK_OVER, '59 commands took effect'),
        (STOPPED_NOTHING, 'last user of nothing; 0 stops, 29 commands after it'),
        (STOPPED_IT, 'after 502.0 ms; expected: 495.0 ms to 750.0 ms'),
        (CAUSE, 'lapse after 501.0 ms; last user of base'),
        (RESTED, '0 commands took effect in 1.0 s'),
    ]


@pytest.mark.parametrize(
    ('stop_at', 'in_time'),
    [(5.444, False), (5.446, True), (5.452, True), (5.699, True), (5.701, False)],
)
def test_a_stop_is_neither_early_nor_late(stop_at: float, in_time: bool) -> None:
    record = replace(RECORD, calls=[*DRIVEN, call(stop_at, 'stop')])
    assert wrong(record) == ([] if in_time else [STOPPED_IT])


@pytest.mark.parametrize('failed', [[], [call(5.452, 'stop', error='broken')]])
def test_no_stop_or_one_that_failed_is_found(failed: Lines) -> None:
    record = replace(RECORD, calls=[*DRIVEN, *failed])
    assert wrong(record) == [STOPPED_IT, RESTED]
    assert 'after never' in judge(record)[3].measured


@pytest.mark.parametrize('stop', [call(3.5, 'stop'), call(3.5, speed=0.0)])
def test_a_stop_at_the_death_of_the_teleop_is_found(stop: dict[str, Any]) -> None:
    calls = sorted([*DRIVEN, stop, STOPPED], key=lambda line: line['t'])
    assert wrong(replace(RECORD, calls=calls)) == [STOPPED_NOTHING]


@pytest.mark.parametrize('teleops_end', [[], [ended(1, 5.1)], [ended(1, 3.49, 'base')]])
def test_a_session_of_the_teleop_that_lives_on_or_stops_the_base_is_found(
    teleops_end: Lines,
) -> None:
    record = with_events(TAKEN_OVER, *teleops_end, ended(2, 5.451, 'base'))
    assert wrong(record) == [STOPPED_NOTHING]


def test_motion_after_the_stop_is_found() -> None:
    assert wrong(replace(RECORD, calls=[*RECORD.calls, call(6.0)])) == [RESTED]


def test_too_short_a_watch_after_the_stop_is_found() -> None:
    assert wrong(replace(RECORD, watched_until=5.6)) == [RESTED]


@pytest.mark.parametrize(
    'end', [[ended(2, 5.451, 'base', cause='left')], [ended(2, 5.451)], []]
)
def test_another_cause_of_the_stop_is_found(end: Lines) -> None:
    assert wrong(with_events(TAKEN_OVER, ended(1, 3.49), *end)) == [CAUSE]


def test_a_takeover_that_did_not_come_is_found() -> None:
    assert TOOK_OVER in wrong(with_events(ended(1, 3.49), ended(2, 5.451, 'base')))


@pytest.mark.parametrize('count', [0, 1, 3])
def test_another_number_of_sessions_is_found(count: int) -> None:
    events = [{'event': 'session_started', 'session': number} for number in range(count)]
    assert wrong(replace(RECORD, events=events)) == ['two sessions, one a publisher']
