# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How long a base moves on after its publisher was killed: `python -m bench.lapse_to_stop`.

Publishers of 50 Hz, each a process of its own, are killed by SIGKILL in a random phase, in turns
on a base of the real viam-server and one of the simulated machine. Measured from right before
the publish() of the last command that reached the base to the begin of the Stop there, less the
window. Publishers are started in batches beforehand, so that no start disturbs a measurement.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
import random
import sys
import time
from typing import Any

from bench.driving import arrivals, Driver, is_begin
from bench.processes import Workbench
from bench.summary import Check, conditions, finish, Summary, table
from bench.tail import Tail
from support.ports import free_port
from support.viam_server import ViamServer

WINDOW = 0.5  # s
MACHINE_WINDOW = 2.0  # s, the second layer's: its stop is none of the bridge's
RATE = 50.0  # Hz
DRIVE = 0.5  # s, at least, from the first command at the base to the kill
WAIT = 0.4  # s that a stop may be late; before the machine's own one
P99, WORST, EARLIEST = 10.0, 50.0, -5.0  # ms that the Stop may begin after the window
NUMBERS = 10_000  # commands that a publisher has numbers for


@dataclass(frozen=True)
class Kill:
    """
    What became of one publisher, all in ms.

    `total` is from the last command's publish to the Stop, less the window. It is the sum of
    `accept`, from the publish to the sign of life in the bridge; `lapse`, from the deadline to
    the decision; and `stop`, from there to the begin of the Stop at the base.
    """

    total: float
    accept: float
    lapse: float
    stop: float
    cause: str


class Target:
    """A base, the record of its machine, and how its publishers ended."""

    def __init__(self, base: str, record: Path) -> None:
        """Take the base of that name."""
        self.base = base
        self.kills: list[Kill | None] = []
        self._record = Tail(record)

    def kill(self, driver: Driver, first: int, window: float, events: Tail) -> None:
        """Have a publisher drive, kill it, and see what becomes of the base."""
        lines: list[dict[str, Any]] = []
        self._record.new()
        driver.drive(RATE, first)
        moving = self._record.collect(
            lines, lambda line: is_begin(line, self.base, 'set_velocity'), time.monotonic() + 5.0
        )
        if not moving:
            raise RuntimeError(f'{self.base}: no command arrives within 5 s')
        time.sleep(DRIVE + random.random() / RATE)
        driver.kill()
        # Nothing is to run beside the bridge now.
        time.sleep(window + 0.05)
        self._record.collect(
            lines,
            lambda line: is_begin(line, self.base, 'stop'),
            time.monotonic() + WAIT,
        )
        self.kills.append(self._judge(lines, driver.sent(), window, events))

    def _judge(
        self, lines: list[dict[str, Any]], sent: dict[int, float], window: float, events: Tail
    ) -> Kill | None:
        last = max(
            (one for one in arrivals(lines, self.base) if one.number in sent),
            key=lambda one: one.at,
        )
        # One before the last command would not have stopped the base.
        stops = [
            line['t']
            for line in lines
            if is_begin(line, self.base, 'stop') and line['t'] > last.at
        ]
        if not stops:
            return None
        total = stops[0] - sent[last.number] - window
        decided: list[dict[str, Any]] = []
        if not events.collect(decided, self._is_stop, time.monotonic() + 5.0):
            raise RuntimeError(f'{self.base}: the Stop is not in the event log within 5 s')
        event = next(filter(self._is_stop, reversed(decided)))
        ms = 1e3
        return Kill(
            total=total * ms,
            accept=(event['sign'] - sent[last.number]) * ms,
            lapse=(event['at'] - event['sign'] - window) * ms,
            stop=(stops[0] - event['at']) * ms,
            cause=event['cause'],
        )

    def _is_stop(self, event: dict[str, Any]) -> bool:
        return bool(
            event['event'] == 'stop' and event['base'] == self.base and event['sign'] is not None
        )

    def checks(self) -> list[Check]:
        """Return what must hold."""
        seen = [kill.total for kill in self.kills if kill is not None]
        total = Summary.of(seen)
        return [
            Check(f'{self.base}: every kill is followed by a stop', len(seen) == len(self.kills),
                  f'{len(seen)} of {len(self.kills)}'),
            Check(f'{self.base}: p99 is at most the window + {P99:g} ms', total.p99 <= P99,
                  f'{total.p99:+.2f} ms'),
            Check(f'{self.base}: the worst is at most the window + {WORST:g} ms',
                  total.max <= WORST, f'{total.max:+.2f} ms'),
            Check(f'{self.base}: none is before the window - {-EARLIEST:g} ms',
                  total.min >= EARLIEST, f'{total.min:+.2f} ms'),
        ]  # fmt: skip

    def rows(self) -> list[list[Any]]:
        """Return the table's rows."""
        seen = [kill for kill in self.kills if kill is not None]
        rows: list[list[Any]] = []
        for field in fields(Kill)[:4]:
            summary = Summary.of([getattr(kill, field.name) for kill in seen])
            rows.append([self.base, STEPS[field.name], *asdict(summary).values()])
        return rows


STEPS = {
    'total': 'last publish -> Stop at base, less the window',
    'accept': '  publish -> accepted',
    'lapse': '  deadline -> lapse decided',
    'stop': '  lapse decided -> Stop at base',
}


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, ['real'], options.machine_window) as server,
    ):
        simulated, record = f'127.0.0.1:{free_port()}', bench.path / 'simulated.jsonl'
        bench.start(
            'simulation', 'viam_session_bridge.simulation', '--address', simulated,
            '--bases', 'simulated', '--window', str(options.machine_window),
            '--record', str(record),
        ).hear('listening')  # fmt: skip
        addresses = {'real': server.address, 'simulated': simulated}
        _, log = bench.start_bridge(addresses, options.window)
        targets = [Target('real', server.record.path), Target('simulated', record)]
        _run(bench, targets, options, Tail(log))
    rows = [row for target in targets for row in target.rows()]
    print(table(['base', 'ms', 'n', 'min', 'median', 'p99', 'max'], rows))
    for target in targets:
        causes = Counter('none' if kill is None else kill.cause for kill in target.kills)
        print(f'{target.base}: stopped because {dict(causes)}')
        results[target.base] = [None if kill is None else asdict(kill) for kill in target.kills]
    results |= {'window': options.window, 'machine_window': options.machine_window}
    return finish([check for one in targets for check in one.checks()], results, options.json)


def _run(
    bench: Workbench, targets: list[Target], options: argparse.Namespace, events: Tail
) -> None:
    turns = targets * options.kills
    first = 1
    for start in range(0, len(turns), options.batch):
        batch = turns[start : start + options.batch]
        drivers = [
            Driver(bench, f'driver_{start + index}', f'/{target.base}/cmd_vel')
            for index, target in enumerate(batch)
        ]
        for driver in drivers:
            driver.ready()
        time.sleep(0.5)
        for target, driver in zip(batch, drivers, strict=True):
            target.kill(driver, first, options.window, events)
            first += NUMBERS
        bench.tidy()
        print(f'{start + len(batch)} of {len(turns)} kills', file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='How long a base moves after its publisher died.')
    parser.add_argument('--kills', type=int, default=100, help='of each machine (default: 100)')
    parser.add_argument('--window', type=float, default=WINDOW, help='s (default: 0.5)')
    parser.add_argument('--machine-window', type=float, default=MACHINE_WINDOW,
                        help="s, viam-server's (default: 2)")  # fmt: skip
    parser.add_argument('--batch', type=int, default=10, help='publishers started together')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
