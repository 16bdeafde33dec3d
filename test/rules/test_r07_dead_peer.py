# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R7: a machine that is silent while a Stop is open is asked, and dialled anew."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig, STOP
from viam_session_bridge.core.dead_peer_detector import PATIENCE
from viam_session_bridge.core.requests import Move, Outcome, Reach, Redial, Request, StopBase


@pytest.fixture
def rig() -> Rig:
    """Leave a Stop open since 0 s."""
    rig = Rig(stalls=True, stop_timeout=10.0)
    rig.drive('A')
    rig.left('A')
    return rig


def only(sent: list[tuple[float, Request]], kind: type[Request]) -> list[float]:
    return [at for at, request in sent if isinstance(request, kind)]


def test_after_a_second_of_silence_it_is_asked_three_times_and_dialled_anew(rig: Rig) -> None:
    sent = rig.until(1.75)
    assert only(sent, Reach) == [1.0, 1.0 + CALL_TIMEOUT, 1.0 + 2 * CALL_TIMEOUT]
    assert only(sent, Redial) == [1.0 + 3 * CALL_TIMEOUT]


def test_the_stop_is_sent_on_the_new_connection(rig: Rig) -> None:
    rig.until(1.75)
    rig.channel(False)
    rig.answer(StopBase, Outcome.CUT)
    assert STOP in rig.channel(True)


def test_an_answer_of_any_kind_begins_the_second_anew(rig: Rig) -> None:
    rig.until(1.1)
    rig.answer(Reach)
    assert only(rig.until(2.09), Reach) == []
    assert only(rig.until(2.1), Reach) == [2.1]


def test_a_machine_that_has_no_such_call_answers_too(rig: Rig) -> None:
    rig.until(1.0)
    rig.answer(Reach, Outcome.UNIMPLEMENTED)
    assert only(rig.until(1.99), Reach) == []


def test_where_no_stop_is_open_nothing_is_asked(rig: Rig) -> None:
    rig.until(0.9)
    rig.answer(StopBase)
    assert only(rig.until(10.0), Reach) == []


def test_a_command_that_is_answered_meanwhile_shows_that_it_is_reached() -> None:
    rig = Rig(stalls=True, stop_timeout=10.0, machines=[machine(call_timeout=5.0)])
    rig.drive('A')
    rig.command('A', 0.4)
    rig.left('A')
    rig.until(0.9)
    rig.answer(Move)
    assert only(rig.until(2.0), Reach) == [0.9 + PATIENCE]


def test_the_new_connection_by_itself_does_not_show_that_it_is_reached(rig: Rig) -> None:
    rig.until(1.75)
    rig.answer(Redial)
    assert only(rig.until(4.0), Reach)[:1] == [1.75 + 2 * PATIENCE]


def test_nor_is_it_asked_while_commands_of_another_base_are_answered() -> None:
    rig = Rig(base('base'), base('arm'), stalls=True, stop_timeout=10.0)
    rig.drive('A')
    rig.drive('B', topic='/arm')
    rig.left('A')
    for at in (0.3, 0.6, 0.9):
        rig.until(at)
        rig.drive('B', topic='/arm')
    assert only(rig.until(2.0), Reach)[:1] == [0.9 + PATIENCE]
