# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Twist messages as velocities (REP 103), and what of them a base on the ground cannot follow."""

from __future__ import annotations

from collections.abc import Iterator

from geometry_msgs.msg import Twist

from viam_session_bridge.core.velocity import Velocity


def velocity_of(twist: Twist) -> Velocity:
    """
    Return the planar velocity of a Twist, m/s and rad/s.

    A number that is not finite makes the whole velocity so, even on an axis that is not
    forwarded: a publisher that sends NaN is not to be believed in any axis (R17).
    """
    linear, angular = twist.linear, twist.angular
    # Zero where all three are finite, NaN otherwise. Their sum would not do: it may overflow.
    unused = linear.z * 0.0 + angular.x * 0.0 + angular.y * 0.0
    return Velocity(linear.x + unused, linear.y, angular.z)


def unused_axes(twist: Twist) -> Iterator[str]:
    """Name the axes that carry a value and that no base on the ground follows (R17)."""
    if twist.linear.z:
        yield 'linear.z'
    if twist.angular.x:
        yield 'angular.x'
    if twist.angular.y:
        yield 'angular.y'
