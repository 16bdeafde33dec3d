# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a base went as it was promised to, whatever failed.

Decided from its own record and from what the publishers noted when they sent it:

- It moves no longer than one window after its last user's last sign of life. While something
  between them fails, no longer than one window more of the machine's, with which that one ends.
- It is not stopped while its last user publishes, unless something between them fails.
- Each publisher's commands come in their order and not later than a call may take. One that comes
  late nevertheless, for the network or the machine kept it, is stopped at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
import math

from support.bounds import AT_ONCE, EARLY, LATE
from support.publisher import MARK
from support.record import Entry

SLOWEST, STEP = 0.1, 0.01  # m/s: the first publisher's speed, and from one to the next
TOGETHER, NOTHING = 'several of them together', 'nothing'
RTO = 2.0
"""A link that was bad for a time may hold back a packet for twice as long: TCP waits longer and
longer before it sends one again."""


@dataclass(frozen=True)
class Bounds:
    """What holds here, all in s."""

    window: float
    machine_window: float
    call_timeout: float


@dataclass(frozen=True)
class Sender:
    """One publisher's life: when its messages left, by their numbers, and whether it left well."""

    name: str
    speed: float  # m/s, before the message's number is added
    sent: Sequence[float]  # the first has number 1
    left: float = math.inf

    def last(self, before: float) -> float:
        """Return when the last message left at that time or earlier; -inf for none."""
        index = bisect_right(self.sent, before)
        return self.sent[index - 1] if index else -math.inf


@dataclass(frozen=True)
class Trouble:
    """A time in which something between the publishers and a base failed."""

    kind: str
    begin: float
    end: float
    machines: frozenset[str]
    holds_back: bool = False  # packets were
    frozen: bool = False  # the machine was
    fails_calls: bool = False  # one that is being made may fail, and its base is stopped for that


@dataclass(frozen=True)
class Stopped:
    """A motion that ended: when it began, and how long after the last user's last sign of life."""

    base: str
    began: float
    at: float
    after: float


@dataclass
class Verdict:
    """What was seen of one base."""

    violations: list[str] = field(default_factory=list)
    stopped: list[Stopped] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # s that a late command moved the base
    motions: int = 0


Widen = Callable[[float, float], float]
"""Returns by how many s a busy computer widens a bound that ran between two times."""


