# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Tens of thousands of commands that race the end of a session: `python -m bench.races`.

See :mod:`support.races`. A command falls `before` the end of the session before; `at once` with
it, so that it finds the session due and no stop is sent (R9); or `after` its stop was handed over.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import tempfile
import time

from bench.summary import Check, conditions, finish, table
from support.races import Races, races

SHARE = 0.2  # of the races of a kind that must fall on each side
SIDES = ('before', 'at once', 'after')
SPLIT = {
    'swept': 'before',
    'takeover swept': 'before',
    'met': 'at once',
    'takeover met': 'at once',
}


def main() -> int:
    """Run the races; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix='races-') as scratch,
        races(Path(scratch), options.bases) as running,
    ):
        while running.count < options.races:
            running.round(options.round)
            print(f'{running.count} races', file=sys.stderr, flush=True)
    rows = [
        [kind, *(outcome.sides[side] for side in SIDES), len(outcome.violations)]
        for kind, outcome in running.outcomes.items()
    ]
    print(table(['kind', *SIDES, 'violations'], rows))
    for outcome in running.outcomes.values():
        for violation in outcome.violations:
            print(violation)
    results |= {'races': running.count, 'seconds': time.monotonic() - started, 'kinds': rows}
    return finish(_checks(running), results, options.json)


def _checks(running: Races) -> list[Check]:
    broken = sum(len(outcome.violations) for outcome in running.outcomes.values())
    checks = [Check('no race breaks a rule', not broken, f'{broken} of {running.count}')]
    for kind, side in SPLIT.items():
        sides = running.outcomes[kind].sides
        share = sides[side] / max(sum(sides.values()), 1)
        checks.append(
            Check(
                f'{kind}: at least {SHARE:.0%} fall on each side',
                SHARE <= share <= 1.0 - SHARE,
                f'{share:.0%} {side}',
            )
        )
    return checks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Commands that race a session's end.")
    parser.add_argument('--races', type=int, default=20_000, help='at least (default: 20000)')
    parser.add_argument('--bases', type=int, default=4, help='of each kind (default: 4)')
    parser.add_argument('--round', type=float, default=5.0, help='s until all come to rest')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
