# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""``stop_policy: machine`` leaves the stop to viam-server and verifies it (R16, R19)."""

from __future__ import annotations

from typing import Any

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig
from viam_session_bridge.configuration.model import BaseConfiguration, SessionsMode, StopPolicy
from viam_session_bridge.core.actions import SessionEnded, Stop
from viam_session_bridge.core.events import (
    AtRest,
    CommandDisplaced,
    CommandFailed,
    ForeignSessions,
    LeftToMachine,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.inquiry import REPORTED_AGAIN
from viam_session_bridge.core.requests import (
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
from viam_session_bridge.core.velocity import Velocity

MACHINE_WINDOW = 1.0  # s, which the bridge takes over: its own is 0.5
FIFTH = MACHINE_WINDOW / 5
STOPPED_BY = MACHINE_WINDOW + 0.25  # s after the last use, then the base is asked
OWN = ('sid-1',)
FOREIGN = ('sid-1', 'of the app')
VERIFY = GetSessions(Purpose.VERIFY, 'base')


@pytest.fixture
def rig() -> Rig:
    return leaving()


def leaving(*bases: BaseConfiguration, **options: Any) -> Rig:
    """Return a bench whose machine does the stopping; A commanded `base` at time 0."""
    rig = Rig(*bases, verify=True, stop_policy=StopPolicy.MACHINE, **options)
    rig.machine_window = MACHINE_WINDOW
    rig.drive('A')
    return rig


def leaving_to_two_machines() -> Rig:
    """Return one as :func:`leaving` does, with a base `arm` on another machine."""
    return leaving(
        base('base'), base('arm', machine='other'), machines=[machine(), machine('other')]
    )


def kinds(sent: list[tuple[float, Request]]) -> list[tuple[float, type[Request]]]:
    return [(at, type(request)) for at, request in sent]


# Who stops


def test_the_window_is_the_machines_and_a_lapse_sends_no_stop(rig: Rig) -> None:
    assert rig.until(STOPPED_BY - 0.001) == []
    (ended,) = rig.told(SessionEnded)
    assert (ended.at, ended.bases) == (MACHINE_WINDOW, ('base',))
    assert [(one.base, one.foreign) for one in rig.told(LeftToMachine)] == [('base', None)]
    assert rig.told(Stop) == []


def test_with_two_machines_the_shorter_window_counts() -> None:
    rig = leaving_to_two_machines()
    rig.machine_window = 3.0
    rig.drive('B', topic='/arm')
    assert rig.bridge.table.window == MACHINE_WINDOW


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
    rig = leaving(base('base', sessions=SessionsMode.DISABLED))
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
    assert len(rig.told(CommandFailed)) == 1


# Heartbeats


def test_no_sign_of_life_no_heartbeat(rig: Rig) -> None:
    assert [r for _, r in rig.until(MACHINE_WINDOW) if isinstance(r, SendHeartbeat)] == []


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
    assert len(rig.told(AtRest)) == 1
    assert rig.until(100.0) == []


def test_one_that_still_moves_is_stopped_until_final_if_nobody_else_is_there(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    assert rig.answer(IsMoving, moving=True) == [VERIFY]
    assert rig.answer(GetSessions, sids=OWN) == [StopBase('base')]
    assert rig.answer(StopBase, Outcome.FAILED) == []
    assert rig.until(STOPPED_BY + 0.06)[0][1] == StopBase('base')
    rig.answer(StopBase)
    assert len(rig.told(StopFinal)) == 1
    assert [(one.foreign, one.stopped) for one in rig.told(StillMoving)] == [(0, True)]


def test_one_that_others_may_move_is_reported_and_left_alone(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [(one.foreign, one.stopped) for one in rig.told(StillMoving)] == [(1, False)]
    assert rig.until(100.0) == []


def test_a_machine_that_cannot_tell_who_is_there_is_taken_to_have_nobody(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, Outcome.UNIMPLEMENTED) == [StopBase('base')]


@pytest.mark.parametrize('outcome', [Outcome.UNIMPLEMENTED, Outcome.FAILED])
def test_a_base_that_cannot_tell_counts_as_moving(rig: Rig, outcome: Outcome) -> None:
    rig.until(STOPPED_BY)
    assert rig.answer(IsMoving, outcome) == [VERIFY]


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_it_is_asked_again_each_second(rig: Rig, outcome: Outcome) -> None:
    rig.until(STOPPED_BY)
    for _ in range(3):
        rig.answer(IsMoving, outcome)
        assert kinds(rig.until(rig.now + 1.0)) == [(rig.now, IsMoving)]
    assert rig.told(StillMoving) == []


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT, Outcome.FAILED])
def test_one_that_moves_is_stopped_where_the_machine_does_not_say_who_is_there(
    rig: Rig, outcome: Outcome
) -> None:
    """So does viam-server while its own Stop hangs, which holds the lock of all sessions."""
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    assert rig.answer(GetSessions, outcome) == [StopBase('base')]
    (told,) = rig.told(StillMoving)
    assert told.stopped


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
    assert rig.told(LeftToMachine)
    rig.answer(Move)
    rig.answer(Move)
    assert kinds(rig.until(rig.now + 0.5)) == []


def test_a_new_command_makes_the_answers_of_before_worthless(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving, moving=True)
    rig.drive('B')
    assert rig.answer(GetSessions, sids=OWN) == []
    assert rig.told(StillMoving) == []


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
    assert rig.told(LeftToMachine) and not rig.told(StopFinal)
    assert asked in (60, 61)


def test_a_machine_session_that_expired_early_has_its_other_bases_verified_not_stopped() -> None:
    rig = leaving(base('base'), base('other'))
    rig.drive('A', topic='/other')
    rig.command('A')
    led_to = rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert led_to == [StartSession('sid-1')]
    assert kinds(rig.until(0.25, times_out=False)) == [(0.25, IsMoving)]
    assert rig.pending(IsMoving) == [IsMoving('other')]


def test_its_clients_next_session_does_not_keep_the_base_moving() -> None:
    """Resuming its machine session would, unless the machine has stopped the base (R11)."""
    rig = leaving(base('base'), base('other'))
    rig.until(MACHINE_WINDOW)
    assert rig.command('A', topic='/other') == [StartSession('')]


def test_a_session_of_ours_that_is_being_started_is_not_foreign() -> None:
    rig = leaving(base('base'), base('other'))
    rig.until(STOPPED_BY)
    rig.command('B', topic='/other')
    rig.answer(IsMoving, moving=True)
    assert rig.pending(StartSession)
    assert rig.answer(GetSessions, sids=('sid-1', 'sid-2')) == [StopBase('base')]


# Deactivation


def test_deactivation_asks_first_and_stops_if_nobody_else_is_there(rig: Rig) -> None:
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]
    assert rig.bridge.not_final() == {'base': False}
    assert rig.answer(GetSessions, sids=OWN) == [StopBase('base')]
    rig.acknowledge()
    assert rig.bridge.closed


def test_deactivation_leaves_a_base_to_others_and_names_it(rig: Rig) -> None:
    rig.deactivate()
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [(one.base, one.foreign) for one in rig.told(LeftToMachine)] == [('base', 1)]
    assert rig.bridge.closed


def test_a_base_that_was_left_is_left_for_good(rig: Rig) -> None:
    """A signal deactivates as well, and then the shutdown does."""
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.deactivate() == []
    assert rig.bridge.not_final() == {}


def displaced(rig: Rig) -> Rig:
    """Let another client's call cancel A's newest command."""
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.CANCELLED) == []
    return rig


