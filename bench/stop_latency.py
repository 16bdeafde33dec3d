# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How soon a base is stopped when its session is due: `python -m bench.stop_latency`.

A publisher of 50 Hz falls silent; from the session's deadline (its last sign of life and the
window, as the event log has them) to the begin of Stop at the base of a real viam-server, and
from the last publish too, less the window. In turns: on an idle machine, and with a busy loop
for each core. Beside it viam-server's own lapse: a client with a session of its own falls silent,
and nobody but viam-server stops its base. And the floor: a bare client on an open channel, which
knows its deadline and does nothing but sleep until then and call Stop.
:mod:`bench.lapse_to_stop` kills its publishers.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
import os
from pathlib import Path
import random
import subprocess
import sys
import time
from typing import Any

from bench.driving import Driver, is_begin
from bench.kills import RATE, Target
from bench.processes import Workbench
from bench.summary import Check, conditions, finish, Summary, table
from bench.tail import Tail
from support.raw_client import RawClient
from support.viam_server import ViamServer

KINDS = ('idle', 'busy')
WINDOW = 0.5  # s, the bridge's and that of the machine that stops by itself
MACHINE_WINDOW = 2.0  # s, the second layer's of the bridge: its stop is none of the bridge's
COMMANDS = 12, 24  # that are sent before the silence, at least and at most
P99 = {'idle': 4.0, 'busy': 12.0}  # ms from the deadline to the Stop, at most
MEDIAN, MEDIAN_RATIO = 1.0, 1.2  # ms, and times the floor's, at most; idle
OTHERS_EVERY = 2  # silences of the bridge's clients for one of the floor's and the machine's
_SETTLE = 0.2  # s after the busy loops began


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with a process of usual priority."""
    loops = [
        subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        time.sleep(_SETTLE)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@dataclass
class Own:
    """A machine that nobody but itself stops the bases of, and how late that was, in ms."""

    server: ViamServer
    record: Tail
    late: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def silence(self, kind: str) -> None:
        """Drive with a session, fall silent, and see when the base is stopped."""
        lines: list[dict[str, Any]] = []
        self.record.new()
        with RawClient(self.server.address) as client:
            sid = client.start_session()
            for _ in range(3):
                client.drive('own', sid)
                time.sleep(1.0 / RATE)
            # The session lives by calls alone; the channel stays open, as a hung client's does.
            stopped = self.record.collect(
                lines, lambda line: is_begin(line, 'own', 'stop'), time.monotonic() + 5.0
            )
        if not stopped:
            raise RuntimeError('viam-server does not stop the base within 5 s')
        last = max(line['t'] for line in lines if is_begin(line, 'own', 'set_velocity'))
        stop = next(line['t'] for line in lines if is_begin(line, 'own', 'stop'))
        self.late[kind].append((stop - last - WINDOW) * 1e3)


@dataclass
class Floor:
    """A base of a bare client's, and how late it was stopped, in ms."""

    client: RawClient
    record: Tail
    late: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def silence(self, kind: str) -> None:
        """Drive, sleep until the deadline, stop, and see when the base is stopped."""
        lines: list[dict[str, Any]] = []
        self.record.new()
        for _ in range(COMMANDS[0]):
            began = time.monotonic()
            self.client.drive('floor', '')
            time.sleep(max(began + 1.0 / RATE - time.monotonic(), 0.0))
        deadline = time.monotonic() + WINDOW
        time.sleep(WINDOW)
        self.client.stop('floor')
        if not self.record.collect(
            lines, lambda line: is_begin(line, 'floor', 'stop'), deadline + 5.0
        ):
            raise RuntimeError('the stop of the bare client is not on record')
        stop = next(line['t'] for line in lines if is_begin(line, 'floor', 'stop'))
        self.late[kind].append((stop - deadline) * 1e3)


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    with (
        Workbench(options.domain) as bench,
        ViamServer(bench.path, [*KINDS, 'floor'], MACHINE_WINDOW) as server,
        ViamServer(bench.path, ['own'], WINDOW, name='own_server') as own_server,
        RawClient(server.address) as client,
    ):
        _, log = bench.start_bridge(dict.fromkeys(KINDS, server.address), WINDOW)
        targets = {kind: Target(kind, server.record.path) for kind in KINDS}
        drivers = {kind: Driver(bench, f'{kind}_driver', f'/{kind}/cmd_vel') for kind in KINDS}
        for driver in drivers.values():
            driver.ready()
        own = Own(own_server, Tail(own_server.record.path))
        floor = Floor(client, Tail(server.record.path))
        _run(targets, drivers, [floor, own], Tail(log), options.silences)
    rows = [row for target in targets.values() for row in target.rows()]
    rows += [
        [kind, what, *asdict(Summary.of(late)).values()]
        for what, others in (
            ('bare client, the floor: deadline -> Stop at base', floor.late),
            ("viam-server's own: last command at base -> Stop, less the window", own.late),
        )
        for kind, late in others.items()
    ]
    print(table(['cores', 'ms', 'n', 'min', 'median', 'p99', 'max'], rows))
    for kind, target in targets.items():
        results[kind] = [None if one is None else asdict(one) | {'deadline': one.deadline}
                         for one in target.kills]  # fmt: skip
    for kind, target in targets.items():
        causes = Counter('none' if one is None else one.cause for one in target.kills)
        print(f'{kind}: stopped because {dict(causes)}')
    results |= {'own': own.late, 'floor': floor.late, 'window': WINDOW, 'rows': rows}
    checks = [check for kind in KINDS for check in _checks(kind, targets[kind], floor)]
    return finish(checks, results, options.json)


def _run(
    targets: dict[str, Target], drivers: dict[str, Driver], others: list[Floor | Own],
    events: Tail, count: int,
) -> None:
    first = 1
    for turn in range(count):
        for kind in KINDS if turn % 2 == 0 else KINDS[::-1]:
            commands = random.randint(*COMMANDS)
            with busy_cores() if kind == 'busy' else nullcontext():
                targets[kind].silence(drivers[kind], first, commands, WINDOW, events)
                if turn % OTHERS_EVERY == 0:
                    for other in others:
                        other.silence(kind)
            first += commands
        if turn % 10 == 9:
            print(f'{turn + 1} of {count} silences', file=sys.stderr, flush=True)


def _checks(kind: str, target: Target, floor: Floor) -> list[Check]:
    stopped = [one for one in target.kills if one is not None]
    late = [one.deadline for one in stopped if one.deadline is not None]
    seen, most = Summary.of(late), P99[kind]
    checks = [
        Check(f'{kind}: every silence is followed by a stop', len(stopped) == len(target.kills),
              f'{len(stopped)} of {len(target.kills)}'),
        Check(f'{kind}: deadline to Stop, p99 at most {most:g} ms', seen.p99 <= most,
              f'{seen.p99:.2f} ms'),
    ]  # fmt: skip
    if kind == 'idle':
        ratio = seen.median / Summary.of(floor.late[kind]).median
        checks += [
            Check(f'{kind}: deadline to Stop, median at most {MEDIAN:g} ms',
                  seen.median <= MEDIAN, f'{seen.median:.2f} ms'),
            Check(f'{kind}: deadline to Stop, median at most {MEDIAN_RATIO:g} x the floor',
                  ratio <= MEDIAN_RATIO, f'{ratio:.2f}'),
        ]  # fmt: skip
    return checks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='How soon a base is stopped after a lapse.')
    parser.add_argument('--silences', type=int, default=60, help='of each kind (default: 60)')
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
