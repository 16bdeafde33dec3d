# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a slow base is told, and how old it is: `python -m bench.slow_base`.

SetVelocity of a real viam-server's base takes 20, 100 and 500 ms, and a publisher of 50 Hz asks
for more than that. The bridge beside the node on viam-sdk, in turns: how old a command is when
the base begins it, what becomes of it, how many calls are open at once, and how old the command
is by which the base moves. viam-server cancels a SetVelocity when the next one comes: a base
that `obeys` gives up the older one, one that `blocks` carries on with it, beside the newer.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import accumulate, product
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
GROWTH = 1e3 / RATE  # ms by which the phase alone lets ages vary; a queue grows by seconds
WARM_UP = 3  # commands, which start the session


@dataclass(frozen=True)
class Slow:
    """
    What one turn came to.

    :param blocks: whether the base carries on with a call that is cancelled
    :param ages: ms, from the publish to the begin at the base
    :param growth: ms by which the last third's median age is above the first third's, of what
        began while commands were sent
    :param effects: % of the commands that took effect, of those begun a service time before the
        last was sent: the stop that the silence brings cancels what is open
    :param open_calls: SetVelocity that were open at once, at most
    :param executed: ms, how old at most the command was by which the base moved while commands
        were sent
    :param series: s since the first command was sent, and the age in ms
    """

    name: str
    delay: float
    blocks: bool
    ages: Summary
    growth: float
    effects: float
    open_calls: int
    executed: float
    series: list[tuple[float, float]]

    @classmethod
    def of(cls, name: str, delay: float, blocks: bool, drive: Drive) -> Slow:
        """Sum up a turn."""
        first, last = min(drive.sent.values()), max(drive.sent.values())
        ages = drive.ages
        while_sent = [age for one, age in zip(drive.arrived, ages, strict=True) if one.at <= last]
        third = max(len(while_sent) // 3, 1)
        growth = Summary.of(while_sent[-third:]).median - Summary.of(while_sent[:third]).median
        calls = [line for line in drive.lines if line['call'] == 'set_velocity']
        open_now = accumulate(1 if line['phase'] == 'begin' else -1 for line in calls)
        due = {one.number for one in drive.arrived if one.at <= last - delay}
        ends = [
            (line['t'], number_of(line['linear'][1]))
            for line in calls if line['phase'] == 'end' and 'error' not in line
        ]  # fmt: skip
        effects = [(at, drive.sent[number]) for at, number in ends if number in drive.sent]
        return cls(
            name, delay, blocks, Summary.of(ages), growth,
            100 * len(due & {number for _, number in ends}) / max(len(due), 1),
            max(open_now, default=0), 1e3 * _oldest_executed(effects, first, last),
            [(one.at - first, age) for one, age in zip(drive.arrived, ages, strict=True)],
        )  # fmt: skip


def _oldest_executed(effects: list[tuple[float, float]], first: float, last: float) -> float:
    """Return the most s since the command in effect was sent; `effects`: when, and when sent."""
    oldest, by = 0.0, first
    for at, sent in [*effects, (last, last)]:
        if at <= last:
            oldest, by = max(oldest, at - by), sent
    return oldest


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
            for delay, blocks in product(options.delays, (False, True)):
                for subject in subjects if turn % 2 == 0 else subjects[::-1]:
                    server.control(subject.name, set_velocity_delay=delay, ignore_cancel=blocks)
                    count = round(RATE * options.seconds)
                    drive = subject.drive(RATE, count, record, WARM_UP)
                    turns.append(Slow.of(subject.name, delay, blocks, drive))
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    rows = [
        _row([one for one in turns if (one.delay, one.blocks, one.name) == key])
        for key in product(options.delays, (False, True), NAMES)
    ]
    header = ['node', 'SetVelocity', 'base', 'begun', 'age ms, p50', 'p99', 'oldest', 'grows by',
              '% in effect', 'open', 'oldest executed']  # fmt: skip
    print(table(header, rows))
    results |= {'turns': [asdict(turn) for turn in turns], 'rows': rows}
    checks = [check for delay in options.delays for check in _checks(delay, turns)]
    return finish(checks, results, options.json)


def _row(turns: list[Slow]) -> list[Any]:
    ages = Summary.of([age for turn in turns for _, age in turn.series])
    return [
        turns[0].name, f'{turns[0].delay * 1e3:.0f} ms', 'blocks' if turns[0].blocks else 'obeys',
        ages.count, ages.median, ages.p99, ages.max, max(turn.growth for turn in turns),
        min(turn.effects for turn in turns), max(turn.open_calls for turn in turns),
        max(turn.executed for turn in turns),
    ]  # fmt: skip


def _checks(delay: float, turns: list[Slow]) -> list[Check]:
    ours = [turn for turn in turns if (turn.name, turn.delay) == (NAMES[0], delay)]
    oldest, growth = max(turn.ages.max for turn in ours), max(turn.growth for turn in ours)
    open_calls, bound = max(turn.open_calls for turn in ours), delay * 1e3 + MARGIN
    effects = min(turn.effects for turn in ours)
    what = f'SetVelocity takes {delay * 1e3:.0f} ms'
    return [
        Check(f'{what}: no command is older than {bound:.0f} ms when the base begins it',
              oldest <= bound, f'{oldest:.1f} ms'),
        Check(f'{what}: the age grows by at most {GROWTH:g} ms', growth <= GROWTH,
              f'{growth:+.1f} ms'),
        Check(f'{what}: one call is open, and each takes effect',
              open_calls == 1 and effects == 100.0, f'{open_calls} open, {effects:.0f} %'),
    ]  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What a slow base is told, and how old it is.')
    parser.add_argument('--rounds', type=int, default=2, help='(default: 2)')
    parser.add_argument('--seconds', type=float, default=3.0, help='of each turn (default: 3)')
    parser.add_argument('--delays', type=float, nargs='+', default=list(DELAYS), metavar='S',
                        help='that SetVelocity takes (default: 0.02 0.1 0.5)')  # fmt: skip
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
