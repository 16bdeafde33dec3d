# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The stop of one base, call by call (R7)."""

from __future__ import annotations

import pytest

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
from viam_session_bridge.core.stop_control import (
    FIRST_PAUSE,
    OVERDUE_AFTER,
    OVERDUE_AGAIN_AFTER,
    PendingStop,
    StopControl,
    StopTimeout,
    THERE_AND_BACK,
    UNKNOWN_EVERY,
    UNKNOWN_FOR,
)
from viam_session_bridge.core.timing import AT_ONCE, NEVER

STOP_TIMEOUT = 2.0


def lapse(at: float = 0.0) -> Stop:
    return Stop('base', Cause.LAPSE, 'A', at, 1, at)


class Stops(StopControl):
    """The stops of a base, with its events; a stop was due at 0 s and goes out by hand."""

    def __init__(self, stop: Stop | None = None) -> None:
        self.events: list[MachineEvent] = []
        super().__init__(STOP_TIMEOUT, self.events, lambda: 0.5)
        self.stop(stop or lapse())

    def ends(self, number: int, outcome: Outcome, now: float, *, unknown: bool = False) -> None:
        self.answered(number, outcome, 'a wheel is off', unknown, now)

    def kinds(self) -> list[type[MachineEvent]]:
        return [type(event) for event in self.events]


# What is due


def test_at_rest_nothing_is_due() -> None:
    stops = StopControl(STOP_TIMEOUT, [], lambda: 0.5)
    assert stops.is_final
    assert not stops.holds(zero=False)
    assert stops.stop_due_at() == NEVER


def test_a_stop_is_due_when_it_was_decided() -> None:
    stops = Stops(lapse(1.5))
    assert stops.stop_due_at() == stops.next_deadline() == 1.5


def test_beside_an_open_one_no_other_is_due() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    assert stops.stop_due_at() == NEVER
    assert stops.holds(zero=False)


def test_but_a_clean_one_beside_one_that_was_sent_beside_a_command() -> None:
    stops = Stops()
    stops.command_is_open = True
    stops.sent(1, 0.0)
    assert stops.stop_due_at() == NEVER
    stops.command_is_open = False
    assert stops.stop_due_at() == AT_ONCE


# What makes it final


def test_acknowledged_with_every_command_answered_it_is_final() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.OK, 0.1)
    assert stops.events == [StopAcknowledged(lapse(), 1, 0.1), StopFinal(lapse(), 1, 0, 0.1)]
    assert stops.is_final
    assert not stops.holds(zero=False)


def test_acknowledged_beside_a_command_it_is_not() -> None:
    stops = Stops()
    stops.command_is_open = True
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.OK, 0.1)
    assert stops.kinds() == [StopAcknowledged]
    assert stops.stop_due_at() == NEVER
    stops.command_is_open = False
    stops.clean_stop_due(0.2)
    assert stops.stop_due_at() == 0.2


def test_nor_while_a_command_without_an_answer_may_still_run() -> None:
    stops = Stops()
    stops.unresolved.add(0.25)
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.OK, 0.1)
    assert stops.kinds() == [StopAcknowledged]
    stops.unresolved.probed(0.25, implemented=True, now=0.3)
    assert not stops.tick(1.2)
    assert stops.tick(1.3)
    assert stops.stop_due_at() == 1.3


def test_motion_waits_for_an_acknowledgement_only_where_a_command_failed() -> None:
    for cause, waits in ((Cause.LAPSE, False), (Cause.FAILED, True)):
        assert Stops(Stop('base', cause, 'A', 0.0)).holds(zero=False) is waits


def test_only_a_zero_waits_for_the_stop_of_a_standing_zero() -> None:
    for cause, waits in ((Cause.LAPSE, False), (Cause.STANDING, True)):
        stops = Stops(Stop('base', cause, 'A', 0.0))
        assert stops.holds(zero=True) is waits
        assert not stops.holds(zero=False)


# Sent again


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.CUT])
def test_after_an_error_it_is_due_after_a_pause(outcome: Outcome) -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    stops.ends(1, outcome, 1.0)
    assert stops.stop_due_at() == 1.0 + FIRST_PAUSE
    assert stops.zero_due() is (outcome is Outcome.FAILED)
    assert stops.kinds() == [StopFailed]


def test_the_next_waits_for_the_zero_velocity() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.FAILED, 0.1)
    stops.zero_sent(2, 0.35)
    assert stops.stop_due_at() == NEVER
    stops.ends(2, Outcome.OK, 0.2)
    assert stops.stop_due_at() == 0.2
    assert not stops.zero_due()


def test_a_deadline_that_passed_doubles_the_next_and_is_reported() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    end = STOP_TIMEOUT + THERE_AND_BACK
    stops.ends(1, Outcome.TIMED_OUT, end)
    assert stops.timeout() == 2 * STOP_TIMEOUT + THERE_AND_BACK
    assert StopTimedOut(lapse(), STOP_TIMEOUT, 2 * STOP_TIMEOUT, end) in stops.events


