# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""What commands are sent to a base, and when: R9, R10, R13, R14, R22."""

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.events import (
    CommandDropped,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    StopFinal,
)
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
from viam_session_bridge.core.velocity import Velocity, ZERO

STOP = StopBase('base')
NAN = float('nan')


def go(x: float, sid: str = 'sid-1', name: str = 'base') -> Move:
    return Move(name, Velocity(x), sid)


@pytest.fixture
def rig() -> Rig:
    """Let A (sid-1) drive a base that B (sid-2) drove before."""
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.command('B')
    rig.answer(Move)
    rig.answer(StartSession)
    rig.answer(Move)
    rig.drive('A')
    assert rig.calls == []
    return rig


# At most one in flight, the newest waits (R14)


def test_a_command_goes_out_at_once(rig: Rig) -> None:
    assert rig.command('A', 0.4) == [go(0.4)]


def test_the_next_waits_for_the_answer(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.command('A', 0.5) == []
    assert rig.answer(Move) == [go(0.5)]


def test_the_newest_replaces_the_older(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.command('A', 0.6)
    assert rig.answer(Move) == [go(0.6)]
    assert rig.answer(Move) == []


def test_also_that_of_another_client(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.command('B', 0.6)
    assert rig.answer(Move) == [go(0.6, 'sid-2')]


def test_another_base_does_not_wait() -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.command('A', 0.4)
    rig.command('B', 0.4, '/other')
    assert rig.answer(StartSession) == [go(0.4, 'sid-2', 'other')]


def test_the_first_command_waits_for_its_machine_session() -> None:
    rig = Rig()
    assert rig.command('A', 0.4) == [StartSession('')]
    assert rig.command('A', 0.5) == []
    assert rig.answer(StartSession) == [go(0.5)]


def waiting_for_a_slow_one() -> Rig:
    """Let a command of time 0 wait; the client lives by its heartbeats."""
    rig = Rig(machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.until(0.3)
    rig.heartbeat('A')
    return rig


def test_one_that_waited_a_whole_window_has_failed() -> None:
    rig = waiting_for_a_slow_one()
    assert rig.until(WINDOW) == [(WINDOW, STOP)]
    assert [failed.client for failed in rig.told(CommandFailed)] == ['A']
    assert go(0.5) not in rig.answer(Move)


def test_not_so_just_before() -> None:
    rig = waiting_for_a_slow_one()
    assert rig.until(WINDOW - 1e-6) == []
    assert rig.answer(Move) == [go(0.5)]


def test_not_even_an_answer_before_the_lapse_clocks_tick_lets_it_go() -> None:
    rig = waiting_for_a_slow_one()
    rig.now = WINDOW
    assert rig.answer(Move) == [STOP]


def test_after_the_channel_was_down_nothing_is_replayed(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.channel(False)
    rig.answer(Move, Outcome.CUT)
    rig.channel(True)
    rig.acknowledge()
    assert rig.pending(Move) == []


# The takeover race (R9)


def test_b_before_as_stop_is_handed_over_and_no_stop_is_sent(rig: Rig) -> None:
    sent = rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.4), None, rig.now),
    )
    assert sent == [go(0.4, 'sid-2')]
    rig.answer(Move)
    assert rig.until(0.2) == []


def test_nor_where_bs_command_has_to_wait(rig: Rig) -> None:
    rig.command('A', 0.4)
    sent = rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.5), None, rig.now),
    )
    assert sent == []
    assert rig.answer(Move) == [go(0.5, 'sid-2')]


def test_unless_bs_command_then_fails(rig: Rig) -> None:
    rig.feed(
        lambda: rig.bridge.left('A', rig.now),
        lambda: rig.bridge.command('B', '/base', Velocity(0.4), None, rig.now),
    )
    assert rig.answer(Move, Outcome.FAILED) == [STOP]


def test_as_stop_is_waited_for_once_handed_over(rig: Rig) -> None:
    rig.left('A')
    assert rig.command('B', 0.4) == []
    assert rig.answer(StopBase) == [go(0.4, 'sid-2')]


