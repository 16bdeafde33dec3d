# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of one base, call by call (R9, R10, R14, R16)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.base_control import BaseControl, TIMEOUTS_REPORTED, ZERO_WAITS
from viam_session_bridge.core.events import (
    CommandDisplaced,
    CommandDropped,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    MachineEvent,
)
from viam_session_bridge.core.requests import Outcome
from viam_session_bridge.core.velocity import Velocity, ZERO

WINDOW = 0.5
CALL_TIMEOUT = 0.25


class Base(BaseControl):
    """A base, with its events; calls are numbered as they are sent."""

    def __init__(self, *, leaves_displaced: bool = False) -> None:
        self.events: list[MachineEvent] = []
        super().__init__('base', WINDOW, 2.0, self.events, leaves_displaced=leaves_displaced)
        self._number = 0

    def command(self, x: float, at: float = 0.0, client: str = 'A') -> Forward:
        forward = Forward('base', client, 1, Velocity(x) if x else ZERO, at)
        self.forward(forward)
        return forward

    def send(self, now: float = 0.0) -> int:
        """Hand the waiting command over."""
        assert self.sendable() is not None
        self._number += 1
        self.sent(self._number, 'sid', now + CALL_TIMEOUT)
        return self._number

    def send_stop(self, now: float = 0.0) -> int:
        assert self.stops.stop_due_at() <= now
        self._number += 1
        self.stops.sent(self._number, now)
        return self._number

    def ends(self, number: int, outcome: Outcome = Outcome.OK, now: float = 0.0) -> None:
        self.answered(number, outcome, 'no power', now)

    def drive(self, x: float = 0.3, now: float = 0.0) -> None:
        self.command(x, now)
        self.ends(self.send(now), now=now)

    @property
    def cause(self) -> Cause | None:
        """Why the base is being stopped."""
        return None if self.stops.pending is None else self.stops.pending.stop.cause

    def kinds(self) -> list[type[MachineEvent]]:
        return [type(event) for event in self.events]


# One in flight, the newest waits (R14)


def test_while_one_is_in_flight_the_newest_waits() -> None:
    base = Base()
    base.command(0.1)
    number = base.send()
    base.command(0.2)
    newest = base.command(0.3)
    assert base.sendable() is None
    base.ends(number)
    command = base.sendable()
    assert command is not None and command.forward == newest


def test_one_that_waited_a_window_for_the_machine_has_failed() -> None:
    base = Base()
    base.command(0.1)
    base.send()
    base.command(0.2, at=0.1)
    base.tick(0.1 + WINDOW - 0.001)
    assert base.events == []
    base.tick(0.1 + WINDOW)
    assert base.kinds() == [CommandFailed]
    assert base.cause is Cause.FAILED


def test_one_that_waited_for_a_stop_is_dropped_and_nothing_else() -> None:
    base = Base()
    base.drive()
    base.stop(Stop('base', Cause.LAPSE, 'A', 0.0))
    base.send_stop()
    base.command(0.2, client='B')
    base.tick(WINDOW)
    assert base.events == [CommandDropped('base', 'B', WINDOW)]
    assert base.waiting is None
    assert base.cause is Cause.LAPSE


# The takeover (R9)


def test_a_command_takes_back_a_stop_that_was_not_handed_over() -> None:
    base = Base()
    base.drive()
    base.stop(Stop('base', Cause.LEFT, 'A', 0.0))
    base.command(0.2, client='B')
    assert base.cause is None
    assert base.sendable() is not None


def test_and_waits_for_one_that_was() -> None:
    base = Base()
    base.drive()
    base.stop(Stop('base', Cause.LEFT, 'A', 0.0))
    stop = base.send_stop()
    base.command(0.2, client='B')
    assert base.sendable() is None
    base.ends(stop, Outcome.FAILED)
    assert base.sendable() is not None


# Failures (R10)


@pytest.mark.parametrize(
    'outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT, Outcome.CANCELLED]
)
def test_a_command_that_fails_stops_the_base_and_the_next_waits_for_that(outcome: Outcome) -> None:
    base = Base()
    base.command(0.1)
    base.ends(base.send(), outcome)
    assert base.cause is Cause.FAILED
    base.command(0.2)
    assert base.sendable() is None
    base.ends(base.send_stop())
    assert base.sendable() is not None


