# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a script that shows a difference shorter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from campaigns.differential.expected import Expected, planned
from campaigns.differential.report import different
from campaigns.differential.running import Result
from campaigns.differential.script import Kind, Script

Run = Callable[[Sequence[Script]], list[Result]]


def minimised(result: Result, run: Run) -> Result:
    """Leave out one step after another, as long as the target still differs."""
    while True:
        shorter = [script for script in _shorter(result.script) if _keeps_margins(script)]
        results = run(shorter) if shorter else []
        differing = [one for one in different(results) if one.target == result.target]
        if not differing:
            return result
        result = differing[0]


def _shorter(script: Script) -> list[Script]:
    steps = script.steps
    return [script.of([*steps[:number], *steps[number + 1 :]]) for number in range(len(steps))]


def _keeps_margins(script: Script) -> bool:
    """Return whether no step is too near to a lapse that its neighbour had put off."""
    for kind in Kind:
        expected = Expected(script, kind, planned(script.window))
        for step in script.steps_for(kind):
            expected.take(step, step.at, step.at)
        if expected.troubles:
            return False
    return True
