# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R17: what is refused, counted by reason, and what is scaled down."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from support.pure import base, machine, Rig
from support.session_table import GO, INVALID, stops, WINDOW
from viam_session_bridge.core.actions import Cause, Refusal, Refused, SessionStarted, Stop
from viam_session_bridge.core.bridge import REFUSALS_REPORTED_EVERY
from viam_session_bridge.core.requests import Move, StartSession
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.velocity import Velocity, ZERO

speeds = st.floats(-1e3, 1e3)
limits = st.floats(1e-3, 1e3)
velocities = st.builds(Velocity, speeds, speeds, speeds)
AXES = ('x', 'y', 'yaw')


# Refused


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_a_non_finite_number_is_refused(table: SessionTable, number: float) -> None:
    actions = table.command('A', 'base', Velocity(0.1, 0.0, number), 1.0)
    assert actions == [Refused('base', 'A', Refusal.NON_FINITE, 1.0)]


def test_refusals_are_counted_by_reason(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'base', INVALID, 1.1)
    table.command('A', 'base', INVALID, 1.1)
    table.command('A', 'base', GO, 1.1, Refusal.NOT_READY)
    session = table.active.get('A')
    assert session is not None
    assert session.refusals == {'non_finite': 2, 'not_ready': 1}
    assert session.commands == 1


def test_a_command_accepted_for_one_base_is_a_sign_of_life(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'arm', GO, 1.4)
    table.command('A', 'base', GO, 1.4, Refusal.NOT_READY)
    assert table.expire(1.9 - 1e-6) == []
    assert stops(table.expire(1.4 + WINDOW)) == [('arm', Cause.LAPSE), ('base', Cause.LAPSE)]


def test_refusals_are_reported_once_a_second_for_each_base_and_reason() -> None:
    rig = Rig(base('base'), base('arm', max_stamp_age=0.5))
    bridge = rig.bridge
    for rig.now in (1.0, 1.5, 1.0 + REFUSALS_REPORTED_EVERY):
        rig.command('A', math.nan)
        rig.command('A', math.nan, '/arm')
        rig.feed(lambda: bridge.command('A', '/arm', GO, 0.6, rig.now))
    assert [(one.base, one.reason, one.at) for one in rig.events_of(Refused)] == [
        (base, reason, at)
        for at in (1.0, 1.0 + REFUSALS_REPORTED_EVERY)
        for base, reason in (
            ('base', Refusal.NON_FINITE), ('arm', Refusal.NON_FINITE), ('arm', Refusal.STAMP),
        )
    ]  # fmt: skip
    assert bridge.refusals == {
        ('base', Refusal.NON_FINITE): 3, ('arm', Refusal.NON_FINITE): 3, ('arm', Refusal.STAMP): 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ('most', 'age', 'refused'),
    [
        (0.5, 0.5, False),
        (0.5, 0.501, True),
        (0.5, -0.5, False),
        (0.5, -0.501, True),
        (0.5, None, False),
        (0.0, 100.0, False),
        (2.0, 1.0, False),
    ],
)
def test_a_stamp_that_is_older_or_newer_than_it_may_be_is_refused(
    most: float, age: float | None, refused: bool
) -> None:
    rig = Rig(base(max_stamp_age=most))
    rig.feed(lambda: rig.bridge.command('A', '/base', GO, age, 0.0))
    refusals = [Refused('base', 'A', Refusal.STAMP, 0.0, age)] * refused
    assert rig.events_of(Refused) == refusals
    assert bool(rig.events_of(SessionStarted)) is not refused


def test_a_stamp_that_stops_the_base_is_told_with_its_age() -> None:
    rig = Rig(base(max_stamp_age=0.5))
    rig.drive('A')
    rig.feed(lambda: rig.bridge.command('A', '/base', GO, 0.7, rig.now))
    assert rig.events_of(Refused) == [Refused('base', 'A', Refusal.STAMP, rig.now, 0.7)]
    assert [stop.cause for stop in rig.events_of(Stop)] == [Cause.REFUSED]


def test_a_command_without_a_stamp_is_refused_where_stamps_count() -> None:
    rig = Rig(base(max_stamp_age=0.5))
    rig.feed(lambda: rig.bridge.command('A', '/base', GO, math.inf, 0.0))
    assert rig.events_of(Refused) == [Refused('base', 'A', Refusal.STAMP, 0.0, None)]


def test_one_whose_session_is_due_is_looked_at_as_if_it_had_none() -> None:
    rig = Rig(machines=[machine(max_sessions=1)])
    rig.drive('A')
    rig.now = WINDOW
    rig.command('A')
    assert [one.reason for one in rig.events_of(Refused)] == [Refusal.TOO_MANY_SESSIONS]


# Limits


@pytest.mark.parametrize(
    ('linear', 'angular', 'sent'),
    [
        (0.0, 0.0, Velocity(2.0, 0.0, 4.0)),
        (1.0, 0.0, Velocity(1.0, 0.0, 2.0)),
        (0.0, 1.0, Velocity(0.5, 0.0, 1.0)),
        (1.0, 1.0, Velocity(0.5, 0.0, 1.0)),
    ],
)
def test_each_base_gets_its_commands_within_its_own_limits(
    linear: float, angular: float, sent: Velocity
) -> None:
    rig = Rig(base(max_linear_speed=linear, max_angular_speed=angular))
    rig.feed(lambda: rig.bridge.command('A', '/base', Velocity(2.0, 0.0, 4.0), None, 0.0))
    assert rig.answer(StartSession) == [Move('base', sent, 'sid-1')]


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


# What is no number, and what is standstill


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
