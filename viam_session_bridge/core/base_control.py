# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is sent to one base, and when (R7, R9, R10, R14, R22).

Commands: at most one is in flight, and the newest waiting one replaces the older (R14). One that
is a window old is dropped; it has failed only if it waited for the machine.

Stops: a base is in a *pending stop* from the moment one is due until it is final: acknowledged by
a Stop that was sent after every earlier command to the base was answered, a *clean* one. Servers
run overlapping calls in any order, so that a Stop beside a command proves nothing about it.

- A Stop goes out at once, beside a command in flight if need be.
- viam-server cancels a base's running call when the next one comes. So nothing that moves or stops
  the base goes out beside an open Stop, but for one clean Stop beside one that is not, as soon as
  the last earlier command is answered. The clean one covers every further reason to stop.
- A Stop is sent again after an error, when its deadline passed, when the connection is back, when
  the last earlier command is answered and when the base is found to move, and else never.
- A command waits for every open Stop (R9), and after a failure for an acknowledged Stop that was
  sent after the failure (R10).

Pure: time is handed in; calls are named by numbers that ascend in the order of handing over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.events import (
    CommandDisplaced,
    CommandDropped,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    MachineEvent,
    StopAcknowledged,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.core.pending_stop import (
    OpenStop,
    PendingStop,
    StopTimeout,
    THERE_AND_BACK,
)
from viam_session_bridge.core.requests import Outcome
from viam_session_bridge.core.standing_zero import StandingZero
from viam_session_bridge.core.timing import soonest
from viam_session_bridge.core.unresolved_commands import UnresolvedCommands

TIMEOUTS_REPORTED = 3  # in a row (R10)
UNKNOWN_EVERY, UNKNOWN_FOR = 1.0, 60.0  # s, while the machine knows no such base (R7)
ZERO_WAITS = 0.05  # s, for a command in flight (R10)

# These leave the base as it was: a stop under way covers them, and a publisher that repeats its
# mistake at 5 kHz must not drive the repetitions.
_COVERED = (Cause.REFUSED, Cause.ZERO, Cause.NO_SESSION)
# Answered so, a command may run on in a module or behind a lock (R7).
UNANSWERED = (Outcome.TIMED_OUT, Outcome.CUT, Outcome.CANCELLED)
_DID_NOT_RUN = (Outcome.SESSION_EXPIRED, Outcome.UNIMPLEMENTED)


@dataclass(frozen=True)
class Command:
    """A command on its way: ``attempt`` is 1 when it is sent again after R13."""

    forward: Forward
    attempt: int = 0


@dataclass
class Sent:
    """A command in flight. ``beside_stop``: a Stop went out beside it, which may cancel it."""

    number: int
    command: Command
    deadline: float
    beside_stop: bool = False


class BaseControl:
    """Commands and stops of one base."""

    def __init__(
        self,
        base: str,
        window: float,
        stop_timeout: float,
        *,
        leaves_displaced: bool = False,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """
        Start at rest.

        :param window: s; a command of that age is dropped (R14)
        :param stop_timeout: s, the first deadline of a Stop (R7)
        :param leaves_displaced: whether a command that another client's call cancelled is left
            to that client (R16), instead of having failed
        :param random: a number from 0 to 1: two clients that stop one base must not keep step
        """
        self.base = base
        self.waiting: Command | None = None
        self.in_flight: Sent | None = None
        self.pending: PendingStop | None = None
        self.unresolved = UnresolvedCommands()
        self.commanded = False  # since the last final stop, or what is as good as one (R19)
        self.lost = 0  # commands that went unanswered since the last final stop (R20)
        self.last_sid = ''  # of the newest command handed over
        self.gave_up = False  # a stop, for the machine knows no such base (R7)
        self.events: list[MachineEvent] = []
        self.displaced = False  # until the bridge takes note (R16)
        self._stops: dict[int, OpenStop] = {}
        self._zero: int | None = None  # the zero velocity in flight that followed an error (R7)
        self._zero_deadline = 0.0
        self._window = window
        self._stop_timeout = StopTimeout(stop_timeout)
        self._leaves_displaced = leaves_displaced
        self._random = random
        self._timeouts = 0
        self._failing = False  # the newest command that was answered
        self._moved = False  # a command may have run, ever; also one that failed half-way
        # The newest command was sent while an older one was unanswered, which may have run after
        # it. Once that can happen no more, the base is stopped at this time, unless a newer
        # command has put it right (R10).
        self._beside_lost = False
        self._doubtful_until: float | None = None
        self._further_stops = True  # False in the last moments before the exit (R19)
        self._last_call = 0
        self._commander = ''  # of the newest command handed over
        self._zero_waits_since = 0.0  # of the waiting zeros
        self._at_zero = False  # the newest command that was acknowledged is a zero
        self._standing_zero = StandingZero(base, window)

    # What was decided

    def forward(self, forward: Forward) -> bool:
        """
        Take an accepted command; return False where it is a sign of life alone (R22).

        A stop that was not handed over yet is not sent (R9).
        """
        if self._standing_zero.is_sign_of_life_alone(forward):
            return False
        self._standing_zero.forwarded(forward)
        if not (forward.velocity.is_zero and self._zero_waits):
            self._zero_waits_since = forward.at
        self.waiting = Command(forward)
        self.commanded = True
        self.gave_up = False
        pending = self.pending
        if pending is not None and not pending.tries and not pending.motion_after_ack:
            self.pending = None
        return True

    def stop(self, stop: Stop) -> bool:
        """
        Take a stop; return whether it is worth telling: a mistake that is repeated is not.

        What waits is dropped, but for a newer command behind one that failed (R10), and another
        client's behind an expired machine session. A refusal stops a base only that was commanded
        since its last final stop.
        """
        if stop.cause in (Cause.REFUSED, Cause.ZERO) and not self.commanded:
            return False
        if stop.cause is not Cause.FAILED and not (
            stop.cause is Cause.EXPIRED
            and self.waiting is not None
            and self.waiting.forward.client != stop.client
        ):
            self.waiting = None
        self._beside_lost, self._doubtful_until = False, None
        self._standing_zero.stopped(stop)
        if self.pending is None:
            self.pending = PendingStop(stop, self._last_call)
            return True
        return self._renew(self.pending, stop)

    def found_at_rest(self) -> None:
        """Take that the base, left to its machine, stands still: it is as good as stopped."""
        if self.pending is None and self.waiting is None and self._all_answered:
            self.commanded, self.lost = False, 0

    def left_to_machine(self) -> None:
        """Take that the end of the session, and the stop, is left to the machine (R16)."""
        self._standing_zero.forget()

    def left_to_others(self) -> None:
        """Take that the base was left, at deactivation, to others on its machine (R19)."""
        self.commanded = self.gave_up = False
        self._beside_lost, self._doubtful_until = False, None
        self._standing_zero.forget()

    # What is due

    def sendable(self) -> Command | None:
        """Return the waiting command if it may be sent now (R9, R10, R14)."""
        if self.in_flight is not None or self._held_by_stop:
            return None
        return self.waiting

    def stop_due(self, now: float) -> bool:
        """Whether a Stop is to be handed over now (R7)."""
        at = self._stop_due_at()
        return at is not None and at <= now

    def zero_due(self) -> bool:
        """Whether the one zero velocity that follows a stop's first error is due (R7)."""
        pending = self.pending
        return pending is not None and pending.zero_due and not self._stops and self._zero is None

    def watch_due(self, now: float) -> bool:
        """Whether to ask if the base moves, for a command without an answer may have run (R7)."""
        pending = self.pending
        return (
            pending is not None
            and pending.watch_at is not None
            and pending.watch_at <= now
            and not self._stops
        )

    def standing_due(self, now: float) -> bool:
        """Whether to ask if the base moves, for all its commands were zero for a window (R22)."""
        at = self._standing_due_at()
        return at is not None and at <= now

    def next_deadline(self) -> float | None:
        """Return when to ask what is due next."""
        ages_at = zero_at = watch_at = overdue_at = None
        if self.waiting is not None:
            ages_at = self.waiting.forward.at + self._window
            if self._zero_is_held_up:
                zero_at = self._zero_waits_since + ZERO_WAITS
        if self.pending is not None:
            if not self._stops:
                watch_at = self.pending.watch_at
            if not self.pending.acknowledged:
                overdue_at = self.pending.overdue_at
        of_stops = (self._stop_due_at(), watch_at, overdue_at, self._standing_due_at())
        of_commands = (ages_at, zero_at, self.unresolved.next_settled(), self._doubtful_until)
        return soonest((*of_stops, *of_commands))

    def tick(self, now: float) -> None:
        """
        Do what time brings about, and decide what a waiting zero is.

        A command that is a window old is dropped (R14); unanswered ones count as answered (R7).
        A zero proves nothing while a command is unanswered, which may run after it and live on
        (R10): it is a stop then, and a stop goes on until it is final. So is one that a command
        in flight holds up.
        """
        if self.waiting is not None and self.waiting.forward.at + self._window <= now:
            self._drop_old(now)
        pending = self.pending
        if pending is not None and pending.is_overdue(now):
            self.events.append(StopOverdue(pending.stop, pending.tries, pending.detail, now))
        if self.unresolved.settle(now):
            self._all_answered_now(now)
            if self._beside_lost and self.pending is None:
                self._doubtful_until = now + self._window
        if self._doubtful_until is not None and self._doubtful_until <= now:
            self._doubtful_until = None
            if self.waiting is None:
                self.stop(Stop(self.base, Cause.OLDER, self._commander, now))
        if self._zero_waits:
            assert self.waiting is not None
            held_up = self._zero_is_held_up and self._zero_waits_since + ZERO_WAITS <= now
            if self.unresolved or held_up:
                forward = self.waiting.forward
                self.stop(Stop(self.base, Cause.ZERO, forward.client, now, forward.session))

    # What was handed over, and its answers

    def sent(self, number: int, sid: str, deadline: float) -> None:
        """Take that the waiting command is handed over; a stop of before is not repeated (R9)."""
        assert self.waiting is not None
        self.in_flight = Sent(number, self.waiting, deadline)
        self._commander = self.waiting.forward.client
        self._beside_lost, self._doubtful_until = bool(self.unresolved), None
        self.waiting = None
        self.pending = None
        self.last_sid = sid
        self._last_call = number

    def stop_deadline(self) -> float:
        """Return how long the call of the next Stop may take, in s."""
        return self._stop_timeout.seconds + THERE_AND_BACK

    def stop_sent(self, number: int, now: float) -> None:
        """Take that a Stop is handed over."""
        assert self.pending is not None
        clean = self._all_answered
        for other in self._stops.values():
            other.alone = False
        alone = clean and not self._stops
        self._stops[number] = OpenStop(now, self._stop_timeout.seconds, clean, alone)
        if self.in_flight is not None:
            self.in_flight.beside_stop = True
        self.pending.tries += 1
        self.pending.sent_at = now
        self.pending.due_at = self.pending.watch_at = None
        self._last_call = number

    def zero_sent(self, number: int, deadline: float) -> None:
        """Take that the zero velocity is handed over."""
        assert self.pending is not None
        self.pending.zero_due = False
        self._zero, self._zero_deadline = number, deadline
        self._last_call = number

    def skip_zero(self) -> None:
        """Take that there is no valid machine session to send the zero velocity under (R7)."""
        assert self.pending is not None
        self.pending.zero_due = False

    def watched(self) -> None:
        """Take that it is asked whether the base moves while a command is unanswered."""
        if self.pending is not None:
            self.pending.watch_at = None

    def watch_answered(self, moves: bool, now: float) -> None:
        """Take the answer: a base that moves gets a Stop at once (R7)."""
        if self.pending is None or self._stops or self.pending.due_at is not None:
            return
        if moves:
            self.pending.due_at = now
        elif not self._all_answered:
            self.pending.watch_again(now)

    def standing_asked(self) -> None:
        """Take that it is asked whether the base stands under its zeros."""
        self._standing_zero.asked()

    def stop_standing(self, now: float) -> None:
        """Stop a base that does not stand under its zeros, which are signs of life from now on."""
        if self.pending is None and (stop := self._standing_zero.stop(now)) is not None:
            self.stop(stop)

    def connected(self, now: float) -> None:
        """Take that the connection is there again: a stop is sent anew (R7)."""
        for open_stop in self._stops.values():
            open_stop.outdated = True
        if self.pending is not None and not self._stops:
            self.pending.due_at = now

    def answered(
        self, number: int, outcome: Outcome, detail: str, now: float, unknown: bool = False
    ) -> None:
        """
        Take the answer of a call of this base.

        :param detail: the machine's words for an error
        :param unknown: whether they say that it knows no such base
        """
        if self.in_flight is not None and number == self.in_flight.number:
            self._moved |= not unknown and outcome not in _DID_NOT_RUN
            self._command_answered(self.in_flight, outcome, detail, now)
        elif number == self._zero:
            self._zero = None
            if outcome in UNANSWERED:
                self.unresolved.add(self._zero_deadline)
            self._all_answered_now(now)
        elif number in self._stops:
            self._stop_answered(
                number, self._stops.pop(number), outcome, detail, unknown, now
            )

    def fail_waiting(self, cause: Cause, detail: str, now: float) -> None:
        """Let the waiting command fail without having been sent (R10)."""
        if self.waiting is not None:
            failed, self.waiting = self.waiting, None
            self._fail(failed, cause, detail, now)

    # For the end (R19)

    @property
    def is_final(self) -> bool:
        """Whether nothing is to be waited for: no pending stop, or one with nothing to stop."""
        return self.pending is None or (
            self.pending.unknown_since is not None
            and not self._moved
            and self.in_flight is None  # it may run yet
        )

    def closed(self) -> None:
        """Take that the machine is let go of: a stop that is pending has nothing to stop."""
        self.pending, self.commanded = None, self.gave_up

    def open_stop(self) -> OpenStop | None:
        """Return the newest Stop that is under way."""
        return next(reversed(self._stops.values()), None)

    def allow_further_stops(self, allowed: bool) -> None:
        """Begin further Stops, or no more: the exit would cut them (R19)."""
        self._further_stops = allowed

    # Inside

    def _renew(self, pending: PendingStop, stop: Stop) -> bool:
        """Take another reason to stop the base; return whether it changes anything."""
        held_motion = pending.motion_after_ack
        pending.motion_after_ack |= stop.motion_after_ack
        if stop.cause is Cause.ZERO and not self._stops:
            pending.repeat_for_zero(stop.at)
        if stop.cause in _COVERED:
            return not held_motion
        pending.stop = stop
        if not self._stops:
            pending.begin_anew(stop, self._last_call)
        return True

    def _stop_due_at(self) -> float | None:
        """Return when a Stop is due; None where none is, or something holds it back."""
        pending = self.pending
        if pending is None or self._zero is not None:
            return None
        if pending.tries and not self._further_stops:
            return None
        if self._stops:
            # One more beside an open one, if that is not clean and all commands are answered;
            # also where a command waits for nothing but the open one, which may hang.
            if not self._all_answered or any(one.clean for one in self._stops.values()):
                return None
            return float('-inf') if pending.due_at is None else pending.due_at
        if pending.due_at is None and pending.holds_motion:
            return float('-inf')  # none was acknowledged that was sent after a failure (R10)
        return pending.due_at

    @property
    def _held_by_stop(self) -> bool:
        """Whether a stop of ours holds the next command back (R9, R10)."""
        if self._stops or self._zero is not None:
            return True
        pending = self.pending
        return pending is not None and (
            pending.holds_motion or (pending.holds_zeros and self._zero_waits)
        )

    @property
    def _zero_waits(self) -> bool:
        return self.waiting is not None and self.waiting.forward.velocity.is_zero

    @property
    def _zero_is_held_up(self) -> bool:
        """Whether a zero waits for a command in flight, and not just for one more zero (R10)."""
        sent = self.in_flight
        if sent is None or not self._zero_waits:
            return False
        return not (self._at_zero and sent.command.forward.velocity.is_zero)

    def _drop_old(self, now: float) -> None:
        """Drop the waiting command, which is a window old (R14)."""
        assert self.waiting is not None
        if self._held_by_stop:
            forward, self.waiting = self.waiting.forward, None
            self.events.append(CommandDropped(self.base, forward.client, now))
        else:
            self.fail_waiting(Cause.FAILED, 'it waited a whole window', now)

    def _command_answered(self, sent: Sent, outcome: Outcome, detail: str, now: float) -> None:
        self.in_flight = None
        forward = sent.command.forward
        alone = not sent.beside_stop and not self.unresolved
        if outcome in UNANSWERED:
            self.unresolved.add(sent.deadline)
            self.lost += 1
        self._at_zero = outcome is Outcome.OK and forward.velocity.is_zero
        if outcome is Outcome.OK and self._failing:
            self._failing = False
            self.events.append(CommandsSucceed(self.base, now))
        self._timeouts = self._timeouts + 1 if outcome is Outcome.TIMED_OUT else 0
        if self._timeouts == TIMEOUTS_REPORTED:
            self.events.append(CommandsTimeOut(self.base, self._timeouts, now))
        if outcome is Outcome.SESSION_EXPIRED and sent.command.attempt == 0:
            # It did not run. Once more, if it is still wanted: its session's end, a newer command
            # or a refusal would have left a stop or another command here (R13).
            if self.pending is None and self.waiting is None:
                self.waiting = replace(sent.command, attempt=1)
        elif outcome is Outcome.CANCELLED and sent.beside_stop:
            # Our Stop did it, and stops the base; motion waits for its acknowledgement.
            assert self.pending is not None
            self.pending.motion_after_ack = True
        elif outcome is Outcome.CANCELLED and alone and self._leaves_displaced:
            self.events.append(CommandDisplaced(self.base, forward.client, now))
            self._beside_lost, self._doubtful_until = False, None
            if self.waiting is None and self.pending is None:
                self.displaced, self.commanded, self.last_sid = True, False, ''
                self._standing_zero.forget()
        elif outcome is not Outcome.OK:
            self._fail(sent.command, Cause.FAILED, detail, now)
            assert self.pending is not None
            self.pending.distrust(self._last_call)
        self._all_answered_now(now)

    def _stop_answered(
        self,
        number: int,
        answered: OpenStop,
        outcome: Outcome,
        detail: str,
        unknown: bool,
        now: float,
    ) -> None:
        if outcome is Outcome.OK:
            self._stop_timeout.took(now - answered.sent_at)
        timed_out = outcome is Outcome.TIMED_OUT and now >= answered.deadline
        if timed_out:
            self._stop_timeout.passed(answered.timeout)
        pending = self.pending
        if pending is None:
            return  # it was final by another Stop of it
        if outcome is Outcome.OK:
            self._stop_acknowledged(pending, number, answered, now)
            return
        pending.detail = detail
        if timed_out:
            self.events.append(
                StopTimedOut(pending.stop, answered.timeout, self._stop_timeout.seconds, now)
            )
        if not pending.failed and outcome is not Outcome.CANCELLED:
            pending.failed = True
            self.events.append(StopFailed(pending.stop, detail, now))
        if unknown:
            self._stop_unknown(pending, now)
            return
        pending.unknown_since = None
        if not pending.zero_spent and outcome not in (Outcome.CANCELLED, Outcome.CUT):
            pending.zero_spent = pending.zero_due = True
        if timed_out or answered.outdated:
            pending.due_at = now
        elif outcome is Outcome.CANCELLED and answered.alone:
            # Another Viam client called, maybe one that repeats its calls, too.
            backoff = pending.backoff.take(longest=self._stop_timeout.first)
            pending.due_at = now + backoff * (1.0 + self._random())
        else:
            pending.due_at = now + pending.backoff.take()

    def _stop_unknown(self, pending: PendingStop, now: float) -> None:
        """
        Take that the machine knows no such base, which proves nothing (R7).

        Its server may be starting, its motors may run on. So the Stop is sent again each second,
        and given up after a minute.
        """
        if pending.unknown_since is None:
            pending.unknown_since = now
        pending.due_at = now + UNKNOWN_EVERY
        if pending.unknown_since + UNKNOWN_FOR <= now:
            self.events.append(StopGivenUp(pending.stop, pending.detail, now))
            self.pending, self.gave_up = None, self._moved
            # The next reason to stop has it tried again (R19).
            self.commanded = self._moved or self.waiting is not None

    def _stop_acknowledged(
        self, pending: PendingStop, number: int, answered: OpenStop, now: float
    ) -> None:
        pending.unknown_since = None
        if number > pending.fence and not pending.acknowledged:
            pending.acknowledged = True
            self.events.append(StopAcknowledged(pending.stop, pending.tries, now))
        if answered.clean and pending.acknowledged:
            self.events.append(StopFinal(pending.stop, pending.tries, self.lost, now))
            self.lost = 0
            self.pending, self.gave_up = None, False
            self.commanded = self.waiting is not None
        elif not self._stops:
            pending.backoff.reset()
            if self._all_answered:
                pending.due_at = now
            else:
                pending.watch_again(now)

    def _fail(self, command: Command, cause: Cause, detail: str, now: float) -> None:
        forward = command.forward
        self._failing = True
        self.events.append(CommandFailed(self.base, forward.client, detail, now))
        self.stop(Stop(self.base, cause, forward.client, now, forward.session))

    def _all_answered_now(self, now: float) -> None:
        """Have the final Stop sent at once, if every earlier command is answered now (R7)."""
        pending = self.pending
        if pending is not None and pending.tries and not self._stops and self._all_answered:
            pending.due_at = now

    @property
    def _all_answered(self) -> bool:
        return self.in_flight is None and self._zero is None and not self.unresolved

    def _standing_due_at(self) -> float | None:
        return self._standing_zero.question_due() if self.pending is None else None
