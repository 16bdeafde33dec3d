# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command costs and how old it gets.

From right before publish() to the begin of SetVelocity at the base of a real viam-server; the
bridge beside the floor and beside a node on viam-sdk. Each drives a base of its own of one
viam-server, in turns, round by round, by a publisher that waited. The first commands of a turn,
which start sessions, are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.stage import Drive, rotated, Run, staged
from bench.summary import Check, percentile, Ratio, Summary, table

RATES = (10.0, 50.0, 200.0, 1000.0)  # Hz
QUICK_RATES = (50.0, 200.0)
SECONDS, QUICK_SECONDS = 3.0, 1.5  # of each turn
ROUNDS = 10
JUDGED = 50.0  # Hz, what robots are driven with
LOST, OLDEST = 1.0, 20.0  # % of the commands, ms of the oldest of those at the base
WARM_UP = 0.3  # s
FEWEST, QUICK_FEWEST = 200, 50  # commands of a turn, however slow
GOALS = {'floor': 1.0, 'sdk': 0.6}  # times as much as that, at most
WISHES = {'latency, median': 0.95, 'latency, p99': 0.95, 'CPU per command sent': 0.85}  # floor's

MEASURES: dict[str, Callable[[Turn], float]] = {
    'latency, median': lambda turn: turn.latency.median,
    'latency, p99': lambda turn: turn.latency.p99,
    'CPU per command sent': lambda turn: turn.cpu / turn.sent,
    'CPU per command at the base': lambda turn: turn.cpu / max(turn.arrived, 1),
}
JUDGED_MEASURES = ('latency, median', 'latency, p99', 'CPU per command sent')


@dataclass(frozen=True)
class Turn:
    """What a node did in one round at one rate; `latency` and CPU in ms."""

    seconds: float
    sent: int
    arrived: int
    latency: Summary
    cpu: float
    ages: list[float]

    @classmethod
    def of(cls, drive: Drive) -> Turn:
        """Sum up."""
        seconds = max(drive.sent.values()) - min(drive.sent.values())
        return cls(seconds, len(drive.sent), len(drive.arrived), Summary.of(drive.ages),
                   drive.cpu * 1e3, drive.ages)  # fmt: skip


Turns = dict[tuple[str, float], list[Turn]]
"""By node and rate, in order."""


def measure(run: Run) -> list[Check]:
    """Let the nodes take turns."""
    rates = QUICK_RATES if run.quick else RATES
    seconds, fewest = (QUICK_SECONDS, QUICK_FEWEST) if run.quick else (SECONDS, FEWEST)
    turns: Turns = defaultdict(list)
    names = run.names('bridge', 'floor', 'sdk')
    with staged(run, names) as stage:
        subjects = stage.subjects(names)
        for number in run.rounds(ROUNDS):
            for rate in rates:
                for one in rotated(subjects, number):
                    count = max(round(rate * seconds), fewest)
                    drive = one.drive(rate, count, max(round(rate * WARM_UP), 3))
                    turns[one.name, rate].append(Turn.of(drive))
            stage.rest(subjects)
    header = ['node', 'rate', 'sent', 'Hz', '% arrived', 'median ms', 'p99', 'oldest',
              'CPU ms/sent', '/arrived']  # fmt: skip
    print(table(header, [_row(name, rate, turns) for rate in rates for name in names]))
    ratios = {
        (than, measure, rate): _ratio(measure, turns['bridge', rate], turns[than, rate])
        for than in names[1:] for measure in MEASURES for rate in rates
    }  # fmt: skip
    rows = [[f'bridge / {than}', measure, f'{rate:g} Hz', *asdict(ratio).values()]
            for (than, measure, rate), ratio in ratios.items()]  # fmt: skip
    resting = {one.name: Ratio.of(subjects[0].idle, one.idle) for one in subjects[1:]}
    rows += [[f'bridge / {than}', 'CPU without commands', '', *asdict(ratio).values()]
             for than, ratio in resting.items()]  # fmt: skip
    print('\n' + table(['turn by turn', '', 'rate', 'median', 'least', 'most'], rows))
    idle = {one.name: median(one.idle) * 1e3 for one in subjects}
    print('\n' + table(['CPU without commands', 'ms a second'], [[*row] for row in idle.items()]))
    run.results |= {'idle': idle, 'ratios': rows, 'turns': [
        {'node': name, 'rate': rate, **asdict(turn)}
        for (name, rate), those in turns.items() for turn in those
    ]}  # fmt: skip
    return [
        *_checks(turns['bridge', JUDGED]),
        *_goals(ratios, rates),
        Check.most('CPU without commands', resting['floor'].median, 1.0, ' x floor', wish=True),
    ]


def _ratio(measure: str, ours: list[Turn], theirs: list[Turn]) -> Ratio:
    """
    Compare turn by turn; the 99th percentile over all commands of all turns.

    Of a turn alone it is decided by two commands or so, and by whatever disturbed these. The least
    and the most are then those with any one round left out.
    """
    if 'p99' not in measure:
        return Ratio.of(_each(ours, measure), _each(theirs, measure))

    def ratio(left_out: int | None) -> float:
        tails = [
            percentile(
                [age for i, turn in enumerate(turns) if i != left_out for age in turn.ages], 99
            )
            for turns in (ours, theirs)
        ]
        return tails[0] / tails[1]

    rounds = range(len(ours)) if len(ours) > 1 else (None,)
    parts = [ratio(one) for one in rounds]
    return Ratio(ratio(None), min(parts), max(parts))


def _each(turns: list[Turn], measure: str) -> list[float]:
    return [MEASURES[measure](turn) for turn in turns]


def _row(name: str, rate: float, turns: Turns) -> list[Any]:
    those = turns[name, rate]
    seen = [age for turn in those for age in turn.ages]
    return [
        name, f'{rate:g} Hz', sum(turn.sent for turn in those),
        median(turn.sent / turn.seconds for turn in those), _arrived(those),
        percentile(seen, 50), percentile(seen, 99), max(seen, default=0.0),
        *(median(_each(those, measure)) for measure in MEASURES if 'CPU' in measure),
    ]  # fmt: skip


def _arrived(turns: list[Turn]) -> float:
    return 100 * sum(turn.arrived for turn in turns) / sum(turn.sent for turn in turns)


def _checks(turns: list[Turn]) -> list[Check]:
    oldest = max(age for turn in turns for age in turn.ages)
    return [
        Check.most(f'at {JUDGED:g} Hz: not at the base', 100 - _arrived(turns), LOST, ' %'),
        Check.most(f'at {JUDGED:g} Hz: oldest at the base', oldest, OLDEST, ' ms'),
    ]


def _goals(
    ratios: dict[tuple[str, str, float], Ratio], rates: Sequence[float]
) -> list[Check]:
    goals = [(than, m, most, False) for than, most in GOALS.items() for m in JUDGED_MEASURES]
    goals += [('floor', measure, most, True) for measure, most in WISHES.items()]
    checks = []
    for than, measure, most, wish in goals:
        seen = {rate: ratios[than, measure, rate].median for rate in rates}
        text = ', '.join(f'{rate:g} Hz {ratio:.2f}' for rate, ratio in seen.items())
        what = f'{measure}: at most {most:g} x {than}{", wished" if wish else ""}'
        checks.append(Check(what, all(ratio <= most for ratio in seen.values()), text, wish))
    return checks
