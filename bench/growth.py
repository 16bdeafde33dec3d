# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command costs the bridge the more there is of everything: `python -m bench.growth`.

Against the real viam-server, the same number of commands a second in each case: from 1 to 200
publishers of one base, to 1 to 50 bases, and beside 0 to 200 sessions that are live but silent,
kept by their own heartbeats. Cases take turns. Publishers say goodbye after each turn, so that
no session of one turn lives in the next. What a session costs that says nothing is measured
before the commands, and taken off their cost.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
import sys
import time
from typing import Any

from bench.driving import arrivals, Driver
from bench.processes import Process, Workbench
from bench.summary import Check, conditions, finish, Ratio, Summary, table
from bench.tail import Tail
from support.viam_server import ViamServer

RATE = 200.0  # Hz, of all publishers together
# Commands of a publisher before the next one's turn. Four takeovers a second, where they share a
# base. With bases of their own and one command each, each publisher would be gone from the caches
# when its turn comes, and publish() itself, whose time is in the latency, took 0.1 ms more.
BURST, BURST_OF_BASES = 50, 10
WINDOW, MACHINE_WINDOW = 6.0, 10.0  # s; no session of a turn lapses in it
BEATS = 1.0  # Hz, the heartbeats of silent sessions
MAX_SESSIONS = 1000  # the ended ones of several turns count
FLAT = 1.1  # times the cost of the smallest case, at most
BEATS_PER_WINDOW = 5  # machine heartbeats that a silent session may cost
_IDLE = 2.0  # s
_SETTLE = 1.0  # s
_UNDER_WAY = 0.3  # s


@dataclass(frozen=True)
class Case:
    """So many publishers, bases and silent sessions; `axis` is what grew from one of each."""

    axis: str
    clients: int = 1
    bases: int = 1
    silent: int = 0

    @property
    def size(self) -> int:
        """How much there is of what grows."""
        return self.silent if self.axis == 'silent' else self.clients


SMALLEST = Case('one')
CASES = [
    SMALLEST,
    *(Case('clients', clients=count) for count in (10, 50, 200)),
    *(Case('bases', clients=count, bases=count) for count in (10, 50)),
    *(Case('silent', silent=count) for count in (50, 200)),
]
AXES = ('clients', 'bases', 'silent')


@dataclass(frozen=True)
class Turn:
    """A case in one round: `cpu` ms a command at the base, `idle` ms a second, `latency` ms."""

    cpu: float
    idle: float
    arrived: float
    latency: Summary


class Stage:
    """One viam-server, and a bridge for each number of bases."""

    def __init__(self, bench: Workbench, server: ViamServer, bases: dict[int, list[str]]) -> None:
        """Start the bridges."""
        self._bench = bench
        self._record = Tail(server.record.path)
        self._bases = bases
        self._turns = 0
        self._bridges: dict[int, Process] = {}
        for count, names in bases.items():
            # The heartbeats' topic is the node's, and silent sessions have the first's base.
            self._bridges[count], _ = bench.start_bridge(
                dict.fromkeys(names, server.address), WINDOW, max_sessions=MAX_SESSIONS,
                name='bridge' if count == min(bases) else f'bridge_of_{count}',
            )  # fmt: skip

    def measure(self, case: Case, seconds: float) -> Turn:
        """Have one turn."""
        self._turns += 1
        bridge, names = self._bridges[case.bases], self._bases[case.bases]
        topics = [f'/{name}/cmd_vel' for name in names]
        silent = self._driver('silent', topics, case.silent) if case.silent else None
        driver = self._driver('driver', topics, case.clients)
        for one in (silent, driver):
            if one is not None:
                one.ready()
        first = 1
        if silent is not None:
            silent.drive(RATE, first, case.silent)
            silent.done()
            silent.beat(BEATS, round(BEATS * (seconds + _IDLE + 3 * _SETTLE)) + 2)
        warm_up = max(case.clients, 50)
        driver.drive(RATE, first, warm_up)
        driver.done()
        time.sleep(_SETTLE)
        idle = _cpu_in(bridge, _IDLE) / _IDLE
        self._record.new()
        first, count = first + warm_up, round(RATE * seconds)
        before, began = bridge.cpu(), time.monotonic()
        driver.drive(RATE, first, count, BURST if case.bases == 1 else BURST_OF_BASES)
        driver.done()
        time.sleep(_UNDER_WAY)
        cpu = bridge.cpu() - before - idle * (time.monotonic() - began)
        lines, sent = self._record.new(), driver.sent()
        ages = [
            (one.at - sent[one.number]) * 1e3
            for name in names for one in arrivals(lines, name) if one.number >= first
        ]  # fmt: skip
        for one in (silent, driver):
            if one is not None:
                one.leave()
        time.sleep(_SETTLE)
        cost = cpu * 1e3 / max(len(ages), 1)
        return Turn(cost, idle * 1e3, 100 * len(ages) / count, Summary.of(ages))

    def _driver(self, kind: str, topics: list[str], publishers: int) -> Driver:
        name = f'{kind}_{self._turns}'
        return Driver(self._bench, name, *topics, publishers=publishers)