def test_its_error_is_an_answer_too_and_its_zero_is_not_sent(rig: Rig) -> None:
    rig.left('A')
    rig.command('B', 0.4)
    assert rig.answer(StopBase, Outcome.FAILED) == [go(0.4, 'sid-2')]


def test_its_deadline_is_the_end_of_the_wait(rig: Rig) -> None:
    rig.left('A')
    rig.until(1.9)
    rig.command('B', 0.4)
    assert (2.05, StartSession('sid-2')) in rig.until(2.05)
    rig.answer(StartSession, sid='sid-2')
    assert rig.answer(Move) == [go(0.4, 'sid-2')]  # its zero is waited for as well


def test_also_the_first_of_two_the_other_of_which_was_final(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(Move)
    rig.answer(StopBase, newest=True)
    assert rig.told(StopFinal)
    assert rig.command('B', 0.4) == []
    assert rig.answer(StopBase) == [go(0.4, 'sid-2')]


def test_the_zero_is_waited_for_too(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.pending(Move) == [Move('base', ZERO, 'sid-1')]
    assert rig.command('B', 0.4) == []
    assert rig.answer(Move) == [go(0.4, 'sid-2')]


def test_when_b_drives_as_stop_is_not_repeated(rig: Rig) -> None:
    rig.left('A')
    rig.command('B', 0.4)
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)
    assert rig.until(0.4) == []


def test_as_command_in_flight_is_waited_for_as_well(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.command('B', 0.5)
    rig.answer(StopBase)
    assert rig.pending(Move) == [go(0.4)]
    rig.answer(Move)
    rig.acknowledge()
    assert rig.pending(Move) == [go(0.5, 'sid-2')]


def test_a_stop_that_ended_is_not_repeated_where_b_can_drive(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(StopBase)
    rig.command('B', 0.5)
    assert rig.answer(Move) == [go(0.5, 'sid-2')]


def test_a_stop_drops_what_waits(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.left('A')
    rig.answer(Move)
    rig.acknowledge()
    assert rig.calls == []


# One that waited for a stop of ours is dropped after a window, and nothing else happens (R14)


def held_by_a_stop() -> Rig:
    """Let B's command of time 0 wait for the Stop of A's, which takes long."""
    rig = Rig()
    rig.drive('B')
    rig.drive('A')
    rig.left('A')
    assert rig.command('B', 0.4) == []
    return rig


def test_behind_a_stop_that_takes_long_it_is_dropped() -> None:
    rig = held_by_a_stop()
    rig.until(0.3)
    rig.heartbeat('B')
    assert rig.until(WINDOW) == []
    assert rig.told(CommandDropped) == [CommandDropped('base', 'B', WINDOW)]
    assert rig.told(CommandFailed) == []
    assert rig.answer(StopBase) == []


def test_not_so_just_before_it_is_a_window_old() -> None:
    rig = held_by_a_stop()
    rig.until(0.3)
    rig.heartbeat('B')
    rig.until(WINDOW - 1e-6)
    assert rig.answer(StopBase) == [go(0.4, 'sid-1')]


def test_a_slow_publisher_drives_on_behind_a_stop_that_takes_more_than_a_second() -> None:
    """A publisher of 1 Hz that sends heartbeats between (R3)."""
    rig = held_by_a_stop()
    for step in range(1, 12):
        rig.until(step * 0.1)
        rig.heartbeat('B')
        if step == 10:
            assert rig.command('B', 0.4) == []
    rig.until(1.2)
    assert rig.answer(StopBase) == [go(0.4, 'sid-1')]
    assert rig.told(CommandFailed) == []


# A zero that a command in flight holds up for 50 ms is a Stop (R10)


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


# Motion follows only an acknowledged stop (R10)


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


# Three timeouts in a row (R10)


def time_out(rig: Rig, times: int) -> None:
    for _ in range(times):
        rig.command('A', 0.4)
        rig.acknowledge()
        rig.until(rig.now + CALL_TIMEOUT)
        rig.acknowledge()


def test_three_timeouts_in_a_row_are_reported_once(rig: Rig) -> None:
    time_out(rig, 2)
    assert rig.told(CommandsTimeOut) == []
    time_out(rig, 1)
    assert [(one.base, one.count) for one in rig.told(CommandsTimeOut)] == [('base', 3)]
    time_out(rig, 1)
    assert len(rig.told(CommandsTimeOut)) == 1


def test_an_answer_ends_the_row(rig: Rig) -> None:
    time_out(rig, 2)
    rig.drive('A')
    time_out(rig, 2)
    assert rig.told(CommandsTimeOut) == []


# The machine session expired (R13)


def test_a_new_one_is_started_and_the_command_is_sent_once_more(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [StartSession('sid-1')]
    assert rig.answer(StartSession) == [go(0.4, 'sid-3')]
    assert rig.told(CommandFailed) == []


def test_a_second_failure_stops_the_base(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.answer(StartSession)
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [STOP]


def test_so_does_a_start_that_fails(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.answer(StartSession, Outcome.FAILED) == [STOP]


def test_only_the_newest_is_sent(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.answer(StartSession) == [go(0.5, 'sid-3')]
    assert rig.answer(Move) == []


def test_a_refused_one_before_that_answer_leaves_nothing_to_send(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.command('A', NAN) == [STOP]
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [STOP]  # clean, beside the other
    rig.acknowledge()
    assert rig.calls == []
    assert rig.bridge.not_final() == {}


def test_a_refused_one_while_the_new_machine_session_starts_stops_the_base(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.command('A', NAN) == [STOP]
    assert rig.answer(StartSession) == []
    rig.acknowledge()
    assert rig.calls == []
    assert rig.bridge.not_final() == {}


def test_anothers_newer_command_goes_out_instead(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('B', 0.5)
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [go(0.5, 'sid-2')]


@pytest.mark.parametrize(
    ('client', 'goes_on'), [('A', []), ('B', [go(0.5, 'sid-2', 'other')])]
)
def test_its_other_bases_are_stopped_and_only_its_own_clients_waiting_commands_dropped(
    client: str, goes_on: list[Move]
) -> None:
    rig = Rig(base('base'), base('other'))
    rig.drive('A')
    rig.drive('B', topic='/other')
    rig.command('A', 0.4, '/other')
    rig.command(client, 0.5, '/other')
    rig.command('A', 0.4, '/base')
    led_to = rig.answer(Move, Outcome.SESSION_EXPIRED, newest=True)
    assert led_to == [StopBase('other'), StartSession('sid-1')]
    rig.answer(Move)
    rig.acknowledge()
    assert rig.pending(Move) == goes_on


def test_an_ended_client_session_sends_nothing_more(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.acknowledge()
    assert rig.calls == []


def test_nor_one_whose_deadline_has_come_without_a_tick() -> None:
    rig = Rig(base(sessions=SessionsMode.MANUAL), machines=[machine(call_timeout=5.0)])
    rig.heartbeat('A', own=False)
    rig.drive('A')
    rig.now = 0.2
    rig.command('A', 0.4)
    rig.now = WINDOW  # since the permission
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [STOP]
    rig.acknowledge()
    assert rig.pending(StartSession) == []


# Deactivation (R19)


def test_deactivation_drops_what_waits_behind_a_failure_without_a_session_too() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.answer(Move, Outcome.FAILED)
    rig.deactivate()
    rig.acknowledge()
    assert rig.calls == []
    assert rig.bridge.not_final() == {}


def test_a_command_that_waited_for_a_final_stop_is_stopped_in_its_turn() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.command('A', 0.5)
    assert rig.answer(StopBase) == [go(0.5, '')]
    rig.answer(Move)
    assert rig.deactivate() == [STOP]


# No older command lives on (R10): one that timed out may run after a newer one


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


def test_that_commands_succeed_again_is_told_once(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.acknowledge()
    rig.drive('A')
    rig.drive('A')
    assert rig.told(CommandsSucceed) == [CommandsSucceed('base', rig.now)]
