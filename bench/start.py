# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How soon a node drives after its start, and what memory it takes: `python -m bench.start`.

The machine is up and a publisher of 50 Hz streams already; from right before the process is
started to the begin of the first SetVelocity at the base of a real viam-server. The bridge beside
the floor of :mod:`bench.bare_node`, in turns, each killed after a while of driving. The first
start of each is not counted: it reads the programs from the disk.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from statistics import median
import sys
import time
from typing import Any

from bench.driving import Driver, is_begin
from bench.processes import Process, Workbench
from bench.summary import Check, conditions, finish, Ratio, Summary, table
from bench.tail import Tail
from support.usage import Usage
from support.viam_server import ViamServer

NAMES = ('bridge', 'floor')
RATE = 50.0  # Hz
WINDOW, MACHINE_WINDOW = 0.5, 2.0  # s
DRIVES = 2.0  # s, then the memory is looked at
MOST = 1.3  # times as much as the floor
_PATIENCE = 60.0  # s


class Started:
    """The starts of one node: s until it drove, MB resident after a while of driving."""

    def __init__(self, bench: Workbench, name: str, server: ViamServer) -> None:
        """Start its publisher."""
        self.name = name
        self.seconds: list[float] = []
        self.memory: list[float] = []
        self._bench = bench
        self._address = server.address
        self._record = Tail(server.record.path)
        self._driver = Driver(bench, f'{name}_driver', f'/{name}/cmd_vel')

    def warm_up(self) -> None:
        """Start the node once, so that its publisher is heard and begins to stream."""
        node = self._start()
        self._driver.ready()
        self._driver.drive(RATE, 1)
        time.sleep(DRIVES)
        node.kill()

    def turn(self) -> None:
        """Start the node, see when it drives and what it takes, and kill it."""
        time.sleep(MACHINE_WINDOW)  # the last one's session is over at the machine, too
        self._record.new()
        began = time.monotonic()
        node = self._start()
        lines: list[dict[str, Any]] = []
        drives = self._record.collect(
            lines, lambda line: is_begin(line, self.name, 'set_velocity'), began + _PATIENCE
        )
        if not drives:
            raise RuntimeError(f'{self.name} does not drive within {_PATIENCE} s')
        first = next(line['t'] for line in lines if is_begin(line, self.name, 'set_velocity'))
        time.sleep(DRIVES)
        self.seconds.append(first - began)
        self.memory.append(Usage.of(node.pid).memory)
        node.kill()
        self._bench.tidy()

    def _start(self) -> Process:
        if self.name == 'bridge':
            return self._bench.spawn_bridge({self.name: self._address}, WINDOW)[0]
        # Found by others as the bridge is: neither announces itself more often than usual.
        return self._bench.start(f'{self.name}_node', 'bench.bare_node', self._address, self.name,
                                 f'/{self.name}/cmd_vel', announced=False)  # fmt: skip


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, NAMES, MACHINE_WINDOW) as server,
    ):
        bridge, floor = (Started(bench, name, server) for name in NAMES)
        for one in (bridge, floor):
            one.warm_up()
        for turn in range(options.rounds):
            for one in (bridge, floor) if turn % 2 == 0 else (floor, bridge):
                one.turn()
            print(f'{turn + 1} of {options.rounds} rounds', file=sys.stderr, flush=True)
    rows = [
        [one.name, what, *asdict(Summary.of(values)).values()]
        for one in (bridge, floor)
        for what, values in (('s to the first command', one.seconds), ('MB', one.memory))
    ]
    print(table(['node', '', 'n', 'min', 'median', 'p99', 'max'], rows))
    checks = []
    for what, ours, floors, unit in (
        ('start to first command', bridge.seconds, floor.seconds, 's'),
        ('resident memory', bridge.memory, floor.memory, 'MB'),
    ):
        ratio = Ratio.of(ours, floors)
        checks.append(
            Check(f'{what}: at most {MOST:g} x floor', ratio.median <= MOST,
                  f'{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f}): '
                  f'{median(ours):.2f} to {median(floors):.2f} {unit}')
        )  # fmt: skip
    results['rows'] = rows
    results |= {one.name: {'s': one.seconds, 'MB': one.memory} for one in (bridge, floor)}
    return finish(checks, results, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='How soon a node drives, and its memory.')
    parser.add_argument('--rounds', type=int, default=5, help='(default: 5)')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
