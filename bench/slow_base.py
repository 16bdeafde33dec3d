# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a slow base is told, and how old it is: `python -m bench.slow_base`.

SetVelocity of a real viam-server's base takes 20, 100 and 500 ms, and a publisher of 50 Hz asks
for more than that. The bridge beside the node on viam-sdk, in turns: how old a command is when
the base begins it, how many calls are open at once, and how many take effect after a newer one.
The recording base runs overlapping calls side by side, as viam-server hands them to it; a driver
that takes one at a time would queue them, and their age would grow by what is open here.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
import sys
from typing import Any

from bench.processes import Workbench
from bench.publisher import number_of
from bench.subject import Drive, start_subjects
from bench.summary import Check, conditions, finish, Summary, table
from bench.tail import Tail
from support.viam_server import ViamServer

NAMES = ('bridge', 'sdk')
RATE = 50.0  # Hz
DELAYS = (0.02, 0.1, 0.5)  # s that SetVelocity takes
CALL_TIMEOUT = 1.0  # s
WINDOW, MACHINE_WINDOW = 0.5, 2.0  # s
MARGIN = 5.0  # ms by which a command may be older than one service time
WARM_UP = 3  # commands, which start the session


@dataclass(frozen=True)
class Slow:
    """
    What one turn came to.

    :param ages: ms, from the publish to the begin at the base
    :param effect: ms, from there to when the base had taken it up
    :param growth: ms by which the last third's median age is above the first third's
    :param open_calls: SetVelocity that were open at once, at most
    :param overtaken: commands that took effect after a newer one
    :param series: s since the first command was sent, and the age in ms
    """

    name: str
    delay: float
    ages: Summary
    effect: Summary
    growth: float
    open_calls: int
    overtaken: int
    series: list[tuple[float, float]]

    @classmethod
    def of(cls, name: str, delay: float, drive: Drive) -> Slow:
        """Sum up a turn."""
        first = min(drive.sent.values())
        ages = drive.ages
        third = max(len(ages) // 3, 1)
        growth = Summary.of(ages[-third:]).median - Summary.of(ages[:third]).median
        now_open = most = newest = overtaken = 0
        effects = []
        for line in drive.lines:
            if line['call'] != 'set_velocity' or line['base'] != name:
                continue
            now_open += 1 if line['phase'] == 'begin' else -1
            most = max(most, now_open)
            number = number_of(line['linear'][1])
            if line['phase'] == 'end' and 'error' not in line and number in drive.sent:
                effects.append((line['t'] - drive.sent[number]) * 1e3)
                overtaken += number < newest
                newest = max(newest, number)
        series = [(one.at - first, age) for one, age in zip(drive.arrived, ages, strict=True)]
        return cls(name, delay, Summary.of(ages), Summary.of(effects), growth, most, overtaken,
                   series)  # fmt: skip


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    turns: list[Slow] = []
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, NAMES, MACHINE_WINDOW) as server,
        ExitStack() as stack,
    ):
        subjects = start_subjects(
            bench, stack, NAMES, server.address, WINDOW, call_timeout=CALL_TIMEOUT
        )
        record = Tail(server.record.path)
        for turn in range(options.rounds):
            for delay in DELAYS:
                for subject in subjects if turn % 2 == 0 else subjects[::-1]:
                    server.control(subject.name, set_velocity_delay=delay)
                    count = round(RATE * options.seconds)
                    drive = subject.drive(RATE, count, record, WARM_UP)
                    turns.append(Slow.of(subject.name, delay, drive))
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    rows = [_row([turn for turn in turns if (turn.name, turn.delay) == (name, delay)])
            for delay in DELAYS for name in NAMES]  # fmt: skip
    header = ['node', 'SetVelocity', 'at base', 'age ms, p50', 'p99', 'oldest', 'grows by',
              'in effect, p50', 'oldest', 'open', 'overtaken']  # fmt: skip
    print(table(header, rows))
    results |= {'turns': [asdict(turn) for turn in turns], 'rows': rows}
    checks = [check for delay in DELAYS for check in _checks(delay, turns)]
    return finish(checks, results, options.json)


def _row(turns: list[Slow]) -> list[Any]:
    ages = Summary.of([age for turn in turns for _, age in turn.series])
    return [
        turns[0].name, f'{turns[0].delay * 1e3:.0f} ms', ages.count, ages.median, ages.p99,
        ages.max, max(turn.growth for turn in turns),
        Summary.of([turn.effect.median for turn in turns]).median,
        max(turn.effect.max for turn in turns), max(turn.open_calls for turn in turns),
        sum(turn.overtaken for turn in turns),
    ]  # fmt: skip


def _checks(delay: float, turns: list[Slow]) -> list[Check]:
    ours = [turn for turn in turns if (turn.name, turn.delay) == (NAMES[0], delay)]
    oldest, growth = max(turn.ages.max for turn in ours), max(turn.growth for turn in ours)
    open_calls, bound = max(turn.open_calls for turn in ours), delay * 1e3 + MARGIN
    what = f'SetVelocity takes {delay * 1e3:.0f} ms'
    return [
        Check(f'{what}: no command is older than {bound:.0f} ms when the base begins it',
              oldest <= bound, f'{oldest:.1f} ms'),
        Check(f'{what}: the age grows by at most {MARGIN:g} ms', growth <= MARGIN,
              f'{growth:+.1f} ms'),
        Check(f'{what}: one call is open', open_calls == 1, f'{open_calls}'),
    ]  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What a slow base is told, and how old it is.')
    parser.add_argument('--rounds', type=int, default=3, help='(default: 3)')
    parser.add_argument('--seconds', type=float, default=3.0, help='of each turn (default: 3)')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
