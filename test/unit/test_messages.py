# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Commands are read out of their encoding as rclpy would read them, and quicker."""

from __future__ import annotations

import math
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header, String

from viam_session_bridge.ros import messages
from viam_session_bridge.ros.messages import reader_of, Reading, reading_of

NUMBERS = st.floats(allow_nan=False)  # which equals nothing; see below
AXES = st.tuples(*[NUMBERS] * 6)
FRAMES = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=30)
SECONDS = st.integers(-(2**31), 2**31 - 1)
NANOSECONDS = st.integers(0, 2**32 - 1)


def twist_of(axes: tuple[float, ...]) -> Twist:
    x, y, z, roll, pitch, yaw = axes
    return Twist(linear=Vector3(x=x, y=y, z=z), angular=Vector3(x=roll, y=pitch, z=yaw))


@given(AXES)
def test_a_twist_is_read_as_rclpy_reads_it(axes: tuple[float, ...]) -> None:
    message = twist_of(axes)
    read = reader_of(Twist)(serialize_message(message))
    assert read == reading_of(message) == Reading(*axes)


@given(AXES, FRAMES, SECONDS, NANOSECONDS)
def test_a_stamped_twist_is_read_as_rclpy_reads_it(
    axes: tuple[float, ...], frame: str, seconds: int, nanoseconds: int
) -> None:
    header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame)
    message = TwistStamped(header=header, twist=twist_of(axes))
    read = reader_of(TwistStamped)(serialize_message(message))
    assert read == reading_of(message)
    assert read.stamp == (
        seconds + nanoseconds * 1e-9 if nanoseconds < 1_000_000_000 else math.inf
    )


@pytest.mark.parametrize('nanoseconds', [1_000_000_000, 2**32 - 1])
def test_a_stamp_of_more_nanoseconds_than_a_second_has_is_out_of_every_range(
    nanoseconds: int,
) -> None:
    message = TwistStamped(header=Header(stamp=Time(sec=-1, nanosec=nanoseconds)))
    read = reader_of(TwistStamped)(serialize_message(message))
    assert read.stamp == reading_of(message).stamp == math.inf


def test_nan_is_read_as_such() -> None:
    read = reader_of(Twist)(serialize_message(Twist(angular=Vector3(x=float('nan')))))
    assert not read.velocity.is_finite


@pytest.mark.parametrize(
    'message', [Twist(), *(TwistStamped(header=Header(frame_id='f' * n)) for n in range(9))]
)
def test_what_comes_from_this_computer_is_not_left_to_rclpy(
    message: Twist | TwistStamped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(messages, 'deserialize_message')
    assert reader_of(type(message))(serialize_message(message)) == reading_of(message)


def test_big_endian_is_left_to_rclpy() -> None:
    big_endian = b'\0\0\0\0' + pack('>6d', 1, 2, 3, 4, 5, 6)
    assert reader_of(Twist)(big_endian) == Reading(1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize('message_type', [Twist, TwistStamped, String])
@pytest.mark.parametrize('serialized', [b'', b'\0', b'\0\1\0\0', b'\0\1\0\0' + b'\xff' * 11])
def test_what_is_cut_off_is_unreadable(message_type: type, serialized: bytes) -> None:
    with pytest.raises(Exception, match='deserialize'):
        reader_of(message_type)(serialized)


@given(st.integers(0, 12).flatmap(lambda n: st.binary(min_size=48 + n, max_size=60 + n)))
def test_no_bytes_are_read_otherwise_than_by_rclpy(serialized: bytes) -> None:
    for message_type in (Twist, TwistStamped):
        encoded = b'\0\1\0\0' + serialized
        try:
            expected = repr(reading_of(deserialize_message(encoded, message_type)))
        except UnicodeDecodeError:
            continue  # of the frame, which nobody looks at
        except Exception:
            with pytest.raises(Exception, match='deserialize'):
                reader_of(message_type)(encoded)
            continue
        assert repr(reader_of(message_type)(encoded)) == expected
