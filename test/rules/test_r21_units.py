# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""Units, limits and what is no number (R17, R21)."""

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from viam_session_bridge.core.velocity import Vector, Velocity, ZERO

AXES = ('x', 'y', 'yaw')
speeds = st.floats(-1e3, 1e3)
limits = st.floats(1e-3, 1e3)
velocities = st.builds(Velocity, speeds, speeds, speeds)


# Units (R21): REP 103 has x forward, y left; Viam has Y forward, X right; both Z counter-clockwise


@pytest.mark.parametrize(
    ('velocity', 'linear', 'angular'),
    [
        (Velocity(x=0.25), Vector(0.0, 250.0, 0.0), Vector(0.0, 0.0, 0.0)),
        (Velocity(x=-1.0), Vector(0.0, -1000.0, 0.0), Vector(0.0, 0.0, 0.0)),
        (Velocity(y=0.5), Vector(-500.0, 0.0, 0.0), Vector(0.0, 0.0, 0.0)),
        (Velocity(y=-0.5), Vector(500.0, 0.0, 0.0), Vector(0.0, 0.0, 0.0)),
        (Velocity(yaw=math.pi), Vector(0.0, 0.0, 0.0), Vector(0.0, 0.0, 180.0)),
        (Velocity(yaw=-math.pi / 2), Vector(0.0, 0.0, 0.0), Vector(0.0, 0.0, -90.0)),
    ],
    ids=['forward', 'backward', 'left', 'right', 'counter-clockwise', 'clockwise'],
)
def test_viam_has_millimetres_degrees_and_its_own_axes(
    velocity: Velocity, linear: Vector, angular: Vector
) -> None:
    sent = velocity.to_viam()
    assert sent[0] == pytest.approx(linear)
    assert sent[1] == pytest.approx(angular)


@pytest.mark.parametrize(
    ('velocity', 'linear', 'turn'),
    [
        (Velocity(x=0.5), (0.0, 0.5), 0.0),
        (Velocity(y=0.5), (-0.5, 0.0), 0.0),
        (Velocity(yaw=-2.0), (0.0, 0.0), -1.0),
        (Velocity(x=0.5, yaw=1.0), (0.0, 0.5), 0.5),
    ],
    ids=['forward', 'left', 'clockwise', 'arc'],
)
def test_power_is_the_fraction_of_the_maximum_speeds(
    velocity: Velocity, linear: tuple[float, float], turn: float
) -> None:
    assert velocity.to_viam_power(1.0, 2.0, True) == (Vector(*linear, 0.0), Vector(0.0, 0.0, turn))


QUADRANTS = [(0.5, 0.25), (0.5, -0.25), (-0.5, 0.25), (-0.5, -0.25)]


@pytest.mark.parametrize(('forward', 'turn'), QUADRANTS)
def test_a_base_that_takes_viams_api_at_its_word_gets_the_turn_as_it_is(
    forward: float, turn: float
) -> None:
    velocity = Velocity(x=forward, yaw=2.0 * turn)
    assert velocity.to_viam_power(1.0, 2.0, False) == power(forward, turn)


@pytest.mark.parametrize(('forward', 'turn'), QUADRANTS)
def test_a_base_that_mirrors_the_turn_in_reverse_gets_it_mirrored(
    forward: float, turn: float
) -> None:
    sent = Velocity(x=forward, yaw=2.0 * turn).to_viam_power(1.0, 2.0, True)
    assert sent == power(forward, turn if forward > 0 else -turn)


@pytest.mark.parametrize('mirrored', [True, False])
@pytest.mark.parametrize(
    ('velocity', 'forward', 'turn'),
    [
        (Velocity(x=1.0, yaw=2.0), 0.5, 0.5),
        (Velocity(x=0.5, yaw=2.0), 1 / 3, 2 / 3),
        (Velocity(x=4.0, yaw=2.0), 0.8, 0.2),
        (Velocity(x=3.0), 1.0, 0.0),
        (Velocity(yaw=-9.0), 0.0, -1.0),
    ],
    ids=['both full', 'one full', 'above full', 'straight', 'in place'],
)
def test_power_for_both_together_is_no_more_than_full_in_the_same_ratio(
    velocity: Velocity, forward: float, turn: float, mirrored: bool
) -> None:
    linear, angular = velocity.to_viam_power(1.0, 2.0, mirrored)
    assert (linear.y, angular.z) == pytest.approx((forward, turn))


def power(forward: float, turn: float) -> tuple[Vector, Vector]:
    return Vector(0.0, forward, 0.0), Vector(0.0, 0.0, turn)


def wheels(forward: float, turn: float) -> tuple[float, float]:
    """Return the powers that rdk's wheeled base gives its left and right motors."""
    if forward < 0.0:
        left, right = wheels(-forward, turn)
        return -left, -right
    return max(-1.0, min(forward - turn, 1.0)), max(-1.0, min(forward + turn, 1.0))


@given(st.builds(Velocity, x=st.floats(-1e300, 1e300), yaw=speeds), limits, limits)
def test_wheels_turn_as_rep_103_says_with_none_above_full_power(
    velocity: Velocity, max_linear: float, max_angular: float
) -> None:
    linear, angular = velocity.to_viam_power(max_linear, max_angular, True)
    left, right = wheels(linear.y, angular.z)
    forward, turn = (left + right) / 2, (right - left) / 2
    assert abs(forward) + abs(turn) <= 1.0 + 1e-9
    asked, asked_turn = velocity.x / max_linear, velocity.yaw / max_angular
    scale = max(abs(asked) + abs(asked_turn), 1.0)
    assert (forward, turn) == pytest.approx((asked / scale, asked_turn / scale), abs=1e-9)


