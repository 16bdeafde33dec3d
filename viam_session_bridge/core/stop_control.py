# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R7, *Stop*: the stop of one base, until it is final.

A base is in a *pending stop* from the moment one is due until it is final: acknowledged by a
*clean* Stop, one that was sent after every earlier command to the base was answered. Servers run
overlapping calls in any order, so a Stop beside a command proves nothing about it.

- A Stop goes out at once, beside a command in flight if need be.
- viam-server cancels a base's running call when the next one comes. So nothing that moves or stops
  the base goes out beside an open Stop. One exception: beside one that is not clean, a clean Stop
  goes out as soon as the last earlier command is answered. It covers every further reason to stop.
- A Stop is sent again only after an error, when its deadline passed, when the connection is back,
  when the last earlier command is answered, or when the base is found to move.
- After its first error one zero velocity follows, and the next Stop waits for its answer.

Pure: time is handed in; calls are named by numbers that ascend in the order of handing over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import (
    MachineEvent,
    StopAcknowledged,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.core.requests import Outcome
from viam_session_bridge.core.timing import AT_ONCE, Backoff, NEVER
from viam_session_bridge.core.unresolved_commands import UNANSWERED, UnresolvedCommands

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # s, before a Stop or a question is sent again
LONGEST_TIMEOUT = 60.0  # s
THERE_AND_BACK = 0.05  # s, on top of what a Stop may take at the base
AMPLE = 1.5  # times what the last Stop took: a deadline that is no longer than needed
OVERDUE_AFTER, OVERDUE_AGAIN_AFTER = 5.0, 60.0  # s
UNKNOWN_EVERY, UNKNOWN_FOR = 1.0, 60.0  # s, while the machine knows no such base

# These leave the base as it was: a stop under way covers them, and a publisher that repeats its
# mistake at 5 kHz must not drive the repetitions.
_COVERED = (Cause.REFUSED, Cause.ZERO, Cause.NO_MACHINE_SESSION)


@dataclass
class OpenStop:
    """
    A Stop call that is under way.

    :param timeout: s, what it may take at the base
    :param clean: sent after every earlier command to the base was answered
    :param alone: no other call of ours to the base was ever open beside it
    :param outdated: the connection or the access was lost, and has come back since
    """

    sent_at: float
    timeout: float
    clean: bool
    alone: bool
    outdated: bool = False

    @property
    def deadline(self) -> float:
        """When gRPC gives it up, s."""
        return self.sent_at + (self.timeout + THERE_AND_BACK)


class PendingStop:
    """The stop that a base is in, from the moment it is due until it is final."""

    def __init__(self, stop: Stop, last_call: int) -> None:
        """Begin with a stop that is due at once; ``last_call``: the newest call to the base."""
        self.stop = stop
        self.due_at = stop.at  # of the next Stop
        self.watch_at = NEVER  # when to ask whether the base moves
        self.tries = 0
        self.sent_at = float('-inf')  # the newest Stop
        self.fence = last_call  # only a later Stop's acknowledgement counts (R10)
        self.acknowledged = False
        self.motion_after_ack = stop.motion_after_ack
        self.zero_due = self.zero_spent = False
        self.failed = False
        self.detail = ''  # why the last Stop failed, in the machine's words
        self.unknown_since: float | None = None  # the machine knows no such base
        self.overdue_at = stop.at + OVERDUE_AFTER
        self.backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._watch_pause = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    @property
    def holds_motion(self) -> bool:
        """Whether the next command waits for an acknowledgement (R10)."""
        return self.motion_after_ack and not self.acknowledged

    def begin_anew(self, stop: Stop, last_call: int) -> None:
        """Handle a reason to stop the base that no Stop sent so far covers."""
        self.distrust(last_call)
        self.backoff.reset()
        self._watch_pause.reset()
        self.due_at = stop.at

    def distrust(self, last_call: int) -> None:
        """Count only Stops that are sent from now on, as a command failed (R10)."""
        self.fence, self.acknowledged = last_call, False

    def watch_again(self, now: float) -> None:
        """
        Ask whether the base moves, soon at first, as a command is unanswered.

        Commands that waited for a lock, or for a machine that was frozen, run when the stop does.
        """
        self.watch_at = now + self._watch_pause.take()

    def repeat_for_zero(self, now: float) -> None:
        """Send a Stop for a zero while a command is unanswered, at a limited rate (R10)."""
        if self.due_at == NEVER:
            self.due_at = max(now, self.sent_at + FIRST_PAUSE)


class StopTimeout:
    """What the Stops of one base may take: learned from those that took longer, and forgotten."""

    def __init__(self, first: float) -> None:
        """Start with the parameter ``stop_timeout``, s."""
        self.first = first
        self.seconds = first

    def passed(self, seconds: float) -> None:
        """Give the next Stop twice the time of one that did not end in time."""
        self.seconds = max(self.seconds, min(2.0 * seconds, LONGEST_TIMEOUT))

    def took(self, seconds: float) -> None:
        """Halve the time if half is ample for what a Stop took: a lost one shows sooner."""
        while self.seconds / 2.0 >= max(self.first, AMPLE * seconds):
            self.seconds /= 2.0


class StopControl:
    """The stop of one base, and the calls for it that are under way."""

    def __init__(
        self,
        stop_timeout: float,
        events: list[MachineEvent],
        random: Callable[[], float],
    ) -> None:
        """
        Start with nothing to stop.

        :param stop_timeout: s, the first deadline of a Stop
        :param events: where to add what happens
        :param random: a number from 0 to 1: two clients that stop one base must not keep step
        """
        self.pending: PendingStop | None = None
        self.open: dict[int, OpenStop] = {}  # Stops under way, by call
        self.unresolved = UnresolvedCommands()
        self.command_is_open = False  # in flight
        self.commanded = False  # since the last final stop, or what is as good as one (R19)
        self.moved = False  # a command may have run, ever; also one that failed half-way
        self.lost = 0  # commands that went unanswered since the last final stop (R20)
        self.gave_up = False  # for the machine knows no such base
        self.newest = 0  # the newest Stop
        self.last_call = 0  # the newest command or zero, or Stop
        self.further_stops = True  # False in the last moments: the exit would cut them (R19)
        self._events = events
        self._random = random
        self._timeout = StopTimeout(stop_timeout)
        self._zero: int | None = None  # the zero velocity in flight that followed an error
        self._zero_deadline = 0.0

    def stop(self, stop: Stop) -> bool:
        """Stop the base; return whether that is worth telling: a repeated mistake is not."""
        pending = self.pending
        if pending is None:
            self.pending = PendingStop(stop, self.last_call)
            return True
        held_motion = pending.motion_after_ack
        pending.motion_after_ack |= stop.motion_after_ack
        if stop.cause is Cause.ZERO and not self.open:
            pending.repeat_for_zero(stop.at)
        if stop.cause in _COVERED:
            return not held_motion
        pending.stop = stop
        if not self.open:
            pending.begin_anew(stop, self.last_call)
        return True

    # What is due

    def holds(self, zero: bool) -> bool:
        """Whether the next command, or zero, is to wait for a stop (R9, R10, R22)."""
        if self.open or self._zero is not None:
            return True
        pending = self.pending
        return pending is not None and (
            pending.holds_motion or (zero and pending.stop.cause is Cause.STANDING)
        )

    def stop_due_at(self) -> float:
        """Return when a Stop is due, as far as nothing holds it back."""
        pending = self.pending
        if pending is None or self._zero is not None:
            return NEVER
        if pending.tries and not self.further_stops:
            return NEVER
        if self.open:
            # One more beside an open one, if that is not clean and all commands are answered;
            # also where a command waits for nothing but the open one, which may hang.
            if not self.all_answered or any(one.clean for one in self.open.values()):
                return NEVER
            return AT_ONCE if pending.due_at == NEVER else pending.due_at
        if pending.due_at == NEVER and pending.holds_motion:
            return AT_ONCE  # none was acknowledged that was sent after a failure (R10)
        return pending.due_at

    def zero_due(self) -> bool:
        """Whether the one zero velocity that follows a stop's first error is due."""
        pending = self.pending
        return pending is not None and pending.zero_due and not self.open and self._zero is None

    def watch_due(self, now: float) -> bool:
        """Whether to ask if the base moves, for a command without an answer may have run."""
        return self.pending is not None and self.pending.watch_at <= now

    def next_deadline(self) -> float:
        """Return when to ask what is due next of a pending stop."""
        pending = self.pending
        assert pending is not None
        overdue_at = NEVER if pending.acknowledged else pending.overdue_at
        return min(self.stop_due_at(), pending.watch_at, overdue_at, self.unresolved.settled_at)

    def tick(self, now: float) -> bool:
        """Do what time brings about; return whether unanswered commands count as answered now."""
        pending = self.pending
        if pending is not None and not pending.acknowledged and pending.overdue_at <= now:
            pending.overdue_at = now + OVERDUE_AGAIN_AFTER
            self._events.append(StopOverdue(pending.stop, pending.tries, pending.detail, now))
        if not self.unresolved.settle(now):
            return False
        self.clean_stop_due(now)
        return True

    # What was handed over, and its answers

    def timeout(self) -> float:
        """Return how long the call of the next Stop may take, in s."""
        return self._timeout.seconds + THERE_AND_BACK

    def sent(self, number: int, now: float) -> None:
        """Note that a Stop is handed over."""
        assert self.pending is not None
        clean = self.all_answered
        for other in self.open.values():
            other.alone = False
        alone = clean and not self.open
        self.open[number] = OpenStop(now, self._timeout.seconds, clean, alone)
        self.pending.tries += 1
        self.pending.sent_at = now
        self.pending.due_at = self.pending.watch_at = NEVER
        self.newest = self.last_call = number

    def zero_sent(self, number: int, deadline: float) -> None:
        """Note that the zero velocity is handed over."""
        self.zero_spared()
        self._zero, self._zero_deadline = number, deadline
        self.last_call = number

    def zero_spared(self) -> None:
        """Note that no zero velocity follows: no valid machine session could cover it."""
        assert self.pending is not None
        self.pending.zero_due = False

    def watched(self) -> None:
        """Note that it is asked whether the base moves while a command is unanswered."""
        assert self.pending is not None
        self.pending.watch_at = NEVER

    def watch_answered(self, moves: bool, now: float) -> None:
        """Handle the answer: a base that moves gets a Stop at once."""
        if self.pending is None or self.open or self.pending.due_at != NEVER:
            return
        if moves:
            self.pending.due_at = now
        elif not self.all_answered:
            self.pending.watch_again(now)

    def connected(self, now: float) -> None:
        """Have a pending stop sent anew: the connection is there again."""
        for open_stop in self.open.values():
            open_stop.outdated = True
        if self.pending is not None and not self.open:
            self.pending.due_at = now

    def answered(
        self, number: int, outcome: Outcome, detail: str, unknown: bool, now: float
    ) -> StopFinal | None:
        """
        Handle the end of a Stop, or of the zero velocity.

        :param detail: the machine's words for an error
        :param unknown: whether they say that it knows no such base
        :return: the end of the stop, where that was it
        """
        if number == self._zero:
            self._zero = None
            if outcome in UNANSWERED:
                self.unresolved.add(self._zero_deadline)
            self.clean_stop_due(now)
            return None
        answered = self.open.pop(number)
        if outcome is Outcome.OK:
            self._timeout.took(now - answered.sent_at)
        timed_out = outcome is Outcome.TIMED_OUT and now >= answered.deadline
        if timed_out:
            self._timeout.passed(answered.timeout)
        pending = self.pending
        if pending is None:
            return None  # it was final by another Stop of it
        if outcome is Outcome.OK:
            return self._acknowledged(pending, number, answered, now)
        pending.detail = detail
        if timed_out:
            self._events.append(
                StopTimedOut(pending.stop, answered.timeout, self._timeout.seconds, now)
            )
        if not pending.failed and outcome is not Outcome.CANCELLED:
            pending.failed = True
            self._events.append(StopFailed(pending.stop, detail, now))
        if unknown:
            self._base_unknown(pending, now)
            return None
        pending.unknown_since = None
        if not pending.zero_spent and outcome not in (Outcome.CANCELLED, Outcome.CUT):
            pending.zero_spent = pending.zero_due = True
        if timed_out or answered.outdated:
            pending.due_at = now
        elif outcome is Outcome.CANCELLED and answered.alone:
            # Another Viam client called, maybe one that repeats its calls, too.
            backoff = pending.backoff.take(longest=self._timeout.first)
            pending.due_at = now + backoff * (1.0 + self._random())
        else:
            pending.due_at = now + pending.backoff.take()
        return None

    def clean_stop_due(self, now: float) -> None:
        """Have the clean Stop sent at once, if every earlier command is answered now."""
        pending = self.pending
        if pending is not None and pending.tries and not self.open and self.all_answered:
            pending.due_at = now

    @property
    def all_answered(self) -> bool:
        """Whether every earlier command is answered, or counts as answered."""
        return not self.command_is_open and self._zero is None and not self.unresolved.exist

    def _acknowledged(
        self, pending: PendingStop, number: int, answered: OpenStop, now: float
    ) -> StopFinal | None:
        pending.unknown_since = None
        if number > pending.fence and not pending.acknowledged:
            pending.acknowledged = True
            self._events.append(StopAcknowledged(pending.stop, pending.tries, now))
        if answered.clean and pending.acknowledged:
            final = StopFinal(pending.stop, pending.tries, self.lost, now)
            self._events.append(final)
            self.pending, self.lost = None, 0
            self.commanded = self.gave_up = False
            return final
        if not self.open:
            pending.backoff.reset()
            if self.all_answered:
                pending.due_at = now
            else:
                pending.watch_again(now)
        return None

    def _base_unknown(self, pending: PendingStop, now: float) -> None:
        """
        Send the Stop again each second to a machine that knows no such base, for a minute.

        That proves nothing: its server may be starting, its motors may run on.
        """
        if pending.unknown_since is None:
            pending.unknown_since = now
        pending.due_at = now + UNKNOWN_EVERY
        if pending.unknown_since + UNKNOWN_FOR <= now:
            self._events.append(StopGivenUp(pending.stop, pending.detail, now))
            # The next reason to stop has it tried again (R19).
            self.pending, self.gave_up, self.commanded = None, self.moved, self.moved

    # For the end (R19)

    @property
    def is_final(self) -> bool:
        """Whether nothing is to be waited for: no pending stop, or one with nothing to stop."""
        return self.pending is None or (
            self.pending.unknown_since is not None
            and not self.moved
            and not self.command_is_open  # it may run yet
        )

    def exit_waits_until(self) -> float:
        """Return the deadline of the newest open Stop where none was acknowledged, else 0."""
        if self.pending is None or self.pending.acknowledged or not self.open:
            return 0.0
        return next(reversed(self.open.values())).deadline

    def closed(self) -> None:
        """Forget a pending stop, which has nothing to stop: the machine is let go of."""
        self.pending, self.commanded = None, self.gave_up
