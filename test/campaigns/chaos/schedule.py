# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What is to fail when, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import random

SHORTEST, LONGEST = 0.2, 1.6  # s, of a fault
CALM = (0.2, 0.8)  # s, between two
TWO_AT_ONCE = 0.25  # of all steps

KINDS = {
    'publisher killed': 'publisher',
    'publisher frozen': 'publisher',
    'publisher falls silent': 'publisher',
    'publisher leaves': 'publisher',
    'bridge killed': 'bridge',
    'bridge frozen': 'bridge',
    'bridge ended in order': 'bridge',
    'machine killed': 'main',
    'machine frozen': 'main',
    'sub-part killed': 'sub',
    'sub-part frozen': 'sub',
    'link cut': 'link',
    'link half open, to the machine': 'link',
    'link half open, to the robot': 'link',
    'link slow': 'link',
    'link loses packets': 'link',
    'link reorders packets': 'link',
    'cores busy': 'computer',
    'disk full': 'disk',
    'wall clock set': 'clock',
    'descriptors short': 'limits',
    'memory short': 'limits',
}
"""Each kind of fault and what it befalls; two of one place are never there at once."""

PUBLISHERS = ('one', 'two', 'three')


@dataclass(frozen=True)
class Planned:
    """
    A fault to come.

    :param publisher: which one, where it befalls a publisher
    :param amount: from 0 to 1, of what it is that can be more or less
    :param seconds: how long it lasts
    """

    kind: str
    publisher: str
    amount: float
    seconds: float

    @property
    def target(self) -> str:
        """Return what it befalls."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        of = f' ({self.publisher})' if self.target == 'publisher' else ''
        return f'{self.kind}{of} for {self.seconds:.2f} s, {self.amount:.2f}'


@dataclass(frozen=True)
class Step:
    """Faults that begin together, the first a little earlier, and the calm before them."""

    calm: float
    faults: tuple[Planned, ...]


def draw(seed: int, count: int, kinds: Iterable[str] = KINDS) -> Iterator[Step]:
    """Yield steps with so many faults in all."""
    chance = random.Random(f'chaos {seed}')
    kinds = list(kinds)
    while count > 0:
        faults = [_fault(chance, kinds)]
        if count > 1 and chance.random() < TWO_AT_ONCE:
            other = _fault(chance, kinds)
            if {other.target, faults[0].target} & {'bridge', 'limits'} == set():
                faults += [other] if other.target != faults[0].target else []
        count -= len(faults)
        yield Step(chance.uniform(*CALM), tuple(faults))


def _fault(chance: random.Random, kinds: list[str]) -> Planned:
    return Planned(
        chance.choice(kinds),
        chance.choice(PUBLISHERS),
        chance.random(),
        chance.uniform(SHORTEST, LONGEST),
    )
