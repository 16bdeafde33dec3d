# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs scripts on a stage and tells what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
import os
from random import Random
import time

from campaigns.differential.comparison import compare, Verdict
from campaigns.differential.expected import Expected, planned, TAIL
from campaigns.differential.script import Script
from campaigns.differential.stage import Stage
from campaigns.differential.targets import Player, resource, Signs, Target
from support.bounds import Load

ATTEMPTS = 12
"""Runs of one script on one target, at most, while the computer is too busy for its margins."""

_CERTAIN = 3  # runs that must differ in one way where the computer is busy
_BUSY = 0.02  # s of load at once from which on it is busy
_QUIET = 0.5  # s without so much load before the first script begins
_STORM = 8.0  # s to wait for that, at most: hundreds of publishers have to be discovered
_NAMED = 2.0  # s until the bridge knows a new publisher's node, whose heartbeats it then takes
_PAUSE = 0.5  # s between two attempts
_REPORTED_WITHIN = 3.0  # s until a bridge tells of what it discarded, at most
_REPEATING = 20.0  # s after the last script begins in which attempts begin anew
_EACH = 0.05  # s, at least, that each run adds to the time in which they begin


class Outcome(str, Enum):
    """What came of a script on a target."""

    SAME = 'same'
    DIFFERENT = 'different'
    INVALID = 'not compared'


@dataclass
class Result:
    """A script on a target; `texts` say what differed, or why it could not be compared."""

    script: Script
    target: str
    outcome: Outcome = Outcome.INVALID
    texts: list[str] = field(default_factory=list)
    attempts: int = 0
    steps: int = 0
    stops: int = 0
    lateness: float = 0.0
    doubts: Counter[str] = field(default_factory=Counter)
    """What differed in any attempt, also where the computer was busy and it never did again."""

    def __str__(self) -> str:
        """Return it in lines."""
        return '\n'.join([f'{self.target}: {self.outcome.value}', *self.texts, str(self.script)])


def run_all(stage: Stage, scripts: Sequence[Script]) -> list[Result]:
    """Run the stage's scripts, each on all targets of its window, all at the same time."""
    jobs = [
        (number, script, target, target.player(script, number))
        for number, script in enumerate(scripts)
        for target in stage.targets[script.window]
    ]
    for *_, player in jobs:
        player.await_matched()
    _await_quiet(stage.load)
    begin = time.monotonic()
    spread = max(_EACH * len(jobs), *(script.end for script in scripts))
    random = Random(len(jobs))
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [
            pool.submit(
                _run,
                stage.load,
                *job,
                begin + _delay(job[1], spread, random),
                begin + spread + _REPEATING,
            )
            for job in jobs
        ]
        results = [future.result() for future in futures]
    stage.check()
    return results


def _await_quiet(load: Load) -> None:
    """Wait until the bridges know all publishers."""
    begin = time.monotonic() + _NAMED
    _sleep_until(begin)
    while load.worst(time.monotonic() - _QUIET, time.monotonic()) > _BUSY:
        if time.monotonic() > begin + _STORM:
            return
        time.sleep(_QUIET)


def _delay(script: Script, spread: float, random: Random) -> float:
    """Return when a script begins, s; what is likely to be repeated begins early."""
    return random.random() * (spread - script.end) * (0.5 if script.window < 0.1 else 1.0)


def _run(
    load: Load,
    number: int,
    script: Script,
    target: Target,
    player: Player,
    begin: float,
    until: float,
) -> Result:
    """Run a script on a target, again until a time while nothing can be concluded from it."""
    result = Result(script, target.name, steps=len(script.steps_for(target.kind)))
    _sleep_until(begin)
    while result.outcome is Outcome.INVALID and result.attempts < ATTEMPTS:
        if result.attempts:
            if time.monotonic() > until:
                break
            made_anew = player.ready()
            player.await_matched()
            time.sleep(_NAMED if made_anew else _PAUSE)
        result.attempts += 1
        signs = target.starved(number)
        expected, start = _play(script, target, player)
        end = time.monotonic()
        result.texts = expected.troubles or signs()
        if not result.texts and not _as_planned(script, target, expected):
            result.texts = ['steps were so late that another outcome is right']
        if result.texts:
            continue
        lost = partial(load.between, pids=target.pids)
        verdict = Verdict(list(player.wrong))
        for base, effects in expected.effects.items():
            there = target.tape.recorded(resource(number, base), start, end)
            verdict.add(compare(base, effects, there, target.kind, lost))
        result.texts = verdict.slow or (_late_signs(signs) if verdict.differences else [])
        if result.texts:
            continue
        _conclude(result, verdict, load.worst(start, end, (*target.pids, os.getpid())))
    return result


def _late_signs(signs: Signs) -> list[str]:
    """Wait for the signs of a starvation that goes on: a bridge tells of it when it is over."""
    until = time.monotonic() + _REPORTED_WITHIN
    while not (found := signs()) and time.monotonic() < until:
        time.sleep(_PAUSE)
    return found


def _conclude(result: Result, verdict: Verdict, load: float) -> None:
    """Handle a verdict; on a busy computer a difference counts once it has shown three times."""
    result.texts = [*verdict.differences, *verdict.late.values()]
    result.stops, result.lateness = verdict.stops, verdict.lateness
    if not result.texts:
        result.outcome = Outcome.SAME
        return
    result.doubts.update([*verdict.differences, *verdict.late])
    if load < _BUSY or max(result.doubts.values()) == _CERTAIN:
        result.outcome = Outcome.DIFFERENT


def _play(script: Script, target: Target, player: Player) -> tuple[Expected, float]:
    """Make the steps; return what is expected of them, and when they began."""
    margins = planned(script.window).left(target.kind)
    expected = Expected(script, target.kind, margins)
    start = time.monotonic()
    for step in script.steps_for(target.kind):
        player.prepare(step)
        _sleep_until(start + step.at)
        before = time.monotonic()
        player.do(step, expected.alive(step.client, before), script.free)
        expected.take(step, before, time.monotonic())
        if expected.troubles:
            break
    else:
        _sleep_until(start + script.end)
    _sleep_until(expected.last_lapse() + TAIL)
    expected.expire(time.monotonic())
    return expected, start


def _as_planned(script: Script, target: Target, expected: Expected) -> bool:
    """Hold the core that was fed while the script ran against the core with handed-in time."""
    plan = Expected(script, target.kind, planned(script.window))
    for step in script.steps_for(target.kind):
        plan.take(step, step.at, step.at)
    plan.expire(script.end)
    return plan.order() == expected.order()


def _sleep_until(at: float) -> None:
    """Sleep until a time of the steady clock."""
    time.sleep(max(at - time.monotonic(), 0.0))
