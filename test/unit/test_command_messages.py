# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a command says, read by the bridge itself, is what rclpy reads; the rest is left to it."""

from __future__ import annotations

import math
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import String

from support.bad_messages import Axes, stamped_twists, TEXTS, twist, twists
from viam_session_bridge.ros import command_messages
from viam_session_bridge.ros.command_messages import (
    age_of,
    CDR_LITTLE_ENDIAN,
    command_of,
    CommandMessage,
    read_twist,
    read_twist_stamped,
    reader,
)

NUMBERS = (0.1, -0.2, 1e308, 5e-324, -0.0, 3.0)


def bits(command: CommandMessage) -> tuple[bytes, tuple[int, int] | None]:
    """Return the numbers bit by bit: NaN is not equal to itself, and zeros have signs."""
    return struct.pack('<6d', *command[:6]), command.stamp


@pytest.fixture
def without_rclpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(serialized: bytes, message_type: type) -> None:
        raise AssertionError('left to rclpy')

    monkeypatch.setattr(command_messages, 'deserialize_message', fail)


@settings(max_examples=300)
@given(twists())
def test_a_twist_is_read_as_by_rclpy(sent: tuple[Twist, Axes]) -> None:
    serialized = serialize_message(sent[0])
    by_rclpy = deserialize_message(serialized, Twist)
    assert bits(read_twist(serialized)) == bits(command_of(by_rclpy))


@settings(max_examples=300)
@given(stamped_twists(), TEXTS)
def test_a_stamped_twist_is_read_as_by_rclpy_whatever_the_length_of_its_frame(
    sent: tuple[TwistStamped, Axes, float], frame: str
) -> None:
    sent[0].header.frame_id = frame
    serialized = serialize_message(sent[0])
    by_rclpy = deserialize_message(serialized, TwistStamped)
    assert bits(read_twist_stamped(serialized)) == bits(command_of(by_rclpy))


@pytest.mark.usefixtures('without_rclpy')
def test_the_usual_form_is_not_left_to_rclpy() -> None:
    assert read_twist(serialize_message(twist(NUMBERS))) == CommandMessage(*NUMBERS)
    for frame in ('', 'b', 'base_link', 'base_footprint', 'Fahrgestell äöü'):
        stamped = TwistStamped(twist=twist(NUMBERS))
        stamped.header.frame_id = frame
        stamped.header.stamp.sec, stamped.header.stamp.nanosec = -7, 2**32 - 1
        assert read_twist_stamped(serialize_message(stamped)) == CommandMessage(
            *NUMBERS, stamp=(-7, 2**32 - 1)
        )


def test_the_other_byte_order_is_left_to_rclpy() -> None:
    big_endian = b'\0\0\0\0' + struct.pack('>6d', *NUMBERS)
    assert read_twist(big_endian) == CommandMessage(*NUMBERS)
    stamped = b'\0\0\0\0' + struct.pack('>iII4s6d', 5, 6, 4, b'map\0', *NUMBERS)
    assert read_twist_stamped(stamped) == CommandMessage(*NUMBERS, stamp=(5, 6))


def test_a_frame_without_an_end_is_left_to_rclpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast DDS takes it, and Cyclone DDS does not."""
    by_rclpy = TwistStamped(twist=twist(NUMBERS))
    monkeypatch.setattr(command_messages, 'deserialize_message', lambda *_: by_rclpy)
    endless = CDR_LITTLE_ENDIAN + b'\0\0' + struct.pack('<iII4s6d', 5, 6, 4, b'base', *[0.0] * 6)
    assert read_twist_stamped(endless) == command_of(by_rclpy)
    ended = endless.replace(b'base', b'bas\0')
    still = command_of(Twist())
    assert read_twist_stamped(ended) == still._replace(stamp=(5, 6))


def outcome_of(read: object, *arguments: object) -> object:
    try:
        got = read(*arguments)  # type: ignore[operator]
    except Exception as error:
        return type(error)
    return bits(got if isinstance(got, CommandMessage) else command_of(got))


@settings(max_examples=500)
@given(st.data())
def test_what_is_cut_longer_or_wrong_ends_as_with_rclpy(data: st.DataObject) -> None:
    message_type = data.draw(st.sampled_from([Twist, TwistStamped]))
    message = twist(NUMBERS)
    if message_type is TwistStamped:
        message = TwistStamped(twist=message)
        message.header.frame_id = 'base'
    serialized = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(0, 3))):  # not the header, which decides the form
        serialized[data.draw(st.integers(4, len(serialized) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(serialized)))
    more = data.draw(st.binary(max_size=9))
    sent = bytes(serialized[:cut] if data.draw(st.booleans()) else serialized + more)
    assert outcome_of(reader(message_type), sent) == outcome_of(
        deserialize_message, sent, message_type
    )


def test_other_types_are_read_as_messages() -> None:
    assert reader(String)(serialize_message(String(data='/teleop'))) == String(data='/teleop')


@pytest.mark.parametrize(
    ('stamp', 'now', 'age'),
    [
        ((90, 500_000_000), 100.0, 9.5),
        ((101, 0), 100.0, -1.0),
        ((0, 0), 100.0, math.inf),
        ((0, 0), 0.0, 0.0),
        ((100, 1_000_000_000), 100.0, math.inf),
    ],
)
def test_the_age_of_a_stamp(stamp: tuple[int, int], now: float, age: float) -> None:
    assert age_of(stamp, now) == age
