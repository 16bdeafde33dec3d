# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is sent to one base, and when (R7, R9, R10, R14).

- At most one command is in flight; the newest waiting one replaces the older (R14).
- A stop never waits for a command; the next command waits for every stop handed over (R9), and
  after a failure for an acknowledged one (R10).
- A stop is final when it was acknowledged and sent after every earlier command was answered
  (R7); :mod:`viam_session_bridge.machine.unanswered` says when a command without an answer
  counts as answered.

Pure: calls are named by numbers that ascend in the order of handing over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from viam_session_bridge.core.said import Cause, Forward, Stop
from viam_session_bridge.machine.calls import Outcome
from viam_session_bridge.machine.earliest import earliest
from viam_session_bridge.machine.happened import (
    CommandFailed,
    CommandsTimeOut,
    Happened,
    StopAcknowledged,
    StopFinal,
    StopOverdue,
)
from viam_session_bridge.machine.stopping import Stopping
from viam_session_bridge.machine.unanswered import Unanswered

TIMEOUTS_REPORTED = 3  # in a row (R10)


@dataclass(frozen=True)
class Command:
    """A command on its way: ``attempt`` is 1 when it is sent again after R13."""

    forward: Forward
    attempt: int = 0


@dataclass(frozen=True)
class Sent:
    """A command in flight."""

    number: int
    command: Command
    deadline: float