class Judge:
    """Judges the bases of one machine."""

    def __init__(
        self,
        machine: str,
        bounds: Bounds,
        senders: Sequence[Sender],
        troubles: Sequence[Trouble],
        widen: Widen,
    ) -> None:
        self._bounds = bounds
        self._by_step = {round((sender.speed - SLOWEST) / STEP): sender for sender in senders}
        self._troubles = [trouble for trouble in troubles if machine in trouble.machines]
        self._failing = [one for one in troubles if machine in one.machines or one.fails_calls]
        self._widen = widen

    def verdict(self, base: str, entries: Sequence[Entry], kills: Sequence[float]) -> Verdict:
        """
        Judge one base.

        :param entries: its record, to a time when everything had come to rest
        :param kills: when its machine was killed: what it drives knows no speed any more
        """
        verdict = Verdict()
        self._judge_commands(base, entries, verdict)
        began = math.inf
        for begin, end, stop in motions(entries, kills):
            began = min(began, begin.t)
            self._judge_motion(begin, (began, end), stop, verdict)
            if stop is not None and stop.call == 'stop':
                self._judge_stop(begin, end, verdict)
            began = began if stop is None else math.inf
        return verdict

    def _judge_commands(self, base: str, entries: Sequence[Entry], verdict: Verdict) -> None:
        """In order, and none older than a call may be, unless it is stopped at once."""
        newest: dict[float, int] = {}
        for entry in entries:
            if not (entry.is_motion and entry.phase == 'begin'):
                continue
            verdict.motions += 1
            sender, number = self._origin(entry)
            before = newest.get(sender.speed, 0)
            if number < before:
                verdict.violations.append(
                    f'{entry.t:.3f} {base}: {sender.name} number {number} came after {before}'
                )
            newest[sender.speed] = max(number, before)

    def _judge_motion(
        self, begin: Entry, moved: tuple[float, float], stop: Entry | None, verdict: Verdict
    ) -> None:
        """
        Judge the time from a command's effect to that of the next call.

        :param moved: since when the base moved without a stop, and until that call
        """
        base, (began, end) = begin.base, moved
        sender, number = self._origin(begin)
        left = sender.sent[number - 1]
        widened = self._widen(left, end)
        age = begin.t - left
        if age > self._bounds.call_timeout + LATE + widened:
            lasted = end - begin.t
            verdict.late.append(lasted)
            if lasted > AT_ONCE + widened and sender.last(end) < begin.t - self._bounds.window:
                verdict.violations.append(
                    f'{begin.t:.3f} {base}: {sender.name} number {number} came {age:.3f} s late '
                    f'and was not stopped for {lasted:.3f} s'
                )
            return
        silent_from = [at for at in (left, *sender.sent[number:]) if at <= end]
        for sign, until in pairwise([*silent_from, end]):
            allowed = self._allowed(sign, until) + self._widen(sign, until)
            if until - sign > allowed:
                verdict.violations.append(
                    f'{until:.3f} {base}: moved {until - sign:.3f} s after the last sign of life '
                    f'of {sender.name}, not {allowed:.3f}'
                )
        if stop is not None:
            verdict.stopped.append(Stopped(base, began, end, end - silent_from[-1]))

    def _allowed(self, sign: float, until: float) -> float:
        bounds = self._bounds
        between = [one for one in self._troubles if one.begin <= until and one.end >= sign]
        if not between:
            return bounds.window + LATE
        held = max([0.0, *(RTO * (o.end - o.begin) for o in between if o.holds_back)])
        frozen = sum(min(o.end, until) - max(o.begin, sign) for o in between if o.frozen)
        return bounds.window + bounds.machine_window + held + frozen + 2 * LATE

    def _judge_stop(self, begin: Entry, end: float, verdict: Verdict) -> None:
        """Judge a stop that found the base moving."""
        sender, _ = self._origin(begin)
        silent = end - sender.last(end)
        excused = any(one.begin <= end <= one.end for one in self._failing)
        slow = self._widen(end - self._bounds.window - LATE, end) > self._bounds.call_timeout
        due = silent >= self._bounds.window - EARLY or end >= sender.left
        if not (due or excused or slow):
            verdict.violations.append(
                f'{end:.3f} {begin.base}: stopped {silent:.3f} s after a sign of life of '
                f'{sender.name}, its last user'
            )

    def _origin(self, motion: Entry) -> tuple[Sender, int]:
        """Return who sent a command, and its number."""
        assert motion.linear is not None
        speed = motion.linear[1] / 1000.0
        sender = self._by_step[math.floor((speed - SLOWEST) / STEP + MARK)]
        return sender, round((speed - sender.speed) / MARK)


def motions(
    entries: Sequence[Entry], kills: Sequence[float]
) -> Iterator[tuple[Entry, float, Entry | None]]:
    """Yield each motion's effect, when the next call's effect ended it, and that call."""
    moving: Entry | None = None
    ends: list[tuple[float, Entry | None]] = [
        *((one.t, one) for one in entries if one.takes_effect and one.call != 'is_moving'),
        *((at, None) for at in kills),
    ]
    for at, entry in sorted(ends, key=lambda end: end[0]):
        if moving is not None:
            ended = entry is None or not entry.is_motion
            yield moving, at, entry if ended else None
        moving = entry if entry is not None and entry.is_motion else None
    assert moving is None, f'{moving.base} moves at the end of its record'


def by_kind(
    stopped: Sequence[Stopped], troubles: Sequence[Trouble], window: float
) -> Mapping[str, float]:
    """
    Return how long a base moved on at most, by what failed, in s.

    After its last user's last sign of life; where something between them failed, after that began.
    What failed together with something else counts as `TOGETHER`.
    """
    worst: dict[str, float] = {}
    for stop in stopped:
        lapsed = stop.after >= window - EARLY
        there = [o for o in troubles if o.begin <= stop.at and o.end >= stop.at - stop.after]
        between = [one for one in there if one.machines and stop.began <= one.begin]
        kind = there[0].kind if len(there) == 1 else TOGETHER if there else NOTHING
        if between:
            worst[kind] = max(worst.get(kind, 0.0), stop.at - between[0].begin)
        elif lapsed:
            worst[kind] = max(worst.get(kind, 0.0), stop.after)
    return worst
