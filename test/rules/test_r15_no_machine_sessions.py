# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R15: a machine that fails to start a session, or has none."""

from __future__ import annotations

import pytest

from support.pure import machine, Rig, STOP, WINDOW
from viam_session_bridge.core.events import MachineSessionFailed, Unsupervised
from viam_session_bridge.core.requests import Move, Outcome, StartSession
from viam_session_bridge.core.velocity import Velocity


@pytest.mark.parametrize(
    'outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED]
)
def test_a_machine_that_fails_to_start_one_gets_no_motion(outcome: Outcome) -> None:
    rig = Rig()
    rig.command('A')
    assert rig.answer(StartSession, outcome) == [STOP]
    rig.acknowledge()
    assert rig.pending(Move) == []
    assert [one.client for one in rig.events_of(MachineSessionFailed)] == ['A']


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_not_even_where_unsupervised_motion_is_allowed(outcome: Outcome) -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    assert rig.answer(StartSession, outcome) == [STOP]
    assert rig.events_of(Unsupervised) == []


def test_one_that_has_none_gets_it_where_that_is_allowed_and_it_is_reported() -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    assert rig.answer(StartSession, Outcome.UNIMPLEMENTED) == [Move('base', Velocity(0.3), '')]
    rig.answer(Move)
    assert rig.command('B') == [Move('base', Velocity(0.3), '')]
    rig.answer(Move)
    assert len(rig.events_of(Unsupervised)) == 1
    assert rig.until(WINDOW) == [(WINDOW, STOP)]


def test_after_an_outage_it_is_asked_again() -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    rig.answer(Move)
    rig.channel(False)
    rig.channel(True)
    assert rig.command('A') == [StartSession('')]


def test_a_start_of_a_machine_without_sessions_takes_no_place() -> None:
    """Its client left before the machine said so (R11)."""
    rig = Rig(machines=[machine(max_sessions=1, allow_unsupervised=True)])
    rig.command('A')
    rig.left('A')
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    rig.acknowledge()
    assert [type(request) for request in rig.command('B')] == [Move]