@pytest.mark.parametrize('forward', [0.0, -0.0, 1e-9, -1e-9, -5e-324])
def test_wheels_turn_alike_however_slowly_they_go_forward_or_back(forward: float) -> None:
    linear, angular = Velocity(x=forward, yaw=0.5).to_viam_power(2.0, 1.0, True)
    assert wheels(linear.y, angular.z) == pytest.approx((-0.5, 0.5))


@given(velocities, limits, limits, st.booleans())
def test_power_is_never_above_full(
    velocity: Velocity, max_linear: float, max_angular: float, mirrored: bool
) -> None:
    linear, angular = velocity.to_viam_power(max_linear, max_angular, mirrored)
    assert math.hypot(*linear) + abs(angular.z) <= 1.0 + 1e-9


@pytest.mark.parametrize('velocity', [ZERO, Velocity(x=-1.0)], ids=['standstill', 'backward'])
def test_nothing_is_sent_as_a_negative_zero(velocity: Velocity) -> None:
    for linear, angular in (velocity.to_viam(), velocity.to_viam_power(1.0, 1.0, True)):
        assert math.copysign(1.0, linear.x) == math.copysign(1.0, angular.z) == 1.0


def test_no_power_is_sent_as_a_negative_zero() -> None:
    linear, _ = Velocity(x=-0.0, y=0.0).to_viam_power(1.0, 1.0, False)
    assert math.copysign(1.0, linear.y) == 1.0


def test_power_to_the_side_is_a_fraction_of_the_maximum_too() -> None:
    linear, _ = Velocity(x=1.0, y=-0.5).to_viam_power(4.0, 1.0, False)
    assert (linear.x, linear.y) == (0.125, 0.25)


# Limits (R17)


def test_without_limits_nothing_is_scaled() -> None:
    assert Velocity(9.0, -9.0, 9.0).limited(0.0, 0.0) == Velocity(9.0, -9.0, 9.0)


def test_at_the_limits_nothing_is_scaled() -> None:
    assert Velocity(0.6, 0.8, -2.0).limited(1.0, 2.0) == Velocity(0.6, 0.8, -2.0)


@pytest.mark.parametrize(
    ('fast', 'limited'),
    [
        (Velocity(x=-2.0), Velocity(x=-1.0)),
        (Velocity(yaw=-8.0), Velocity(yaw=-2.0)),
        (Velocity(x=2.0, yaw=1.0), Velocity(x=1.0, yaw=0.5)),
        (Velocity(x=0.5, yaw=4.0), Velocity(x=0.25, yaw=2.0)),
        (Velocity(x=4.0, yaw=4.0), Velocity(x=1.0, yaw=1.0)),
        (Velocity(x=3.0, y=4.0), Velocity(x=0.6, y=0.8)),
    ],
    ids=['linear', 'angular', 'linear, turning', 'angular, moving', 'both', 'diagonal'],
)
def test_a_speed_above_the_limit_is_scaled_down_on_the_same_arc(
    fast: Velocity, limited: Velocity
) -> None:
    scaled = fast.limited(1.0, 2.0)
    assert (scaled.x, scaled.y, scaled.yaw) == pytest.approx((limited.x, limited.y, limited.yaw))


@given(velocities, limits, limits)
def test_limits_hold_and_keep_the_ratio(
    velocity: Velocity, max_linear: float, max_angular: float
) -> None:
    limited = velocity.limited(max_linear, max_angular)
    assert math.hypot(limited.x, limited.y) <= max_linear * (1 + 1e-9)
    assert abs(limited.yaw) <= max_angular * (1 + 1e-9)
    assert limited.x * velocity.yaw == pytest.approx(velocity.x * limited.yaw, abs=1e-6)
    assert limited.x * velocity.y == pytest.approx(velocity.x * limited.y, abs=1e-6)


# What is no number (R17), and what is standstill (R10)


@pytest.mark.parametrize('axis', AXES)
@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('limit', [0.0, 1.0])
def test_a_non_finite_number_stays_one_whatever_the_limits(
    axis: str, number: float, limit: float
) -> None:
    velocity = Velocity(**{'x': 1.0, 'y': 2.0, 'yaw': 3.0, axis: number})
    assert not velocity.limited(limit, limit).is_finite
    assert not velocity.is_zero


@pytest.mark.parametrize('axis', AXES)
def test_a_number_that_overflows_in_viams_units_is_not_finite(axis: str) -> None:
    assert not Velocity(**{axis: 1.7e308}).is_finite
    assert Velocity(**{axis: 1e300}).is_finite


@pytest.mark.parametrize('limit', [0.0, 1e-3, 1.0])
def test_two_numbers_whose_speed_overflows_are_not_finite_and_no_zero(limit: float) -> None:
    velocity = Velocity(x=1.7e308, y=-1.7e308, yaw=1.0).limited(limit, limit)
    assert not velocity.is_finite
    assert not velocity.is_zero


@given(st.floats(), st.floats(), st.floats(), st.sampled_from([0.0, 1.0]))
def test_what_is_finite_is_finite_for_viam(x: float, y: float, yaw: float, limit: float) -> None:
    velocity = Velocity(x, y, yaw).limited(limit, limit)
    linear, angular = velocity.to_viam()
    assert velocity.is_finite == all(map(math.isfinite, (*linear, *angular)))


@pytest.mark.parametrize('axis', AXES)
def test_only_standstill_is_zero(axis: str) -> None:
    assert ZERO.is_zero
    assert Velocity(-0.0, -0.0, -0.0).is_zero
    assert not Velocity(**{axis: 5e-324}).is_zero