def test_a_command_whose_session_expired_goes_out_once_more() -> None:
    base = Base()
    base.command(0.1)
    base.ends(base.send(), Outcome.SESSION_EXPIRED)
    assert base.cause is None
    base.ends(base.send(), Outcome.SESSION_EXPIRED)
    assert base.cause is Cause.FAILED


def test_timeouts_in_a_row_are_reported_once() -> None:
    base = Base()
    for _ in range(TIMEOUTS_REPORTED + 1):
        base.command(0.1)
        base.ends(base.send(), Outcome.TIMED_OUT)
        base.ends(base.send_stop())
    assert base.kinds().count(CommandsTimeOut) == 1


def test_that_commands_succeed_again_is_reported_once() -> None:
    base = Base()
    base.command(0.1)
    base.ends(base.send(), Outcome.FAILED)
    base.ends(base.send_stop())
    base.drive()
    base.drive()
    assert base.kinds().count(CommandsSucceed) == 1


@pytest.mark.parametrize('cause', [Cause.REFUSED, Cause.ZERO])
def test_a_refusal_stops_no_base_that_stands(cause: Cause) -> None:
    base = Base()
    assert not base.stop(Stop('base', cause, 'A', 0.0))
    assert base.cause is None
    base.drive()
    assert base.stop(Stop('base', cause, 'A', 0.0))


def test_a_zero_that_a_command_in_flight_holds_up_is_a_stop() -> None:
    base = Base()
    base.command(0.1)
    base.send()
    base.command(0.0)
    base.tick(ZERO_WAITS - 0.001)
    assert base.cause is None
    assert base.next_deadline() == ZERO_WAITS
    base.tick(ZERO_WAITS)
    assert base.cause is Cause.ZERO


def test_so_is_one_behind_a_zero_unless_the_base_is_at_zero_already() -> None:
    for outcome in (Outcome.OK, Outcome.FAILED):
        base = Base()
        base.command(0.0)
        base.ends(base.send(), outcome)
        if outcome is Outcome.FAILED:
            base.ends(base.send_stop())
        base.command(0.0)
        base.send()
        base.command(0.0)
        base.tick(ZERO_WAITS)
        assert base.cause is (None if outcome is Outcome.OK else Cause.ZERO)


def test_while_a_command_is_unanswered_every_zero_is_a_stop() -> None:
    base = Base()
    base.command(0.1)
    base.ends(base.send(), Outcome.TIMED_OUT, CALL_TIMEOUT)
    base.ends(base.send_stop(CALL_TIMEOUT), now=CALL_TIMEOUT)
    base.drive(0.2, CALL_TIMEOUT)
    base.command(0.0, at=0.4)
    base.tick(0.4)
    assert base.cause is Cause.ZERO


def test_timeouts_with_another_failure_between_them_are_not_in_a_row() -> None:
    base = Base()
    timed_out = [Outcome.TIMED_OUT] * (TIMEOUTS_REPORTED - 1)
    for outcome in (*timed_out, Outcome.FAILED, *timed_out):
        base.command(0.1)
        base.ends(base.send(), outcome)
        base.ends(base.send_stop())
    assert CommandsTimeOut not in base.kinds()


def test_a_zero_that_waited_a_window_for_the_stop_of_a_standing_zero_is_dropped() -> None:
    base = Base()
    base.drive(0.0)
    base.stop_standing(WINDOW)
    base.ends(base.send_stop(WINDOW), Outcome.FAILED, WINDOW)
    base.command(0.0, WINDOW, client='B')
    assert base.sendable() is None
    base.tick(2 * WINDOW)
    assert base.kinds()[-1] is CommandDropped


# Displaced (R16)


@pytest.mark.parametrize('leaves', [True, False])
def test_a_command_that_another_client_cancelled_failed_or_is_left_to_that_client(
    leaves: bool,
) -> None:
    base = Base(leaves_displaced=leaves)
    base.command(0.1)
    base.ends(base.send(), Outcome.CANCELLED)
    assert base.kinds() == [CommandDisplaced if leaves else CommandFailed]
    assert base.displaced is leaves
    assert base.cause is (None if leaves else Cause.FAILED)


def test_a_base_that_is_left_to_others_is_neither_commanded_nor_given_up() -> None:
    base = Base(leaves_displaced=True)
    base.drive()
    base.stops.gave_up = True
    base.left_to_others()
    assert (base.stops.commanded, base.stops.gave_up) == (False, False)
