# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command costs and how old it gets: `python -m bench.command_latency`.

From right before publish() to the begin of SetVelocity at the base of a real viam-server; the
bridge beside the floor and beside a node on viam-sdk, see :mod:`bench.subject`. Each drives a
base of its own of one viam-server, in turns, round by round, by a publisher that waited. The
first commands of a turn, which start sessions, are not counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
import sys
from typing import Any

from bench.processes import Workbench
from bench.subject import Drive, start_subjects, Subject
from bench.summary import Check, conditions, finish, percentile, Ratio, Summary, table
from bench.tail import Tail
from support.viam_server import ViamServer

NAMES = ('bridge', 'floor', 'sdk')
WINDOW, MACHINE_WINDOW = 0.5, 2.0  # s
RATES = (10.0, 50.0, 200.0, 1000.0)  # Hz
JUDGED = 50.0  # Hz, what robots are driven with
ARRIVED, OLDEST = 99.0, 20.0  # % of the commands at the base, ms of the oldest of them
WARM_UP = 0.3  # s
FEWEST = 50  # commands of a turn, however slow
GOALS = {'floor': 1.0, 'sdk': 0.6}  # times as much as that, at most
WISHES = {'latency, median': 0.95, 'latency, p99': 0.95, 'CPU per command sent': 0.85}  # floor's


@dataclass(frozen=True)
class Turn:
    """What a subject did in one round at one rate; `latency` in ms, CPU in ms."""

    rate: float
    seconds: float
    sent: int
    arrived: int
    latency: Summary
    cpu: float
    idle: float

    @classmethod
    def of(cls, rate: float, drive: Drive, idle: float) -> Turn:
        """Sum up; `idle` is CPU s a second without commands."""
        seconds = max(drive.sent.values()) - min(drive.sent.values())
        summary = Summary.of(drive.ages)
        return cls(rate, seconds, len(drive.sent), len(drive.arrived), summary,
                   drive.cpu * 1e3, idle * drive.watched * 1e3)  # fmt: skip


MEASURES: dict[str, Callable[[Turn], float]] = {
    'latency, median': lambda turn: turn.latency.median,
    'latency, p99': lambda turn: turn.latency.p99,
    'CPU per command sent': lambda turn: turn.cpu / turn.sent,
    'CPU per command at the base': lambda turn: turn.cpu / max(turn.arrived, 1),
    'CPU per command sent, less idle': lambda turn: (turn.cpu - turn.idle) / turn.sent,
}
JUDGED_MEASURES = ('latency, median', 'latency, p99', 'CPU per command sent')


