# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R16: a command that another client's call cancelled was displaced, not failed."""

from __future__ import annotations

import pytest

from support.pure import beside_a_lost_one, keep_alive, left_to_machine, machine, Rig
from support.session_table import GO, INVALID, stops
from viam_session_bridge.configuration.model import StopPolicy
from viam_session_bridge.core.events import CommandDisplaced
from viam_session_bridge.core.requests import GetSessions, Move, Outcome, StopBase
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import Velocity


@pytest.fixture
def rig() -> Rig:
    return left_to_machine()


def displaced(rig: Rig) -> Rig:
    """Let another client's call cancel A's newest command."""
    rig.command('A', 0.4)
    assert rig.answer(Move, Outcome.CANCELLED) == []
    return rig


def test_a_command_that_another_client_cancelled_is_left_to_that_client(rig: Rig) -> None:
    displaced(rig)
    assert rig.events_of(CommandDisplaced) == [CommandDisplaced('base', 'A', 0.0)]
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
    assert rig.events_of(CommandDisplaced)
    assert [one for one in rig.until(5.0) if isinstance(one[1], StopBase)] == []


def test_a_refusal_after_that_stops_nothing(rig: Rig) -> None:
    displaced(rig)
    assert rig.command('A', float('nan')) == []


def test_with_the_next_command_the_base_is_its_again(rig: Rig) -> None:
    displaced(rig)
    assert rig.command('A', 0.5)
    session = rig.bridge.table.active.get('A')
    assert rig.bridge.table.last_user('base') is session is not None


def test_deactivation_after_that_asks_nobody_and_stops_nothing(rig: Rig) -> None:
    assert displaced(rig).deactivate() == []
    assert rig.bridge.closed


def test_where_a_newer_one_waits_the_base_stays_its(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', 0.5)
    assert rig.answer(Move, Outcome.CANCELLED) == [Move('base', Velocity(0.5), 'sid-1')]
    session = rig.bridge.table.active.get('A')
    assert rig.bridge.table.last_user('base') is session is not None


def test_one_beside_a_command_that_may_run_late_was_not_displaced(rig: Rig) -> None:
    beside_a_lost_one(rig)
    assert rig.answer(Move, Outcome.CANCELLED) == [StopBase('base')]
    assert rig.events_of(CommandDisplaced) == []


def test_nor_is_the_base_stopped_for_an_older_command_that_counts_as_answered_by_then() -> None:
    rig = left_to_machine(machines=[machine(call_timeout=2.0)])
    rig.command('A', 0.4)
    rig.now = 0.1
    rig.answer(Move, Outcome.CUT)
    rig.acknowledge()
    rig.command('A', 0.5)
    keep_alive(rig, 3.2)
    rig.answer(Move, Outcome.CANCELLED)
    assert rig.events_of(CommandDisplaced)
    assert StopBase('base') not in keep_alive(rig, 5.0)


def test_one_that_our_own_stop_cancelled_was_not_displaced(rig: Rig) -> None:
    rig.command('A', 0.4)
    rig.command('A', float('nan'))
    rig.answer(Move, Outcome.CANCELLED)
    assert rig.events_of(CommandDisplaced) == []
    assert rig.bridge.not_final() == {'base': False}


def test_a_client_whose_command_was_displaced_commands_the_base_no_longer(
    table: SessionTable,
) -> None:
    table.command('A', 'base', GO, 1.0)
    table.displaced('base')
    assert table.last_user('base') is None
    assert stops(table.command('A', 'base', INVALID, 1.1)) == []
