# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The worst lapse-to-stop of each hard case: `python -m bench.hard_cases`.

See :mod:`support.hard_cases` for what each provokes, and from when on its stop is due.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
import sys
import tempfile

import pytest

from bench.summary import Check, conditions, finish, Summary, table
from support.hard_cases import CASES


def main() -> int:
    """Provoke each case so many times; exit status 1 where a stop was late."""
    options = _options()
    results = conditions()
    rows, checks = [], []
    for name, (provoke, bound) in CASES.items():
        if options.only not in name:
            continue
        print(name, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix='hard-') as scratch:
            try:
                seen = provoke(Path(scratch), options.bases)
            except pytest.skip.Exception as reason:  # there can be no two hosts
                print(f'{name}: left out: {reason}', file=sys.stderr)
                continue
        late = Summary.of([1e3 * stop.late for stop in seen])
        rows.append([name, late.count, late.min, late.median, late.max])
        what = f'{name}: within {1e3 * bound:.0f} ms'
        checks.append(Check(what, late.max <= 1e3 * bound, f'{late.max:.1f} ms'))
        results[name] = asdict(late)
    print(table(['case, ms from due to stopped', 'n', 'min', 'median', 'worst'], rows))
    return finish(checks, results, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='The worst lapse-to-stop of each hard case.')
    parser.add_argument('--bases', type=int, default=20, help='of each case (default: 20)')
    parser.add_argument('--only', default='', metavar='WORDS', help='cases whose name has them')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
