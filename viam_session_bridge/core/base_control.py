# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What is sent to one base, and when.

- R9, *Takeover race*: a stop that was not handed over is not sent once the next command is
  accepted. A command waits for every open Stop.
- R10, *No older command lives on*: a command that fails stops the base, and motion follows only an
  acknowledged Stop that was sent after the failure. While a command is unanswered every zero is a
  stop; when it counts as answered, and no newer command follows within a window, the base is
  stopped. A zero that a command in flight holds up is sent as a Stop beside it.
- R14: at most one command is in flight, and the newest waiting one replaces the older. One that
  is a window old is dropped; it has failed only if it waited for the machine.

R7, the stop itself, is :mod:`viam_session_bridge.core.stop_control`, and R22, standing zeros,
:mod:`viam_session_bridge.core.standing_zero`. Pure: time is handed in; calls are named by numbers
that ascend in the order of handing over.
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
    StopFinal,
)
from viam_session_bridge.core.requests import Outcome
from viam_session_bridge.core.standing_zero import StandingZero
from viam_session_bridge.core.stop_control import StopControl
from viam_session_bridge.core.timing import AT_ONCE, NEVER
from viam_session_bridge.core.unresolved_commands import UNANSWERED

TIMEOUTS_REPORTED = 3  # in a row (R10)
ZERO_WAITS = 0.05  # s, for a command in flight (R10)

_DID_NOT_RUN = (Outcome.SESSION_EXPIRED, Outcome.UNIMPLEMENTED)


@dataclass(frozen=True)
class Command:
    """A command on its way; ``again``: it is sent once more after R13."""

    forward: Forward
    is_zero: bool
    again: bool = False


@dataclass
class Sent:
    """A command in flight."""

    number: int
    command: Command
    deadline: float


