# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The measurements: `python -m bench [PART...]`, or `make bench`; without names those with goals.

Each part is a module here, see there and docs/benchmarks.md. The results go to one JSON file; last
comes one table of all goals. The exit status is 1 where one was missed or a part failed.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from importlib import import_module
import json
from pathlib import Path
import signal
import sys
import time
import traceback
from typing import Any

from bench.processes import ROOT
from bench.stage import Run
from bench.summary import Check, conditions, table

GOALS = (
    'core_cost', 'command_latency', 'slow_base', 'stop_latency', 'growth', 'start',
)  # fmt: skip
LONG = ('load', 'soak', 'hard_cases')  # by name only
RESULTS = ROOT / 'bench' / 'results'


def main() -> int:
    """Run the parts."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    results: dict[str, Any] = {'conditions': conditions(), 'quick': options.quick, 'parts': {}}
    rows: list[list[Any]] = []
    failed = False
    for part in options.parts or GOALS:
        print(f'\n== {part} ==', flush=True)
        run = Run(options.quick, options.domain, options.other)
        try:
            checks: list[Check] = import_module(f'bench.{part}').measure(run)
        except Exception:
            traceback.print_exc()
            checks = [Check('the part comes to its end', False, 'it did not')]
        results['parts'][part] = {**run.results, 'checks': [asdict(check) for check in checks]}
        rows += [[part, check.what, check.measured, check.verdict] for check in checks]
        failed |= any(not (check.held or check.wish) for check in checks)
    print(f'\n== goals, after {time.monotonic() - began:.0f} s ==')
    print(table(['part', 'goal', 'measured', 'ok'], rows))
    path: Path = options.json or RESULTS / f'{time.strftime("%Y-%m-%dT%H%M%S")}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**results, 'conditions_afterwards': conditions()}, indent=2))
    print(f'\nwritten: {path}')
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m bench', description='The measurements.')
    parts = f'{", ".join(GOALS)} (default: these), {", ".join(LONG)}'
    parser.add_argument('parts', nargs='*', metavar='PART', help=parts)
    parser.add_argument('--quick', action='store_true', help='short, to try it')
    parser.add_argument('--other', type=Path, metavar='CHECKOUT',
                        help='another checkout of the project, whose bridge takes turns with this '
                        'one: before and after in one run')  # fmt: skip
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='results (default: bench/results/TIME.json)')  # fmt: skip
    options = parser.parse_args()
    if unknown := set(options.parts) - {*GOALS, *LONG}:
        parser.error(f'no such part: {", ".join(sorted(unknown))}')
    return options


if __name__ == '__main__':
    sys.exit(main())
