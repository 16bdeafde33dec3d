# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R2: what came too late, or waited in a freeze, counts as refused and is no sign of life."""

from __future__ import annotations

import math

import pytest

from support.pure import base, forward, Rig, WINDOW
from support.session_table import AUTO, GO, INVALID, lapse, stops
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import (
    Cause,
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
)
from viam_session_bridge.core.events import StopAcknowledged
from viam_session_bridge.core.requests import Move, Request, StopBase
from viam_session_bridge.core.sessions import SessionTable, tolerated_lateness
from viam_session_bridge.core.velocity import Velocity, ZERO

TOLERATED = tolerated_lateness(WINDOW)
TOO_LATE = math.nextafter(TOLERATED, 1.0)


# What the table makes of it


def test_a_discarded_command_of_the_client_that_commanded_last_stops_the_base(
    table: SessionTable,
) -> None:
    table.command('A', 'base', GO, 1.0)
    table.command('A', 'arm', GO, 1.0)
    for velocity in (GO, INVALID, None):
        assert table.discard('A', 'base', velocity, 1.1) == [
            Refused('base', 'A', Refusal.OLD, 1.1),
            Stop('base', Cause.REFUSED, 'A', 1.1),
        ]


def test_a_discarded_zero_of_its_is_a_stop_though_heartbeats_go_on(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.heartbeat('A', AUTO, True, 1.4)
    assert table.discard('A', 'base', ZERO, 1.5) == [Stop('base', Cause.ZERO, 'A', 1.5)]
    assert table.heartbeat('A', AUTO, True, 1.8) == []
    assert [session.number for session in table.active.values()] == [1]


def test_a_discarded_command_of_anothers_stops_nothing(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    for velocity in (GO, ZERO, None):
        actions = table.discard('B', 'base', velocity, 1.1)
        assert actions == [Refused('base', 'B', Refusal.OLD, 1.1)]
    assert [session.client for session in table.active.values()] == ['A']


def test_it_stops_the_base_also_after_its_session_or_without_one(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    lapse(table)
    assert stops(table.discard('A', 'base', GO, 9.0)) == [('base', Cause.REFUSED)]
    table.command('B', 'free', GO, 9.0)
    assert stops(table.discard('B', 'free', GO, 9.0)) == [('free', Cause.REFUSED)]


def test_a_discarded_command_is_no_sign_of_life_and_counts_as_refused(table: SessionTable) -> None:
    table.command('A', 'base', GO, 1.0)
    table.discard('A', 'base', GO, 1.4)
    (session,) = table.active.values()
    assert (session.commands, session.refusals) == (1, {'old': 1})
    assert stops(table.expire(1.5)) == [('base', Cause.LAPSE)]


def test_due_sessions_are_expired_before_a_discarded_command_is_looked_at(
    table: SessionTable,
) -> None:
    table.command('A', 'base', GO, 1.0)
    actions = table.discard('A', 'base', GO, 1.5)
    assert [type(one) for one in actions] == [SessionEnded, Stop, Refused, Stop]


@pytest.mark.parametrize(('window', 'tolerated'), [(60.0, 30.0), (0.5, 0.25), (0.03, 0.02)])
def test_what_comes_later_than_half_a_window_and_20_ms_is_not_acted_on(
    window: float, tolerated: float
) -> None:
    assert tolerated_lateness(window) == tolerated


@pytest.fixture
def rig() -> Rig:
    """Let A drive a base; all calls are answered."""
    rig = Rig()
    rig.drive('A')
    rig.events.clear()
    return rig


def command(rig: Rig, client: str, velocity: Velocity, late: float) -> list[Request]:
    """Feed a command that was taken from ROS so many s ago."""
    bridge, now = rig.bridge, rig.now
    return rig.feed(lambda: bridge.command(client, '/base', velocity, None, now, now - late))


def heartbeat(rig: Rig, client: str, late: float) -> list[Request]:
    """Feed a heartbeat that was taken from ROS so many s ago."""
    bridge, now = rig.bridge, rig.now
    return rig.feed(lambda: bridge.heartbeat(client, '/base', True, now, now - late))


def discard(
    rig: Rig, client: str, velocity: Velocity | None, topic: str = '/base'
) -> list[Request]:
    """Feed that a command was discarded."""
    return rig.feed(lambda: rig.bridge.discard(client, topic, velocity, rig.now))


def cause(rig: Rig) -> Cause:
    """Return why the base was stopped, once that is acknowledged."""
    rig.acknowledge()
    return rig.events_of(StopAcknowledged)[-1].stop.cause


# What the loop discarded


@pytest.mark.parametrize('velocity', [forward(0.4), Velocity(math.nan), None])
def test_a_discarded_command_of_the_client_that_drives_stops_the_base(
    rig: Rig, velocity: Velocity | None
) -> None:
    assert [type(request) for request in discard(rig, 'A', velocity)] == [StopBase]
    assert rig.events_of(Refused) == [Refused('base', 'A', Refusal.OLD, 0.0)]
    assert rig.bridge.refusals == {('base', Refusal.OLD): 1}
    assert cause(rig) is Cause.REFUSED


def test_a_discarded_zero_stops_the_base_though_heartbeats_go_on(rig: Rig) -> None:
    rig.now = 0.4
    rig.heartbeat('A')
    assert [type(request) for request in discard(rig, 'A', ZERO)] == [StopBase]
    assert cause(rig) is Cause.ZERO
    for rig.now in (0.5, 0.6, 0.9, 1.2):
        assert rig.heartbeat('A') == []
    assert [session.client for session in rig.bridge.table.active.values()] == ['A']


def test_a_command_after_it_drives_again(rig: Rig) -> None:
    discard(rig, 'A', forward(0.4))
    rig.acknowledge()
    assert [type(request) for request in rig.command('A')] == [Move]


def test_a_discarded_command_of_another_client_stops_nothing_and_starts_nothing(rig: Rig) -> None:
    for velocity in (forward(0.4), ZERO, None):
        assert discard(rig, 'B', velocity) == []
    assert rig.events_of(SessionStarted) == []
    assert rig.bridge.refusals == {('base', Refusal.OLD): 3}


def test_it_is_refused_for_every_base_of_its_topic() -> None:
    rig = Rig(base('one', '/both'), base('two', '/both'), base('other', '/other'))
    for topic in ('/both', '/other'):
        rig.drive('A', topic=topic)
    stops = discard(rig, 'A', forward(0.4), '/both')
    assert [request.base for request in stops if isinstance(request, StopBase)] == ['one', 'two']


# What the bridge itself got too late: it was frozen between taking and acting


def test_a_command_that_was_taken_before_a_freeze_is_refused_after_it(rig: Rig) -> None:
    assert [type(request) for request in command(rig, 'A', forward(0.4), TOO_LATE)] == [StopBase]
    assert cause(rig) is Cause.REFUSED
    assert command(rig, 'B', forward(0.4), TOO_LATE) == []
    assert rig.events_of(SessionStarted) == []
    assert rig.bridge.discarded == 2


def test_a_zero_that_was_taken_before_a_freeze_is_a_stop(rig: Rig) -> None:
    assert [type(request) for request in command(rig, 'A', ZERO, TOO_LATE)] == [StopBase]
    assert cause(rig) is Cause.ZERO


def test_one_that_was_taken_half_a_window_ago_counts(rig: Rig) -> None:
    assert [type(request) for request in command(rig, 'A', forward(0.4), TOLERATED)] == [Move]
    assert rig.bridge.discarded == 0


@pytest.mark.parametrize(('late', 'lapses_at'), [(TOLERATED, 0.9), (TOO_LATE, 0.5)])
def test_a_heartbeat_that_was_taken_before_a_freeze_lengthens_no_session(
    rig: Rig, late: float, lapses_at: float
) -> None:
    rig.now = 0.4
    heartbeat(rig, 'A', late)
    (session,) = rig.bridge.table.active.values()
    assert session.deadline(WINDOW) == lapses_at
    assert rig.bridge.discarded == (late > TOLERATED)


@pytest.mark.parametrize(('late', 'starts'), [(TOLERATED, True), (TOO_LATE, False)])
def test_a_heartbeat_that_was_taken_before_a_freeze_starts_no_session(
    late: float, starts: bool
) -> None:
    rig = Rig(base(sessions=SessionsMode.MANUAL))
    heartbeat(rig, 'A', late)
    assert bool(rig.events_of(SessionStarted)) == starts
    rig.command('A')
    assert bool(rig.events_of(Refused)) != starts


def test_each_message_that_was_taken_before_a_freeze_is_counted(rig: Rig) -> None:
    command(rig, 'A', forward(0.4), TOO_LATE)
    heartbeat(rig, 'A', TOO_LATE)
    heartbeat(rig, 'B', TOO_LATE)
    assert rig.bridge.discarded == 3


def test_nothing_but_the_base_that_was_commanded_is_stopped(rig: Rig) -> None:
    command(rig, 'B', ZERO, TOO_LATE)
    assert rig.events_of(Stop) == []
