# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""How a base is stopped: at once, again, and until it is final (R7, R10)."""

from collections.abc import Callable

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import (
    CommandFailed,
    MachineClosed,
    StopAcknowledged,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.core.pending_stop import StopTimeout, THERE_AND_BACK
from viam_session_bridge.core.requests import (
    Doubt,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Request,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity, ZERO

STOP = StopBase('base')
NAN = float('nan')
STOP_TIMEOUT = 2.0
DEADLINE = STOP_TIMEOUT + THERE_AND_BACK


@pytest.fixture
def rig() -> Rig:
    """Let A drive a base; all calls are answered."""
    rig = Rig()
    rig.drive('A')
    return rig


def hung(rig: Rig) -> Rig:
    """Leave A's newest command in flight."""
    rig.command('A', 0.4)
    assert rig.pending(Move)
    return rig


def times(sent: list[tuple[float, Request]], request: Request = STOP) -> list[float]:
    return [at for at, one in sent if one == request]


def timeout_of_the_next_stop(rig: Rig) -> float:
    rig.drive('B')
    rig.left('B')
    rig.feed(lambda: rig.bridge.seen('B'))
    (call,) = [call for call, _ in rig.calls if call.request == STOP]
    return call.timeout


def is_final(rig: Rig) -> bool:
    return bool(rig.told(StopFinal)) and rig.bridge.not_final() == {}


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


def test_a_hung_machine_delays_no_other_machines_stop() -> None:
    rig = Rig(
        base('base'),
        base('other', machine='second'),
        machines=[machine('main'), machine('second')],
    )
    rig.drive('A')
    rig.drive('B', topic='/other')
    hung(rig)
    sent = rig.until(WINDOW, times_out=False)
    assert times(sent) == times(sent, StopBase('other')) == [WINDOW]


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
    timed_out = rig.told(StopTimedOut)
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
    assert [one.next_timeout for one in rig.told(StopTimedOut)] == [2.0, 4.0]
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


def test_a_stop_that_the_machine_itself_gave_up_sooner_is_an_error_like_any_other(
    rig: Rig,
) -> None:
    rig.left('A')
    rig.now = 0.1
    rig.answer(StopBase, Outcome.TIMED_OUT)
    rig.answer(Move)  # the zero
    assert rig.told(StopTimedOut) == []
    rig.answer(StopBase)
    assert timeout_of_the_next_stop(rig) == DEADLINE


def test_so_is_one_that_fails_in_the_last_moment(rig: Rig) -> None:
    rig.left('A')
    rig.now = DEADLINE
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.told(StopTimedOut) == []


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


# Cancelled


def test_one_that_another_client_cancelled_waits_one_to_two_pauses_up_to_stop_timeout() -> None:
    numbers = iter([0.0, 1.0] + [0.5] * 6)
    rig = Rig(random=lambda: next(numbers))
    rig.drive('A')
    rig.left('A')
    for pause in (0.05, 0.2, 0.3, 0.6, 1.2, 2.4, 3.0, 3.0):
        assert rig.answer(StopBase, Outcome.CANCELLED) == []  # and no zero
        sent_at = rig.now + pause
        assert times(rig.until(sent_at + 1e-6)) == [pytest.approx(sent_at)]


def test_one_that_a_command_sent_before_it_cancelled_is_sent_again_after_50_ms(rig: Rig) -> None:
    hung(rig).left('A')
    assert rig.answer(StopBase, Outcome.CANCELLED) == []
    assert times(rig.until(0.05)) == [0.05]


def test_a_command_that_our_stop_cancelled_has_not_failed_and_may_run_on(rig: Rig) -> None:
    hung(rig).left('A')
    assert rig.answer(Move, Outcome.CANCELLED) == []
    assert rig.told(CommandFailed) == []
    rig.answer(StopBase)
    assert not is_final(rig)
    assert times(rig.until(CALL_TIMEOUT), GetSessions()) == [CALL_TIMEOUT]
    rig.answer(GetSessions)
    assert times(rig.until(CALL_TIMEOUT + 1.0)) == [CALL_TIMEOUT + 1.0]
    rig.answer(StopBase)
    assert is_final(rig)


def test_a_command_that_another_client_cancelled_has_failed(rig: Rig) -> None:
    hung(rig)
    assert rig.answer(Move, Outcome.CANCELLED) == [STOP]
    assert rig.told(CommandFailed)


# A machine that knows no such base

ZERO_SENT = Move('base', ZERO, 'sid-1')
UNKNOWN = 'UNKNOWN: no node found with api rdk:component:base and name base'


def stop_of_a() -> Stop:
    return Stop('base', Cause.LEFT, 'A', 0.0, 1, 0.0)


def test_it_is_repeated_each_second_without_a_zero(rig: Rig) -> None:
    rig.left('A')
    for _ in range(3):
        assert ZERO_SENT not in rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        assert times(rig.until(rig.now + 1.0)) == [pytest.approx(rig.now)]


def give_up(rig: Rig) -> None:
    rig.left('A')
    while not rig.told(StopGivenUp):
        assert rig.now <= 61.0
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)


def test_and_given_up_and_told_after_a_minute(rig: Rig) -> None:
    give_up(rig)
    assert rig.now == 61.0
    assert rig.told(StopGivenUp) == [StopGivenUp(stop_of_a(), UNKNOWN, 60.0)]
    assert rig.pending(StopBase) == []
    assert rig.bridge.given_up() == ['base']


def test_the_end_tries_one_that_was_given_up_again_for_it_may_be_back(rig: Rig) -> None:
    give_up(rig)
    assert rig.deactivate() == [STOP]
    assert rig.bridge.not_final() == {'base': False}
    rig.answer(StopBase)
    assert is_final(rig)
    assert rig.bridge.given_up() == []


def test_once_its_machine_is_closed_nothing_has_it_tried_again(rig: Rig) -> None:
    rig.deactivate()
    while not rig.told(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    assert rig.told(MachineClosed)
    assert rig.command('A') == []
    assert rig.bridge.given_up() == ['base']


def test_but_the_next_end_does_for_it_may_be_back(rig: Rig) -> None:
    rig.deactivate()
    while not rig.told(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    rig.feed(lambda: rig.bridge.activate(rig.now))
    assert rig.deactivate() == [STOP]


def test_so_does_a_refusal(rig: Rig) -> None:
    give_up(rig)
    rig.feed(lambda: rig.bridge.seen('A'))
    assert rig.command('A', NAN) == [STOP]


def test_another_answer_begins_the_minute_anew(rig: Rig) -> None:
    rig.left('A')
    for step in range(90):
        detail = UNKNOWN if step != 45 else 'UNAVAILABLE: resource not available'
        rig.answer(StopBase, Outcome.FAILED, detail=detail)
        while rig.pending(Move):
            rig.answer(Move)
        rig.until(rig.now + 1.0)
    assert rig.told(StopGivenUp) == []


def test_an_acknowledgement_does_too(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.until(1.0, times_out=False)
    rig.answer(StopBase)
    rig.answer(Move)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.until(60.5, times_out=False)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    assert rig.told(StopGivenUp) == []


def test_where_an_earlier_command_was_acknowledged_it_is_waited_for(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def given_up_unmoved() -> Rig:
    """Let the stop of a base be given up that the machine never knew."""
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    while not rig.told(StopGivenUp):
        rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
        rig.until(rig.now + 1.0)
    return rig


def test_a_refusal_stops_no_base_that_no_command_ever_moved() -> None:
    rig = given_up_unmoved()
    assert STOP not in rig.command('A', NAN)


def test_so_is_one_of_a_base_that_is_known_though_no_command_ran() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    assert STOP in rig.answer(Move, Outcome.UNIMPLEMENTED)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def test_a_base_that_nobody_ever_commanded_was_not_given_up() -> None:
    assert Rig().bridge.given_up() == []


def test_where_no_command_was_ever_acknowledged_nothing_is_waited_for() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    assert STOP in rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {}
    assert rig.bridge.given_up() == []


@pytest.mark.parametrize('open_at_the_close', [True, False])
def test_nor_sent_once_the_machine_is_closed(open_at_the_close: bool) -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    if open_at_the_close:
        assert times(rig.until(WINDOW)) == [WINDOW]
    rig.deactivate()
    assert rig.told(MachineClosed)
    if open_at_the_close:
        rig.answer(StopBase, Outcome.CUT)
    assert times(rig.until(5.0)) == []
    assert rig.bridge.not_final() == {}


def test_but_a_command_that_failed_otherwise_may_have_moved_the_base() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, Outcome.FAILED, detail='UNKNOWN: the left motor has no power')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}


def test_and_while_the_first_command_is_in_flight_it_may_run_yet() -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    rig.deactivate()
    assert rig.bridge.not_final() == {'base': False}
    rig.answer(Move, Outcome.FAILED, detail=UNKNOWN)
    rig.answer(StopBase, Outcome.FAILED, detail=UNKNOWN)
    assert rig.bridge.not_final() == {}


# The machine's words


def test_the_first_failure_is_told_and_the_last_one_while_it_goes_on(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: a wheel is off')
    rig.answer(Move)
    rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: another wheel is off')
    assert rig.told(StopFailed) == [StopFailed(stop_of_a(), 'UNKNOWN: a wheel is off', 0.0)]
    while rig.now < 5.5:
        rig.until(rig.now + 1.0)
        rig.answer(StopBase, Outcome.FAILED, detail='UNKNOWN: another wheel is off')
    assert [one.detail for one in rig.told(StopOverdue)] == ['UNKNOWN: another wheel is off']


def test_before_any_failure_there_are_none_to_tell() -> None:
    rig = Rig(stop_timeout=10.0)
    rig.drive('A')
    rig.left('A')
    rig.until(5.0)
    assert rig.told(StopOverdue) == [StopOverdue(stop_of_a(), 1, '', 5.0)]


def test_after_an_acknowledged_stop_a_refusal_sends_no_other(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    rig.answer(StopBase)
    assert rig.command('A', NAN) == []
    assert times(rig.until(WINDOW - 0.1, times_out=False)) == []


def test_nor_does_a_zero_beside_an_open_one_once_that_is_acknowledged(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.TIMED_OUT)
    rig.command('A', 0.0)
    assert len(rig.pending(StopBase)) == 1
    assert rig.answer(StopBase) == []
    assert times(rig.until(CALL_TIMEOUT)) == []


def test_refusals_at_5_khz_do_not_drive_the_repetitions(rig: Rig) -> None:
    hung(rig)
    rig.command('A', NAN)
    sent: list[Request] = []
    for step in range(1, 1001):
        rig.until(step * 0.0002, times_out=False)
        sent += rig.command('A', NAN if step % 2 else 0.0)
    assert sent == []
    assert len(rig.pending(StopBase)) == 1


def test_nor_do_machine_sessions_that_cannot_be_started(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.CUT)
    rig.acknowledge()
    for _ in range(3):
        assert rig.command('B') == [StartSession('')]
        assert rig.answer(StartSession, Outcome.FAILED) == []


# Final


def test_a_stop_is_final_once_acknowledged(rig: Rig) -> None:
    rig.left('A')
    assert not is_final(rig)
    rig.answer(StopBase)
    assert is_final(rig)
    (acknowledged,), (final,) = rig.told(StopAcknowledged), rig.told(StopFinal)
    assert (acknowledged.tries, final.tries) == (1, 1)


def test_one_sent_beside_a_command_is_acknowledged_but_not_final(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(StopBase)
    assert rig.told(StopAcknowledged)
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


def test_the_next_waits_for_the_answer_of_the_zero(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert times(rig.until(0.2)) == []
    assert rig.answer(Move) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_or_for_its_deadline_a_quarter_second_at_most() -> None:
    rig = Rig(machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert times(rig.until(0.3)) == [0.25]



# Commands without an answer


def unanswered(rig: Rig, outcome: Outcome = Outcome.TIMED_OUT) -> Rig:
    """Leave A's newest command, of time 0, without an answer; A left, its stops acknowledged."""
    hung(rig)
    rig.now = CALL_TIMEOUT
    rig.answer(Move, outcome)
    rig.left('A')
    rig.acknowledge()
    assert not is_final(rig)
    return rig


def test_after_a_timeout_the_machine_is_asked_for_its_sessions(rig: Rig) -> None:
    unanswered(rig)
    assert rig.pending(GetSessions) == [GetSessions()]


def test_its_answer_counts_for_the_bases_that_have_such_a_command() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('B', topic='/other')
    rig.drive('A')
    unanswered(rig)
    rig.answer(GetSessions)
    assert times(rig.until(CALL_TIMEOUT + 1.0)) == [CALL_TIMEOUT + 1.0]


def test_one_that_was_cut_is_asked_for_past_its_deadline(rig: Rig) -> None:
    hung(rig)
    rig.now = 0.1
    rig.answer(Move, Outcome.CUT)
    rig.acknowledge()
    assert rig.pending(GetSessions) == []
    assert times(rig.until(CALL_TIMEOUT), GetSessions()) == [CALL_TIMEOUT]


def test_one_second_after_that_answer_the_stop_can_be_final(rig: Rig) -> None:
    unanswered(rig)
    rig.now = 0.3
    rig.answer(GetSessions)
    while rig.now < 1.29:
        rig.until(rig.now + 0.01)
        rig.acknowledge()
        assert not is_final(rig)
    assert times(rig.until(1.3)) == [1.3]
    rig.acknowledge()
    assert is_final(rig)


def test_without_that_answer_it_is_asked_again_and_not_final(rig: Rig) -> None:
    unanswered(rig)
    asked = 0
    while rig.now < 20.0:
        asked += len(times(rig.until(rig.now + 0.1), GetSessions()))
        rig.acknowledge()
    assert asked > 10
    assert not is_final(rig)


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.CUT])
def test_an_error_says_nothing(rig: Rig, outcome: Outcome) -> None:
    unanswered(rig)
    rig.answer(GetSessions, outcome)
    rig.until(rig.now + 1.0)
    assert rig.pending(GetSessions)
    rig.acknowledge()
    assert not is_final(rig)


def test_after_an_error_it_is_asked_again_after_50_ms_doubling_to_1_s(rig: Rig) -> None:
    unanswered(rig)
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert rig.answer(GetSessions, Outcome.FAILED) == []
        asked = times(rig.until(rig.now + pause, times_out=False), GetSessions())
        assert asked == [pytest.approx(rig.now)]


def test_where_that_call_is_not_implemented_ten_seconds_have_to_do(rig: Rig) -> None:
    unanswered(rig)
    rig.answer(GetSessions, Outcome.UNIMPLEMENTED)
    while rig.now < CALL_TIMEOUT + 9.9:
        rig.until(rig.now + 0.1)
        rig.acknowledge()
        assert not is_final(rig)
    rig.until(CALL_TIMEOUT + 10.0)
    rig.acknowledge()
    assert is_final(rig)


def test_an_answer_sent_for_before_the_deadline_does_not_count() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.drive('B', topic='/other')
    unanswered(rig)  # is asked for at 0.25
    rig.now = 0.3
    rig.command('B', 0.4, '/other')
    rig.now = 0.4
    rig.answer(Move, Outcome.CUT)
    rig.answer(GetSessions)
    rig.until(0.55)  # the deadline of B's command
    assert rig.pending(GetSessions)
    while rig.now < 3.0:
        rig.until(rig.now + 0.1, times_out=False)
        rig.acknowledge()
    assert [final.stop.base for final in rig.told(StopFinal)] == ['base']


def test_a_zero_without_an_answer_counts_too(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.now = 0.01
    rig.answer(Move, Outcome.TIMED_OUT)
    assert times(rig.until(CALL_TIMEOUT), GetSessions()) == [CALL_TIMEOUT]
    rig.acknowledge()
    assert not is_final(rig)


def test_the_final_stop_tells_how_many_there_were(rig: Rig) -> None:
    for _ in range(2):
        hung(rig)
        rig.until(rig.now + CALL_TIMEOUT)
        rig.acknowledge()
    rig.left('A')
    while not is_final(rig):
        assert rig.now < 5.0
        if rig.pending(GetSessions):
            rig.answer(GetSessions)
        rig.acknowledge()
        rig.until(rig.now + 0.1)
    assert [final.timed_out for final in rig.told(StopFinal)] == [2]


@pytest.mark.parametrize('mode', [SessionsMode.AUTO, SessionsMode.DISABLED])
def test_a_zero_command_does_not_end_a_stop_that_is_not_final(mode: SessionsMode) -> None:
    rig = Rig(base(sessions=mode))
    rig.drive('A')
    hung(rig)
    rig.answer(Move, Outcome.TIMED_OUT)  # it may still run
    rig.acknowledge()
    rig.drive('A', 0.0)
    assert rig.bridge.not_final() == {'base': True}
    while rig.now < 5.0:
        rig.heartbeat('A')
        rig.until(rig.now + 0.1)
        if rig.pending(GetSessions):
            rig.answer(GetSessions)
        rig.acknowledge()
    assert is_final(rig)


# The zero velocity


def test_after_the_first_error_one_zero_follows_under_the_ended_session(rig: Rig) -> None:
    rig.left('A')
    assert rig.answer(StopBase, Outcome.FAILED) == [Move('base', ZERO, 'sid-1')]


def test_a_deadline_that_passed_will_do(rig: Rig) -> None:
    rig.left('A')
    assert rig.until(DEADLINE) == [(DEADLINE, Move('base', ZERO, 'sid-1'))]


@pytest.mark.parametrize('outcome', [Outcome.CUT, Outcome.CANCELLED])
def test_none_after_a_cut_or_a_cancellation(rig: Rig, outcome: Outcome) -> None:
    rig.left('A')
    assert rig.answer(StopBase, outcome) == []


def test_the_zero_is_sent_once(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move, Outcome.FAILED)
    for _ in range(5):
        rig.until(rig.now + 1.0)
        while rig.pending(StopBase):
            assert rig.answer(StopBase, Outcome.FAILED) == []
    assert rig.pending(Move) == []


def test_an_acknowledged_zero_is_no_acknowledged_stop(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)
    assert rig.bridge.not_final() == {'base': False}


def test_without_a_machine_session_there_is_none() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    rig.drive('A')
    rig.deactivate()
    assert rig.answer(StopBase, Outcome.FAILED) == []


def test_none_under_a_machine_session_that_lapsed() -> None:
    rig = Rig()
    rig.machine_window = 0.3
    rig.drive('A')
    rig.until(WINDOW, times_out=False)
    rig.now = 0.2 + CALL_TIMEOUT + 0.4 + 1.0
    assert [one for one in rig.answer(StopBase, Outcome.FAILED) if isinstance(one, Move)] == []


def test_nor_later_when_that_machine_session_was_resumed() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.drive('A', topic='/other')
    rig.command('A')
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [StopBase('other'), StartSession('sid-1')]
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(StartSession, sid='sid-1')
    assert rig.pending(Move) == [Move('base', Velocity(0.3), 'sid-1')]
    rig.answer(Move)
    assert {request for _, request in rig.until(0.2)} == {StopBase('other')}


# Failures stop the base though the session lives on (R10)


@pytest.mark.parametrize(
    'outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED]
)
def test_a_command_that_fails_stops_the_base(rig: Rig, outcome: Outcome) -> None:
    hung(rig)
    assert STOP in rig.answer(Move, outcome)
    (failed,) = rig.told(CommandFailed)
    assert (failed.base, failed.client) == ('base', 'A')
    assert rig.bridge.table.session('A') is not None


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_a_command_that_gets_no_machine_session_stops_the_base(outcome: Outcome) -> None:
    rig = Rig()
    rig.command('A')
    assert rig.answer(StartSession, outcome) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_a_command_that_fails_after_an_acknowledged_stop_needs_another(rig: Rig) -> None:
    hung(rig)
    rig.command('A', NAN)
    rig.answer(StopBase)
    assert rig.answer(Move, Outcome.FAILED) == [STOP]
    assert rig.command('A', 0.5) == []
    assert rig.answer(StopBase) == [Move('base', Velocity(0.5), 'sid-1')]


def test_also_one_that_fails_after_the_zero_was_sent(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    assert rig.answer(StopBase, Outcome.FAILED) == [Move('base', ZERO, 'sid-1')]
    assert rig.answer(Move, Outcome.FAILED) == []  # the command
    assert rig.answer(Move) == [STOP]  # the zero
    assert rig.command('A', 0.5) == []
    rig.acknowledge()
    assert rig.pending(Move) == [Move('base', Velocity(0.5), 'sid-1')]


def test_a_command_that_timed_out_beside_a_stop_needs_another_one(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    rig.answer(Move, Outcome.TIMED_OUT)
    assert rig.answer(StopBase) == [STOP]  # the other was sent before the failure
    assert rig.command('A', 0.5) == []
    assert rig.answer(StopBase) == [Move('base', Velocity(0.5), 'sid-1')]


def test_after_a_cancellation_by_our_stop_motion_waits_for_its_acknowledgement(rig: Rig) -> None:
    hung(rig).left('A')
    rig.command('B', 0.5)
    rig.answer(Move, Outcome.CANCELLED)
    assert rig.answer(StopBase, Outcome.CUT) == []
    assert times(rig.until(0.05)) == [0.05]
    assert StartSession('') in rig.answer(StopBase)


def test_while_a_command_is_unanswered_every_zero_is_a_stop(rig: Rig) -> None:
    hung(rig)
    rig.now = CALL_TIMEOUT
    rig.answer(Move, Outcome.TIMED_OUT)
    rig.answer(StopBase)
    rig.now = 0.4
    assert rig.command('A', 0.0) == [STOP]


def test_but_not_more_often_than_every_50_ms(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.CUT)
    rig.answer(StopBase)
    sent = []
    for step in range(1, 1001):
        sent += rig.until(step * 0.0002)
        sent += [(rig.now, request) for request in rig.command('A', 0.0)]
        if rig.pending(StopBase):
            rig.answer(StopBase)
    assert times(sent) == pytest.approx([0.05, 0.1, 0.15, 0.2], abs=0.001)


def test_the_answer_of_a_stop_before_the_final_one_acknowledges_no_later_stop(rig: Rig) -> None:
    hung(rig).left('A')
    rig.answer(Move)
    rig.answer(StopBase, newest=True)
    assert is_final(rig)
    rig.command('B')
    rig.command('B', NAN)
    rig.answer(StopBase)  # the one that was sent beside A's command
    assert len(rig.told(StopAcknowledged)) == 1


def test_a_zero_that_cannot_be_forwarded_is_a_stop(rig: Rig) -> None:
    rig.channel(False)
    assert rig.command('A', 0.0) == [STOP]


def test_a_refusal_does_not_stop_what_stands_already(rig: Rig) -> None:
    rig.command('A', NAN)
    rig.answer(StopBase)
    assert rig.command('A', NAN) == []
    assert rig.command('A', 0.0) == [Move('base', ZERO, 'sid-1')]


def test_one_that_nobody_acknowledges_is_told_after_5_s_and_each_minute(rig: Rig) -> None:
    rig.left('A')
    rig.until(130.0)
    assert [overdue.at for overdue in rig.told(StopOverdue)] == [5.0, 65.0, 125.0]
    for overdue in rig.told(StopOverdue):
        assert (overdue.stop.base, overdue.stop.cause) == ('base', Cause.LEFT)


def test_one_that_was_refused_before_the_access_was_back_is_sent_again_at_once(rig: Rig) -> None:
    rig.left('A')
    rig.channel(False)
    rig.channel(True)
    assert STOP in rig.answer(StopBase, Outcome.CUT)
