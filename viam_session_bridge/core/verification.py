# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
When to ask whether a base really stands still, and what the answer means (R16, R20).

A tenth of a second after a final stop the base is asked, unless somebody commanded it since, and
again while it says that it moves, for it may coast; after a command timed out each second for a
minute, for such a command may run very late. A base that was left to its machine is asked once
that is to have stopped it. Pure: time is handed in, calls are named by numbers.
"""

from __future__ import annotations

from enum import Enum

from viam_session_bridge.core.backoff import Backoff
from viam_session_bridge.core.requests import Answer, Outcome
from viam_session_bridge.core.timing import soonest

FIRST_AFTER = 0.1  # s after the final stop
LEFT_AFTER = 0.25  # s after the machine is to have stopped it
AGAIN_AFTER = 1.0  # s, at most while it moves; after a command timed out, always
AGAIN_FOR = 60.0  # s
STOPPED_ANEW_AFTER = 1.0  # s after the final stop: until then it may coast
REPORTED_AFTER = 3.0  # s


class Finding(Enum):
    """What an answer to the question means."""

    FINE = 'it stands still, or may coast, or nobody can tell'
    MOVES = 'it moves, and no command of ours can be why'
    LATE_COMMAND = 'it moves, and a command that timed out has not been made up for'
    SUSPECT = 'it moves, and a command of ours may be why'
    AT_REST = 'it stands still, which was to be told'
    UNKNOWN = 'it could not be asked'


class _Base:
    """The questions about one base."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self.call: int | None = None
        self.second_call: int | None = None
        self.final_at = 0.0
        self.late_commands = 0  # that timed out, and were not made up for by a stop anew
        self.distrusted_until = 0.0  # a command had timed out
        self.left = False  # to its machine, and not found at rest since
        self.reported = False  # that it moves
        self.backoff = Backoff(FIRST_AFTER, AGAIN_AFTER)


class Verification:
    """The questions about the bases of one machine."""

    def __init__(self) -> None:
        """Start with nothing to ask."""
        self._bases: dict[str, _Base] = {}  # those that nobody commanded since
        self._unknown: set[str] = set()  # those that could not be asked when last they were

    def final(self, base: str, timed_out: int, now: float) -> None:
        """
        Take that a stop is final.

        :param timed_out: how many commands to the base timed out since the final stop before
        """
        asking = self._bases.setdefault(base, _Base())
        if timed_out:
            asking.distrusted_until = now + AGAIN_FOR
            asking.late_commands += timed_out
        asking.left = False
        asking.final_at = now
        asking.backoff.reset()
        asking.due_at = now + asking.backoff.take()

    def left(self, base: str, stopped_by: float, timed_out: int) -> None:
        """Take that a base is left to its machine, which is to stop it by then (R16)."""
        asking = self._bases.setdefault(base, _Base())
        if timed_out:
            asking.distrusted_until = stopped_by + AGAIN_FOR
        asking.left = True
        asking.final_at = stopped_by
        asking.due_at = stopped_by + LEFT_AFTER

    def is_left(self, base: str) -> bool:
        """Whether a base is left to its machine and was not found at rest since."""
        return base in self._bases and self._bases[base].left

    def commanded(self, base: str) -> None:
        """Take that somebody commands the base: there is nothing to verify."""
        self._bases.pop(base, None)

    def end(self) -> None:
        """Ask no more."""
        self._bases.clear()

    def due(self, now: float) -> list[str]:
        """Return the bases to ask now."""
        asking = self._bases.items()
        return [base for base, one in asking if one.due_at is not None and one.due_at <= now]

    def next_deadline(self) -> float | None:
        """Return when to ask next."""
        # Asked for each command, when there is nearly always nothing to verify.
        return soonest(one.due_at for one in self._bases.values()) if self._bases else None

    def asked(self, base: str, number: int) -> None:
        """Take that the question is handed over."""
        self._bases[base].due_at, self._bases[base].call = None, number

    def answered(self, base: str, number: int, answer: Answer, now: float) -> Finding:
        """
        Take an answer, and say what it means.

        Where there is none the base is asked again. A machine that cannot tell whether a base
        moves that was left to it counts as one whose base moves.
        """
        asking = self._bases.get(base)
        if asking is None or number != asking.call:
            return Finding.FINE  # somebody commands the base by now
        asking.call = None
        distrusted = now < asking.distrusted_until
        if distrusted or not answer.outcome.answered:
            asking.due_at = now + AGAIN_AFTER
        if asking.left:
            if not answer.outcome.answered:
                return Finding.FINE
            asking.left = answer.moving or answer.outcome is not Outcome.OK
            return Finding.SUSPECT if asking.left else Finding.AT_REST
        if answer.outcome is not Outcome.OK:
            if asking.reported:
                asking.due_at = now + AGAIN_AFTER
            told = base in self._unknown
            self._unknown.add(base)
            return Finding.FINE if told else Finding.UNKNOWN
        self._unknown.discard(base)
        if not answer.moving:
            reported, asking.reported = asking.reported, False
            return Finding.AT_REST if reported else Finding.FINE
        if not distrusted:
            asking.due_at = now + asking.backoff.take()
        elif now >= asking.final_at + STOPPED_ANEW_AFTER:
            if asking.late_commands:
                asking.late_commands -= 1
                return Finding.LATE_COMMAND
            return Finding.SUSPECT
        return Finding.MOVES if self.to_report(base, now) else Finding.FINE

    def to_report(self, base: str, now: float) -> bool:
        """Whether that a base moves is to be reported now, which is done once (R20)."""
        asking = self._bases[base]
        report = not asking.reported and now >= asking.final_at + REPORTED_AFTER
        asking.reported |= report
        return report

    def asked_again(self, base: str, number: int) -> None:
        """Take that it is asked who else may move a suspect base."""
        self._bases[base].second_call = number

    def answered_again(self, base: str, number: int, answer: Answer, now: float) -> bool:
        """
        Take the answer to that; return whether to act on it.

        The lack of one is acted on where the machine was to have stopped the base: viam-server
        answers no such question while a stop of its own hangs.
        """
        asking = self._bases.get(base)
        if asking is None or number != asking.second_call:
            return False
        asking.second_call = None
        if asking.left:  # which is reported at once (R16)
            asking.left, asking.final_at = False, float('-inf')
            return True
        if answer.outcome in (Outcome.OK, Outcome.UNIMPLEMENTED):
            return True
        asking.due_at = now + AGAIN_AFTER
        return False
