# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""Zeros are forwarded as any command, but a base that they do not stop is stopped (R22)."""

import pytest

from support.pure import base, MACHINE_WINDOW, Rig, WINDOW
from viam_session_bridge.configuration.model import SessionsMode, StopPolicy
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import StopAcknowledged
from viam_session_bridge.core.requests import (
    Doubt,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    Purpose,
    Request,
    SendHeartbeat,
    StopBase,
)
from viam_session_bridge.core.velocity import ZERO

ASK = IsMoving('base', Doubt.STANDING)
STOP = StopBase('base')
PERIOD = 0.05


def stream(rig: Rig, x: float, until: float, client: str = 'A') -> list[tuple[float, Request]]:
    """Publish at 20 Hz until then; all commands are answered, questions are not."""
    sent: list[tuple[float, Request]] = []
    while rig.now < until - 1e-9:
        sent += rig.until(round(rig.now + PERIOD, 6), times_out=False)
        sent += [(rig.now, request) for request in rig.command(client, x)]
        while rig.pending(Move):
            sent += [(rig.now, request) for request in rig.answer(Move)]
    return sent


def zeros_for_a_window(rig: Rig) -> Rig:
    """Let A drive, and send zeros from 0.05 s on until the base is asked about them."""
    rig.drive('A')
    sent = stream(rig, 0.0, WINDOW + PERIOD)
    assert [at for at, request in sent if request == ASK] == [WINDOW + PERIOD]
    return rig


@pytest.fixture
def rig() -> Rig:
    return Rig(verify=True)


def test_a_base_whose_commands_were_zero_for_a_window_is_asked_once(rig: Rig) -> None:
    zeros_for_a_window(rig)
    rig.answer(IsMoving, moving=False)
    assert ASK not in [request for _, request in stream(rig, 0.0, 10 * WINDOW)]


def test_one_that_stands_is_left_to_its_zeros(rig: Rig) -> None:
    zeros_for_a_window(rig)
    assert rig.answer(IsMoving, moving=False) == []
    assert rig.command('A', 0.0) == [Move('base', ZERO, 'sid-1')]


def test_a_command_that_is_not_zero_begins_the_window_anew(rig: Rig) -> None:
    rig.drive('A')
    sent = stream(rig, 0.0, 0.4) + stream(rig, 0.3, 0.45) + stream(rig, 0.0, 1.0)
    assert [at for at, request in sent if request == ASK] == [pytest.approx(0.5 + WINDOW)]


def standing(rig: Rig) -> Rig:
    """Let a base that moves under its zeros be stopped."""
    zeros_for_a_window(rig)
    assert rig.answer(IsMoving, moving=True) == [STOP]
    return rig


def test_one_that_moves_is_stopped(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    (stopped,) = rig.events_of(StopAcknowledged)
    session = rig.bridge.table.active.get('A')
    assert session is not None
    at = WINDOW + PERIOD
    assert stopped.stop == Stop('base', Cause.STANDING, 'A', at, session.number)
    assert rig.bridge.not_final() == {}


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.UNIMPLEMENTED, Outcome.TIMED_OUT])
def test_so_is_one_that_cannot_tell(rig: Rig, outcome: Outcome) -> None:
    zeros_for_a_window(rig)
    assert rig.answer(IsMoving, outcome) == [STOP]


