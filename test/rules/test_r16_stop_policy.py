# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R16: ``stop_policy: machine`` leaves the stop to viam-server and verifies it."""

from __future__ import annotations

import pytest

from support.pure import base, left_to_machine, machine, Rig, STOPPING_WINDOW
from support.session_table import GO, MODES, stops, WINDOW
from viam_session_bridge.configuration.model import SessionsMode, StopPolicy
from viam_session_bridge.core.actions import Cause, SessionEnded, Stop
from viam_session_bridge.core.events import (
    AtRest,
    CommandFailed,
    LeftToMachine,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.requests import (
    Doubt,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Purpose,
    Request,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.timing import NEVER

STOPPED_BY = STOPPING_WINDOW + 0.25  # s after the last use, then the base is asked
FIFTH = STOPPING_WINDOW / 5
OWN = ('sid-1',)
FOREIGN = ('sid-1', 'of the app')
WHO_ELSE = GetSessions(Purpose.LEFT, 'base')


@pytest.fixture
def rig() -> Rig:
    return left_to_machine()


def leaving_to_two_machines() -> Rig:
    """Return one as :func:`left_to_machine` does, with a base `arm` on another machine."""
    return left_to_machine(
        base('base'), base('arm', machine='other'), machines=[machine(), machine('other')]
    )


def kinds(sent: list[tuple[float, Request]]) -> list[tuple[float, type[Request]]]:
    return [(at, type(request)) for at, request in sent]


# Who stops


def test_the_window_is_the_machines_and_a_lapse_sends_no_stop(rig: Rig) -> None:
    assert rig.until(STOPPED_BY - 0.001) == []
    (ended,) = rig.events_of(SessionEnded)
    assert (ended.at, ended.bases) == (STOPPING_WINDOW, ('base',))
    assert [(one.base, one.foreign) for one in rig.events_of(LeftToMachine)] == [('base', None)]
    assert rig.events_of(Stop) == []


def test_with_two_machines_the_shorter_window_counts() -> None:
    rig = leaving_to_two_machines()
    rig.machine_window = 3.0
    rig.drive('B', topic='/arm')
    assert rig.bridge.table.window == STOPPING_WINDOW


def test_a_window_that_the_machine_changed_holds_for_those_who_have_sessions() -> None:
    table = SessionTable(WINDOW, MODES)
    table.set_window(3.0)
    assert table.due_at == NEVER
    table.command('A', 'base', GO, 1.0)
    table.command('B', 'arm', GO, 0.5)
    table.set_window(2.0)
    assert table.due_at == 2.5
    assert stops(table.expire(2.5)) == [('arm', Cause.LAPSE)]


def test_a_client_that_leaves_sends_no_stop_either(rig: Rig) -> None:
    assert rig.left('A') == []
    assert kinds(rig.until(2.0))[0] == (STOPPED_BY, IsMoving)


def test_a_machine_without_sessions_stops_nothing_so_the_bridge_does() -> None:
    rig = Rig(
        machines=[machine(allow_unsupervised=True)], stop_policy=StopPolicy.MACHINE, verify=True
    )
    rig.command('A')
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    rig.answer(Move)
    assert kinds(rig.until(0.5)) == [(0.5, StopBase)]


def test_the_machine_stops_no_base_that_was_driven_without_a_session() -> None:
    rig = left_to_machine(base('base', sessions=SessionsMode.DISABLED))
    assert rig.deactivate() == [StopBase('base')]


def test_nor_one_whose_first_command_never_went_out() -> None:
    rig = Rig(verify=True, stop_policy=StopPolicy.MACHINE)
    assert rig.command('A') == [StartSession('')]
    assert rig.deactivate() == [StopBase('base')]


def test_a_command_that_fails_is_stopped_by_the_bridge(rig: Rig) -> None:
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.FAILED) == [StopBase('base')]


def test_a_command_that_still_waits_at_the_end_has_failed(rig: Rig) -> None:
    """The one before it is another's, whose machine session lives on."""
    rig.command('B', 0.4)
    rig.answer(StartSession)
    rig.command('B', 0.5)
    assert rig.left('B') == [StopBase('base')]
    assert len(rig.events_of(CommandFailed)) == 1


# Heartbeats


def test_no_sign_of_life_no_heartbeat(rig: Rig) -> None:
    assert [r for _, r in rig.until(STOPPING_WINDOW) if isinstance(r, SendHeartbeat)] == []


def test_a_sign_of_life_is_passed_on_at_once_or_not_at_all(rig: Rig) -> None:
    rig.until(FIFTH - 0.001)
    rig.heartbeat('A')
    assert rig.until(FIFTH + 0.1) == []
    rig.heartbeat('A')
    assert rig.tick() == [SendHeartbeat('sid-1')]


def test_only_the_lapse_clock_passes_it_on(rig: Rig) -> None:
    rig.until(FIFTH)
    assert rig.heartbeat('A') == []
    assert rig.wake_at == rig.now


def test_a_wedged_clock_passes_on_no_stale_sign(rig: Rig) -> None:
    rig.until(FIFTH)
    rig.heartbeat('A')
    rig.now += FIFTH
    assert rig.tick() == []


def test_a_permission_is_no_sign_of_life(rig: Rig) -> None:
    rig.until(FIFTH)
    rig.heartbeat('A', own=False)
    assert rig.tick() == []


def test_a_session_that_is_over_by_the_machines_window_moves_nothing() -> None:
    """The first start tells the window, while its client's command waits for that very start."""
    rig = Rig(stop_policy=StopPolicy.MACHINE)
    rig.machine_window = WINDOW - 0.1
    rig.command('A')
    rig.until(WINDOW - 0.05, times_out=False)
    rig.answer(StartSession)
    assert rig.pending(Move) == []
    assert [ended.cause for ended in rig.events_of(SessionEnded)] == [Cause.LAPSE]


def test_a_command_for_one_machine_is_a_sign_of_life_for_the_other() -> None:
    rig = leaving_to_two_machines()
    rig.until(FIFTH)
    rig.command('A', topic='/arm')
    assert rig.tick() == [SendHeartbeat('sid-1')]


def test_the_bridges_own_policy_heartbeats_without_signs() -> None:
    rig = Rig()
    rig.machine_window = 0.4
    rig.drive('A')
    assert kinds(rig.until(0.1)) == [(0.08, SendHeartbeat)]


# Verified


def test_a_base_that_its_machine_stopped_is_asked_once(rig: Rig) -> None:
    assert kinds(rig.until(STOPPED_BY)) == [(STOPPED_BY, IsMoving)]
    assert rig.answer(IsMoving) == []
    assert len(rig.events_of(AtRest)) == 1
    assert rig.until(100.0) == []


def test_one_that_still_moves_is_stopped_until_final_if_nobody_else_is_there(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    assert rig.answer(IsMoving, moving=True) == [WHO_ELSE]
    assert rig.answer(GetSessions, sids=OWN) == [StopBase('base')]
    assert rig.answer(StopBase, Outcome.FAILED) == []
    assert rig.until(STOPPED_BY + 0.06)[0][1] == StopBase('base')
    rig.answer(StopBase)
    assert len(rig.events_of(StopFinal)) == 1
    assert [(one.foreign, one.stopped) for one in rig.events_of(StillMoving)] == [(0, True)]


def test_one_that_others_may_move_is_reported_and_left_alone(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [(one.foreign, one.stopped) for one in rig.events_of(StillMoving)] == [(1, False)]
    assert rig.until(100.0) == []


def test_a_machine_that_cannot_tell_who_is_there_is_taken_to_have_nobody(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, Outcome.UNIMPLEMENTED) == [StopBase('base')]


@pytest.mark.parametrize('outcome', [Outcome.UNIMPLEMENTED, Outcome.FAILED])
def test_a_base_that_cannot_tell_counts_as_moving(rig: Rig, outcome: Outcome) -> None:
    rig.until(STOPPED_BY)
    assert rig.answer(IsMoving, outcome) == [WHO_ELSE]


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_it_is_asked_again_each_second(rig: Rig, outcome: Outcome) -> None:
    rig.until(STOPPED_BY)
    for _ in range(3):
        rig.answer(IsMoving, outcome)
        assert kinds(rig.until(rig.now + 1.0)) == [(rig.now, IsMoving)]
    assert rig.events_of(StillMoving) == []


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT, Outcome.FAILED])
def test_one_that_moves_is_stopped_where_the_machine_does_not_say_who_is_there(
    rig: Rig, outcome: Outcome
) -> None:
    """So does viam-server while its own Stop hangs, which holds the lock of all sessions."""
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, outcome) == [StopBase('base')]
    (event,) = rig.events_of(StillMoving)
    assert event.stopped


