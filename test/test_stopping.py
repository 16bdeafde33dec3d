# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""How a base is stopped: at once, again, and until it is final (R7, R10)."""

from collections.abc import Callable

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig, WINDOW
from viam_session_bridge.configuration import SessionsMode
from viam_session_bridge.core.said import Cause, Stop
from viam_session_bridge.core.velocity import Velocity, ZERO
from viam_session_bridge.machine.calls import (
    GetSessions,
    Move,
    Outcome,
    Request,
    StartSession,
    StopBase,
)
from viam_session_bridge.machine.happened import (
    CommandFailed,
    StopAcknowledged,
    StopFinal,
    StopOverdue,
)
from viam_session_bridge.machine.stopping import Stopping

STOP = StopBase('base')
NAN = float('nan')


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


def test_without_an_answer_it_is_repeated_after_50_ms_doubling_to_1_s(rig: Rig) -> None:
    rig.left('A')
    pauses = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    expected = [round(sum(pauses[: n + 1]), 6) for n in range(len(pauses))]
    assert times(rig.until(expected[-1])) == expected


def test_a_stop_that_fails_is_repeated(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.until(0.05)
    assert rig.pending(StopBase)


def test_a_final_stop_is_not_repeated(rig: Rig) -> None:
    rig.left('A')
    assert rig.answer(StopBase) == []
    assert rig.until(60.0) == []


def test_another_reason_to_stop_is_not_kept_waiting_for_the_next_repetition(rig: Rig) -> None:
    hung(rig)
    rig.answer(Move, Outcome.FAILED)
    rig.answer(StopBase, Outcome.FAILED)
    rig.now = 0.01
    assert rig.left('A') == [STOP]


def test_with_a_stop_in_flight_it_only_begins_the_repetitions_anew(rig: Rig) -> None:
    hung(rig).left('A')
    assert times(rig.until(0.36, times_out=False)) == [0.05, 0.15, 0.35]  # and at 0.75
    assert STOP not in rig.answer(Move, Outcome.TIMED_OUT)
    assert times(rig.until(0.6, times_out=False)) == [0.41, 0.51]


def test_refusals_at_5_khz_do_not_drive_the_repetitions(rig: Rig) -> None:
    hung(rig)
    rig.command('A', NAN)
    sent: list[Request] = []
    for step in range(1, 1001):
        rig.until(step * 0.0002, times_out=False)
        sent += rig.command('A', NAN if step % 2 else 0.0)
    assert sent == []
    assert len(rig.pending(StopBase)) == 3  # at 0, 50 and 150 ms


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


def test_any_of_several_that_were_sent_late_enough_makes_it_final(rig: Rig) -> None:
    rig.left('A')
    rig.until(0.05)
    rig.answer(StopBase, newest=True)
    assert is_final(rig)
    assert rig.answer(StopBase, Outcome.TIMED_OUT) == []
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


def test_one_sent_beside_the_zero_is_not_final_either(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.until(0.05)
    rig.answer(StopBase)
    assert not is_final(rig)
    assert rig.answer(Move) == [STOP]
    rig.answer(StopBase)
    assert is_final(rig)


def test_one_that_can_be_final_is_not_overtaken_when_the_zero_is_answered(rig: Rig) -> None:
    rig.left('A')
    rig.until(0.05)
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.answer(Move) == []
    rig.answer(StopBase)
    assert is_final(rig)


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
    rig.until(0.05)
    rig.acknowledge()
    assert not is_final(rig)


def test_a_final_stop_is_not_sent_again_because_its_zero_got_no_answer(rig: Rig) -> None:
    rig.left('A')
    rig.until(0.05)
    rig.answer(StopBase, Outcome.FAILED, newest=True)
    rig.answer(Move, Outcome.CUT)  # the zero
    rig.answer(StopBase)  # sent before that
    assert is_final(rig)
    while rig.now < 5.0:
        assert times(rig.until(rig.now + 0.1)) == []
        if rig.pending(GetSessions):
            rig.answer(GetSessions)


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


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED])
def test_any_error_will_do(rig: Rig, outcome: Outcome) -> None:
    rig.left('A')
    assert rig.answer(StopBase, outcome) == [Move('base', ZERO, 'sid-1')]


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
    assert rig.bridge.core.session('A') is not None


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
    assert STOP in rig.answer(Move, Outcome.FAILED)  # the command
    rig.answer(Move)  # the zero
    assert rig.command('A', 0.5) == []
    rig.acknowledge()
    assert rig.pending(Move) == [Move('base', Velocity(0.5), 'sid-1')]


def test_what_a_newer_stop_got_acknowledged_an_older_one_does_not_take_back(rig: Rig) -> None:
    hung(rig).command('A', NAN)
    rig.answer(Move, Outcome.CUT)
    assert times(rig.until(0.05)) == [0.05]
    rig.answer(StopBase, newest=True)
    rig.answer(StopBase)  # sent beside the command
    assert rig.bridge.not_final() == {'base': True}
    assert rig.command('A', 0.5) == [Move('base', Velocity(0.5), 'sid-1')]


def test_a_zero_that_cannot_be_forwarded_is_a_stop(rig: Rig) -> None:
    rig.channel(False)
    assert rig.command('A', 0.0) == [STOP]


def test_a_refusal_does_not_stop_what_stands_already(rig: Rig) -> None:
    rig.command('A', NAN)
    rig.answer(StopBase)
    assert rig.command('A', NAN) == []
    assert rig.command('A', 0.0) == [Move('base', ZERO, 'sid-1')]


def test_one_that_nobody_acknowledges_is_told_after_5_s_and_each_minute(rig: Rig) -> None:
    rig.drive('A')
    rig.left('A')
    rig.until(130.0)
    told = rig.told(StopOverdue)
    for overdue, due in zip(told, (5.0, 65.0, 125.0), strict=True):
        assert due <= overdue.at <= due + 1.5  # with the next try
        assert (overdue.stop.base, overdue.stop.cause) == ('base', Cause.LEFT)
    assert told[-1].tries > 100


def test_a_stop_is_overdue_as_soon_as_its_time_has_come() -> None:
    stopping = Stopping(Stop('base', Cause.LEFT, 'A', 10.0))
    assert not stopping.is_overdue(14.999)
    assert stopping.is_overdue(15.0)
