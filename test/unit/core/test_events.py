# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The events of sessions, commands and stops, in full: what logs and diagnostics are made of."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, driving, left_to_machine, machine, Rig, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Cause, SessionEnded, Stop
from viam_session_bridge.core.events import (
    ChannelChanged,
    CommandFailed,
    CommandsTimeOut,
    MachineClosed,
    MachineSessionExpired,
    MachineSessionFailed,
    StopAcknowledged,
    StopFinal,
    Unsupervised,
)
from viam_session_bridge.core.requests import (
    GetSessions,
    Move,
    Outcome,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.unresolved_commands import SETTLED_AFTER_PROBE

NAN = float('nan')


@pytest.fixture
def rig() -> Rig:
    """Let A drive a base; all calls are answered."""
    rig = Rig()
    rig.drive('A')
    return rig


def the_stop(rig: Rig, timed_out: int = 0) -> Stop:
    """Let the stop in flight be final a tenth of a second from now; return it."""
    rig.now += 0.1
    rig.answer(StopBase)
    (acknowledged,), (final,) = rig.events_of(StopAcknowledged)[-1:], rig.events_of(StopFinal)[-1:]
    assert acknowledged == StopAcknowledged(final.stop, 1, rig.now)
    assert final == StopFinal(final.stop, 1, timed_out, rig.now)
    return final.stop


# Sessions


def test_an_ended_session_is_reported_with_its_times_and_counters() -> None:
    rig = Rig()
    for rig.now in (1.0, 1.1):
        rig.drive('A')
    rig.now = 1.2
    rig.command('A', NAN)
    rig.acknowledge()
    rig.command('A', NAN)
    rig.until(2.0)
    assert rig.events_of(SessionEnded) == [
        SessionEnded(
            client='A',
            session=1,
            cause=Cause.LAPSE,
            bases=('base',),
            started=1.0,
            sign=1.1,
            commands=2,
            refusals={'non_finite': 2},
            at=1.1 + WINDOW,
        )
    ]


# Commands that fail, and the stops that follow (R10)


def test_a_command_that_fails_is_reported_with_the_machines_words(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.now = 0.1
    rig.answer(Move, Outcome.FAILED)
    assert rig.events_of(CommandFailed) == [CommandFailed('base', 'A', 'failed', 0.1)]
    assert the_stop(rig) == Stop('base', Cause.FAILED, 'A', 0.1, session=1)


def test_one_that_waited_too_long_is_reported_with_that() -> None:
    rig = Rig(machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.until(0.3)
    rig.heartbeat('A')
    rig.until(WINDOW)
    assert rig.events_of(CommandFailed) == [
        CommandFailed('base', 'A', 'it waited a whole window', WINDOW)
    ]
    rig.answer(Move)
    rig.answer(StopBase)  # sent beside the command
    assert rig.events_of(StopAcknowledged) == [
        StopAcknowledged(Stop('base', Cause.FAILED, 'A', WINDOW, session=1), 2, WINDOW)
    ]


def test_one_that_got_no_machine_session_is_reported_with_the_machines_words() -> None:
    rig = Rig()
    rig.command('A')
    rig.now = 0.1
    rig.answer(StartSession, Outcome.FAILED)
    assert rig.events_of(CommandFailed) == [CommandFailed('base', 'A', 'failed', 0.1)]
    assert the_stop(rig) == Stop('base', Cause.NO_MACHINE_SESSION, 'A', 0.1, session=1)


def test_a_machine_session_that_could_not_be_started_is_reported_with_them_too() -> None:
    rig = Rig()
    rig.command('A')
    rig.now = 0.1
    rig.answer(StartSession, Outcome.FAILED)
    (failed,) = rig.events_of(MachineSessionFailed)
    assert failed == MachineSessionFailed('main', 'A', 'failed', 0.1)


def test_one_that_still_waits_when_its_session_ends_is_reported_with_that() -> None:
    rig = left_to_machine()
    rig.command('B', 0.4)
    rig.answer(StartSession)
    rig.command('B', 0.5)
    rig.left('B')
    assert rig.events_of(CommandFailed) == [CommandFailed('base', 'B', 'its session ended', 0.0)]
    rig.answer(StopBase)
    (acknowledged,) = rig.events_of(StopAcknowledged)
    assert acknowledged.stop == Stop('base', Cause.NO_MACHINE_SESSION, 'B', 0.0, session=2)


def test_one_that_waits_when_the_machine_is_gone_is_reported_with_that(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.now = 0.1
    rig.channel(False)
    assert rig.events_of(CommandFailed) == [
        CommandFailed('base', 'A', 'the machine cannot be reached', 0.1)
    ]
    rig.answer(Move)
    rig.acknowledge()
    (final,) = rig.events_of(StopFinal)
    assert final.stop == Stop('base', Cause.FAILED, 'A', 0.1, session=1)


def test_one_whose_session_ended_before_it_could_go_out_once_more_is_reported_with_that() -> None:
    rig = left_to_machine()
    rig.command('A', 0.4)
    rig.now = 0.1
    rig.left('A')
    assert rig.answer(Move, Outcome.SESSION_EXPIRED) == [StopBase('base')]
    assert rig.events_of(CommandFailed) == [CommandFailed('base', 'A', 'its session ended', 0.1)]
    assert the_stop(rig) == Stop('base', Cause.NO_MACHINE_SESSION, 'A', 0.1, session=1)


def test_three_timeouts_in_a_row_are_reported_when_the_third_comes() -> None:
    rig = Rig()  # these are its first commands of all
    rig.command('A')
    rig.answer(StartSession)
    for times in (1, 2, 3):
        assert rig.events_of(CommandsTimeOut) == []
        rig.until(times * CALL_TIMEOUT)
        rig.acknowledge()
        rig.command('A')
    assert rig.events_of(CommandsTimeOut) == [CommandsTimeOut('base', 3, 3 * CALL_TIMEOUT)]


# Stops


def test_a_lapse_is_reported_with_the_session_and_its_last_sign_of_life(rig: Rig) -> None:
    rig.until(WINDOW)
    assert the_stop(rig) == Stop('base', Cause.LAPSE, 'A', WINDOW, session=1, sign=0.0)


def test_an_expired_machine_session_is_reported_with_the_client_of_its_other_bases() -> None:
    rig = Rig(base('base'), base('arm'))
    rig.drive('A', topic='/arm')
    rig.drive('A')
    rig.command('A')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.events_of(MachineSessionExpired) == [
        MachineSessionExpired('main', 'A', 'sid-1', 0.0)
    ]
    assert the_stop(rig) == Stop('arm', Cause.EXPIRED, 'A', 0.0)


def test_so_is_one_that_a_heartbeat_finds_expired() -> None:
    rig = driving(window=2.0)
    rig.until(0.4)
    rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED)
    assert rig.events_of(MachineSessionExpired) == [
        MachineSessionExpired('main', 'A', 'sid-1', 0.4)
    ]
    assert the_stop(rig) == Stop('base', Cause.EXPIRED, 'A', 0.4)


def test_deactivation_is_reported_where_there_was_no_session() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    rig.drive('A')
    rig.deactivate()
    assert the_stop(rig) == Stop('base', Cause.DEACTIVATED, '', 0.0)


def test_a_stop_is_reported_with_its_tries(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.CUT)
    rig.until(0.05)
    rig.answer(StopBase)
    (acknowledged,), (final,) = rig.events_of(StopAcknowledged), rig.events_of(StopFinal)
    assert (acknowledged.tries, final.tries) == (2, 2)


def test_an_error_is_not_reported_as_an_acknowledgement(rig: Rig) -> None:
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    assert rig.events_of(StopAcknowledged) == []


def test_only_the_first_acknowledgement_is_reported(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.left('A')
    rig.answer(StopBase)  # sent beside the command
    rig.answer(Move)
    rig.answer(StopBase)
    assert len(rig.events_of(StopAcknowledged)) == len(rig.events_of(StopFinal)) == 1


def test_another_reason_to_stop_is_reported_in_place_of_the_first(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.now = 0.01
    rig.left('A')
    assert [stop.cause for stop in rig.events_of(Stop)][-1] == Cause.LEFT
    rig.answer(StopBase)
    (final,) = rig.events_of(StopFinal)
    assert final.stop == Stop('base', Cause.LEFT, 'A', 0.01, session=1, sign=0.0)


def lose_one(rig: Rig) -> float:
    """Let A's command of now get no answer; return when it can run no more."""
    rig.command('A', 0.9)
    rig.until(rig.now + CALL_TIMEOUT)
    rig.heartbeat('A')
    rig.answer(GetSessions)
    rig.acknowledge()
    return rig.now + SETTLED_AFTER_PROBE


def test_a_zero_beside_an_unanswered_command_is_reported_as_a_stop(rig: Rig) -> None:
    lose_one(rig)
    rig.drive('A', 0.1)
    rig.events.clear()
    assert rig.command('A', 0.0) == [StopBase('base')]
    at, rig.now = rig.now, rig.now + 0.01
    rig.answer(StopBase)
    assert rig.events_of(StopAcknowledged) == [
        StopAcknowledged(Stop('base', Cause.ZERO, 'A', at, session=1), 1, at + 0.01)
    ]


def test_a_stop_for_a_command_that_may_have_run_late_names_who_commanded(rig: Rig) -> None:
    settled_at = lose_one(rig)
    rig.drive('A', 0.1)
    while rig.now < settled_at + WINDOW:
        rig.until(min(rig.now + 0.1, settled_at + WINDOW))
        rig.heartbeat('A')
    stop = the_stop(rig, timed_out=1)
    assert stop == Stop('base', Cause.OLDER, 'A', settled_at + WINDOW)


def test_that_a_command_timed_out_is_reported_with_the_next_final_stop_alone(rig: Rig) -> None:
    settled_at = lose_one(rig)
    while rig.now < settled_at:
        rig.until(min(rig.now + 0.05, settled_at))
        rig.acknowledge()
    rig.drive('A')
    rig.left('A')
    rig.acknowledge()
    assert [final.timed_out for final in rig.events_of(StopFinal)] == [1, 0]


def test_a_mistake_that_is_repeated_is_one_stop(rig: Rig) -> None:
    rig.acknowledge()
    rig.command('A', NAN)
    for _ in range(100):
        rig.command('A', NAN)
    assert [stop.cause for stop in rig.events_of(Stop)] == [Cause.REFUSED]
    rig.answer(StopBase)
    for _ in range(100):
        rig.command('A', NAN)
    assert len(rig.events_of(Stop)) == 1
    assert len(rig.events_of(StopFinal)) == 1

    rig.drive('A')
    rig.command('A', NAN)
    assert len(rig.events_of(Stop)) == 2


# Machines


def test_a_machine_that_closes_is_reported_once_and_its_channel_no_more(rig: Rig) -> None:
    rig.now = 0.1
    rig.deactivate()
    rig.answer(StopBase)
    rig.channel(False)
    assert rig.events_of(MachineClosed) == [MachineClosed('main', 0.1)]
    assert rig.events_of(ChannelChanged) == []


def test_a_machine_that_is_driven_without_sessions_is_reported() -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    rig.now = 0.1
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    assert rig.events_of(Unsupervised) == [Unsupervised('main', 0.1)]
