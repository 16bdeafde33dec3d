# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs thousands of random scripts against all implementations of the session rules.

`make fuzz ARGS='--seed 7 --count 4000'`; what it prints of a script that differs makes it again:
`make fuzz ARGS='--seed 7 --first 123 --count 1'`. Ends with status 1 if anything differs. Scripts
are run side by side, some five a second on two idle cores; a run whose margins the computer was
too busy to keep is repeated, and is counted as not compared if that does not help.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import math
import os
from pathlib import Path
import random
import sys
import tempfile
import time

from campaigns.differential.generator import draw
from campaigns.differential.minimising import minimised
from campaigns.differential.report import case_table, different, summary
from campaigns.differential.running import Outcome, Result, run_all
from campaigns.differential.script import Script
from campaigns.differential.stage import Stage
from support.domains import ros_environment


def main(argv: Sequence[str] | None = None) -> int:
    """Run them and return the exit status."""
    arguments = _arguments(argv)
    os.environ.update(ros_environment(0))  # each context is told its domain
    seed = arguments.seed
    print(f'seed {seed}, scripts {arguments.first} to {arguments.first + arguments.count - 1}')
    begin, scripts, results = time.monotonic(), list[Script](), list[Result]()
    end = arguments.first + arguments.count
    for first in range(arguments.first, end, arguments.side_by_side):
        numbers = range(first, min(first + arguments.side_by_side, end))
        some = [draw(seed, number) for number in numbers]
        scripts += some
        results += (new := run(some))
        for result in different(new):
            print(f'\nDIFFERENT {result}', flush=True)
        for result in different(new)[:1]:
            print(f'\nat its shortest: {minimised(result, run)}', flush=True)
        took = time.monotonic() - begin
        differ = len(different(results))
        print(f'{len(scripts)} scripts in {took:.0f} s, {differ} different', flush=True)
        if took > 60.0 * arguments.minutes:
            break
    print(f'\nscripts that contain\n{case_table(scripts)}\n\n{summary(results)}')
    for result in results:
        if result.outcome is Outcome.INVALID:
            print(f'not compared: {result.script.name}, {result.target}: {result.texts[0]}')
        elif result.doubts and result.outcome is not Outcome.DIFFERENT:
            print(f'doubtful: {result.script.name}, {result.target}: {result.doubts}')
    return 1 if different(results) else 0


def run(scripts: Sequence[Script]) -> list[Result]:
    """Run scripts on machines of their own."""
    with (
        tempfile.TemporaryDirectory(prefix='differential-') as directory,
        Stage(Path(directory), scripts) as stage,
    ):
        return run_all(stage, scripts)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='make fuzz', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument('--first', type=int, default=0, metavar='N', help='the first script')
    parser.add_argument('--count', type=int, default=1000, metavar='N', help='how many scripts')
    parser.add_argument(
        '--minutes', type=float, default=math.inf, metavar='M', help='then none begins any more'
    )
    parser.add_argument(
        '--side-by-side', type=int, default=64, metavar='N', help='how many at a time'
    )
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
