# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Says what came of many scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from campaigns.differential.cases import Case, cases
from campaigns.differential.running import Outcome, Result
from campaigns.differential.script import Script


def different(results: Iterable[Result]) -> list[Result]:
    """Return those that differ from what the core expects."""
    return [result for result in results if result.outcome is Outcome.DIFFERENT]


def case_table(scripts: Iterable[Script]) -> str:
    """Return how many scripts contain each case."""
    counts = Counter(case for script in scripts for case in cases(script))
    return '\n'.join(f'{counts[case]:6d}  {case.value}' for case in Case)


def summary(results: Sequence[Result]) -> str:
    """Return for each target how many scripts were run, and what was seen."""
    lines = [_HEADER]
    for target in sorted({result.target for result in results}):
        of_it = [result for result in results if result.target == target]
        outcomes = Counter(result.outcome for result in of_it)
        compared = [result for result in of_it if result.outcome is not Outcome.INVALID]
        lines.append(
            _ROW.format(
                target,
                len(of_it),
                len(compared),
                outcomes[Outcome.DIFFERENT],
                sum(result.attempts for result in of_it) - len(of_it),
                sum(bool(result.doubts) for result in of_it) - outcomes[Outcome.DIFFERENT],
                sum(result.steps for result in compared),
                sum(result.stops for result in compared),
                f'{1000.0 * max((result.lateness for result in compared), default=0.0):.0f} ms',
            )
        )
    return '\n'.join(lines)


_ROW = '{:<32}{:>9}{:>10}{:>11}{:>10}{:>10}{:>8}{:>8}{:>12}'
_HEADER = _ROW.format(
    '', 'scripts', 'compared', 'different', 'repeated', 'doubtful', 'steps', 'stops', 'latest stop'
)
