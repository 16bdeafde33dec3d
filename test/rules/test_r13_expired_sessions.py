# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R13: the machine no longer knows a machine session; after an outage nothing is replayed."""

from __future__ import annotations

import pytest

from support.pure import base, base_of_two, driving, go, machine, NAN, Rig, STOP, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.events import CommandFailed, MachineSessionExpired
from viam_session_bridge.core.requests import Move, Outcome, SendHeartbeat, StartSession, StopBase
from viam_session_bridge.core.velocity import Velocity

# On a command


@pytest.fixture
def rig() -> Rig:
    return base_of_two()


def test_a_new_one_is_started_and_the_command_is_sent_once_more(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [StartSession('sid-1')]
    assert rig.answer(StartSession) == [go(0.4, 'sid-3')]
    assert rig.events_of(CommandFailed) == []


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


@pytest.mark.parametrize(('client', 'goes_on'), [('A', []), ('B', [go(0.5, 'sid-2', 'other')])])
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


# On heartbeats, and for the other bases


def test_expired_on_a_heartbeat_motion_needs_a_new_command() -> None:
    rig = driving(window=2.0)
    rig.until(0.4)
    assert rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED) == [STOP]
    rig.acknowledge()
    assert rig.calls == []
    assert [one.sid for one in rig.events_of(MachineSessionExpired)] == ['sid-1']
    assert rig.command('A') == [StartSession('sid-1')]


def test_expired_on_a_command_stops_the_other_bases_it_used_last() -> None:
    rig = driving('base', 'other', 'third')
    rig.drive('A', topic='/other')
    rig.drive('A', topic='/third')
    rig.drive('B', topic='/third')
    rig.command('A')
    led_to = rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert set(led_to) == {StartSession('sid-1'), StopBase('other')}


def test_expired_on_a_heartbeat_while_a_command_is_in_flight_nothing_is_sent_again() -> None:
    rig = driving(window=2.0, call_timeout=5.0)
    rig.until(0.4)
    rig.command('A', 0.4)
    assert STOP in rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.acknowledge()
    assert rig.calls == []


def test_answers_for_a_replaced_one_are_ignored() -> None:
    rig = driving(window=2.0, call_timeout=5.0)
    rig.until(0.4)  # a heartbeat for sid-1 is in flight
    rig.command('A')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.answer(StartSession, sid='sid-9')
    rig.answer(Move)
    assert rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED) == []
    assert len(rig.events_of(MachineSessionExpired)) == 1
    assert rig.command('A') == [Move('base', Velocity(0.3), 'sid-9')]


def test_two_commands_that_find_it_expired_start_one_new_one() -> None:
    rig = Rig(base('base', '/both'), base('other', '/both'))
    rig.drive('A', topic='/both')
    rig.command('A', topic='/both')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.pending(StartSession) == [StartSession('sid-1')]


# After an outage


def test_after_the_channel_was_down_nothing_is_replayed(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.channel(False)
    rig.answer(Move, Outcome.CUT)
    rig.channel(True)
    rig.acknowledge()
    assert rig.pending(Move) == []
