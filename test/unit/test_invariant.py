# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The checker of the hard cases finds each violation, in records made by hand."""

from __future__ import annotations

from typing import Any

from support.invariant import pending, violations
from support.record import Entry

TIMEOUT = 0.25
Log = list[dict[str, Any]]


def call(
    name: str, begin: float, end: float, speed: float | None = None, sid: str | None = None
) -> list[Entry]:
    """Return both ends of a call; a `speed` in mm/s makes it a command."""
    linear = None if speed is None else (0.0, speed, 0.0)
    angular = None if speed is None else (0.0, 0.0, 0.0)
    return [
        Entry(at, 'base', name, phase, linear, angular, session=sid)
        for at, phase in ((begin, 'begin'), (end, 'end'))
    ]


def move(begin: float, speed: float, client: str, end: float = 0.0) -> list[Entry]:
    return call('set_velocity', begin, end or begin + 0.001, speed, f'sid-{client}')


def stop(begin: float, end: float = 0.0) -> list[Entry]:
    return call('stop', begin, end or begin + 0.001)


def accepted(at: float, client: str, session: int, speed: float, previous: int = 0) -> Log:
    """Return what is told of a session's first command."""
    return [
        {'event': 'taken_over', 'base': 'base', 'client': client, 'session': session,
         'previous': previous, 'at': at},
        {'event': 'forward', 'base': 'base', 'client': client, 'session': session,
         'velocity': {'x': speed / 1000.0}, 'at': at},
        {'event': 'machine_session_started', 'client': client, 'sid': f'sid-{client}', 'at': at},
    ]  # fmt: skip


def ended(at: float, session: int, stops: bool = True) -> Log:
    lapsed = {'event': 'session_ended', 'session': session, 'at': at}
    return [lapsed, *([{'event': 'stop', 'base': 'base', 'at': at}] if stops else [])]


def final(at: float, decided: float) -> Log:
    return [{'event': 'stop_final', 'stop': {'base': 'base', 'at': decided}, 'at': at}]


def found(*entries: list[Entry], events: Log, speeds: bool = True) -> list[str]:
    """Check a record; `speeds`: whether the log tells every accepted command."""
    record = sorted((entry for both in entries for entry in both), key=lambda entry: entry.t)
    logged = [event for event in events if speeds or event['event'] != 'forward']
    return [one.what.split(',')[0] for one in violations(record, logged, 'base', TIMEOUT)]


UNATTENDED = ['it moves without a live session']
BELATED = ['a stop not decided since ended the motion (0.0']


def test_a_lapse_and_its_stop_are_as_promised() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + final(1.52, 1.5)
    assert found(move(1.01, 100.0, 'A'), stop(1.505), events=events) == []
    assert not pending(events, 'base')


def test_a_base_that_is_not_stopped_when_the_session_ends_is_found() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1, stops=False)
    assert found(move(1.01, 100.0, 'A'), events=events) == UNATTENDED


def test_a_stop_that_nobody_decided_is_found() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + final(1.52, 1.5)
    assert found(move(1.01, 100.0, 'A'), stop(1.3), stop(1.505), events=events) == BELATED


def test_a_command_that_runs_after_the_final_stop_is_found() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + final(1.52, 1.5)
    late = move(1.4, 100.0, 'A', end=1.6)
    assert found(stop(1.505), late, events=events) == UNATTENDED
    assert found(stop(1.505), late, stop(1.7), events=events) == UNATTENDED


def test_a_command_that_runs_while_the_stop_is_pending_is_as_promised() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + final(1.72, 1.5)
    late = move(1.4, 100.0, 'A', end=1.6)
    assert found(stop(1.505), late, stop(1.7), events=events) == []


def test_a_base_that_moves_on_for_ever_under_a_final_stop_is_found() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + final(1.52, 1.5)
    assert found(move(1.01, 100.0, 'A'), events=events) == UNATTENDED