def test_one_of_another_client_that_cancels_is_not_answered_at_once() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.CANCELLED, 1.0)
    assert stops.stop_due_at() == 1.0 + 1.5 * FIRST_PAUSE  # by half of the random share
    assert stops.events == []


def test_a_connection_that_is_back_has_it_sent_at_once() -> None:
    stops = Stops()
    stops.sent(1, 0.0)
    stops.connected(0.5)
    stops.ends(1, Outcome.CUT, 0.6)
    assert stops.stop_due_at() == 0.6


def test_none_is_begun_just_before_the_exit_but_the_first() -> None:
    stops = Stops()
    stops.further_stops = False
    assert stops.stop_due_at() == 0.0
    stops.sent(1, 0.0)
    stops.ends(1, Outcome.CUT, 0.1)
    assert stops.stop_due_at() == NEVER


# Reported, and given up


def test_one_that_nobody_acknowledges_is_reported_now_and_then() -> None:
    stops = Stops()
    for now in (OVERDUE_AFTER - 0.1, OVERDUE_AFTER, OVERDUE_AFTER + OVERDUE_AGAIN_AFTER - 0.1):
        stops.tick(now)
    assert stops.events == [StopOverdue(lapse(), 0, '', OVERDUE_AFTER)]
    stops.tick(OVERDUE_AFTER + OVERDUE_AGAIN_AFTER)
    assert len(stops.events) == 2


def unknown_for(stops: Stops, seconds: float) -> None:
    """Let the machine say each second, for so long, that it knows no such base."""
    for number in range(round(seconds / UNKNOWN_EVERY) + 1):
        now = number * UNKNOWN_EVERY
        assert stops.stop_due_at() <= now
        stops.sent(number + 1, now)
        stops.ends(number + 1, Outcome.FAILED, now, unknown=True)


def test_a_base_that_the_machine_does_not_know_is_given_up_after_a_minute() -> None:
    stops = Stops()
    stops.commanded = stops.moved = True
    unknown_for(stops, UNKNOWN_FOR - UNKNOWN_EVERY)
    assert not stops.is_final
    stops = Stops()
    stops.commanded = stops.moved = True
    unknown_for(stops, UNKNOWN_FOR)
    assert stops.kinds() == [StopFailed, StopGivenUp]
    assert stops.gave_up
    assert stops.commanded  # the next end tries again


def test_where_no_command_ever_ran_there_is_nothing_to_wait_for() -> None:
    stops = Stops()
    unknown_for(stops, 0.0)
    assert stops.is_final
    stops.command_is_open = True
    assert not stops.is_final


# PendingStop


def test_a_new_reason_counts_only_stops_that_are_sent_after_it() -> None:
    pending = PendingStop(lapse(), last_call=3)
    assert pending.fence == 3
    pending.acknowledged = True
    pending.begin_anew(lapse(1.0), last_call=5)
    assert (pending.fence, pending.acknowledged, pending.due_at) == (5, False, 1.0)


def test_zeros_do_not_drive_its_repetitions() -> None:
    pending = PendingStop(lapse(), 0)
    pending.due_at, pending.sent_at = NEVER, 1.0
    pending.repeat_for_zero(1.01)
    pending.repeat_for_zero(1.02)
    assert pending.due_at == 1.0 + FIRST_PAUSE


# StopTimeout


def test_a_deadline_shrinks_back_to_stop_timeout_whatever_that_is() -> None:
    timeout = StopTimeout(0.5)
    timeout.passed(0.5)
    timeout.passed(1.0)
    assert timeout.seconds == 2.0
    timeout.took(0.1)
    assert timeout.seconds == 0.5


@pytest.mark.parametrize(('took', 'left'), [(1.3, 2.0), (1.4, 4.0)])
def test_it_shrinks_to_what_is_ample_for_the_last_one(took: float, left: float) -> None:
    timeout = StopTimeout(1.0)
    timeout.passed(2.0)
    timeout.took(took)
    assert timeout.seconds == left


# The exit (R19)


def test_the_exit_waits_for_an_open_one_to_its_deadline() -> None:
    stops = Stops()
    assert stops.exit_waits_until() == 0.0
    stops.sent(1, 1.0)
    assert stops.exit_waits_until() == 1.0 + STOP_TIMEOUT + THERE_AND_BACK


@pytest.mark.parametrize('acknowledged', [1, 2], ids=['one of two', 'the clean one'])
def test_not_where_one_was_acknowledged(acknowledged: int) -> None:
    stops = Stops()
    stops.command_is_open = True
    stops.sent(1, 0.0)
    stops.command_is_open = False
    stops.sent(2, 0.1)
    stops.ends(acknowledged, Outcome.OK, 0.2)
    assert stops.open
    assert stops.exit_waits_until() == 0.0
