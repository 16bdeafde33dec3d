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
from dataclasses import asdict
from pathlib import Path
import sys
import time

from bench.driving import Driver
from bench.kills import Target
from bench.processes import Workbench
from bench.summary import conditions, finish, table
from bench.tail import Tail
from support.ports import free_port
from support.viam_server import ViamServer

WINDOW = 0.5  # s
MACHINE_WINDOW = 2.0  # s, the second layer's: its stop is none of the bridge's
NUMBERS = 10_000  # commands that a publisher has numbers for


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
