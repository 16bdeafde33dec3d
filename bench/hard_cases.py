# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The worst lapse-to-stop of each hard case.

See :mod:`support.hard_cases` for what each provokes, and from when on its stop is due.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
import sys
import tempfile

import pytest

from bench.stage import Run
from bench.summary import Check, Summary, table
from support.hard_cases import CASES

BASES, QUICK_BASES = 20, 3  # of each case


def measure(run: Run) -> list[Check]:
    """Provoke each case so many times."""
    rows, checks = [], []
    for name, (provoke, bound) in CASES.items():
        print(name, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix='hard-') as scratch:
            try:
                seen = provoke(Path(scratch), QUICK_BASES if run.quick else BASES)
            except pytest.skip.Exception as reason:  # there can be no two hosts
                print(f'{name}: left out: {reason}', file=sys.stderr)
                continue
        late = Summary.of([1e3 * stop.late for stop in seen])
        rows.append([name, late.count, late.min, late.median, late.max])
        checks.append(Check.most(name, late.max, 1e3 * bound, ' ms'))
        run.results[name] = asdict(late)
    print(table(['case, ms from due to stopped', 'n', 'min', 'median', 'worst'], rows))
    return checks
