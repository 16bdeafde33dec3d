# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R10: a command that fails or is refused stops the base, though the session lives on."""

from __future__ import annotations

import pytest

from support.pure import CALL_TIMEOUT, hung, is_final, NAN, Rig, STOP, times, WINDOW
from support.session_table import GO, INVALID, lapse, MANUAL, stops
from viam_session_bridge.core.actions import Cause, Refusal, Refused, Stop
from viam_session_bridge.core.events import CommandFailed, StopAcknowledged
from viam_session_bridge.core.requests import (
    IsMoving,
    ListBases,
    Move,
    Outcome,
    Request,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import Velocity, ZERO

# What the session table decides


def test_a_newer_command_refused_stops_what_the_client_commanded(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert table.command('A', 'base', INVALID, 1.1) == [
        Refused('base', 'A', Refusal.NON_FINITE, 1.1),
        Stop('base', Cause.REFUSED, 'A', 1.1),
    ]


def test_the_session_lives_on(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'base', INVALID, 1.1)
    assert [session.number for session in table.active.values()] == [1]
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_anothers_refused_command_stops_nothing(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    assert stops(table.command('B', 'base', INVALID, 1.1)) == []
    assert stops(table.command('B', 'base', ZERO, 1.1, Refusal.NOT_READY)) == []


def test_a_refused_command_for_one_base_stops_no_other(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'arm', GO, 1.0)
    actions = table.command('A', 'arm', GO, 1.1, Refusal.NOT_READY)
    assert stops(actions) == [('arm', Cause.REFUSED)]


def test_also_without_a_session(table: SessionTable) -> None:
    table.command('A', 'free', GO, 1.0)
    assert stops(table.command('A', 'free', INVALID, 1.1)) == [('free', Cause.REFUSED)]


@pytest.mark.parametrize(
    'reason', [Refusal.NOT_READY, Refusal.STAMP, Refusal.TOO_MANY_SESSIONS, Refusal.INACTIVE]
)
def test_a_zero_of_the_client_that_commanded_last_is_never_refused(
    table: SessionTable, reason: Refusal
) -> None:
    table.command('A', 'base', GO, 1.0)
    assert table.command('A', 'base', ZERO, 1.1, reason) == [Stop('base', Cause.ZERO, 'A', 1.1)]


def test_not_even_after_its_session_lapsed_or_it_left(table: SessionTable) -> None:
    table.heartbeat('A', MANUAL, True, 1.0)
    table.command('A', 'manual', GO, 1.0)
    lapse(table)
    assert table.command('A', 'manual', ZERO, 1.6) == [Stop('manual', Cause.ZERO, 'A', 1.6)]
    table.left('A', 1.7)
    assert table.command('A', 'manual', ZERO, 1.8) == [Stop('manual', Cause.ZERO, 'A', 1.8)]


@pytest.mark.parametrize(
    ('cause', 'after_ack'),
    [
        (Cause.REFUSED, True),
        (Cause.ZERO, True),
        (Cause.FAILED, True),
        (Cause.NO_MACHINE_SESSION, True),
        (Cause.OLDER, True),
        (Cause.LAPSE, False),
        (Cause.LEFT, False),
        (Cause.DEACTIVATED, False),
        (Cause.EXPIRED, False),
        (Cause.STILL_MOVING, False),
    ],
)
def test_motion_follows_only_an_acknowledged_stop_after_a_failure(
    cause: Cause, after_ack: bool
) -> None:
    assert Stop('base', cause, 'A', 1.0).motion_after_ack is after_ack


# Commands that fail


@pytest.mark.parametrize(
    'outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED]
)
def test_a_command_that_fails_stops_the_base(rig: Rig, outcome: Outcome) -> None:
    hung(rig)
    assert STOP in rig.answer(Move, outcome)
    (failed,) = rig.events_of(CommandFailed)
    assert (failed.base, failed.client) == ('base', 'A')
    assert rig.bridge.table.active.get('A') is not None


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
    assert len(rig.events_of(StopAcknowledged)) == 1


def test_a_zero_that_cannot_be_forwarded_is_a_stop(rig: Rig) -> None:
    rig.channel(False)
    assert rig.command('A', 0.0) == [STOP]


def test_a_refusal_does_not_stop_what_stands_already(rig: Rig) -> None:
    rig.command('A', NAN)
    rig.answer(StopBase)
    assert rig.command('A', NAN) == []
    assert rig.command('A', 0.0) == [Move('base', ZERO, 'sid-1')]


# Reasons that repeat themselves


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


# Commands that are refused for the lack of a valid token


def test_a_base_that_is_refused_access_is_stopped_and_the_machine_itself_asked() -> None:
    rig = Rig()
    rig.drive('A')
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.UNAUTHENTICATED) == [STOP, ListBases()]


def test_the_machine_itself_is_asked_too_where_the_question_whether_it_moves_is_refused() -> None:
    rig = Rig(verify=True)
    rig.drive('A')
    rig.left('A')
    rig.acknowledge()
    rig.until(0.1)
    assert rig.answer(IsMoving, Outcome.UNAUTHENTICATED) == [ListBases()]
