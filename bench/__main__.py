# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
All measurements that have goals, one after the other: `python -m bench`, or `make bench`.

Each part is a program of its own, see there and docs/benchmarks.md. Their results go to one JSON
file and a picture beside it; last comes one table of all goals.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
import json
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench.plot import plot
from bench.processes import ROOT
from bench.summary import Check, conditions, finish, table

RESULTS = ROOT / 'bench' / 'results'


@dataclass(frozen=True)
class Part:
    """A module of this package, and its arguments: always, and in the quick form."""

    name: str
    always: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    ros: bool = field(default=True)


PARTS = (
    Part('core_cost', quick=('--times', '2000', '--rounds', '3'), ros=False),
    Part('command_latency', quick=('--rounds', '1', '--seconds', '1', '--rates', '50', '1000')),
    Part('slow_base', quick=('--rounds', '1', '--seconds', '1.5', '--delays', '0.1')),
    Part('stop_latency', quick=('--silences', '6')),
    Part('lapse_to_stop', ('--kills', '10'), ('--kills', '2')),
    Part('growth', quick=('--rounds', '1', '--seconds', '2', '--largest')),
    Part('start', quick=('--rounds', '1')),
    Part('transports', quick=('--commands', '50'), ros=False),
)


def main() -> int:
    """Run the parts; exit status 1 where a goal was missed or a part failed."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    results: dict[str, Any] = {'conditions': conditions(), 'quick': options.quick, 'parts': {}}
    checks: list[tuple[str, Check]] = []
    for part in PARTS:
        if options.only and part.name not in options.only:
            continue
        print(f'\n== {part.name} ==', flush=True)
        result, took = _run(part, options)
        results['parts'][part.name] = {**result, 'seconds': took}
        checks += [(part.name, Check(**check)) for check in result.get('checks', [])]
        if not result:
            checks.append((part.name, Check('the part comes to its end', False, 'it did not')))
    rows = [[part, check.what, check.measured, check.verdict] for part, check in checks]
    print(f'\n== goals, after {time.monotonic() - began:.0f} s ==')
    print(table(['part', 'goal', 'measured', 'ok'], rows))
    path: Path = options.json or RESULTS / f'{time.strftime("%Y-%m-%dT%H%M%S")}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    results['conditions_afterwards'] = conditions()
    every = [check for _, check in checks]
    status = finish(every, results, path, told=False)
    print(f'\nwritten: {path}')
    plot(results['parts'], options.svg or path.with_suffix('.svg'))
    return status


def _run(part: Part, options: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """Return a part's results, empty where it failed, and how many seconds it took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='bench-') as scratch:
        path = Path(scratch) / 'results.json'
        arguments = [*(part.quick if options.quick else part.always), '--json', str(path)]
        if part.ros and options.domain is not None:
            arguments += ['--domain', str(options.domain)]
        with subprocess.Popen(
            [sys.executable, '-m', f'bench.{part.name}', *arguments], cwd=ROOT
        ) as process:
            try:
                process.wait()
            except SystemExit:  # SIGTERM; it ends its own processes. SIGINT it has got itself.
                process.terminate()
                raise
        result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return result, time.monotonic() - began


def _options() -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description='All measurements that have goals.')
    parser.add_argument('--quick', action='store_true', help='some two minutes, to try it')
    parser.add_argument('--only', nargs='+', choices=names, metavar='PART', help=', '.join(names))
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='results (default: bench/results/TIME.json)')  # fmt: skip
    parser.add_argument('--svg', type=Path, metavar='FILE',
                        help='picture (default: beside the results)')  # fmt: skip
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