def test_from_then_on_zeros_are_signs_of_life_and_not_forwarded(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    session = rig.bridge.table.active.get('A')
    sent = [request for _, request in stream(rig, 0.0, 5.0)]
    assert not [one for one in sent if isinstance(one, (Move, StopBase))]
    assert rig.bridge.table.active.get('A') is session is not None


def test_they_are_no_commands_so_that_it_is_verified_to_stand(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    sent = stream(rig, 0.0, rig.now + 0.2)
    assert IsMoving('base') in [request for _, request in sent]


def test_nothing_is_asked_while_a_stop_goes_on(rig: Rig) -> None:
    rig.drive('A')
    assert rig.command('A', float('nan')) == [STOP]
    while rig.now < 2 * WINDOW:
        rig.until(rig.now + PERIOD, times_out=False)
        assert rig.command('A', 0.0) == []
    assert ASK not in [call.request for call, _ in rig.calls]


def test_an_answer_that_another_stop_overtook_changes_nothing(rig: Rig) -> None:
    zeros_for_a_window(rig)
    assert rig.command('A', float('nan')) == [STOP]
    assert rig.command('A', 0.0) == []
    assert rig.answer(IsMoving, moving=True) == []
    assert rig.answer(StopBase) == [Move('base', ZERO, 'sid-1')]


def test_the_machine_session_is_heartbeated_meanwhile() -> None:
    rig = Rig(verify=True)
    rig.machine_window = 1.0
    standing(rig).answer(StopBase)
    beats = []
    while rig.now < 3.0:
        beats += [at for at, one in stream(rig, 0.0, rig.now + PERIOD) if one == BEAT]
        if rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
    assert len(beats) >= 10
    assert MACHINE_WINDOW > 3.0  # no beats in the other tests


BEAT = SendHeartbeat('sid-1')


def test_zeros_neither_cancel_nor_end_the_stop(rig: Rig) -> None:
    standing(rig)
    assert not [one for _, one in stream(rig, 0.0, 1.5) if isinstance(one, (Move, StopBase))]
    assert rig.bridge.not_final() == {'base': False}


def test_a_command_waits_for_the_stop_and_goes_then(rig: Rig) -> None:
    standing(rig)
    assert rig.command('A', 0.4) == []
    (go,) = rig.answer(StopBase)
    assert isinstance(go, Move) and go.velocity.x == 0.4


def test_after_that_zeros_are_forwarded_again(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    rig.drive('A', 0.4)
    assert rig.command('A', 0.0) == [Move('base', ZERO, 'sid-1')]


def test_another_clients_zero_is_forwarded(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    rig.command('B', 0.0)
    rig.drive('B', 0.0)
    assert rig.command('B', 0.0) == [Move('base', ZERO, 'sid-2')]


def test_a_new_session_of_the_client_begins_anew(rig: Rig) -> None:
    standing(rig).answer(StopBase)
    rig.left('A')
    rig.bridge.seen('A', rig.now)
    rig.acknowledge()
    rig.drive('A', 0.0)
    (zero,) = rig.command('A', 0.0)
    assert isinstance(zero, Move)


def test_a_base_without_sessions_is_stopped_too() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED), verify=True)
    zeros_for_a_window(rig)
    assert rig.answer(IsMoving, moving=True) == [STOP]


def test_a_stop_in_between_asks_no_more(rig: Rig) -> None:
    rig.drive('A')
    stream(rig, 0.0, 0.3)
    rig.left('A')
    rig.answer(StopBase)
    assert ASK not in [request for _, request in rig.until(5.0)]


@pytest.mark.parametrize(('sids', 'stops'), [(('sid-1',), True), (('sid-1', 'another'), False)])
def test_under_stop_policy_machine_not_where_others_have_sessions(
    sids: tuple[str, ...], stops: bool
) -> None:
    rig = Rig(verify=True, stop_policy=StopPolicy.MACHINE)
    rig.machine_window = WINDOW
    rig.drive('A')
    stream(rig, 0.0, WINDOW + PERIOD)
    asks = GetSessions(Purpose.STANDING, 'base')
    assert rig.answer(IsMoving, moving=True, where=lambda one: one == ASK) == [asks]
    sent = rig.answer(GetSessions, sids=sids, where=lambda one: one == asks)
    assert sent == ([STOP] if stops else [])


def test_another_clients_zeros_end_the_stop_no_more_than_its_own() -> None:
    rig = Rig(verify=True)
    rig.drive('A')
    rig.drive('B', 0.0)
    stream(rig, 0.0, 0.3)
    rig.heartbeat('B')
    zeros = stream(rig, 0.0, WINDOW)
    assert ASK in [request for _, request in zeros]
    rig.answer(IsMoving, moving=True)
    rig.answer(StopBase, Outcome.CUT)
    assert rig.command('B', 0.0) == []
    assert STOP in [request for _, request in rig.until(rig.now + 0.06, times_out=False)]
    (zero,) = rig.answer(StopBase)
    assert isinstance(zero, Move)
