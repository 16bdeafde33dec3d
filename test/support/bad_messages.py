# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with anything in them: numbers, stamps and texts of any kind and size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped, Vector3
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from std_msgs.msg import String

MEGABYTE = 1_000_000

_ODD = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e308, -1e308,
    1.7976931348623157e308, 1.8e305, -3.2e306, 0.1, -0.3, 1e9,
)  # fmt: skip
NUMBERS = st.sampled_from(_ODD) | st.floats() | st.floats(-2.0, 2.0)
STAMPED_AT = 10**9  # s, about when: a stamp is near it or anywhere
_SECONDS = (
    st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(STAMPED_AT - 12, STAMPED_AT + 12)
)
_NANOSECONDS = st.sampled_from([0, 10**9 - 1, 10**9, 2**32 - 1]) | st.integers(0, 2**32 - 1)
_CHARACTERS = st.characters(exclude_categories=['Cs'])  # DDS has no others
TEXTS = st.one_of(
    st.text(_CHARACTERS, max_size=30),
    st.sampled_from(
        ['', '/', '///', '\0', '/teleop\0', 'teleop', '/teleop', '//teleop', '/teleop/', ' ', '~',
         'a\n[INFO]: all is well\x1b[2J', '{}', '%s%n', '../..', 'None', '\ufeff/teleop', '\u202e']
    ),
    st.sampled_from(['x', '/', '\0', '🤖', '\n']).map(lambda one: one * (MEGABYTE // 8)),
)  # fmt: skip

Axes = tuple[float, float, float, float, float, float]  # linear x, y, z and angular x, y, z


def twist(axes: Sequence[float]) -> Twist:
    """Return a Twist of six numbers."""
    x, y, z, roll, pitch, yaw = axes
    return Twist(linear=Vector3(x=x, y=y, z=z), angular=Vector3(x=roll, y=pitch, z=yaw))


@st.composite
def twists(draw: Callable[..., Any]) -> tuple[Twist, Axes]:
    """Return a Twist and its numbers; in half of them what is not forwarded is zero."""
    x, y, yaw = draw(NUMBERS), draw(NUMBERS), draw(NUMBERS)
    z, roll, pitch = 0.0, 0.0, 0.0
    if draw(st.booleans()):
        z, roll, pitch = draw(NUMBERS), draw(NUMBERS), draw(NUMBERS)
    axes = (x, y, z, roll, pitch, yaw)
    return twist(axes), axes


@st.composite
def stamped_twists(draw: Callable[..., Any]) -> tuple[TwistStamped, Axes, float]:
    """Return a TwistStamped, its numbers, and its stamp in seconds."""
    plain, axes = draw(twists())
    message = TwistStamped(twist=plain)
    seconds, nanoseconds = draw(_SECONDS), draw(_NANOSECONDS)
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    message.header.frame_id = draw(TEXTS)
    return message, axes, seconds + 1e-9 * nanoseconds


@st.composite
def wire_images(draw: Callable[..., Any], of: Any) -> bytes:
    """Return what DDS may carry as a message: the message, or with its bytes cut or changed."""
    image = bytearray(serialize_message(of))
    what = draw(st.sampled_from(['cut', 'changed', 'longer', 'not at all']))
    if what == 'cut':
        image = image[: draw(st.integers(0, len(image) - 1))]
    elif what == 'changed':
        for _ in range(draw(st.integers(1, 8))):
            image[draw(st.integers(0, min(len(image), 200) - 1))] = draw(st.integers(0, 255))
    elif what == 'longer':
        image += draw(st.binary(min_size=1, max_size=100))
    else:
        image = bytearray(draw(st.binary(max_size=100)))
    return bytes(image)


def heartbeat(text: str) -> String:
    """Return a heartbeat."""
    return String(data=text)
