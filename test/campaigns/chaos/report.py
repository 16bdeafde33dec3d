# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The campaign's table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from campaigns.chaos.campaign import Outcome
from campaigns.chaos.checking import Bounds, NOTHING, TOGETHER
from campaigns.chaos.schedule import KINDS


def table(outcomes: Sequence[Outcome], bounds: Bounds) -> str:
    """Return what came of all seeds."""
    tried = Counter[str]()
    for outcome in outcomes:
        tried += outcome.tried
    lines = [
        f'{"what failed":32} {"tried":>6} {"moved on for at most":>23} {"driven again":>13}',
        f'{"":32} {"":6} {"s":>23} {"after, s":>13}',
    ]
    for kind in (*KINDS, TOGETHER, NOTHING):
        worst = max((one.worst.get(kind, 0.0) for one in outcomes), default=0.0)
        again = max((one.recovery.get(kind, 0.0) for one in outcomes), default=0.0)
        lines.append(f'{kind:32} {tried[kind]:6} {_seconds(worst):>23} {_seconds(again):>13}')
    late = [moved for outcome in outcomes for moved in outcome.late]
    violations = sum(len(outcome.violations) for outcome in outcomes)
    lines += [
        '',
        f'{tried.total()} faults of {len(outcomes)} seeds, {sum(o.motions for o in outcomes)} '
        f'commands at the bases, {sum(o.stops for o in outcomes)} stops; window '
        f"{bounds.window} s, machine's window {bounds.machine_window} s, a base's calls take "
        f'{bounds.takes:g} s',
        f'commands that came late and moved a base: {len(late)}, the longest for '
        f'{max(late, default=0.0):.3f} s',
        f'violations: {violations}',
    ]
    return '\n'.join(lines)


def _seconds(value: float) -> str:
    return f'{value:.3f}' if value else '-'
