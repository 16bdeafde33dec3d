# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with anything in them, fed to the clients and the bridge behind them (R3, R17)."""

from __future__ import annotations

from functools import partial
import math
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import serialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo

from support import pure
from support.bad_messages import Axes, MEGABYTE, STAMPED_AT, stamped_twists, TEXTS, twist, twists
from viam_session_bridge.core.actions import Refusal
from viam_session_bridge.core.requests import Move, Request, StartSession
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.ros.clients import Clients
from viam_session_bridge.ros.command_messages import CommandMessage, reader
from viam_session_bridge.ros.publishers import Publishers
from viam_session_bridge.runtime import Runtime

TOPIC, HEALTHY, HEARTBEAT = '/base', '/other', '/bridge/heartbeat'
FUZZER, TELEOP = bytes([1] * 16).hex(), bytes([2] * 16).hex()
BEATS = bytes([1] * 15 + [9]).hex()  # the fuzzer's publisher of heartbeats
FASTEST, TURN, OLDEST = 0.5, 1.0, 10.0  # m/s, rad/s, s
ROS_TIME = float(STAMPED_AT)  # s
A_BIT = 1.0 + 1e-9  # what rounding may add


def as_received(message: Twist | TwistStamped) -> CommandMessage:
    """Return what the bridge reads of a message that came through the middleware."""
    read: CommandMessage = reader(type(message))(serialize_message(message))
    return read


class Rig:
    """A bridge without I/O, behind clients with a graph of the test's own."""

    def __init__(self) -> None:
        """Let the fuzzer and teleop be there, and teleop drive its base."""
        self.pure = pure.Rig(
            pure.base(
                'base', max_linear_speed=FASTEST, max_angular_speed=TURN, max_stamp_age=OLDEST
            ),
            pure.base('other'),
        )
        self.lines: list[str] = []
        self.handed_over: list[Request] = []
        self.beats: list[tuple[str, bool]] = []
        self.publishers = Publishers([TOPIC, HEALTHY], 'rmw_fastrtps_cpp')
        self.clients = Clients(
            cast(Runtime, self), self.publishers, lambda: ROS_TIME, list, self.lines.append
        )
        for topic, gid, node in (
            (TOPIC, FUZZER, 'fuzzer'), (HEALTHY, TELEOP, 'teleop'), (HEARTBEAT, BEATS, 'fuzzer'),
        ):  # fmt: skip
            info = TopicEndpointInfo(
                node_name=node, node_namespace='/', endpoint_gid=list(bytes.fromhex(gid))
            )
            self.clients.publishers_changed(topic, *self.publishers.update(topic, [info]))
        self.teleop_drives()

    def teleop_drives(self) -> None:
        """Let the healthy client's command come, and see it served."""
        forward = CommandMessage(0.3, 0.0, 0.0, 0.0, 0.0, 0.0)
        self.clients.command(HEALTHY, TELEOP, forward, self.pure.now)
        if self.pure.pending(StartSession):
            self.pure.answer(StartSession)
        (move,) = self.pure.pending(Move)
        assert (move.base, move.velocity) == ('other', Velocity(0.3, 0.0, 0.0))
        self.pure.answer(Move)
        self.handed_over.clear()

    def moves(self) -> list[Velocity]:
        """Answer what the base of the fuzzer is asked, and return with which velocities."""
        while self.pure.pending(StartSession):
            self.handed_over += self.pure.answer(StartSession)
        while self.pure.pending(Move):
            self.handed_over += self.pure.answer(Move)
        moves = [one for one in self.handed_over if isinstance(one, Move)]
        assert all(move.base == 'base' for move in moves)
        self.pure.acknowledge()
        return [move.velocity for move in moves]

    @property
    def refused(self) -> dict[Refusal, int]:
        """How many commands for the fuzzer's base were refused, by reason."""
        return {reason: n for (base, reason), n in self.pure.bridge.refusals.items()}

    # As a runtime that is fed by the clients

    def command(
        self, client: str, topic: str, velocity: Velocity, age: float | None, at: float
    ) -> None:
        feed = partial(self.pure.bridge.command, client, topic, velocity, age, self.pure.now, at)
        self.handed_over += self.pure.feed(feed)

    def discard(self, client: str, topic: str, velocity: Velocity | None) -> None:
        raise AssertionError('nothing here is old')

    def heartbeat(self, client: str, topic: str, own: bool, taken_at: float) -> None:
        self.beats.append((client, own))
        self.pure.heartbeat(client, topic, own)

    def left(self, client: str) -> None:
        self.pure.left(client)

    def seen(self, client: str) -> None:
        self.pure.bridge.seen(client, self.pure.now)