class BaseControl:
    """Commands and stops of one base."""

    def __init__(
        self,
        base: str,
        window: float,
        stop_timeout: float,
        events: list[MachineEvent],
        *,
        leaves_displaced: bool = False,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """
        Start at rest.

        :param window: s; a command of that age is dropped (R14)
        :param stop_timeout: s, the first deadline of a Stop (R7)
        :param events: where to add what happens
        :param leaves_displaced: whether a command that another client's call cancelled is left
            to that client (R16), instead of having failed
        :param random: see :class:`StopControl`
        """
        self.base = base
        self.due_at = NEVER  # when to check what is due
        self.waiting: Command | None = None
        self.in_flight: Sent | None = None
        self.stops = StopControl(stop_timeout, events, random)
        self.standing_zero = StandingZero(base, window)
        self.last_sid = ''  # of the newest command handed over
        self.displaced = False  # until the bridge takes note (R16)
        self._events = events
        self._window = window
        self._leaves_displaced = leaves_displaced
        self._timeouts = 0
        self._failing = False  # the newest command that was answered
        # Whether the newest command was sent while an older one was unanswered, which may run
        # after it. Once the older one can no longer run, the base is stopped at this time, unless
        # a newer command has replaced it (R10).
        self._beside_lost = False
        self._doubtful_until = NEVER
        self._commander = ''  # of the newest command handed over
        self._zero_waits_since = 0.0  # of the waiting zeros
        self._at_zero = False  # the newest command that was acknowledged is a zero

    # What was decided

    def forward(self, forward: Forward) -> bool:
        """
        Have an accepted command sent; return False where it is a sign of life alone (R22).

        A stop that was not handed over yet is not sent (R9).
        """
        is_zero = forward.velocity.is_zero
        if not is_zero:
            self.standing_zero.forget()
        elif self.standing_zero.is_sign_of_life_alone(forward):
            return False
        else:
            self.standing_zero.forwarded(forward)
        if not is_zero or self.waiting is None or not self.waiting.is_zero:
            self._zero_waits_since = forward.at
        self.waiting = Command(forward, is_zero)
        self.due_at = AT_ONCE
        stops = self.stops
        stops.commanded, stops.gave_up = True, False
        if (pending := stops.pending) and not pending.tries and not pending.motion_after_ack:
            stops.pending = None
        return True

    def stop(self, stop: Stop) -> bool:
        """
        Stop the base; return whether that is worth reporting: a repeated mistake is not.

        The waiting command is dropped, except for a newer one behind one that failed (R10), and
        another client's behind an expired machine session. A refusal only stops a base that was
        commanded since its last final stop.
        """
        if stop.cause in (Cause.REFUSED, Cause.ZERO) and not self.stops.commanded:
            return False
        if stop.cause is not Cause.FAILED and not (
            stop.cause is Cause.EXPIRED
            and self.waiting is not None
            and self.waiting.forward.client != stop.client
        ):
            self.waiting = None
        self._beside_lost, self._doubtful_until = False, NEVER
        self.standing_zero.stopped(stop)
        self.due_at = AT_ONCE
        return self.stops.stop(stop)

    def stop_standing(self, now: float) -> None:
        """Stop a base that does not stand under its zeros (R22)."""
        if self.stops.pending is None and (stop := self.standing_zero.stop(now)) is not None:
            self.stop(stop)

    def found_at_rest(self) -> None:
        """Count the base, left to its machine and at rest, as good as stopped (R16)."""
        stops = self.stops
        if stops.pending is None and self.waiting is None and stops.all_answered:
            stops.commanded, stops.lost = False, 0

    def left_to_others(self) -> None:
        """Leave the base, at deactivation, to others on its machine (R19)."""
        self.stops.commanded = self.stops.gave_up = False
        self._beside_lost, self._doubtful_until = False, NEVER
        self.standing_zero.forget()

    # What is due

    def sendable(self) -> Command | None:
        """Return the waiting command if it may be sent now (R9, R10, R14)."""
        command = self.waiting
        if command is None or self.in_flight is not None or self.stops.holds(command.is_zero):
            return None
        return command

    def next_deadline(self) -> float:
        """Return when to look again what is due."""
        stops = self.stops
        if stops.pending is None:
            of_stops = min(stops.unresolved.settled_at, self.standing_zero.due_at)
        else:
            of_stops = stops.next_deadline()
        if self.waiting is None:
            return min(of_stops, self._doubtful_until)
        zero_at = self._zero_waits_since + ZERO_WAITS if self._zero_is_held_up else NEVER
        drop_at = self.waiting.forward.at + self._window
        return min(of_stops, self._doubtful_until, drop_at, zero_at)

    def tick(self, now: float) -> None:
        """
        Do what time brings about, and decide what a waiting zero is.

        A command that is a window old is dropped (R14). While a command is unanswered, a zero
        proves nothing, as that command may run after it and live on (R10). So the zero becomes a
        stop, which goes on until it is final. So does one that a command in flight holds up.
        """
        if self.waiting is not None and self.waiting.forward.at + self._window <= now:
            self._drop_old(self.waiting.forward, now)
        stops = self.stops
        changes = stops.pending is not None or stops.unresolved.settled_at <= now
        if changes and stops.tick(now) and self._beside_lost and stops.pending is None:
            self._doubtful_until = now + self._window
        if self._doubtful_until <= now:
            self._doubtful_until = NEVER
            if self.waiting is None:
                self.stop(Stop(self.base, Cause.OLDER, self._commander, now))
        zero = self.waiting
        if zero is not None and zero.is_zero:
            held_up = self._zero_is_held_up and self._zero_waits_since + ZERO_WAITS <= now
            if held_up or stops.unresolved.exist:
                forward = zero.forward
                self.stop(Stop(self.base, Cause.ZERO, forward.client, now, forward.session))

    # What was handed over, and its answers

    def sent(self, number: int, sid: str, deadline: float) -> None:
        """Note that the waiting command is handed over; an earlier stop is not repeated (R9)."""
        assert self.waiting is not None
        self.in_flight = Sent(number, self.waiting, deadline)
        self._commander = self.waiting.forward.client
        self._beside_lost, self._doubtful_until = self.stops.unresolved.exist, NEVER
        self.waiting = None
        self.last_sid = sid
        self.stops.pending = None
        self.stops.command_is_open, self.stops.last_call = True, number

    def answered(
        self, number: int, outcome: Outcome, detail: str, now: float, unknown: bool = False
    ) -> StopFinal | None:
        """
        Handle the end of a call of this base; return the end of its stop, where that was it.

        :param detail: the machine's words for an error
        :param unknown: whether they say that it knows no such base
        """
        self.due_at = AT_ONCE
        sent = self.in_flight
        if sent is None or number != sent.number:
            final = self.stops.answered(number, outcome, detail, unknown, now)
            self.stops.commanded |= self.waiting is not None
            return final
        self.in_flight = None
        self.stops.command_is_open = False
        if outcome is Outcome.OK:
            self.stops.moved = True
            self._at_zero = sent.command.is_zero
            self._timeouts = 0
            if self._failing:
                self._failing = False
                self._events.append(CommandsSucceed(self.base, now))
        else:
            self.stops.moved |= not unknown and outcome not in _DID_NOT_RUN
            self._at_zero = False
            self._command_failed(sent, outcome, detail, now)
        self.stops.clean_stop_due(now)
        return None

    def fail_waiting(self, cause: Cause, detail: str, now: float) -> None:
        """Let the waiting command fail without having been sent (R10)."""
        if self.waiting is not None:
            failed, self.waiting = self.waiting, None
            self._fail(failed, cause, detail, now)

    # Inside

    @property
    def _zero_is_held_up(self) -> bool:
        """Whether a zero waits for a command in flight that is not just another zero (R10)."""
        sent = self.in_flight
        if sent is None or self.waiting is None or not self.waiting.is_zero:
            return False
        return not (self._at_zero and sent.command.is_zero)

    def _drop_old(self, forward: Forward, now: float) -> None:
        """Drop the waiting command, which is a window old (R14)."""
        if self.stops.holds(forward.velocity.is_zero):
            self.waiting = None
            self._events.append(CommandDropped(self.base, forward.client, now))
        else:
            self.fail_waiting(Cause.FAILED, 'it waited a whole window', now)

    def _command_failed(self, sent: Sent, outcome: Outcome, detail: str, now: float) -> None:
        """Decide what a missing answer, or an error, means."""
        stops, forward = self.stops, sent.command.forward
        beside_stop = stops.newest > sent.number
        alone = not beside_stop and not stops.unresolved.exist
        if outcome in UNANSWERED:
            stops.unresolved.add(sent.deadline)
            stops.lost += 1
        self._timeouts = self._timeouts + 1 if outcome is Outcome.TIMED_OUT else 0
        if self._timeouts == TIMEOUTS_REPORTED:
            self._events.append(CommandsTimeOut(self.base, self._timeouts, now))
        if outcome is Outcome.SESSION_EXPIRED and not sent.command.again:
            # It did not run. Once more, if it is still wanted: its session's end, a newer command
            # or a refusal would have left a stop or another command here (R13).
            if stops.pending is None and self.waiting is None:
                self.waiting = replace(sent.command, again=True)
        elif outcome is Outcome.CANCELLED and beside_stop:
            # Our Stop did it, and stops the base; motion waits for its acknowledgement.
            assert stops.pending is not None
            stops.pending.motion_after_ack = True
        elif outcome is Outcome.CANCELLED and alone and self._leaves_displaced:
            self._events.append(CommandDisplaced(self.base, forward.client, now))
            self._beside_lost, self._doubtful_until = False, NEVER
            if self.waiting is None and stops.pending is None:
                self.displaced, stops.commanded, self.last_sid = True, False, ''
                self.standing_zero.forget()
        else:
            self._fail(sent.command, Cause.FAILED, detail, now)
            assert stops.pending is not None
            stops.pending.distrust(stops.last_call)

    def _fail(self, command: Command, cause: Cause, detail: str, now: float) -> None:
        forward = command.forward
        self._failing = True
        self._events.append(CommandFailed(self.base, forward.client, detail, now))
        self.stop(Stop(self.base, cause, forward.client, now, forward.session))