def test_a_command_that_another_client_cancelled_is_left_to_that_client(rig: Rig) -> None:
    displaced(rig)
    assert rig.told(CommandDisplaced) == [CommandDisplaced('base', 'A', 0.0)]
    assert rig.bridge.table.last_user('base') is None
    assert [one for one in rig.until(5.0) if isinstance(one[1], StopBase)] == []


def test_nor_is_it_stopped_for_an_older_command_that_may_have_run_late() -> None:
    rig = Rig(stop_policy=StopPolicy.MACHINE, machines=[machine(call_timeout=2.0)])
    rig.machine_window = 20.0
    rig.drive('A')
    rig.command('A', 0.9)
    rig.until(2.0)
    rig.acknowledge()
    rig.answer(GetSessions)
    rig.command('A', 0.1)
    rig.until(3.2)  # go(0.9) can run no more, and go(0.1) is still in flight
    assert rig.answer(Move, Outcome.CANCELLED) == []
    assert rig.told(CommandDisplaced)
    assert [one for one in rig.until(5.0) if isinstance(one[1], StopBase)] == []


def test_a_refusal_after_that_stops_nothing(rig: Rig) -> None:
    displaced(rig)
    assert rig.command('A', float('nan')) == []


def test_with_the_next_command_the_base_is_its_again(rig: Rig) -> None:
    displaced(rig)
    assert rig.command('A', 0.5)
    session = rig.bridge.table.session('A')
    assert rig.bridge.table.last_user('base') is session is not None


