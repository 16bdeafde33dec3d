# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a command message says: its numbers and its stamp.

The usual form of a serialized message, the plain little-endian CDR of OMG's DDS-XTypes 7.4, is
read right here. At 50 Hz that takes 16 us. rclpy takes 77, a sixth of what the bridge needs until
a command goes out. Whatever is of another form or size is left to rclpy.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from struct import Struct
from typing import Any, NamedTuple

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message

from viam_session_bridge.core.velocity import Velocity

NANOSECONDS = 1_000_000_000  # in a second

CDR_LITTLE_ENDIAN = b'\0\1'
"""With what a message of the usual form begins; two bytes of options follow."""
HEADER = 4  # bytes, with which every serialized message begins
_NUMBERS = Struct('<6d')
_STAMP = Struct('<iII')  # and the length of the frame's name, with the zero byte at its end
_ALIGNMENT = 8  # bytes, of a number in what follows the header


class CommandMessage(NamedTuple):
    """The numbers of a Twist, m/s and rad/s, and the stamp of a TwistStamped, s and ns."""

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    stamp: tuple[int, int] | None = None

    @property
    def velocity(self) -> Velocity:
        """
        Return the planar velocity.

        A number that is not finite makes the whole velocity so, even on an axis that is not
        forwarded: a publisher that sends NaN is not to be believed in any axis (R17).
        """
        # Zero where all three are finite, NaN otherwise. Their sum would not do: it may overflow.
        spoiler = self.z * 0.0 + self.roll * 0.0 + self.pitch * 0.0
        return Velocity(self.x + spoiler, self.y, self.yaw)


def age_of(stamp: tuple[int, int], now: float) -> float:
    """
    Return the age of a stamp in s, negative in the future; infinite where it is none (R17).

    That is one of zero, unless time itself stands at zero, as simulated time does before its
    first ``/clock``, and one with more nanoseconds than a second has.
    """
    seconds, nanoseconds = stamp
    if nanoseconds >= NANOSECONDS or (now and not seconds and not nanoseconds):
        return math.inf
    return now - (seconds + nanoseconds * 1e-9)


def reader(message_type: type) -> Callable[[bytes], Any]:
    """
    Return what reads serialized messages of a type: commands as a :class:`CommandMessage`.

    It raises as ``deserialize_message`` does: RCLError, or UnicodeDecodeError for a text.
    """
    if message_type is Twist:
        return read_twist
    if message_type is TwistStamped:
        return read_twist_stamped
    return lambda serialized: deserialize_message(serialized, message_type)


def read_twist(serialized: bytes) -> CommandMessage:
    """Return what a Twist says."""
    if serialized[:2] == CDR_LITTLE_ENDIAN and len(serialized) == HEADER + _NUMBERS.size:
        return CommandMessage(*_NUMBERS.unpack_from(serialized, HEADER))
    return command_of(deserialize_message(serialized, Twist))


def read_twist_stamped(serialized: bytes) -> CommandMessage:
    """Return what a TwistStamped says."""
    text = HEADER + _STAMP.size
    if serialized[:2] == CDR_LITTLE_ENDIAN and len(serialized) > text:
        seconds, nanoseconds, length = _STAMP.unpack_from(serialized, HEADER)
        numbers = text + length + -(_STAMP.size + length) % _ALIGNMENT
        is_whole = length > 0 and len(serialized) == numbers + _NUMBERS.size
        if is_whole and serialized[text + length - 1] == 0:
            stamp = seconds, nanoseconds
            return CommandMessage._make((*_NUMBERS.unpack_from(serialized, numbers), stamp))
    return command_of(deserialize_message(serialized, TwistStamped))


def command_of(message: Twist | TwistStamped) -> CommandMessage:
    """Return what a message says that rclpy read."""
    stamp = None
    if isinstance(message, TwistStamped):
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        message = message.twist
    linear, angular = message.linear, message.angular
    return CommandMessage(linear.x, linear.y, linear.z, angular.x, angular.y, angular.z, stamp)