def check_forwarded(forwarded: list[Velocity], axes: Axes) -> None:
    """Assert that a command went out as it was, within the limits, or not at all."""
    for velocity in forwarded:
        assert all(map(math.isfinite, axes)), 'who sends NaN is not to be believed in any axis'
        assert all(map(math.isfinite, (velocity.x, velocity.y, velocity.yaw)))
        assert math.hypot(velocity.x, velocity.y) <= FASTEST * A_BIT
        assert abs(velocity.yaw) <= TURN * A_BIT
        x, y, *_, yaw = axes
        for got, sent in ((velocity.x, x), (velocity.y, y), (velocity.yaw, yaw)):
            assert abs(got) <= abs(sent) * A_BIT
            assert got == 0.0 or math.copysign(1.0, got) == math.copysign(1.0, sent)


@settings(max_examples=300)
@given(st.lists(twists(), min_size=1, max_size=4))
def test_any_numbers_are_forwarded_within_the_limits_or_refused(
    messages: list[tuple[Twist, Axes]],
) -> None:
    rig = Rig()
    refused = 0
    for message, axes in messages:
        rig.clients.command(TOPIC, FUZZER, as_received(message), rig.pure.now)
        forwarded = rig.moves()
        check_forwarded(forwarded, axes)
        refused += not all(map(math.isfinite, axes))
        if all(abs(number) < 1e300 for number in axes):
            assert len(forwarded) == 1
        rig.handed_over.clear()
        rig.teleop_drives()
    assert rig.refused.get(Refusal.NON_FINITE, 0) >= refused
    assert set(rig.refused) <= {Refusal.NON_FINITE}
    assert len(rig.lines) <= 3, 'one for each axis that no base follows'


@settings(max_examples=300)
@given(stamped_twists())
def test_any_stamp_and_frame_is_within_its_age_or_refused(
    stamped: tuple[TwistStamped, Axes, float],
) -> None:
    message, axes, stamp = stamped
    rig = Rig()
    rig.clients.command(TOPIC, FUZZER, as_received(message), rig.pure.now)
    forwarded = rig.moves()
    check_forwarded(forwarded, axes)
    malformed = message.header.stamp.nanosec >= 10**9
    if malformed or abs(ROS_TIME - stamp) > OLDEST:
        assert not forwarded
        assert sum(rig.refused.values()) == 1
    elif all(abs(number) < 1e300 for number in axes):
        assert len(forwarded) == 1
    rig.handed_over.clear()
    rig.teleop_drives()


@settings(max_examples=300)
@given(TEXTS)
def test_any_text_is_a_heartbeat_for_whom_it_names_or_counted_as_refused(text: str) -> None:
    rig = Rig()
    rig.clients.heartbeat(BEATS, text, rig.pure.now)
    named = '/' + text.lstrip('/')
    expected = {'': [(FUZZER, True)]}.get(text) or {
        '/fuzzer': [(FUZZER, True)], '/teleop': [(TELEOP, False)],
    }.get(named, [])  # fmt: skip
    assert rig.beats == expected
    assert sum(rig.clients.counts.values()) == (not expected)
    for line in rig.lines:
        assert line.isprintable(), 'one line of the log'
        assert len(line) < 2000
    assert rig.moves() == []
    rig.teleop_drives()


@pytest.mark.parametrize('one', ['/', 'x', '\0', '🤖'])
def test_a_heartbeat_of_a_megabyte_is_refused_in_one_line(one: str) -> None:
    rig = Rig()
    rig.clients.heartbeat(BEATS, one * MEGABYTE, 0.0)
    assert rig.beats == []
    assert rig.clients.counts == {('refused_heartbeats_unknown', ''): 1}
    assert len(rig.lines) == 1
    assert len(rig.lines[0]) < 2000


def test_large_numbers_on_axes_that_are_not_forwarded_are_finite_all_the_same() -> None:
    read = as_received(twist((0.1, 0.2, 1e308, 1e308, 1e308, 0.3)))
    assert read.velocity == Velocity(0.1, 0.2, 0.3)