def test_deactivation_after_that_asks_nobody_and_stops_nothing(rig: Rig) -> None:
    assert displaced(rig).deactivate() == []
    assert rig.bridge.closed


def test_where_a_newer_one_waits_the_base_stays_its(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    assert rig.answer(Move, Outcome.CANCELLED) == [Move('base', Velocity(0.5), 'sid-1')]
    session = rig.bridge.table.session('A')
    assert rig.bridge.table.last_user('base') is session is not None


def beside_a_lost_one(rig: Rig) -> Rig:
    """Let a command go without an answer, and a newer one of A's be in flight."""
    rig.command('A', 0.4)
    rig.until(CALL_TIMEOUT)
    rig.acknowledge()
    rig.command('A', 0.5)
    return rig


def test_one_beside_a_command_that_may_run_late_was_not_displaced(rig: Rig) -> None:
    beside_a_lost_one(rig)
    assert rig.answer(Move, Outcome.CANCELLED) == [StopBase('base')]
    assert rig.told(CommandDisplaced) == []


def test_nor_is_the_base_stopped_for_an_older_command_that_counts_as_answered_by_then() -> None:
    rig = leaving(machines=[machine(call_timeout=2.0)])
    rig.command('A', 0.4)
    rig.now = 0.1
    rig.answer(Move, Outcome.CUT)
    rig.acknowledge()
    rig.command('A', 0.5)
    keep_alive(rig, 3.2)
    rig.answer(Move, Outcome.CANCELLED)
    assert rig.told(CommandDisplaced)
    assert StopBase('base') not in keep_alive(rig, 5.0)


def keep_alive(rig: Rig, until: float) -> list[Request]:
    """Let A's heartbeats keep its session alive; its commands get no answer."""
    sent: list[Request] = []
    while rig.now < until:
        sent += [request for _, request in rig.until(rig.now + 0.1, times_out=False)]
        rig.heartbeat('A')
        while rig.pending(GetSessions):
            rig.answer(GetSessions)
        while rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
    return sent


def test_one_that_our_own_stop_cancelled_was_not_displaced(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', float('nan'))
    rig.answer(Move, Outcome.CANCELLED)
    assert rig.told(CommandDisplaced) == []
    assert rig.bridge.not_final() == {'base': False}


def test_a_publisher_that_streams_on_does_not_decide_what_deactivation_does(rig: Rig) -> None:
    rig.deactivate()
    assert rig.command('A') == []
    assert rig.answer(GetSessions, sids=FOREIGN) == []
    assert [one.foreign for one in rig.told(LeftToMachine)] == [1]


def test_a_base_is_left_once_its_command_in_flight_is_answered(rig: Rig) -> None:
    rig.command('A', 0.5)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert not rig.bridge.closed
    assert rig.answer(Move) == []
    assert [one.foreign for one in rig.told(LeftToMachine)] == [1]
    assert rig.bridge.closed


def test_one_whose_command_in_flight_fails_is_not_left_but_stopped(rig: Rig) -> None:
    rig.command('A', 0.5)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.answer(Move, Outcome.FAILED) == [StopBase('base')]
    rig.acknowledge()
    assert rig.told(LeftToMachine) == []
    assert rig.bridge.closed


def test_a_base_that_was_left_is_not_stopped_for_an_older_command(rig: Rig) -> None:
    beside_a_lost_one(rig)
    rig.answer(Move)
    keep_alive(rig, CALL_TIMEOUT + 1.1)
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.told(LeftToMachine)
    assert [one for _, one in rig.until(5.0) if isinstance(one, StopBase)] == []


def test_one_with_a_command_that_may_run_late_is_not_left_but_stopped(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.until(0.25)
    rig.acknowledge()
    rig.drive('A', 0.5)  # beside the one that timed out
    assert rig.deactivate() == [StopBase('base')]


def test_a_machine_that_is_closed_is_asked_nothing(rig: Rig) -> None:
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.bridge.closed
    assert rig.until(100.0) == []


@pytest.mark.parametrize('outcome', [Outcome.UNIMPLEMENTED, Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_deactivation_stops(rig: Rig, outcome: Outcome) -> None:
    rig.deactivate()
    assert rig.answer(GetSessions, outcome) == [StopBase('base')]


def test_deactivation_drops_what_waits(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    rig.deactivate()
    assert StopBase('base') not in rig.answer(Move)
    assert rig.pending(Move) == []


def test_deactivation_also_asks_about_bases_whose_session_lapsed(rig: Rig) -> None:
    rig.until(MACHINE_WINDOW)
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]


def test_a_base_found_at_rest_needs_no_stop_at_deactivation(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    assert rig.deactivate() == []
    assert rig.bridge.closed


def test_but_one_does_whose_command_was_on_its_way_all_the_while() -> None:
    rig = leaving(machines=[machine(call_timeout=5.0)])
    rig.command('A', 0.4)
    rig.left('A')
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    assert rig.deactivate() == [GetSessions(Purpose.DEACTIVATE)]


def test_a_stop_after_it_was_found_at_rest_is_told_as_one_without_a_timeout(rig: Rig) -> None:
    rig.until(STOPPED_BY)
    rig.answer(IsMoving)
    rig.drive('B')
    rig.command('B', 0.4)
    rig.answer(Move, Outcome.FAILED)
    rig.acknowledge()
    assert [final.timed_out for final in rig.told(StopFinal)] == [0]


# Foreign sessions under the bridge's own policy


def reported(policy: StopPolicy, sids: tuple[str, ...]) -> list[int]:
    rig = Rig(stop_policy=policy)
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    if rig.channel(True):
        rig.answer(GetSessions, sids=sids)
    assert rig.pending(GetSessions) == []
    rig.channel(False)
    assert rig.channel(True) == []  # once
    return [one.count for one in rig.told(ForeignSessions)]


def test_foreign_sessions_are_reported_at_activation() -> None:
    assert reported(StopPolicy.BRIDGE, ('of the app', 'of another')) == [2]


def test_without_foreign_sessions_nothing_is_reported() -> None:
    assert reported(StopPolicy.BRIDGE, ()) == []


def test_without_an_answer_it_is_asked_again() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.answer(GetSessions, Outcome.TIMED_OUT)
    assert rig.until(rig.now + 1.0) == [(1.0, GetSessions(Purpose.REPORT))]
    rig.answer(GetSessions, sids=('of the app',))
    assert [one.count for one in rig.told(ForeignSessions)] == [1]


def test_others_that_come_later_are_reported_and_so_is_that_they_are_gone() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    for sids in ((), ('of the app',), ('of the app', 'of another'), (), ()):
        rig.answer(GetSessions, sids=sids)
        assert rig.pending(GetSessions) == []
        rig.until(rig.now + REPORTED_AGAIN)
    assert [(one.count, one.at) for one in rig.told(ForeignSessions)] == [
        (1, REPORTED_AGAIN), (0, 3 * REPORTED_AGAIN)
    ]  # fmt: skip


def test_a_machine_that_cannot_tell_of_others_is_not_asked_again() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.answer(GetSessions, Outcome.UNIMPLEMENTED)
    assert rig.until(rig.now + 10 * REPORTED_AGAIN) == []


def test_after_its_end_a_machine_is_not_asked_for_others() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.deactivate()
    rig.answer(GetSessions, sids=('of the app',))
    assert rig.until(rig.now + 10 * REPORTED_AGAIN) == []
    assert rig.told(ForeignSessions) == []


def test_under_the_machines_policy_nothing_is_reported() -> None:
    assert reported(StopPolicy.MACHINE, ('of the app',)) == []


def test_a_base_that_was_left_to_others_is_not_asked_about_again_once_it_is_closed(
    rig: Rig,
) -> None:
    rig.deactivate()
    rig.answer(GetSessions, sids=FOREIGN)
    assert rig.bridge.closed
    assert rig.deactivate() == []
    assert rig.bridge.not_final() == {}
