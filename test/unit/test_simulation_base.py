# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated base, with the time handed in."""

from collections.abc import Callable
import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from viam_session_bridge.simulation.base import MAX_ANGULAR, MAX_LINEAR, SimulatedBase, ZERO

T = 100.0  # when a test begins


@pytest.fixture
def base() -> SimulatedBase:
    return SimulatedBase(T)


def test_linear_y_is_forward(base: SimulatedBase) -> None:
    base.set_velocity(T, (0.0, 500.0, 0.0), ZERO)
    state = base.state(T + 2)
    assert (state.x, state.y, state.heading) == pytest.approx((1.0, 0.0, 0.0))
    assert state.moving


def test_angular_z_turns_left_on_an_exact_arc(base: SimulatedBase) -> None:
    # A quarter circle of 1 m radius.
    base.set_velocity(T, (0.0, 500.0 * math.pi, 0.0), (0.0, 0.0, 90.0))
    state = base.state(T + 1)
    assert (state.x, state.y) == pytest.approx((1.0, 1.0))
    assert state.heading == pytest.approx(math.pi / 2)


def test_the_other_axes_move_nothing(base: SimulatedBase) -> None:
    base.set_velocity(T, (1.0, 0.0, 1.0), (1.0, 1.0, 0.0))
    state = base.state(T + 1)
    assert (state.x, state.y, state.heading, state.moving) == (0.0, 0.0, 0.0, False)
    assert state.linear == (1.0, 0.0, 1.0)


def test_power_is_a_fraction_of_the_maxima(base: SimulatedBase) -> None:
    base.set_power(T, (0.0, -0.5, 0.0), (0.0, 0.0, 7.0))
    state = base.state(T)
    assert state.linear[1] == -0.5 * MAX_LINEAR
    assert state.angular[2] == MAX_ANGULAR


@pytest.mark.parametrize('by_stop', [True, False])
def test_a_stop_and_a_zero_velocity_stand_still_where_the_base_is(
    base: SimulatedBase, by_stop: bool
) -> None:
    base.set_velocity(T, (0.0, 1000.0, 0.0), ZERO)
    if by_stop:
        base.stop(T + 1)
    else:
        base.set_velocity(T + 1, ZERO, ZERO)
    assert not base.state(T + 1).moving
    assert base.state(T + 9).x == pytest.approx(1.0)


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_and_changes_nothing(
    base: SimulatedBase, number: float
) -> None:
    base.set_velocity(T, (0.0, 1.0, 0.0), ZERO)
    before = base.state(T)
    calls: list[Callable[[], None]] = [
        lambda: base.set_velocity(T, (number, 0.0, 0.0), ZERO),
        lambda: base.set_power(T, ZERO, (0.0, 0.0, number)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match='not a finite number'):
            call()
    assert base.state(T) == before


_any = st.floats(allow_nan=False, allow_infinity=False)


@given(_any, _any, st.floats(0, 1e9))
def test_no_finite_number_hinders_a_stop(a: float, b: float, elapsed: float) -> None:
    base = SimulatedBase(T)
    base.set_velocity(T, (0.0, a, 0.0), (0.0, 0.0, b))
    base.state(T + elapsed)
    base.set_power(T + elapsed, (0.0, b, 0.0), (0.0, 0.0, a))
    base.state(T + 2 * elapsed)
    base.stop(T + 3 * elapsed)
    state = base.state(T + 4 * elapsed)
    assert not state.moving
    assert all(map(math.isfinite, (state.x, state.y, state.heading)))
