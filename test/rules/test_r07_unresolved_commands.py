# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R7: commands that got no answer, and when they count as answered."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, hung, is_final, Rig, times
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.events import StopFinal
from viam_session_bridge.core.requests import GetSessions, Move, Outcome, StopBase


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
    assert [final.stop.base for final in rig.events_of(StopFinal)] == ['base']


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
    assert [final.timed_out for final in rig.events_of(StopFinal)] == [2]


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
