# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison finds what differs, and the scripts tell wrong rules from the right ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from campaigns.differential.comparison import compare, moving, RecordedEffect, Verdict
from campaigns.differential.expected import Effect, Expected, planned, STOP
from campaigns.differential.generator import draw
from campaigns.differential.script import Do, Kind, Script, Step
from support.bounds import EARLY, LATE
from viam_session_bridge.core.actions import Refusal
from viam_session_bridge.core.sessions import SessionTable

EXPECTED = [Effect(1, 1.0, 1.001), Effect(2, 2.0, 2.001), Effect(STOP, 2.5, 2.501)]
RIGHT = [RecordedEffect(1, 1.001), RecordedEffect(2, 2.001), RecordedEffect(STOP, 2.51)]
SCRIPTS = 31


def compared(
    *recorded: RecordedEffect, expected: list[Effect] = EXPECTED, kind: Kind = Kind.RAW
) -> Verdict:
    return compare('w', expected, recorded, kind, lambda start, end: 0.0)


@pytest.mark.parametrize('kind', Kind)
def test_what_is_as_expected_is_no_difference(kind: Kind) -> None:
    verdict = compared(*RIGHT, kind=kind)
    assert (verdict.differences, verdict.late, verdict.slow) == ([], {}, [])
    assert verdict.stops == 1
    assert verdict.lateness == pytest.approx(0.009)


@pytest.mark.parametrize(
    'recorded',
    [
        RIGHT[:2],
        RIGHT[1:],
        [RIGHT[0], RecordedEffect(STOP, 1.5), *RIGHT[1:]],
        [RIGHT[1], RIGHT[0], RIGHT[2]],
        [RIGHT[0], RIGHT[2], RIGHT[1]],
        [*RIGHT, RecordedEffect(3, 3.0)],
        [],
    ],
    ids=['no stop', 'no command', 'a stop', 'order', 'stop too soon', 'a command', 'nothing'],
)
@pytest.mark.parametrize('kind', Kind)
def test_another_order_is_a_difference(kind: Kind, recorded: list[RecordedEffect]) -> None:
    assert compared(*recorded, kind=kind).differences


@pytest.mark.parametrize('at', [2.5 - EARLY - 0.001, 2.501 + LATE + 0.001])
def test_a_stop_at_another_time_is_a_difference(at: float) -> None:
    verdict = compared(*RIGHT[:2], RecordedEffect(STOP, at))
    assert not verdict.differences
    assert verdict.late


def test_a_command_that_takes_long_leaves_the_outcome_to_chance() -> None:
    assert compared(RecordedEffect(1, 1.001 + LATE + 0.001), *RIGHT[1:]).slow


def test_the_bridge_may_stop_what_stands_still() -> None:
    recorded = [RecordedEffect(STOP, 0.5), *RIGHT, RecordedEffect(STOP, 3.0)]
    assert not compared(*recorded, kind=Kind.BRIDGE).differences
    assert compared(*recorded).differences


def test_a_machine_that_comes_before_the_bridge_is_a_difference() -> None:
    recorded = [*RIGHT[:2], RecordedEffect(STOP, 2.51, by_machine=True)]
    assert compared(*recorded, kind=Kind.BRIDGE).differences
    assert not compared(*recorded).differences


def test_the_bridge_may_replace_a_command_that_waits_by_a_newer_one_at_once() -> None:
    burst = [Effect(1, 1.0, 1.0), Effect(2, 1.01, 1.01), Effect(STOP, 1.5, 1.5)]
    recorded = [RecordedEffect(2, 1.02), RecordedEffect(STOP, 1.51)]
    assert not compared(*recorded, expected=burst, kind=Kind.BRIDGE).differences
    assert compared(*recorded, expected=burst).differences
    older = [RecordedEffect(1, 1.0), recorded[1]]
    assert compared(*older, expected=burst, kind=Kind.BRIDGE).differences


