# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The zeros of one base, and when it is asked whether they stop it (R22)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.standing_zero import StandingZero
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import ZERO

WINDOW = 0.5


def zero(at: float, client: str = 'A') -> Forward:
    return Forward('base', client, 7, ZERO, at)


@pytest.fixture
def zeros() -> StandingZero:
    """Let A have sent zeros at 1.0 s and 1.2 s."""
    zeros = StandingZero('base', WINDOW)
    zeros.forwarded(zero(1.0))
    zeros.forwarded(zero(1.2))
    return zeros


def test_the_question_is_due_a_window_after_the_first_zero(zeros: StandingZero) -> None:
    assert zeros.due_at == 1.0 + WINDOW


def test_it_is_asked_once(zeros: StandingZero) -> None:
    zeros.asked()
    zeros.forwarded(zero(2.0))
    assert zeros.due_at == NEVER


def test_the_stop_names_the_client_of_the_newest_zero(zeros: StandingZero) -> None:
    assert zeros.stop(1.6) == Stop('base', Cause.STANDING, 'A', 1.6, 7)
    assert zeros.is_sign_of_life_alone(zero(1.7))
    assert not zeros.is_sign_of_life_alone(zero(1.7, 'B'))


def test_a_base_that_moves_by_command_has_no_zeros_to_stand_by(zeros: StandingZero) -> None:
    zeros.stop(1.6)
    zeros.forget()
    assert zeros.due_at == NEVER
    assert zeros.stop(1.7) is None
    assert not zeros.is_sign_of_life_alone(zero(1.7))


@pytest.mark.parametrize(('cause', 'still'), [(Cause.STANDING, True), (Cause.LAPSE, False)])
def test_only_the_end_of_its_session_makes_a_clients_zeros_commands_again(
    zeros: StandingZero, cause: Cause, still: bool
) -> None:
    zeros.stop(1.6)
    zeros.stopped(Stop('base', cause, 'A', 1.6))
    assert zeros.stop(1.7) is None
    assert zeros.is_sign_of_life_alone(zero(1.7)) is still