def test_a_base_commanded_since_is_not_asked(rig: Rig) -> None:
    rig.until(STOPPED_BY - 0.1)
    rig.drive('B')
    assert IsMoving not in [type(request) for _, request in rig.until(STOPPED_BY + 0.1)]


def test_nor_one_whose_next_command_was_waiting_when_it_was_left(rig: Rig) -> None:
    rig.drive('B')
    rig.drive('A')
    rig.until(FIFTH)
    rig.heartbeat('A')
    assert rig.tick() == [SendHeartbeat('sid-1')]
    rig.command('A')
    assert rig.command('B') == []
    rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED)
    assert rig.events_of(LeftToMachine)
    rig.answer(Move)
    rig.answer(Move)
    assert kinds(rig.until(rig.now + 0.5)) == []


def test_a_new_command_makes_the_answers_of_before_worthless(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    rig.drive('B')
    assert rig.answer(GetSessions, sids=OWN) == []
    assert rig.events_of(StillMoving) == []


def test_after_a_command_timed_out_it_is_asked_each_second_for_a_minute(rig: Rig) -> None:
    """It may run after the machine has forgotten its session: then nothing there stops it."""
    rig.command('A', 0.4)
    rig.until(0.25)
    rig.acknowledge()
    rig.drive('A', 0.5)  # beside the one that timed out; the probe stays without an answer
    asked = 0
    for _ in range(1000):
        if rig.now >= 0.25 + STOPPED_BY + 61.0:
            break
        rig.until(rig.now + 0.1)
        if rig.pending(IsMoving):
            asked += 1
            rig.answer(IsMoving)
    assert rig.events_of(LeftToMachine) and not rig.events_of(StopFinal)
    assert asked in (60, 61)


def test_a_machine_session_that_expired_early_has_its_other_bases_verified_not_stopped() -> None:
    rig = left_to_machine(base('base'), base('other'))
    rig.drive('A', topic='/other')
    rig.command('A')
    led_to = rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert led_to == [StartSession('sid-1')]
    assert kinds(rig.until(0.25, times_out=False)) == [(0.25, IsMoving)]
    assert rig.pending(IsMoving) == [IsMoving('other', Doubt.LEFT)]


def test_its_clients_next_session_does_not_keep_the_base_moving() -> None:
    """Resuming its machine session would, unless the machine has stopped the base (R11)."""
    rig = left_to_machine(base('base'), base('other'))
    rig.until(STOPPING_WINDOW)
    assert rig.command('A', topic='/other') == [StartSession('')]


def test_a_session_of_ours_that_is_being_started_is_not_foreign() -> None:
    rig = left_to_machine(base('base'), base('other'))
    rig.until(STOPPED_BY)
    rig.command('B', topic='/other')
    rig.answer(IsMoving, moving=True)
    assert rig.pending(StartSession)
    assert rig.answer(GetSessions, sids=('sid-1', 'sid-2')) == [StopBase('base')]