def test_a_stop_that_is_never_final_is_pending() -> None:
    assert pending(accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1), 'base')


def test_motion_of_a_client_whose_session_ended_without_a_takeover_is_found() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + accepted(1.2, 'B', 2, 200.0, 1)
    events += ended(1.5, 1, stops=False) + ended(1.7, 2, stops=False)
    assert found(move(1.01, 100.0, 'A'), move(1.21, 200.0, 'B'), events=events) == UNATTENDED


def test_a_takeover_after_which_nobody_stops_is_as_promised() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + accepted(1.2, 'B', 2, 200.0, 1)
    events += ended(1.5, 1, stops=False) + ended(1.7, 2) + final(1.72, 1.7)
    moves = move(1.01, 100.0, 'A'), move(1.21, 200.0, 'B')
    assert found(*moves, stop(1.705), events=events) == []


TAKEOVER = (
    accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + accepted(1.51, 'B', 2, 200.0)
    + ended(2.01, 2) + final(2.03, 2.01)
)  # fmt: skip
MOVES = move(1.01, 100.0, 'A'), move(1.52, 200.0, 'B')


def test_a_stop_before_the_command_of_the_one_who_takes_over_is_as_promised() -> None:
    assert found(*MOVES, stop(1.505), stop(2.015), events=TAKEOVER) == []


def test_a_stop_of_a_that_acts_after_bs_command_is_found() -> None:
    for speeds in (True, False):
        late = [stop(1.505, 1.53), stop(1.53), stop(1.8)]
        for one in late:
            assert found(*MOVES, one, stop(2.015), events=TAKEOVER, speeds=speeds) == BELATED


def test_a_stop_of_a_that_went_unanswered_may_act_late() -> None:
    assert found(*MOVES, stop(1.505, 1.505 + TIMEOUT), stop(2.015), events=TAKEOVER) == []


def test_a_zero_of_a_that_acts_after_bs_command_is_found() -> None:
    zero = call('set_velocity', 1.53, 1.54, 0.0, 'sid-A')
    assert found(*MOVES, zero, stop(2.015), events=TAKEOVER) == BELATED


def test_a_zero_of_bs_own_is_as_promised() -> None:
    zero = call('set_velocity', 1.53, 1.54, 0.0, 'sid-B')
    assert found(*MOVES, zero, stop(2.015), events=TAKEOVER) == []


def test_an_acknowledgement_after_bs_command_does_not_excuse_a_stop() -> None:
    logged = {'event': 'stop_acknowledged', 'stop': {'base': 'base', 'at': 1.5}, 'at': 1.512}
    events = [*TAKEOVER[:8], logged, *TAKEOVER[8:]]
    assert events[7]['event'] == 'machine_session_started'
    assert found(*MOVES, stop(1.53), stop(2.015), events=events) == BELATED


def test_a_stop_of_its_own_session_before_its_next_command_is_found() -> None:
    """The same client again: its new command was acknowledged when the old stop acted."""
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1) + accepted(1.51, 'A', 2, 200.0)
    events += ended(2.01, 2) + final(2.03, 2.01)
    moves = move(1.01, 100.0, 'A'), move(1.52, 200.0, 'A')
    assert found(*moves, stop(1.505), stop(2.015), events=events) == []
    assert found(*moves, stop(1.505, 1.53), stop(2.015), events=events) == BELATED


def test_a_stop_for_a_command_that_failed_is_called_for() -> None:
    events = accepted(1.0, 'A', 1, 100.0)
    events += [{'event': 'command_failed', 'base': 'base', 'at': 1.3}]
    events += final(1.32, 1.3) + ended(1.5, 1, stops=False)
    assert found(move(1.01, 100.0, 'A'), stop(1.31), events=events) == []


def test_other_bases_are_left_out() -> None:
    events = accepted(1.0, 'A', 1, 100.0) + ended(1.5, 1, stops=False)
    other = [{**event, 'base': 'other'} if 'base' in event else event for event in events]
    assert found(events=other) == []