def _cpu_in(process: Process, seconds: float) -> float:
    before = process.cpu()
    time.sleep(seconds)
    return process.cpu() - before


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    largest = [SMALLEST, *map(_largest, AXES)]
    cases = [case for case in CASES if not options.largest or case in largest]
    bases = {case.bases: [f'of{case.bases}_{i}' for i in range(case.bases)] for case in cases}
    every = [name for names in bases.values() for name in names]
    turns: dict[Case, list[Turn]] = {case: [] for case in cases}
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, every, MACHINE_WINDOW) as server,
    ):
        stage = Stage(bench, server, bases)
        for turn in range(options.rounds):
            for case in cases if turn % 2 == 0 else CASES[::-1]:
                turns[case].append(stage.measure(case, options.seconds))
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    ratios = {
        (case, measure): Ratio.of(_each(turns[case], measure), _each(turns[SMALLEST], measure))
        for case in cases for measure in ('cpu', 'latency')
    }  # fmt: skip
    rows = [_row(case, turns, ratios) for case in cases]
    header = ['grows', 'to', '% arrived', 'median ms', 'p99', 'ratio', 'CPU ms/command', 'ratio',
              'least', 'most', 'CPU ms/s without']  # fmt: skip
    print(table(header, rows))
    results['rows'] = rows
    results['cases'] = [
        asdict(case) | {'turns': [asdict(turn) for turn in turns[case]]} for case in cases
    ]
    checks = [
        Check(f'{axis}: {what} per command within 10 % of the smallest case',
              all(ratio.median <= FLAT for _, ratio in seen),
              ', '.join(f'{case.size}: {ratio.median:.2f}' for case, ratio in seen))
        for axis in AXES
        for measure, what in (('cpu', 'CPU'), ('latency', 'median latency'))
        for seen in [[(case, ratios[case, measure]) for case in cases if case.axis == axis]]
    ]  # fmt: skip
    return finish([*checks, *_silent(turns)], results, options.json)


def _largest(axis: str) -> Case:
    return next(case for case in reversed(CASES) if case.axis == axis)


def _each(turns: list[Turn], measure: str) -> list[float]:
    return [turn.cpu if measure == 'cpu' else turn.latency.median for turn in turns]


def _row(
    case: Case, turns: dict[Case, list[Turn]], ratios: dict[tuple[Case, str], Ratio]
) -> list[Any]:
    seen = turns[case]
    return [
        case.axis, case.size, min(turn.arrived for turn in seen),
        median(turn.latency.median for turn in seen), median(turn.latency.p99 for turn in seen),
        ratios[case, 'latency'].median, median(turn.cpu for turn in seen),
        *asdict(ratios[case, 'cpu']).values(), median(turn.idle for turn in seen),
    ]  # fmt: skip


def _silent(turns: dict[Case, list[Turn]]) -> list[Check]:
    """Compare what a silent session costs in a machine's window to what commands cost."""
    most = _largest('silent')
    more = median(
        many.idle - none.idle for many, none in zip(turns[most], turns[SMALLEST], strict=True)
    )
    each = more / most.silent * MACHINE_WINDOW  # ms a session and window
    command = median(turn.cpu for turn in turns[SMALLEST])
    return [
        # Its calls are counted by bench.core_cost; here its own heartbeats and its line in the
        # overview are in it, too.
        Check(f'CPU of a silent session in a machine window: at most {BEATS_PER_WINDOW} commands, '
              'wished', each <= BEATS_PER_WINDOW * command,
              f'{each:.2f} ms, {each / command:.1f} commands', wish=True),
    ]  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What a command costs the more there is.')
    parser.add_argument('--rounds', type=int, default=6, help='(default: 6)')
    parser.add_argument('--seconds', type=float, default=4.0, help='of each turn (default: 4)')
    parser.add_argument('--largest', action='store_true',
                        help='only the smallest and the largest of each kind')  # fmt: skip
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
