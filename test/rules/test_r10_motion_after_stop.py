# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R10: motion follows only an acknowledged stop, and no older command lives on."""

from __future__ import annotations

import pytest

from support.pure import base_of_two, CALL_TIMEOUT, go, NAN, Rig, STOP, WINDOW
from viam_session_bridge.core.events import CommandsSucceed, CommandsTimeOut
from viam_session_bridge.core.requests import (
    GetSessions,
    Move,
    Outcome,
    Request,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.unresolved_commands import SETTLED_AFTER_PROBE
from viam_session_bridge.core.velocity import Velocity


@pytest.fixture
def rig() -> Rig:
    return base_of_two()


# Motion follows only an acknowledged stop


def test_after_a_failure_the_next_command_waits_for_an_acknowledged_stop(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    assert rig.command('A', 0.5) == []
    assert rig.answer(StopBase) == [go(0.5)]


def test_an_error_does_not_do(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.command('B', 0.5)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero
    assert [one for _, one in rig.until(0.1) if isinstance(one, Move)] == []
    assert rig.acknowledge() == [go(0.5, 'sid-2')]


def test_nor_does_a_stop_that_was_sent_before_the_failure(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', NAN)
    assert rig.answer(Move, Outcome.FAILED) == [STOP]
    rig.command('A', 0.5)
    rig.answer(StopBase)  # sent beside the command
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero
    assert rig.pending(Move) == []
    assert rig.acknowledge() == [go(0.5)]


def test_nor_the_end_of_the_session_after_it(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.left('A')
    rig.command('B', 0.5)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero
    assert rig.pending(Move) == []
    assert rig.acknowledge() == [go(0.5, 'sid-2')]


def test_nor_the_end_of_the_session_before_it(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    assert rig.answer(Move, Outcome.FAILED) == [STOP]
    rig.command('B', 0.5)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)  # the zero
    assert rig.pending(Move) == []
    assert rig.acknowledge() == [go(0.5, 'sid-2')]


def test_a_newer_command_waiting_behind_the_failed_one_waits_on(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('B', 0.5)
    assert rig.answer(Move, Outcome.FAILED) == [STOP]
    assert rig.answer(StopBase) == [go(0.5, 'sid-2')]


def test_a_refused_clients_waiting_command_is_dropped(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    assert rig.command('A', NAN) == [STOP]
    rig.answer(Move)
    rig.acknowledge()
    assert rig.calls == []


def test_after_a_refusal_motion_follows_only_an_acknowledged_stop(rig: Rig) -> None:
    rig.command('A', NAN)
    assert rig.command('A', 0.5) == []
    assert rig.answer(StopBase) == [go(0.5)]


def test_also_if_anothers_command_comes_before_that_stop_is_sent(rig: Rig) -> None:
    sent = rig.feed(
        lambda: rig.bridge.command('A', '/base', Velocity(NAN), None, rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.5), None, rig.now),
    )
    assert sent == [STOP]
    assert rig.answer(StopBase) == [go(0.5, 'sid-2')]


def test_after_a_command_that_got_no_machine_session_too() -> None:
    rig = Rig()
    rig.command('A', 0.4)
    assert rig.answer(StartSession, Outcome.FAILED) == [STOP]
    assert rig.command('A', 0.5) == []
    assert rig.answer(StopBase) == [StartSession('')]


# A zero that a command in flight holds up for 50 ms is a Stop


@pytest.mark.parametrize('client', ['A', 'B'])
def test_a_zero_whosever_waits_50_ms_for_a_command_in_flight(rig: Rig, client: str) -> None:
    rig.command('A', 0.4)
    assert rig.command(client, 0.0) == []
    assert rig.until(0.05) == [(0.05, STOP)]
    assert rig.pending(Move) == [go(0.4)]


def test_not_from_the_newest_zero_on_but_from_the_first(rig: Rig) -> None:
    rig.command('A', 0.4)
    for step in range(5):
        rig.until(step * 0.01)
        rig.command('A', 0.0)
    assert rig.until(0.05) == [(0.05, STOP)]


def test_a_command_between_them_begins_the_wait_anew(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.0)
    rig.until(0.04)
    rig.command('A', 0.5)
    rig.command('A', 0.0)
    assert rig.until(0.089) == []
    assert rig.until(0.09) == [(0.09, STOP)]


def test_behind_a_zero_in_flight_it_is_one_too_while_the_base_may_still_move(rig: Rig) -> None:
    rig.command('A', 0.0)
    rig.command('A', 0.0)
    assert rig.until(0.05) == [(0.05, STOP)]


def test_but_not_where_the_last_acknowledged_command_was_a_zero(rig: Rig) -> None:
    """A base of slow calls that stands: its loop may be holding it on a slope (R22)."""
    rig.drive('A', 0.0)
    rig.command('A', 0.0)
    rig.command('A', 0.0)
    assert rig.until(0.2) == []


# Three timeouts in a row


def time_out(rig: Rig, times: int) -> None:
    for _ in range(times):
        rig.command('A', 0.4)
        rig.acknowledge()
        rig.until(rig.now + CALL_TIMEOUT)
        rig.acknowledge()


def test_three_timeouts_in_a_row_are_reported_once(rig: Rig) -> None:
    time_out(rig, 2)
    assert rig.events_of(CommandsTimeOut) == []
    time_out(rig, 1)
    assert [(one.base, one.count) for one in rig.events_of(CommandsTimeOut)] == [('base', 3)]
    time_out(rig, 1)
    assert len(rig.events_of(CommandsTimeOut)) == 1


def test_an_answer_ends_the_row(rig: Rig) -> None:
    time_out(rig, 2)
    rig.drive('A')
    time_out(rig, 2)
    assert rig.events_of(CommandsTimeOut) == []


# No older command lives on: one that timed out may run after a newer one


def lose_one_and_go_on(rig: Rig) -> float:
    """Let go(0.9) get no answer and go(0.1) follow it; return when go(0.9) can run no more."""
    rig.command('A', 0.9)
    rig.until(rig.now + CALL_TIMEOUT)
    rig.heartbeat('A')
    rig.answer(GetSessions)
    settled_at = rig.now + SETTLED_AFTER_PROBE
    rig.acknowledge()
    rig.command('A', 0.1)
    assert rig.pending(Move) == [go(0.1)]
    rig.answer(Move)
    return settled_at


def keep_alive(rig: Rig, until: float) -> list[Request]:
    """Let A's heartbeats, and no commands, keep its session alive; return what was sent."""
    sent: list[Request] = []
    while rig.now < until:
        rig.heartbeat('A')
        sent += [request for _, request in rig.until(min(rig.now + WINDOW / 2, until))]
        while rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
    return sent


def test_a_speed_kept_by_heartbeats_is_not_left_to_a_command_that_ran_late(rig: Rig) -> None:
    settled_at = lose_one_and_go_on(rig)
    assert STOP not in keep_alive(rig, settled_at + WINDOW - 0.001)
    assert STOP in keep_alive(rig, settled_at + WINDOW)
    assert rig.answer(StopBase) == []
    assert STOP not in keep_alive(rig, settled_at + 60.0)


def test_a_publisher_that_repeats_its_command_has_put_it_right(rig: Rig) -> None:
    settled_at = lose_one_and_go_on(rig)
    keep_alive(rig, settled_at + WINDOW / 2)
    assert rig.command('A', 0.1) == [go(0.1)]
    rig.answer(Move)
    assert STOP not in keep_alive(rig, settled_at + 60.0)


def test_so_has_a_newer_one_that_still_waits_for_its_machine_session(rig: Rig) -> None:
    settled_at = lose_one_and_go_on(rig)
    keep_alive(rig, settled_at + WINDOW - 0.1)
    assert rig.command('C', 0.2) == [StartSession('')]
    assert STOP not in keep_alive(rig, settled_at + WINDOW + 0.1)
    assert rig.answer(StartSession) == [go(0.2, 'sid-3')]


def test_that_commands_succeed_again_is_reported_once(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.acknowledge()
    rig.drive('A')
    rig.drive('A')
    assert rig.events_of(CommandsSucceed) == [CommandsSucceed('base', rig.now)]
