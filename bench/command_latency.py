# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command costs and how old it gets: `python -m bench.command_latency`.

From right before publish() to the begin of SetVelocity at the base of a real viam-server; the
bridge beside the floor of `bench.bare_node`, which does no more than forward. Both drive a base of
their own of one viam-server, in turns, round by round, each time by a publisher that waited.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
import sys
import time
from typing import Any

from bench.driving import arrivals, Driver
from bench.processes import Process, Workbench
from bench.summary import Check, conditions, finish, percentile, Summary, table
from bench.tail import Tail
from support.viam_server import ViamServer

WINDOW = 0.5  # s
RATES = (50.0, 200.0)  # Hz
JUDGED = 50.0  # Hz, what robots are driven with
ARRIVED, OLDEST = 99.0, 20.0  # % of the commands at the base, ms of the oldest of them
AFTERWARDS = 0.3  # s for what is under way when the last command was sent
REST = 1.0  # s, from the end of a turn: the lapse of the bridge is over by then
IDLE = 3.0  # s


@dataclass(frozen=True)
class Turn:
    """What a subject did in one round at one rate; `latency` in ms, `cpu` in ms a command."""

    rate: float
    sent: int
    arrived: int
    latency: Summary
    cpu: float


class Subject:
    """A node that forwards commands to a base of its own, and a publisher that it hears."""

    def __init__(self, bench: Workbench, base: str, node: Process) -> None:
        """Start the publisher; :meth:`ready` waits for it."""
        self.base = base
        self.turns: list[Turn] = []
        self.latencies: dict[float, list[float]] = {}
        self.idle = 0.0
        """CPU ms a second without any command."""
        self._node = node
        self._driver = Driver(bench, f'{base}_driver', f'/{base}/cmd_vel')
        self._next = 1

    def ready(self) -> None:
        """Wait until the node hears the publisher, and see what it costs to do nothing."""
        self._driver.ready()
        time.sleep(1.0)
        before = self._node.cpu()
        time.sleep(IDLE)
        self.idle = (self._node.cpu() - before) * 1e3 / IDLE

    def turn(self, rate: float, seconds: float, record: Tail) -> None:
        """Drive for some seconds, and take the result."""
        count = round(rate * seconds)
        record.new()
        before = self._node.cpu()
        self._driver.drive(rate, self._next, count)
        self._driver.done()
        time.sleep(AFTERWARDS)
        cpu = self._node.cpu() - before
        time.sleep(REST)
        began = {one.number: one.at for one in arrivals(record.new(), self.base)}
        sent = self._driver.sent()
        latencies = [(at - sent[number]) * 1e3 for number, at in began.items()]
        self._next += count
        self.latencies.setdefault(rate, []).extend(latencies)
        self.turns.append(Turn(rate, count, len(began), Summary.of(latencies), cpu * 1e3 / count))

    def at(self, rate: float) -> list[Turn]:
        """Return the turns of a rate, in order."""
        return [turn for turn in self.turns if turn.rate == rate]

    def arrived(self, rate: float) -> float:
        """Return how many percent of the commands reached the base."""
        turns = self.at(rate)
        return 100 * sum(turn.arrived for turn in turns) / sum(turn.sent for turn in turns)

    def row(self, rate: float) -> list[Any]:
        """Return the table's row of a rate: all rounds together."""
        seen = self.latencies[rate]
        return [
            self.base, f'{rate:g} Hz', sum(turn.sent for turn in self.at(rate)),
            self.arrived(rate), median(seen), percentile(seen, 99), max(seen),
            median(turn.cpu for turn in self.at(rate)),
        ]  # fmt: skip


def _ratios(bridge: Subject, bare: Subject, rate: float) -> list[list[Any]]:
    """Return the rows of bridge / bare, round by round: median, least and most."""
    wanted: dict[str, Callable[[Turn], float]] = {
        'latency, median': lambda turn: turn.latency.median,
        'latency, p99': lambda turn: turn.latency.p99,
        'CPU a command': lambda turn: turn.cpu,
    }
    rows: list[list[Any]] = []
    for what, of in wanted.items():
        pairs = zip(bridge.at(rate), bare.at(rate), strict=True)
        ratios = [of(ours) / of(floor) for ours, floor in pairs]
        rows.append([what, f'{rate:g} Hz', median(ratios), min(ratios), max(ratios)])
    return rows


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, ['bridged', 'bare'], 2.0) as server,
    ):
        bare_node = bench.start(
            'bare_node', 'bench.bare_node', server.address, 'bare', '/bare/cmd_vel'
        )
        bridge_node, _ = bench.start_bridge({'bridged': server.address}, options.window)
        bare_node.hear('ready')
        bridge = Subject(bench, 'bridged', bridge_node)
        bare = Subject(bench, 'bare', bare_node)
        bridge.ready()
        bare.ready()
        record = Tail(server.record.path)
        for turn in range(options.rounds):
            for rate in options.rates:
                # Alternating, so that being first is nobody's advantage.
                for subject in (bridge, bare) if turn % 2 == 0 else (bare, bridge):
                    subject.turn(rate, options.seconds, record)
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    header = ['base', 'rate', 'sent', '% arrived', 'median ms', 'p99', 'oldest', 'CPU ms/command']
    print(table(header, [one.row(rate) for rate in options.rates for one in (bridge, bare)]))
    print()
    ratios = [row for rate in options.rates for row in _ratios(bridge, bare, rate)]
    print(table(['bridge / bare', 'rate', 'median', 'least', 'most'], ratios))
    print(f'\nCPU without commands: bridge {bridge.idle:.2f}, bare {bare.idle:.2f} ms a second')
    for one in (bridge, bare):
        results[one.base] = {'idle': one.idle, 'turns': [asdict(turn) for turn in one.turns]}
    results['ratios'] = ratios
    return finish(_checks(bridge) if JUDGED in options.rates else [], results, options.json)


def _checks(bridge: Subject) -> list[Check]:
    arrived, oldest = bridge.arrived(JUDGED), max(bridge.latencies[JUDGED])
    return [
        Check(f'at {JUDGED:g} Hz at least {ARRIVED:g} % of the commands reach the base',
              arrived >= ARRIVED, f'{arrived:.2f} %'),
        Check(f'at {JUDGED:g} Hz no command at the base is older than {OLDEST:g} ms',
              oldest <= OLDEST, f'{oldest:.2f} ms'),
    ]  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What a command costs and how old it gets.')
    parser.add_argument('--rounds', type=int, default=5, help='(default: 5)')
    parser.add_argument('--seconds', type=float, default=10.0, help='of each turn (default: 10)')
    parser.add_argument('--rates', type=float, nargs='+', default=list(RATES), metavar='HZ',
                        help='(default: 50 200)')  # fmt: skip
    parser.add_argument('--window', type=float, default=WINDOW, help='s (default: 0.5)')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