class Results:
    """The turns of one subject."""

    def __init__(self, subject: Subject) -> None:
        """Start without any."""
        self.subject = subject
        self.turns: list[Turn] = []
        self.latencies: dict[float, list[float]] = {}

    def run(self, rate: float, seconds: float, record: Tail) -> None:
        """Have one turn."""
        count = max(round(rate * seconds), FEWEST)
        drive = self.subject.drive(rate, count, record, max(round(rate * WARM_UP), 3))
        self.latencies.setdefault(rate, []).extend(drive.ages)
        self.turns.append(Turn.of(rate, drive, self.subject.idle))

    def at(self, rate: float) -> list[Turn]:
        """Return the turns of a rate, in order."""
        return [turn for turn in self.turns if turn.rate == rate]

    def each(self, measure: str, rate: float) -> list[float]:
        """Return a measure of each turn of a rate."""
        return [MEASURES[measure](turn) for turn in self.at(rate)]

    def arrived(self, rate: float) -> float:
        """Return how many percent of the commands reached the base."""
        turns = self.at(rate)
        return 100 * sum(turn.arrived for turn in turns) / sum(turn.sent for turn in turns)

    def row(self, rate: float) -> list[Any]:
        """Return the table's row of a rate: all rounds together."""
        seen, turns = self.latencies[rate], self.at(rate)
        return [
            self.subject.name, f'{rate:g} Hz', sum(turn.sent for turn in turns),
            median(turn.sent / turn.seconds for turn in turns), self.arrived(rate),
            percentile(seen, 50), percentile(seen, 99), max(seen, default=0.0),
            *(median(self.each(measure, rate)) for measure in MEASURES if 'CPU' in measure),
        ]  # fmt: skip


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, NAMES, MACHINE_WINDOW) as server,
        ExitStack() as stack,
    ):
        subjects = start_subjects(bench, stack, NAMES, server.address, options.window)
        every = [Results(subject) for subject in subjects]
        record = Tail(server.record.path)
        for turn in range(options.rounds):
            for rate in options.rates:
                # Each is first in its turn, so that this is nobody's advantage.
                for one in every[turn % len(every) :] + every[: turn % len(every)]:
                    one.run(rate, options.seconds, record)
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    header = ['node', 'rate', 'sent', 'Hz', '% arrived', 'median ms', 'p99', 'oldest',
              'CPU ms/sent', '/arrived', '/sent-idle']  # fmt: skip
    print(table(header, [one.row(rate) for rate in options.rates for one in every]))
    ratios = {
        (other.subject.name, measure, rate): Ratio.of(
            every[0].each(measure, rate), other.each(measure, rate)
        )
        for other in every[1:] for rate in options.rates for measure in MEASURES
    }  # fmt: skip
    rows = [[f'bridge / {than}', measure, f'{rate:g} Hz', *asdict(ratio).values()]
            for (than, measure, rate), ratio in ratios.items()]  # fmt: skip
    print('\n' + table(['turn by turn', '', 'rate', 'median', 'least', 'most'], rows))
    idle = ', '.join(f'{one.subject.name} {one.subject.idle * 1e3:.2f}' for one in every)
    print(f'\nCPU without commands, ms a second: {idle}')
    results['subjects'] = {
        one.subject.name: {
            'idle': one.subject.idle * 1e3,
            'turns': [asdict(turn) for turn in one.turns],
            'rows': [one.row(rate) for rate in options.rates],
        }
        for one in every
    }
    results['ratios'] = rows
    checks = _checks(every[0]) if JUDGED in options.rates else []
    return finish(checks + _goals(ratios, options.rates), results, options.json)


def _checks(bridge: Results) -> list[Check]:
    arrived, oldest = bridge.arrived(JUDGED), max(bridge.latencies[JUDGED])
    return [
        Check(f'at {JUDGED:g} Hz at least {ARRIVED:g} % of the commands reach the base',
              arrived >= ARRIVED, f'{arrived:.2f} %'),
        Check(f'at {JUDGED:g} Hz no command at the base is older than {OLDEST:g} ms',
              oldest <= OLDEST, f'{oldest:.2f} ms'),
    ]  # fmt: skip


def _goals(ratios: dict[tuple[str, str, float], Ratio], rates: list[float]) -> list[Check]:
    checks = []
    goals = [(than, m, most, False) for than, most in GOALS.items() for m in JUDGED_MEASURES]
    goals += [('floor', measure, most, True) for measure, most in WISHES.items()]
    for than, measure, most, wish in goals:
        seen = {rate: ratios[than, measure, rate].median for rate in rates}
        told = ', '.join(f'{rate:g} Hz {ratio:.2f}' for rate, ratio in seen.items())
        what = f'{measure}: at most {most:g} x {than}{", wished" if wish else ""}'
        checks.append(Check(what, all(ratio <= most for ratio in seen.values()), told, wish))
    return checks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What a command costs and how old it gets.')
    parser.add_argument('--rounds', type=int, default=4, help='(default: 4)')
    parser.add_argument('--seconds', type=float, default=3.0, help='of each turn (default: 3)')
    parser.add_argument('--rates', type=float, nargs='+', default=list(RATES), metavar='HZ',
                        help='(default: 10 50 200 1000)')  # fmt: skip
    parser.add_argument('--window', type=float, default=WINDOW, help='s (default: 0.5)')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
