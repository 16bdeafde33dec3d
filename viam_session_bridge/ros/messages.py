# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a message that was taken says.

A command is read right out of its CDR encoding (OMG DDSI-RTPS 2.5, 10.2): the objects that rclpy
makes of it cost more than all that the bridge does with it. What is not plain little-endian CDR
of the right length is left to rclpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
import math
from struct import Struct
from typing import Any, NamedTuple

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message

from viam_session_bridge.core.velocity import Velocity

_NANOSECONDS = 1_000_000_000  # in a second
_LITTLE_ENDIAN = b'\0\1'  # the first half of the encapsulation header; the other half is options
_HEADER = 4  # bytes, from which on alignment counts
_TWIST = Struct('<6d')
_STAMP = Struct('<iII')  # seconds, nanoseconds, the length of frame_id with its final zero


class Reading(NamedTuple):
    """
    A Twist, m/s and rad/s (REP 103), all six axes.

    ``stamp``: s, None for a message without one.
    """

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    stamp: float | None = None

    @property
    def velocity(self) -> Velocity:
        """
        The planar velocity.

        A number that is not finite makes the whole velocity so, even on an axis that is not
        forwarded: a publisher that sends NaN is not to be believed in any axis (R17).
        """
        # Zero where all three are finite, NaN otherwise. Their sum would not do: it may overflow.
        unused = self.z * 0.0 + self.roll * 0.0 + self.pitch * 0.0
        return Velocity(self.x + unused, self.y, self.yaw)

    def unused_axes(self) -> Iterator[str]:
        """Name the axes that carry a value and that no base on the ground follows (R17)."""
        if self.z:
            yield 'linear.z'
        if self.roll:
            yield 'angular.x'
        if self.pitch:
            yield 'angular.y'


def reader_of(message_type: type) -> Callable[[bytes], Any]:
    """
    Return what reads serialized messages of a type: commands as :class:`Reading`, else messages.

    It raises RCLError for what is not of that type, UnicodeDecodeError for text that is not UTF-8.
    """
    if message_type is Twist:
        return _twist
    if message_type is TwistStamped:
        return _twist_stamped
    return partial(deserialize_message, message_type=message_type)


def _twist(serialized: bytes) -> Reading:
    if len(serialized) == _HEADER + _TWIST.size and serialized.startswith(_LITTLE_ENDIAN):
        return Reading(*_TWIST.unpack_from(serialized, _HEADER))
    return reading_of(deserialize_message(serialized, Twist))


def _twist_stamped(serialized: bytes) -> Reading:
    if len(serialized) >= _HEADER + _STAMP.size and serialized.startswith(_LITTLE_ENDIAN):
        seconds, nanoseconds, length = _STAMP.unpack_from(serialized, _HEADER)
        end = _STAMP.size + length
        at = _HEADER + end + -end % 8
        if len(serialized) == at + _TWIST.size:
            stamp = _stamp(seconds, nanoseconds)
            return Reading._make((*_TWIST.unpack_from(serialized, at), stamp))
    return reading_of(deserialize_message(serialized, TwistStamped))


def _stamp(seconds: int, nanoseconds: int) -> float:
    """Return a stamp in s; one with more nanoseconds than a second has is out of every range."""
    return seconds + nanoseconds * 1e-9 if nanoseconds < _NANOSECONDS else math.inf


def reading_of(message: Twist | TwistStamped) -> Reading:
    """Return what a message of rclpy's says."""
    stamp = None
    if isinstance(message, TwistStamped):
        at = message.header.stamp
        stamp = _stamp(at.sec, at.nanosec)
        message = message.twist
    linear, angular = message.linear, message.angular
    return Reading(linear.x, linear.y, linear.z, angular.x, angular.y, angular.z, stamp)
