# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R7: how a base is stopped: at once, again, and until it is final."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.pure import hung, is_final, machine, NAN, Rig, STOP, times, WINDOW
from viam_session_bridge.core.actions import Cause
from viam_session_bridge.core.events import StopAcknowledged, StopFinal, StopTimedOut
from viam_session_bridge.core.requests import (
    Doubt,
    IsMoving,
    Move,
    Outcome,
    Request,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.stop_control import THERE_AND_BACK
from viam_session_bridge.core.velocity import Velocity

STOP_TIMEOUT = 2.0
DEADLINE = STOP_TIMEOUT + THERE_AND_BACK


# At once


def test_a_lapse_stops_the_base_at_its_deadline(rig: Rig) -> None:
    assert rig.until(WINDOW) == [(WINDOW, STOP)]


@pytest.mark.parametrize('cause', [Cause.LEFT, Cause.DEACTIVATED, Cause.REFUSED, Cause.LAPSE])
def test_a_stop_never_waits_for_a_command_in_flight(rig: Rig, cause: Cause) -> None:
    hung(rig)
    end: dict[Cause, Callable[[], list[Request]]] = {
        Cause.LEFT: lambda: rig.left('A'),
        Cause.DEACTIVATED: rig.deactivate,
        Cause.REFUSED: lambda: rig.command('A', NAN),
        Cause.LAPSE: lambda: [one for _, one in rig.until(WINDOW, times_out=False)],
    }
    assert end[cause]() == [STOP]
    assert len(rig.pending(Move)) == 1


def test_a_stop_is_sent_although_the_channel_is_down(rig: Rig) -> None:
    rig.channel(False)
    assert rig.until(WINDOW) == [(WINDOW, STOP)]


def test_once_the_channel_is_back_the_stop_is_repeated_at_once(rig: Rig) -> None:
    rig.left('A')
    rig.channel(False)
    rig.answer(StopBase, Outcome.CUT)
    assert STOP in rig.channel(True)


def timeout_of_the_next_stop(rig: Rig) -> float:
    rig.drive('B')
    rig.left('B')
    rig.feed(lambda: rig.bridge.seen('B', rig.now))
    (call,) = [call for call, _ in rig.calls if call.request == STOP]
    return call.timeout


# Again


def test_one_that_is_under_way_is_left_to_end(rig: Rig) -> None:
    rig.left('A')
    assert times(rig.until(DEADLINE - 0.001)) == []


def test_when_its_deadline_passed_it_is_sent_again_with_twice_the_time(rig: Rig) -> None:
    """The zero after the first error goes out before it, and is answered at once here."""
    rig.left('A')
    for passed in (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        deadline = rig.now + passed + THERE_AND_BACK
        rig.until(deadline - 0.001)
        assert len(rig.pending(StopBase)) == 1
        sent = rig.until(deadline + 1e-5)
        if rig.pending(Move):
            assert times(sent) == []
            assert rig.answer(Move) == [STOP]
        else:
            assert times(sent) == [pytest.approx(deadline, abs=1e-4)]
    timed_out = rig.events_of(StopTimedOut)
    assert {(one.stop.base, one.stop.cause) for one in timed_out} == {('base', Cause.LEFT)}
    assert timed_out[0].at == DEADLINE
    assert [one.timeout for one in timed_out] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert [one.next_timeout for one in timed_out] == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_one_that_stop_timeout_cuts_short_each_time_ends_on_the_third() -> None:
    rig = Rig(stop_timeout=1.0)  # of a base whose Stop takes 3 s
    rig.drive('A')
    rig.left('A')
    rig.until(1.0 + THERE_AND_BACK)
    assert rig.answer(Move) == [STOP]  # the zero
    second = rig.now + 2.0 + THERE_AND_BACK
    assert times(rig.until(second)) == [pytest.approx(second)]
    assert [one.next_timeout for one in rig.events_of(StopTimedOut)] == [2.0, 4.0]
    rig.until(second + 3.0)
    rig.answer(StopBase)
    assert is_final(rig)


def test_a_deadline_that_grew_shrinks_to_what_stops_take(rig: Rig) -> None:
    rig.left('A')
    rig.until(DEADLINE)
    rig.answer(Move)
    rig.until(rig.now + 2.6)  # of 4 s
    rig.answer(StopBase)
    assert timeout_of_the_next_stop(rig) == 4.0 + THERE_AND_BACK  # a base whose Stop takes so long
    rig.answer(StopBase)
    assert timeout_of_the_next_stop(rig) == DEADLINE


def test_a_stop_that_the_machine_itself_gave_up_sooner_is_an_error_like_any_other(
    rig: Rig,
) -> None:
    rig.left('A')
    rig.now = 0.1
    rig.answer(StopBase, Outcome.TIMED_OUT)
    rig.answer(Move)  # the zero
    assert rig.events_of(StopTimedOut) == []
    rig.answer(StopBase)
    assert timeout_of_the_next_stop(rig) == DEADLINE


def test_so_is_one_that_fails_in_the_last_moment(rig: Rig) -> None:
    rig.left('A')
    rig.now = DEADLINE
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.events_of(StopTimedOut) == []


def test_errors_are_followed_by_pauses_of_50_ms_doubling_to_1_s(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero, and with its answer the next one
    for pause in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert rig.answer(StopBase, Outcome.FAILED) == []
        assert times(rig.until(rig.now + pause)) == [pytest.approx(rig.now)]


def test_one_that_was_cut_is_sent_again_after_50_ms(rig: Rig) -> None:
    rig.left('A')
    assert rig.answer(StopBase, Outcome.CUT) == []
    assert times(rig.until(0.05)) == [0.05]


def test_of_20_that_fail_the_next_is_sent(rig: Rig) -> None:
    rig.left('A')
    for _ in range(20):
        rig.answer(StopBase, Outcome.FAILED)
        if rig.pending(Move):
            rig.answer(Move)
        rig.until(rig.now + 1.0)
    rig.answer(StopBase)
    assert is_final(rig)


def test_a_final_stop_is_not_repeated(rig: Rig) -> None:
    rig.left('A')
    assert rig.answer(StopBase) == []
    assert rig.until(60.0) == []


def test_another_reason_to_stop_is_not_kept_waiting_for_the_next_repetition(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.FAILED)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero
    rig.answer(StopBase, Outcome.FAILED)
    rig.now = 0.01
    assert rig.left('A') == [STOP]


def test_one_under_way_covers_another_reason_to_stop(rig: Rig) -> None:
    rig.command('A', NAN)
    assert rig.left('A') == []
    rig.answer(StopBase)
    assert is_final(rig)


def test_beside_one_that_is_under_way_no_other_goes_out(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    assert rig.left('A') == []
    assert times(rig.until(1.9, times_out=False)) == []
    assert len(rig.pending(StopBase)) == 1


@pytest.mark.parametrize('outcome', [Outcome.OK, Outcome.FAILED])
def test_but_one_as_soon_as_the_last_earlier_command_is_answered(
    rig: Rig, outcome: Outcome
) -> None:
    hung(rig).left('A')
    assert rig.answer(Move, outcome) == [STOP]
    assert len(rig.pending(StopBase)) == 2


def test_where_the_second_of_the_two_is_lost_the_first_ones_answer_sends_the_next(
    rig: Rig,
) -> None:
    hung(rig).left('A')
    rig.answer(Move)
    rig.answer(StopBase, Outcome.CUT, newest=True)
    assert rig.answer(StopBase) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_the_first_of_the_two_was_cancelled_by_us_and_waits_no_longer_for_that(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(Move)
    rig.answer(StopBase, Outcome.CUT, newest=True)
    rig.answer(StopBase, Outcome.CANCELLED)
    assert times(rig.until(1.0, times_out=False)) == [0.1]


def test_the_first_of_the_two_is_cancelled_by_the_other_and_means_nothing(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(Move)
    assert rig.answer(StopBase, Outcome.CANCELLED) == []
    rig.answer(StopBase)
    assert is_final(rig)


def test_also_where_a_command_waits_for_the_first_which_may_hang(rig: Rig) -> None:
    hung(rig).left('A')
    rig.command('B')
    assert rig.answer(Move) == [STOP]
    rig.answer(StopBase, Outcome.CANCELLED)
    rig.answer(StopBase)
    assert rig.pending(StartSession)


def test_acknowledged_beside_a_command_it_is_not_repeated_until_that_is_answered(
    rig: Rig,
) -> None:
    hung(rig).left('A')
    rig.answer(StopBase)
    assert times(rig.until(5.0, times_out=False)) == []
    assert rig.answer(Move) == [STOP]


def test_meanwhile_it_is_asked_after_50_ms_doubling_to_1_s_and_stopped_when_it_moves() -> None:
    rig = Rig(verify=True, machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    hung(rig).left('A')
    rig.answer(StopBase)
    asks = IsMoving('base', Doubt.UNANSWERED)
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        asked_at = rig.now + pause
        assert times(rig.until(asked_at, times_out=False), asks) == [pytest.approx(asked_at)]
        led_to = rig.answer(IsMoving, moving=pause == 0.1)
        assert led_to == ([STOP] if pause == 0.1 else [])
        rig.acknowledge()


def test_another_reason_to_stop_has_it_asked_soon_again() -> None:
    rig = Rig(verify=True, machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    hung(rig).command('A', NAN)
    rig.answer(StopBase)
    rig.until(0.05, times_out=False)
    rig.answer(IsMoving)
    assert rig.left('A') == [STOP]
    rig.answer(StopBase)
    asks = IsMoving('base', Doubt.UNANSWERED)
    assert times(rig.until(0.1, times_out=False), asks) == [pytest.approx(0.1)]


def asked_beside_a_command() -> Rig:
    """Let the base be asked at 1 s, for A's newest command hangs beside the acknowledged Stop."""
    rig = Rig(verify=True, machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    hung(rig).left('A')
    rig.answer(StopBase)
    rig.until(1.0, times_out=False)
    assert rig.pending(IsMoving)
    return rig


def test_an_answer_that_another_stop_overtook_sends_none() -> None:
    rig = asked_beside_a_command()
    rig.command('B')
    assert rig.left('B') == [STOP]
    assert rig.answer(IsMoving, moving=True) == []
    assert rig.answer(StopBase) == []


def test_nor_does_one_that_the_final_stop_overtook() -> None:
    rig = asked_beside_a_command()
    rig.answer(Move)
    rig.answer(StopBase)
    assert is_final(rig)
    assert rig.answer(IsMoving, moving=True) == []


# Final


def test_a_stop_is_final_once_acknowledged(rig: Rig) -> None:
    rig.left('A')
    assert not is_final(rig)
    rig.answer(StopBase)
    assert is_final(rig)
    (acknowledged,), (final,) = rig.events_of(StopAcknowledged), rig.events_of(StopFinal)
    assert (acknowledged.tries, final.tries) == (1, 1)


def test_one_sent_beside_a_command_is_acknowledged_but_not_final(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(StopBase)
    assert rig.events_of(StopAcknowledged)
    assert rig.bridge.not_final() == {'base': True}


@pytest.mark.parametrize('outcome', [Outcome.OK, Outcome.FAILED, Outcome.SESSION_EXPIRED])
def test_when_the_command_was_answered_the_next_one_goes_at_once_and_is_final(
    rig: Rig, outcome: Outcome
) -> None:
    hung(rig).left('A')
    rig.answer(StopBase)
    rig.now = 0.01
    assert rig.answer(Move, outcome) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_the_earlier_one_acknowledged_afterwards_is_not_final_either(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(Move)
    assert len(rig.pending(StopBase)) == 2
    rig.answer(StopBase)  # sent beside the command
    assert not is_final(rig)
    rig.answer(StopBase)
    assert is_final(rig)


def test_the_first_call_of_all_to_a_machine_may_be_a_stop() -> None:
    rig = Rig()
    sent = rig.feed(
        lambda: rig.bridge.command('A', '/base', Velocity(0.4), None, rig.now),
        lambda: rig.bridge.left('A', rig.now),
    )
    assert sent == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_another_reason_to_stop_wants_another_acknowledgement(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    rig.answer(StopBase)
    assert rig.bridge.not_final() == {'base': True}
    rig.left('A')
    assert rig.bridge.not_final() == {'base': False}


def test_which_goes_out_at_once(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(StopBase)
    rig.command('B')
    assert rig.left('B') == [STOP]


# After an outage


def test_one_that_was_refused_before_the_access_was_back_is_sent_again_at_once(rig: Rig) -> None:
    rig.left('A')
    rig.channel(False)
    rig.channel(True)
    assert STOP in rig.answer(StopBase, Outcome.CUT)
