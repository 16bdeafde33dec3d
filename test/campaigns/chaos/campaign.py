# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""One seed of the campaign: faults, one after the other or two at once, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import time

from campaigns.chaos.checking import Bounds, by_kind, Trouble, Verdict
from campaigns.chaos.faults import CLOCK_SEEN, KINDS, SETTLES
from campaigns.chaos.schedule import draw, Planned, Step
from campaigns.chaos.world import World, world

BAD_SIGNS = ('Traceback', 'internal error', 'the bridge failed', 'Fatal Python error')
SHORT = {'descriptors short', 'memory short'}
"""After these a process may say what it lacks, and end; its supervisor starts it again."""


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    tried: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    worst: dict[str, float] = field(default_factory=dict)  # s after a last sign of life, by kind
    recovery: dict[str, float] = field(default_factory=dict)  # s, the longest by kind
    late: list[float] = field(default_factory=list)
    motions: int = 0
    stops: int = 0
    seconds: float = 0.0
    events: bytes = b''

    def __str__(self) -> str:
        return (
            f'seed {self.seed}: {self.tried.total()} faults in {self.seconds:.0f} s, '
            f'{self.motions} commands, {self.stops} stops, {len(self.violations)} violations'
        )


def run(
    directory: Path,
    seed: int,
    count: int,
    kinds: Sequence[str],
    bounds: Bounds,
    environment: dict[str, str],
) -> Outcome:
    """Run one seed; what the bridge noted goes to `directory/disk`."""
    outcome, began = Outcome(seed), time.monotonic()
    with world(directory, seed, bounds, environment) as here:
        try:
            here.await_driven('start', began, 'the start')
            for step in draw(seed, count, kinds):
                time.sleep(step.calm)
                _befall(here, step, outcome)
            here.await_rest()
        except AssertionError as broken:  # a BrokenError, or a process that does not do its part
            outcome.violations.append(str(broken))
            for name in here.lives:
                here.lives[name][-1].process.kill()
        output = here.bridge.output()
        if here.bridge.running:
            here.bridge.terminate()
        outcome.events = here.bridge.event_log.read_bytes()
        if not outcome.violations:
            _judge(here, outcome)
    if not SHORT & outcome.tried.keys():
        outcome.violations += [f'its log says {sign!r}' for sign in BAD_SIGNS if sign in output]
    outcome.seconds = time.monotonic() - began
    return outcome


def _befall(here: World, step: Step, outcome: Outcome) -> None:
    """Let a step's faults begin and end, and wait until all is as it was."""
    under_way: list[tuple[float, Planned, Iterator[None], float]] = []
    for fault in step.faults:
        begin = time.monotonic()
        lasting = KINDS[fault.kind].run(here, fault)
        next(lasting)
        under_way.append((time.monotonic() + fault.seconds, fault, lasting, begin))
        outcome.tried[fault.kind] += 1
    mended = 0.0
    for due, _, lasting, _ in sorted(under_way, key=lambda one: one[0]):
        time.sleep(max(due - time.monotonic(), 0.0))
        for _ in lasting:
            raise AssertionError('a fault ends once')
        mended = time.monotonic()
    what = ' and '.join(map(str, step.faults))
    here.await_driven(step.faults[0].kind, mended, what)
    for _, fault, _, begin in under_way:
        kind = KINDS[fault.kind]
        settles = CLOCK_SEEN if kind.fails_calls else SETTLES
        end = time.monotonic() + settles + here.bounds.takes
        here.troubles.append(
            Trouble(
                fault.kind, begin, end, kind.between, kind.holds_back, kind.frozen,
                kind.fails_calls,
            )
        )  # fmt: skip


def _judge(here: World, outcome: Outcome) -> None:
    for verdict in here.judge():
        _add(outcome, verdict, here)
    for kind, took in here.recoveries:
        outcome.recovery[kind] = max(took, outcome.recovery.get(kind, 0.0))


def _add(outcome: Outcome, verdict: Verdict, here: World) -> None:
    outcome.violations += verdict.violations
    outcome.late += verdict.late
    outcome.motions += verdict.motions
    outcome.stops += len(verdict.stopped)
    for kind, after in by_kind(verdict.stopped, here.troubles, here.bounds.window).items():
        outcome.worst[kind] = max(after, outcome.worst.get(kind, 0.0))
