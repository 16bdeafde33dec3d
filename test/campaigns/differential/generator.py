# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Draws scripts.

Script N of a seed is always the same. It has the window `WINDOWS[N % 4]` and contains the case
N % 21: as many scripts as there are cases contain each, whatever the seed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from random import Random

from campaigns.differential.cases import Case, cases
from campaigns.differential.expected import Expected, LEAVING, planned, TAIL
from campaigns.differential.script import Again, Do, Kind, Script, Step

WINDOWS = (0.03, 0.2, 0.6, 2.0)
"""s; the least that viam-server takes, and its default."""

_LONGEST = {0.03: 2.5, 0.2: 3.5, 0.6: 4.5, 2.0: 6.0}  # s until the last step, by window
_STEPS = (5, 14)
_TRIES = 5000  # some hundred are needed at worst
_WEIGHTS = {
    Do.COMMAND: 45, Do.BEAT: 12, Do.ZERO: 5, Do.BARE: 4, Do.RESUME: 5, Do.LEAVE: 5,
    Do.FAIL: 4, Do.STOP: 4, Do.UNKNOWN: 4, Do.NON_FINITE: 4, Do.PERMISSION: 5,
}  # fmt: skip


def draw(seed: int, number: int) -> Script:
    """Return one script of a seed; AssertionError where the core lets no script have its case."""
    window = WINDOWS[number % len(WINDOWS)]
    wanted = list(Case)[number % len(Case)]
    random = Random(f'{seed} {number}')
    for _ in range(_TRIES):
        script = _Drawing(random, f'seed {seed} script {number}', window).script()
        if wanted in cases(script):
            return script
    raise AssertionError(f'none of {_TRIES} scripts has {wanted}: is the core right?')


class _Drawing:
    """One script while it is drawn, followed on each kind of target."""

    def __init__(self, random: Random, name: str, window: float) -> None:
        self._random = random
        bases = tuple('wxyz'[: random.choice([1, 2, 2, 3, 3, 4])])
        free = frozenset(bases[-1:] if random.random() < 0.2 else ())
        names = 'ABCDE'[: random.choice([2, 3, 4, 5])]
        clients = {client: self._bases(bases, free) for client in names}
        self._script = Script(name, window, bases, free, clients, (), 0.0)
        self._plans = {kind: Expected(self._script, kind, planned(window)) for kind in Kind}
        self._apart = planned(window).apart
        self._present = list(clients)
        self._speeds = count(1)

    def script(self) -> Script:
        """Draw the steps."""
        at, steps = 0.0, list[Step]()
        for _ in range(self._random.randint(*_STEPS)):
            if not self._present:
                break
            step = self._step()
            plans = [self._plans[kind] for kind in Kind if self._script.can(kind, step)]
            at = self._free_from(plans, at + self._gap())
            if at > _LONGEST[self._script.window]:
                break
            if step.do is Do.RESUME and not self._plans[Kind.RAW].alive(step.client, at):
                continue
            steps.append(step := replace(step, at=at))
            for plan in plans:
                plan.take(step, at, at)
            if step.do is Do.LEAVE:
                self._present.remove(step.client)
        end = max(at + LEAVING, *(plan.last_lapse() for plan in self._plans.values()))
        return replace(self._script, steps=tuple(steps), end=end + TAIL)

    def _bases(self, bases: tuple[str, ...], free: frozenset[str]) -> tuple[str, ...]:
        """Draw what a client commands: bases with sessions, or those without."""
        kind = [base for base in bases if base not in free]
        if free and (not kind or self._random.random() < 0.3):
            kind = sorted(free)
        number = min(len(kind), self._random.choice([1, 1, 2, 2, 3]))
        return tuple(sorted(self._random.sample(kind, number)))

    def _step(self) -> Step:
        random = self._random
        (do,) = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        client = random.choice(self._present)
        if do in (Do.BEAT, Do.RESUME, Do.PERMISSION) and random.random() < 0.8:
            client = random.choice(self._connected() or self._present)
        bases = self._script.clients[client]
        if do in (Do.COMMAND, Do.ZERO, Do.FAIL) and random.random() < 0.15:
            bases = tuple(sorted(random.sample(bases, random.randint(1, len(bases)))))
        elif do in (Do.BARE, Do.UNKNOWN, Do.STOP, Do.FAIL):
            bases = (random.choice(bases),)
        elif do in (Do.BEAT, Do.RESUME, Do.LEAVE, Do.PERMISSION):
            bases = ()
        moves = do in (Do.COMMAND, Do.BARE, Do.FAIL)
        speed = next(self._speeds) if moves else 0
        return Step(0.0, do, client, bases, speed, random.choice(list(Again)))

    def _connected(self) -> list[str]:
        """Return the clients that had a session, on any target, at the step before."""
        sessions = (plan.table.active.values() for plan in self._plans.values())
        there = {session.client for some in sessions for session in some}
        return [client for client in self._present if client in there]

    def _gap(self) -> float:
        """Draw the time to the next step: at once, within the window, or past a lapse."""
        random, window = self._random, self._script.window
        kind = random.random()
        if kind < 0.35:
            return self._apart * random.uniform(1.0, 2.0)
        if kind < 0.75:
            return max(self._apart, window * random.uniform(0.1, 0.8))
        return window * random.uniform(1.0, 1.4) + planned(window).after

    def _free_from(self, plans: list[Expected], at: float) -> float:
        """Return the earliest time from `at` on at which no target's margins are hurt."""
        while True:
            later = max([at, *(plan.free_from(at) for plan in plans)])
            if later == at:
                return round(at + 0.0005, 3)
            at = later
