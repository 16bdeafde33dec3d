# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers made readable: percentiles, tables, and what must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import os
import platform
from statistics import median
import sys
import time
from typing import Any

BUSY = 0.5  # load average of a minute above which numbers say little


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all are not above; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


@dataclass(frozen=True)
class Summary:
    """How values are distributed, in their unit."""

    count: int
    min: float
    median: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise; NaN where there are no values."""
        if not values:
            return cls(0, *[math.nan] * 4)
        return cls(len(values), min(values), median(values), percentile(values, 99), max(values))


@dataclass(frozen=True)
class Ratio:
    """How many times as much one node took as another, turn by turn."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Compare turns that ran right after each other; NaN of none."""
        ratios = [a / b if b else math.nan for a, b in zip(ours, theirs, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios)) if ratios else cls(*[math.nan] * 3)


@dataclass(frozen=True)
class Check:
    """Something that must hold on an idle machine, or a wish, which need not."""

    what: str
    held: bool
    measured: str
    wish: bool = False

    @classmethod
    def most(
        cls, what: str, value: float, bound: float, unit: str = '', *, wish: bool = False
    ) -> Check:
        """Hold a value to an upper bound; NaN is not within it."""
        text = f'{what}: at most {bound:g}{unit}{", wished" if wish else ""}'
        return cls(text, value <= bound, f'{value:.4g}{unit}', wish)

    @property
    def verdict(self) -> str:
        """Say in a word whether it held."""
        if self.wish:
            return 'yes' if self.held else 'not yet'
        return 'PASS' if self.held else 'FAIL'


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table: texts to the left, numbers to the right, with two digits."""
    texts = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [not isinstance(cell, str) for cell in rows[0]] if rows else [False] * len(header)
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in texts
    )


def conditions() -> dict[str, Any]:
    """Return what the numbers depend on; print a note where the machine is busy."""
    import google.protobuf
    import grpc

    load = os.getloadavg()[0]
    if load > BUSY:
        print(f'note: the load average is {load:.1f}, this machine is not idle', file=sys.stderr)
    return {
        'at': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        'load_average': load,
        'cores': os.cpu_count(),
        'kernel': platform.release(),
        'python': platform.python_version(),
        'grpcio': grpc.__version__,
        'protobuf': google.protobuf.__version__,
    }


def _text(cell: Any) -> str:
    return f'{cell:.2f}' if isinstance(cell, float) else str(cell)