def test_a_step_near_a_lapse_leaves_the_outcome_to_chance() -> None:
    steps = (Step(0.0, Do.COMMAND, 'A', ('w',), 1), Step(0.6, Do.COMMAND, 'B', ('w',), 2))
    clients = {'A': ('w',), 'B': ('w',)}
    script = Script('by hand', 0.6, ('w',), frozenset(), clients, steps, 2.0)
    for at, races in [(0.54, True), (0.6, True), (0.69, True), (0.5, False), (0.71, False)]:
        expected = Expected(script, Kind.RAW, planned(0.6))
        expected.take(steps[0], 0.0, 0.001)
        expected.take(steps[1], at, at)
        assert bool(expected.troubles) is races, at


def test_a_step_as_long_as_the_window_leaves_the_outcome_to_chance() -> None:
    step = Step(0.0, Do.COMMAND, 'A', ('w',), 1)
    script = Script('by hand', 0.6, ('w',), frozenset(), {'A': ('w',)}, (step,), 2.0)
    for took, races in [(0.5, False), (0.599, True), (0.7, True)]:
        expected = Expected(script, Kind.RAW, planned(0.6).left(Kind.RAW))
        expected.take(step, 0.0, took)
        assert bool(expected.troubles) is races, took


right_heartbeat, right_command = SessionTable.heartbeat, SessionTable.command
right_take_over = SessionTable._take_over


def keep_the_former_user(core: SessionTable, base: str, previous: Any, session: Any) -> None:
    if previous is None:
        right_take_over(core, base, previous, session)


def keep_the_user_of_a_bare_command(
    core: SessionTable, base: str, previous: Any, session: Any
) -> None:
    if session is not None:
        right_take_over(core, base, previous, session)


def count_permissions(core: SessionTable, client: str, mode: Any, own: bool, now: float) -> Any:
    return right_heartbeat(core, client, mode, True, now)


def count_no_heartbeats(core: SessionTable, client: str, mode: Any, own: bool, now: float) -> Any:
    return right_heartbeat(core, client, mode, False, now)


def ignore_zeros(
    core: SessionTable,
    client: str,
    base: str,
    velocity: Any,
    now: float,
    refusal: Refusal | None = None,
) -> Any:
    if velocity.is_zero:
        return []
    return right_command(core, client, base, velocity, now, refusal)


def ignore_bad_numbers(
    core: SessionTable,
    client: str,
    base: str,
    velocity: Any,
    now: float,
    refusal: Refusal | None = None,
) -> Any:
    if not velocity.is_finite:
        return []
    return right_command(core, client, base, velocity, now, refusal)


def ignore_leaving(core: SessionTable, client: str, now: float) -> Any:
    return core.expire(now)


@cache
def drawn(seed: int) -> list[Script]:
    return [draw(seed, number) for number in range(SCRIPTS)]


def outcomes(scripts: list[Script]) -> list[tuple[int, float]]:
    """Return what the core makes of scripts on both kinds of targets, as it is compared."""
    found = []
    for script in scripts:
        for kind in Kind:
            expected = Expected(script, kind, planned(script.window))
            for step in script.steps_for(kind):
                expected.take(step, step.at, step.at)
            expected.expire(script.end)
            for effects in expected.effects.values():
                numbers = moving([effect.what for effect in effects])
                found += [(effects[number].what, effects[number].latest) for number in numbers]
    return found


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(
    ('method', 'wrong'),
    [
        ('_take_over', keep_the_former_user),
        ('_take_over', keep_the_user_of_a_bare_command),
        ('heartbeat', count_permissions),
        ('heartbeat', count_no_heartbeats),
        ('command', ignore_zeros),
        ('command', ignore_bad_numbers),
        ('left', ignore_leaving),
    ],
)
def test_some_script_tells_a_wrong_core_from_the_right_one(
    method: str, wrong: Callable[..., Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = drawn(seed)
    right = outcomes(scripts)
    monkeypatch.setattr(SessionTable, method, wrong)
    assert outcomes(scripts) != right