class Sender:
    """Commands and stops of one base."""

    def __init__(self, base: str, window: float) -> None:
        """
        Start at rest.

        :param window: s; a command that waited as long has failed (R14)
        """
        self.base = base
        self.waiting: Command | None = None
        self.in_flight: Sent | None = None
        self.stopping: Stopping | None = None
        self.unanswered = Unanswered()
        self.commanded = False  # since the last final stop, or what is as good as one (R19)
        self.lost = False  # a command, since the last final stop (R20)
        self.last_sid = ''  # of the newest command handed over
        self.happened: list[Happened] = []
        # Of stops that became final by another of their calls: the next command waits (R9).
        self._superseded: set[int] = set()
        self._window = window
        self._zeros: dict[int, float] = {}
        self._timeouts = 0
        # The newest command was sent while an older one was unanswered, which may have run after
        # it. Once that can happen no more, the base is stopped at this time, unless a newer
        # command has put it right (R10).
        self._beside_lost = False
        self._doubtful_until: float | None = None
        self._last_call = 0
        self._commander = ''  # of the newest command handed over

    # What the core decided

    def forward(self, forward: Forward) -> None:
        """Take an accepted command. A stop that was not handed over yet is not sent (R9)."""
        self.waiting = Command(forward)
        self.commanded = True
        stopping = self.stopping
        if stopping is not None and not stopping.handed_over and not stopping.motion_after_ack:
            self.stopping = None

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
        if self.stopping is None:
            self.stopping = Stopping(stop)
            return True
        return self.stopping.renew(stop)

    def found_at_rest(self) -> None:
        """Take that the base, left to its machine, stands still: it is as good as stopped."""
        if self.stopping is None and self.waiting is None and self._all_answered:
            self.commanded = self.lost = False

    def left_to_others(self) -> None:
        """Take that the base was left, at deactivation, to others on its machine (R19)."""
        self.commanded = False
        self._beside_lost, self._doubtful_until = False, None

    # What is due

    def sendable(self) -> Command | None:
        """Return the waiting command if it may be sent now."""
        if self.waiting is None or self.in_flight is not None:
            return None
        if self._zeros or self._superseded:
            return None
        if self.stopping is not None and self.stopping.holds_motion:
            return None
        return self.waiting

    def stop_due(self, now: float) -> bool:
        """Whether a stop is to be handed over now (R7)."""
        return (
            self.stopping is not None
            and self.stopping.due_at <= now
            and not self._about_to_move(self.stopping)
        )

    def zero_due(self) -> bool:
        """Whether the one zero velocity that follows a stop's first error is due (R7)."""
        return self.stopping is not None and self.stopping.zero_due

    def next_deadline(self) -> float | None:
        """Return when :meth:`tick` and the questions above are to be asked next."""
        stop_at = fails_at = None
        if self.stopping is not None and not self._about_to_move(self.stopping):
            stop_at = self.stopping.due_at
        if self.waiting is not None:
            fails_at = self.waiting.forward.at + self._window
        settled_at = self.unanswered.next_settled()
        return earliest((stop_at, fails_at, settled_at, self._doubtful_until))

    def tick(self, now: float) -> None:
        """
        Do what time brings about, and decide what a waiting zero is.

        A command fails that waited a whole window (R14); unanswered ones count as answered (R7).
        A zero proves nothing while a command is unanswered, which may run after it and live on
        (R10): it is a stop then, and a stop goes on until it is final.
        """
        if self.waiting is not None and self.waiting.forward.at + self._window <= now:
            self.fail_waiting(Cause.FAILED, 'it waited a whole window', now)
        if self.stopping is not None and self.stopping.is_overdue(now):
            self.happened.append(StopOverdue(self.stopping.stop, self.stopping.tries, '', now))
        if self.unanswered.settle(now):
            self._all_answered_now(now)
            if self._beside_lost and self.stopping is None:
                self._doubtful_until = now + self._window
        if self._doubtful_until is not None and self._doubtful_until <= now:
            self._doubtful_until = None
            if self.waiting is None:
                self.stop(Stop(self.base, Cause.OLDER, self._commander, now))
        if self.unanswered and self.waiting is not None:
            forward = self.waiting.forward
            if forward.velocity.is_zero:
                self.stop(Stop(self.base, Cause.ZERO, forward.client, now, forward.session))

    # What was handed over, and its answers

    def sent(self, number: int, sid: str, deadline: float) -> None:
        """Take that the waiting command is handed over; a stop of before is not repeated (R9)."""
        assert self.waiting is not None
        self.in_flight = Sent(number, self.waiting, deadline)
        self._commander = self.waiting.forward.client
        self._beside_lost, self._doubtful_until = bool(self.unanswered), None
        self.waiting = None
        self.stopping = None
        self.last_sid = sid
        self._last_call = number

    def stop_sent(self, number: int, now: float) -> None:
        """Take that a stop is handed over."""
        assert self.stopping is not None
        self.stopping.send(number, self._all_answered, now)
        self._last_call = number

    def zero_sent(self, number: int, deadline: float) -> None:
        """Take that the zero velocity is handed over."""
        assert self.stopping is not None
        self.stopping.zero_due = False
        self._zeros[number] = deadline
        self._last_call = number

    def skip_zero(self) -> None:
        """Take that there is no valid machine session to send the zero velocity under (R7)."""
        assert self.stopping is not None
        self.stopping.zero_due = False

    def answered(self, number: int, outcome: Outcome, detail: str, now: float) -> None:
        """Take the answer of a call of this base."""
        if self.in_flight is not None and number == self.in_flight.number:
            self._command_answered(self.in_flight, outcome, detail, now)
        elif number in self._zeros:
            deadline = self._zeros.pop(number)
            if not outcome.answered:
                self._add_unanswered(deadline)
            self._all_answered_now(now)
        elif self.stopping is not None and number in self.stopping.calls:
            self._stop_answered(self.stopping, number, outcome, now)
        else:
            self._superseded.discard(number)

    def fail_waiting(self, cause: Cause, detail: str, now: float) -> None:
        """Let the waiting command fail without having been sent (R10)."""
        if self.waiting is not None:
            failed, self.waiting = self.waiting, None
            self._fail(failed, cause, detail, now)

    def _command_answered(self, sent: Sent, outcome: Outcome, detail: str, now: float) -> None:
        self.in_flight = None
        if not outcome.answered:
            self._add_unanswered(sent.deadline)
        self._timeouts = self._timeouts + 1 if outcome is Outcome.TIMED_OUT else 0
        if self._timeouts == TIMEOUTS_REPORTED:
            self.happened.append(CommandsTimeOut(self.base, self._timeouts, now))
        if outcome is Outcome.SESSION_EXPIRED and sent.command.attempt == 0:
            # It did not run. Once more, if it is still wanted: its session's end or a newer
            # command would have left a stop or another command here (R13).
            if self.stopping is None and self.waiting is None:
                self.waiting = replace(sent.command, attempt=1)
        elif outcome is not Outcome.OK:
            self._fail(sent.command, Cause.FAILED, detail, now)
            if self.stopping is not None:
                self.stopping.distrust(self._last_call)
        self._all_answered_now(now)

    def _stop_answered(
        self, stopping: Stopping, number: int, outcome: Outcome, now: float
    ) -> None:
        acknowledged_before = stopping.acknowledged
        final = stopping.answered(number, outcome)
        if stopping.acknowledged and not acknowledged_before:
            self.happened.append(StopAcknowledged(stopping.stop, stopping.tries, now))
        if final:
            self.happened.append(StopFinal(stopping.stop, stopping.tries, self.lost, now))
            self.lost = False
            self._superseded.update(stopping.calls)
            self.stopping = None
            self.commanded = self.waiting is not None

    def _fail(self, command: Command, cause: Cause, detail: str, now: float) -> None:
        forward = command.forward
        self.happened.append(CommandFailed(self.base, forward.client, detail, now))
        self.stop(Stop(self.base, cause, forward.client, now, forward.session))

    def _add_unanswered(self, deadline: float) -> None:
        self.unanswered.add(deadline)
        self.lost = True

    def _about_to_move(self, stopping: Stopping) -> bool:
        """Whether nothing but repetitions of an acknowledged stop holds a command back (R9)."""
        return (
            self.waiting is not None
            and self.in_flight is None
            and not self._zeros
            and bool(stopping.calls)
            and stopping.acknowledged
        )

    def _all_answered_now(self, now: float) -> None:
        if self.stopping is not None and self._all_answered:
            self.stopping.commands_answered(now)

    @property
    def _all_answered(self) -> bool:
        return self.in_flight is None and not self._zeros and not self.unanswered
