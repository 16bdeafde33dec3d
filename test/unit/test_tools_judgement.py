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
    window=0.5,
    events=[*STARTED, TAKEN_OVER, ended(1, 3.49), ended(2, 5.451, 'base')],
    calls=[*DRIVEN, call(5.4515, 'stop', phase='begin'), STOPPED, call(5.6, 'is_moving')],
    navigator_sent=[{'t': 4.90, 'what': 'command'}, {'t': 4.95, 'what': 'heartbeat'}],
    teleop_killed=3.0,
    navigator_killed=4.97,
    watched_until=6.5,
)


def wrong(record: Record) -> list[str]:
    return [finding.text for finding in judge(record) if not finding.true]


def with_events(*events: dict[str, Any]) -> Record:
    return replace(RECORD, events=[*STARTED, *events])


def test_all_is_found_so_in_the_record_of_a_story_that_went_well() -> None:
    assert [finding.text for finding in judge(RECORD)] == [
        'the teleop drove the base (20 commands took effect)',
        'the navigator took the base over from it (59 commands took effect)',
        "the teleop's death stopped nothing (29 commands took effect after it)",
        "the navigator's death stopped it after 502.0 ms (expected: 495 to 750)",
        'because its session lapsed as the last user of the base',
        'it did not move again (watched for 1.0 s)',
    ]
    assert not wrong(RECORD)
    assert (RECORD.last_sent, RECORD.stop) == (4.95, 5.452)


@pytest.mark.parametrize(
    ('stop_at', 'in_time'),
    [(5.444, False), (5.446, True), (5.452, True), (5.699, True), (5.701, False)],
)
def test_a_stop_is_neither_early_nor_late(stop_at: float, in_time: bool) -> None:
    record = replace(RECORD, calls=[*DRIVEN, call(stop_at, 'stop')])
    assert wrong(record) == (
        [] if in_time else [
            f"the navigator's death stopped it after {1e3 * (stop_at - 4.95):.1f} ms"
            ' (expected: 495 to 750)'
        ]
    )  # fmt: skip


def test_no_stop_at_all_is_found() -> None:
    record = replace(RECORD, calls=DRIVEN)
    assert wrong(record) == [
        "the navigator's death stopped it: it did not",
        'it did not move again: it was never stopped',
    ]


def test_a_stop_that_failed_does_not_count() -> None:
    record = replace(RECORD, calls=[*DRIVEN, call(5.452, 'stop', error='broken')])
    assert "the navigator's death stopped it: it did not" in wrong(record)


@pytest.mark.parametrize('stop', [call(3.5, 'stop'), call(3.5, speed=0.0)])
def test_a_stop_at_the_death_of_the_teleop_is_found(stop: dict[str, Any]) -> None:
    calls = sorted([*DRIVEN, stop, STOPPED], key=lambda line: line['t'])
    assert wrong(replace(RECORD, calls=calls)) == [
        "the teleop's death stopped nothing: the base was stopped 1 times"
    ]


def test_a_teleop_that_is_still_the_last_user_is_found() -> None:
    record = with_events(TAKEN_OVER, ended(1, 3.49, 'base'), ended(2, 5.451, 'base'))
    assert wrong(record) == [
        "the teleop's death stopped nothing: it was still the last user of base"
    ]


@pytest.mark.parametrize('teleops_end', [[], [ended(1, 5.1)]])
def test_a_session_of_the_teleop_that_outlives_the_navigator_is_found(teleops_end: Lines) -> None:
    record = with_events(TAKEN_OVER, *teleops_end, ended(2, 5.451, 'base'))
    assert wrong(record) == [
        "the teleop's death stopped nothing: its session had not ended when the navigator"
        ' was killed'
    ]


def test_motion_after_the_stop_is_found() -> None:
    record = replace(RECORD, calls=[*RECORD.calls, call(6.0)])
    assert wrong(record) == ['it did not move again: 1 commands took effect after the stop']


def test_too_short_a_watch_after_the_stop_is_found() -> None:
    assert wrong(replace(RECORD, watched_until=5.6)) == [
        'it did not move again (watched for 0.1 s)'
    ]


@pytest.mark.parametrize(
    ('end', 'text'),
    [
        ([ended(2, 5.451, 'base', cause='left')], 'its end was left, last user of base'),
        ([ended(2, 5.451)], 'its end was lapse, last user of none'),
        ([], 'the session never ended'),
    ],
)
def test_another_cause_of_the_stop_is_found(end: Lines, text: str) -> None:
    claim = 'because its session lapsed as the last user of the base'
    assert wrong(with_events(TAKEN_OVER, ended(1, 3.49), *end)) == [f'{claim}: {text}']


def test_a_takeover_that_did_not_come_is_found() -> None:
    assert wrong(with_events()) == ['the navigator took the base over: it never did']


@pytest.mark.parametrize('count', [0, 1, 3])
def test_another_number_of_sessions_is_found(count: int) -> None:
    events = [{'event': 'session_started', 'session': number} for number in range(count)]
    assert wrong(replace(RECORD, events=events)) == [
        f'two sessions, one a publisher: there were {count}'
    ]
