# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what reached a base with what the core had expected: order first, then times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import threading

from campaigns.differential.expected import Effect, STOP
from campaigns.differential.script import Kind
from support.bounds import EARLY, LATE
from support.record import Entry, entry_of
from support.tail import Tail

_OVERTAKEN = 0.05
"""s within which the bridge may replace a command that waits by a newer one (R14)."""

_WIDEST = 0.25
"""s by which load widens a bound, at most: the delays of all threads add up on a busy computer."""


@dataclass(frozen=True)
class RecordedEffect:
    """A command (its speed in mm/s) or STOP took effect; `by_machine`: by its own rules."""

    what: int
    at: float
    by_machine: bool = False


class Tape:
    """A record, by base; for any thread."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._tail = Tail(path)
        self._lock = threading.Lock()
        self._of: defaultdict[str, list[RecordedEffect]] = defaultdict(list)

    def recorded(self, base: str, start: float, end: float) -> list[RecordedEffect]:
        """Return what took effect on a base between two times."""
        with self._lock:
            for line in self._tail.new():
                self._add(entry_of(line))
            return [one for one in self._of[base] if start <= one.at < end]

    def _add(self, entry: Entry) -> None:
        if not entry.takes_effect:
            return
        if entry.call == 'stop':
            one = RecordedEffect(STOP, entry.t, entry.cause == 'session')
        elif entry.linear is not None:
            one = RecordedEffect(round(entry.linear[1]), entry.t)
        else:
            return
        self._of[entry.base].append(one)


@dataclass
class Verdict:
    """
    What came of one base or one run.

    :param differences: of order, in words
    :param late: of time: which stops were early or late, and in words by how much
    :param slow: commands that took so long that the rest is no matter for comparison
    """

    differences: list[str] = field(default_factory=list)
    late: dict[str, str] = field(default_factory=dict)
    slow: list[str] = field(default_factory=list)
    stops: int = 0
    lateness: float = 0.0
    """s, of the latest stop."""

    def add(self, other: Verdict) -> None:
        """Add that of another."""
        self.differences += other.differences
        self.late |= other.late
        self.slow += other.slow
        self.stops += other.stops
        self.lateness = max(self.lateness, other.lateness)


def compare(
    base: str,
    expected: Sequence[Effect],
    recorded: Sequence[RecordedEffect],
    kind: Kind,
    load: Callable[[float, float], float],
) -> Verdict:
    """
    Compare one base of one run.

    :param load: tells how many seconds the target lost between two times
    """
    verdict = Verdict()
    latest = {effect.what: effect.latest for effect in expected if effect.what > 0}
    for one in recorded:
        if one.at - latest.get(one.what, one.at) > LATE:
            took = one.at - latest[one.what]
            verdict.slow.append(f'{base}: {one.what} took {took:.4f} s')
    due, there = list(expected), list(recorded)
    if kind is Kind.BRIDGE:  # it may repeat a stop, and sends none to a base that stands for sure
        due = [expected[number] for number in moving([one.what for one in expected])]
        there = [recorded[number] for number in moving([one.what for one in recorded])]
        due = _without_overtaken(due, there, load)
    if [one.what for one in due] != [one.what for one in there]:
        verdict.differences.append(f'{base}: expected {_words(due)}, got {_words(there)}')
        return verdict
    for number, (effect, one) in enumerate(zip(due, there, strict=True)):
        early, late = effect.soonest - one.at, one.at - effect.latest
        if one.by_machine and kind is Kind.BRIDGE:
            verdict.differences.append(f'{base}: the machine came before the bridge')
        which = f'{base}: {_word(one.what)} {number + 1}'
        if one.what != STOP:
            continue
        widened = min(load(effect.soonest, one.at), _WIDEST) if late > LATE else 0.0
        if early > EARLY:
            verdict.late[f'{which} is early'] = f'{which} is {early:.4f} s early'
        if late > LATE + widened:
            verdict.late[f'{which} is late'] = (
                f'{which} is {late:.4f} s late (bound widened by {widened:.4f} s)'
            )
        verdict.stops += 1
        verdict.lateness = max(verdict.lateness, late)
    return verdict


def moving(whats: Sequence[int]) -> list[int]:
    """Return the numbers of those that change something: a stop of what stands still does not."""
    before = [STOP, *whats]
    return [number for number, what in enumerate(whats) if not what == before[number] == STOP]


def _without_overtaken(
    due: Sequence[Effect], there: Sequence[RecordedEffect], load: Callable[[float, float], float]
) -> list[Effect]:
    """Leave out the commands that a newer one replaced while they waited (R14)."""
    kept: list[Effect] = []
    left = [one.what for one in there]
    for effect in reversed(due):
        if left and left[-1] == effect.what:
            left.pop()
        elif kept and STOP not in (effect.what, kept[0].what):
            waited = kept[0].soonest - effect.soonest
            if waited < _OVERTAKEN + load(effect.soonest, kept[0].soonest):
                continue
        kept.insert(0, effect)
    return kept


def _words(effects: Iterable[Effect | RecordedEffect]) -> str:
    return ', '.join(_word(one.what) for one in effects) or 'nothing'


def _word(what: int) -> str:
    return 'stop' if what == STOP else str(what)
