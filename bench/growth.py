# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command costs the bridge the more there is of everything.

Against the real viam-server, the same number of commands a second in each case: from 1 to 200
publishers of one base, to 1 to 50 bases, and beside 0 to 200 sessions that are live but silent,
kept by their own heartbeats. Cases take turns. Publishers say goodbye after each turn, so that
no session of one turn lives in the next. What a session costs that says nothing is measured
before the commands, and taken off their cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
import time

from bench.processes import Process
from bench.stage import arrivals, Driver, rotated, Run, Stage, staged
from bench.summary import Check, Ratio, Summary, table
from bench.tail import Tail

RATE = 200.0  # Hz, of all publishers together
SECONDS, QUICK_SECONDS = 4.0, 2.0  # of each turn
# Commands of a publisher before the next one's turn. Four takeovers a second, where they share a
# base. With bases of their own and one command each, each publisher would be gone from the caches
# when its turn comes, and publish() itself, whose time is in the latency, took 0.1 ms more.
BURST, BURST_OF_BASES = 50, 10
WINDOW, MACHINE_WINDOW = 6.0, 10.0  # s; no session of a turn lapses in it
BEATS = 1.0  # Hz, the heartbeats of silent sessions
MAX_SESSIONS = 1000  # the ended ones of several turns count
FLAT = 1.1  # times the cost of the smallest case, at most
SILENT_COSTS = 5  # commands' CPU that a silent session may cost in a machine's window
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
MANY = [Case('clients', clients=200), Case('bases', clients=50, bases=50),
        Case('silent', silent=200)]  # fmt: skip
CASES = [
    SMALLEST,
    *(Case('clients', clients=count) for count in (10, 50)),
    Case('bases', clients=10, bases=10),
    Case('silent', silent=50),
    *MANY,
]


@dataclass(frozen=True)
class Turn:
    """A case in one round: `cpu` ms a command at the base, `idle` ms a second, `latency` ms."""

    cpu: float
    idle: float
    arrived: float
    latency: Summary


MEASURES: dict[str, Callable[[Turn], float]] = {
    'CPU': lambda turn: turn.cpu,
    'median latency': lambda turn: turn.latency.median,
}


class Growth:
    """A bridge for each number of bases."""

    def __init__(self, stage: Stage, bases: dict[int, list[str]], seconds: float) -> None:
        """Start the bridges."""
        self._bench = stage.bench
        self._record = Tail(stage.server.record.path)
        self._bases, self._seconds = bases, seconds
        self._turns = 0
        self._bridges: dict[int, Process] = {}
        for count, names in bases.items():
            # The heartbeats' topic is the node's, and silent sessions have the first's base.
            self._bridges[count], _ = self._bench.start_bridge(
                dict.fromkeys(names, stage.server.address), WINDOW, max_sessions=MAX_SESSIONS,
                name='bridge' if count == min(bases) else f'bridge_of_{count}',
            )  # fmt: skip

    def measure(self, case: Case) -> Turn:
        """Have one turn."""
        self._turns += 1
        bridge, names = self._bridges[case.bases], self._bases[case.bases]
        topics = [f'/{name}/cmd_vel' for name in names]
        drivers = {
            kind: Driver(self._bench, f'{kind}_{self._turns}', *topics, publishers=count)
            for kind, count in (('silent', case.silent), ('driver', case.clients)) if count
        }  # fmt: skip
        for one in drivers.values():
            one.ready()
        if silent := drivers.get('silent'):
            silent.drive(RATE, case.silent)
            silent.beat(BEATS, round(BEATS * (self._seconds + _IDLE + 3 * _SETTLE)) + 2)
        driver = drivers['driver']
        driver.drive(RATE, max(case.clients, 50))  # starts the sessions
        time.sleep(_SETTLE)
        before = bridge.cpu()
        time.sleep(_IDLE)
        idle = (bridge.cpu() - before) / _IDLE
        self._record.new()
        first, count = driver.next, round(RATE * self._seconds)
        before, began = bridge.cpu(), time.monotonic()
        driver.drive(RATE, count, BURST if case.bases == 1 else BURST_OF_BASES)
        time.sleep(_UNDER_WAY)
        cpu = bridge.cpu() - before - idle * (time.monotonic() - began)
        lines, sent = self._record.new(), driver.sent_at(first)
        ages = [
            (one.at - sent[one.number]) * 1e3
            for name in names for one in arrivals(lines, name) if one.number in sent
        ]  # fmt: skip
        for one in drivers.values():
            one.leave()
        time.sleep(_SETTLE)
        cost = cpu * 1e3 / max(len(ages), 1)
        return Turn(cost, idle * 1e3, 100 * len(ages) / count, Summary.of(ages))


def measure(run: Run) -> list[Check]:
    """Let the cases take turns."""
    cases = [SMALLEST, *MANY] if run.quick else CASES
    bases = {case.bases: [f'of{case.bases}_{i}' for i in range(case.bases)] for case in cases}
    turns: dict[Case, list[Turn]] = {case: [] for case in cases}
    every = [name for names in bases.values() for name in names]
    with staged(run, every, MACHINE_WINDOW) as stage:
        growth = Growth(stage, bases, QUICK_SECONDS if run.quick else SECONDS)
        for number in run.rounds(6):
            for case in rotated(cases, number):
                turns[case].append(growth.measure(case))
    ratios = {
        (case, what): Ratio.of([*map(value, turns[case])], [*map(value, turns[SMALLEST])])
        for case in cases for what, value in MEASURES.items()
    }  # fmt: skip
    rows = []
    for case, those in turns.items():
        row = [case.axis, case.size, min(turn.arrived for turn in those)]
        for what, value in MEASURES.items():
            row += [median(map(value, those)), *asdict(ratios[case, what]).values()]
        rows.append([*row, median(turn.idle for turn in those)])
    ratio = ['ratio', 'least', 'most']
    header = ['grows', 'to', '% arrived', 'CPU ms/command', *ratio, 'median ms', *ratio,
              'CPU ms/s without']  # fmt: skip
    print(table(header, rows))
    run.results['cases'] = [
        asdict(case) | {'turns': [asdict(turn) for turn in turns[case]]} for case in cases
    ]
    checks = [
        Check.most(f'{case.axis}, {case.size}: {what} per command', ratio.median, FLAT,
                   ' x the smallest case')
        for (case, what), ratio in ratios.items() if case is not SMALLEST
    ]  # fmt: skip
    return [*checks, _silent(turns)]


def _silent(turns: dict[Case, list[Turn]]) -> Check:
    """Compare what a silent session costs in a machine's window to what commands cost."""
    most = MANY[-1]
    more = median(
        many.idle - none.idle for many, none in zip(turns[most], turns[SMALLEST], strict=True)
    )
    each = more / most.silent * MACHINE_WINDOW  # ms a session and window
    command = median(turn.cpu for turn in turns[SMALLEST])
    # Its calls are counted by bench.core_cost; here its own heartbeats and its line in the
    # overview are in it, too.
    what = 'CPU of a silent session in a machine window'
    return Check.most(what, each / command, SILENT_COSTS, ' commands', wish=True)
