# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R19: deactivation, and what the exit waits for."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, go, Rig, STOP
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.requests import Move, Outcome, Reach, Redial, StopBase

EXIT_AT = 2.0


# Deactivation


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


# Exit


@pytest.fixture
def rig() -> Rig:
    """Deactivate at 0 s, with the exit at 2 s; the machine session lapses at 1 s."""
    rig = Rig(stop_timeout=5.0)
    rig.machine_window = 1.0 - CALL_TIMEOUT
    rig.drive('A')
    rig.deactivate()
    rig.feed(lambda: rig.bridge.exits(EXIT_AT, rig.now))
    return rig


def stops(rig: Rig, until: float) -> list[float]:
    return [at for at, request in rig.until(until) if request == STOP]


def test_a_stop_that_nothing_stands_in_for_is_waited_for_to_its_deadline(rig: Rig) -> None:
    rig.now = EXIT_AT
    assert rig.bridge.exit_waits_until(rig.now) == 5.05


def test_not_while_a_valid_machine_session_covers_the_base(rig: Rig) -> None:
    rig.now = 0.9
    assert rig.bridge.exit_waits_until(rig.now) == 0.0


def test_nor_where_one_was_acknowledged_before() -> None:
    rig = Rig(stop_timeout=5.0)
    rig.machine_window = 0.1
    rig.drive('A')
    rig.command('A', 0.4)
    rig.deactivate()
    rig.answer(StopBase)
    rig.now = EXIT_AT
    assert rig.bridge.not_final() == {'base': True}
    assert rig.bridge.exit_waits_until(rig.now) == 0.0


def test_no_further_one_begins_in_the_last_call_timeout(rig: Rig) -> None:
    rig.until(EXIT_AT - CALL_TIMEOUT - 0.01)
    rig.answer(StopBase, Outcome.CUT)
    assert stops(rig, EXIT_AT + 5.0) == []


def test_so_the_one_that_is_open_is_not_cut_by_dialling_anew() -> None:
    rig = Rig(stop_timeout=5.0, stalls=True)
    rig.drive('A')
    rig.deactivate()
    rig.feed(lambda: rig.bridge.exits(1.9, rig.now))
    kinds = [type(request) for _, request in rig.until(4.0)]
    assert Reach in kinds  # it was under way to that
    assert Redial not in kinds
    assert rig.pending(StopBase)


def test_before_that_it_does(rig: Rig) -> None:
    rig.until(EXIT_AT - CALL_TIMEOUT - 0.06)
    rig.answer(StopBase, Outcome.CUT)
    assert stops(rig, EXIT_AT) == [pytest.approx(EXIT_AT - CALL_TIMEOUT - 0.01)]


def test_the_first_one_always_does() -> None:
    rig = Rig()
    rig.drive('A')
    rig.feed(lambda: rig.bridge.exits(0.1, rig.now), lambda: rig.bridge.tick(0.0))
    assert rig.deactivate() == [STOP]


def test_a_zero_after_an_error_has_the_machine_session_cover_the_base_for_longer() -> None:
    rig = Rig()
    rig.machine_window = 1.0
    rig.drive('A')
    rig.now = 0.5
    rig.left('A')
    rig.answer(StopBase, Outcome.FAILED)
    rig.answer(Move)
    assert rig.pending(StopBase)
    assert rig.bridge.exit_waits_until(0.5 + 1.0 + CALL_TIMEOUT - 0.01) == 0.0
    assert rig.bridge.exit_waits_until(0.5 + 1.0 + CALL_TIMEOUT) > 0.0
