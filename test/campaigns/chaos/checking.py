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

Where each call takes its time at the base, a Stop has been under way for that long when it acts,
and a machine stops its bases one after the other (R7); a command may have waited for the one
before it (R14), and its client is the last user from then on, not from its effect (R5).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
import math

from support.bounds import AT_ONCE, EARLY, LATE, LEFT
from support.publisher import MARK
from support.record import Entry

SLOWEST, STEP = 0.1, 0.05  # m/s: the first publisher's speed, and from one to the next
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
    takes: float = 0.0  # SetVelocity and Stop at a base, each


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

    @property
    def delivered(self) -> float:
        """By when all has come that it held back, also on a connection that was given up."""
        return self.begin + RTO * (self.end - self.begin) if self.holds_back else self.end


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


@dataclass(frozen=True)
class Motion:
    """
    A time for which a base was moved by one command.

    :param began: since when the base moved without a stop
    :param effect: of the command
    :param end: of that time, by the effect of the next call or the machine's death
    :param stop: what stood the base still; None where another command took over
    :param takers: the commands that began at the base meanwhile, with an effect or not
    """

    began: float
    effect: Entry
    end: float
    stop: Entry | None
    takers: Sequence[Entry]


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
        bases: int = 1,
    ) -> None:
        """
        Take what there is to know.

        :param bases: of the machine, which stops one after the other
        """
        self._bounds = bounds
        self._by_step = {round((sender.speed - SLOWEST) / STEP): sender for sender in senders}
        self._troubles = [trouble for trouble in troubles if machine in trouble.machines]
        self._failing = [one for one in troubles if machine in one.machines or one.fails_calls]
        self._widen = widen
        self._bases = bases

    def verdict(self, base: str, entries: Sequence[Entry], kills: Sequence[float]) -> Verdict:
        """
        Judge one base.

        :param entries: its record, to a time when everything had come to rest
        :param kills: when its machine was killed: what it drives knows no speed any more
        """
        verdict = Verdict()
        self._judge_commands(base, entries, verdict)
        drivers = [self._origin(entry)[0] for entry in entries if entry.is_motion]
        for motion in motions(entries, kills):
            self._judge_motion(motion, verdict)
            if motion.stop is not None and motion.stop.call == 'stop':
                self._judge_stop(motion, drivers, verdict)
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

    def _judge_motion(self, motion: Motion, verdict: Verdict) -> None:
        """Judge the time from a command's effect to that of the next call."""
        bounds, effect, end = self._bounds, motion.effect, motion.end
        sender, number = self._origin(effect)
        left = sender.sent[number - 1]
        widened = self._widen(left, end)
        age = effect.t - left
        if age > bounds.takes + bounds.call_timeout + LATE + widened:
            lasted = end - effect.t
            verdict.late.append(lasted)
            unwanted = sender.last(end) < effect.t - bounds.window
            if unwanted and lasted > bounds.takes + AT_ONCE + widened:
                verdict.violations.append(
                    f'{effect.t:.3f} {effect.base}: {sender.name} number {number} came '
                    f'{age:.3f} s late and was not stopped for {lasted:.3f} s'
                )
            return
        signs = self._signs(motion)
        for sign, until in pairwise([*signs, end]):
            allowed = self._allowed(sign, until) + self._widen(sign, until)
            if until - sign > allowed:
                verdict.violations.append(
                    f'{until:.3f} {effect.base}: moved {until - sign:.3f} s after the last sign '
                    f'of life of {sender.name}, not {allowed:.3f}'
                )
        if motion.stop is not None:
            verdict.stopped.append(Stopped(effect.base, motion.began, end, end - signs[-1]))

    def _signs(self, motion: Motion) -> list[float]:
        """Return the last users' signs of life since that of the command itself."""
        first: dict[str, Sequence[float]] = {}
        for command in (motion.effect, *motion.takers):
            sender, number = self._origin(command)
            first.setdefault(sender.name, sender.sent[number - 1 :])
        left, *_ = first[self._origin(motion.effect)[0].name]
        return sorted(at for sent in first.values() for at in sent if left <= at <= motion.end)

    def _allowed(self, sign: float, until: float) -> float:
        bounds = self._bounds
        between = [one for one in self._troubles if one.begin <= until and one.end >= sign]
        if not between:
            return bounds.window + bounds.takes + LATE
        held = max([0.0, *(RTO * (o.end - o.begin) for o in between if o.holds_back)])
        frozen = sum(min(o.end, until) - max(o.begin, sign) for o in between if o.frozen)
        stops = self._bases * bounds.takes
        return bounds.window + bounds.machine_window + stops + held + frozen + 2 * LATE

    def _judge_stop(self, motion: Motion, drivers: Sequence[Sender], verdict: Verdict) -> None:
        """
        Judge a stop that found the base moving, by the time at which it began.

        One that got no answer, on a connection in whose place there is another, may act late (R9).
        The last user is whose command was accepted last, though it still waited for the one before
        (R5): where that client left, the base is stopped while another one's command moves it.

        :param drivers: whose commands ever reached the base
        """
        bounds = self._bounds
        sender, number = self._origin(motion.effect)
        begun = motion.end - bounds.takes
        silent = begun - sender.last(begun)
        excused = any(o.begin <= motion.end and o.delivered >= begun for o in self._failing)
        slow = (
            self._widen(begun - bounds.window - LATE, motion.end)
            > bounds.call_timeout - bounds.takes
        )
        due = silent >= bounds.window - EARLY or begun >= sender.left
        sent = sender.sent[number - 1]
        gone = [other for other in drivers if other.left <= begun <= other.left + LEFT]
        due |= any(other.last(begun) > sent for other in gone)
        if not (due or excused or slow):
            verdict.violations.append(
                f'{begun:.3f} {motion.effect.base}: stopped {silent:.3f} s after a sign of life '
                f'of {sender.name}, its last user'
            )

    def _origin(self, motion: Entry) -> tuple[Sender, int]:
        """Return who sent a command, and its number."""
        assert motion.linear is not None
        speed = motion.linear[1] / 1000.0
        sender = self._by_step[math.floor((speed - SLOWEST) / STEP + MARK)]
        return sender, round((speed - sender.speed) / MARK)


def motions(entries: Sequence[Entry], kills: Sequence[float]) -> Iterator[Motion]:
    """Yield each motion of a base's record."""
    begun = [one for one in entries if one.is_motion and one.phase == 'begin']
    moving: Entry | None = None
    began = math.inf
    ends: list[tuple[float, Entry | None]] = [
        *((one.t, one) for one in entries if one.takes_effect),
        *((at, None) for at in kills),
    ]
    for at, entry in sorted(ends, key=lambda end: end[0]):
        if moving is not None:
            began = min(began, moving.t)
            after = bisect_right(begun, moving.t, key=_when)
            takers = begun[after : bisect_right(begun, at, key=_when)]
            ended = entry is None or not entry.is_motion
            yield Motion(began, moving, at, entry if ended else None, takers)
            began = math.inf if ended and entry is not None else began
        moving = entry if entry is not None and entry.is_motion else None
    assert moving is None, f'{moving.base} moves at the end of its record'


def _when(entry: Entry) -> float:
    return entry.t


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
