# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Velocities, and the only place where their units change (R21).

Inside the bridge a velocity is REP 103's: m/s and rad/s, x forward, y left, z up and
counter-clockwise. Viam's base has Y forward and X right, in mm/s and deg/s, Z counter-clockwise
as well (Viam documentation, "Base API", ``SetVelocity`` and ``SetPower``).
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import NamedTuple

MILLIMETRES_PER_METRE = 1000.0


class Vector(NamedTuple):
    """Three numbers in Viam's axes: X right, Y forward, Z up."""

    x: float
    y: float
    z: float


@dataclass(frozen=True)
class Velocity:
    """
    A planar velocity after REP 103.

    :param x: forward, m/s
    :param y: to the left, m/s
    :param yaw: counter-clockwise, rad/s
    """

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    @property
    def is_zero(self) -> bool:
        """Whether this asks the base to stand still."""
        return self.x == 0.0 and self.y == 0.0 and self.yaw == 0.0

    @property
    def is_finite(self) -> bool:
        """Whether every number is finite, here and in Viam's units (1e306 m/s is not)."""
        return math.isfinite(self.x * MILLIMETRES_PER_METRE) and (
            math.isfinite(self.y * MILLIMETRES_PER_METRE) and math.isfinite(math.degrees(self.yaw))
        )

    def limited(self, max_linear: float, max_angular: float) -> Velocity:
        """
        Scale down to the limits, keeping the ratio of linear to angular (R17).

        :param max_linear: m/s, 0 for no limit
        :param max_angular: rad/s, 0 for no limit
        """
        scale = 1.0
        linear, angular = math.hypot(self.x, self.y), abs(self.yaw)
        if 0.0 < max_linear < linear:
            if math.isinf(linear):  # of numbers so large that each by itself is refused
                return self
            scale = max_linear / linear
        if 0.0 < max_angular < angular:
            scale = min(scale, max_angular / angular)
        return Velocity(self.x * scale, self.y * scale, self.yaw * scale)

    def to_viam(self) -> tuple[Vector, Vector]:
        """Return what ``SetVelocity`` takes: linear in mm/s and angular in deg/s."""
        linear = Vector(
            -self.y * MILLIMETRES_PER_METRE + 0.0, self.x * MILLIMETRES_PER_METRE, 0.0
        )
        return linear, Vector(0.0, 0.0, math.degrees(self.yaw))

    def to_viam_power(
        self, max_linear: float, max_angular: float, mirrored_reverse: bool
    ) -> tuple[Vector, Vector]:
        """
        Return what ``SetPower`` takes: fractions of the maximum speeds, -1 to 1 (R21).

        Their sizes together are 1 at most: rdk's wheeled base gives its wheels their difference
        and their sum, and cuts off what is above 1. Where Y is negative it mirrors the turn, so
        that Z is clockwise. The sign of the very Y that is sent makes up for this, so that such a
        base turns the same way on both sides of Y = 0.

        :param max_linear: m/s, above 0
        :param max_angular: rad/s, above 0
        :param mirrored_reverse: whether the base mirrors the turn where Y is negative
        """
        limited = self.limited(max_linear, max_angular)
        right, forward = -limited.y / max_linear, limited.x / max_linear
        turn = limited.yaw / max_angular
        scale = 1.0 / max(math.hypot(right, forward) + abs(turn), 1.0)
        if mirrored_reverse and forward < 0.0:
            turn = -turn
        # No negative zero is sent.
        linear = Vector(right * scale + 0.0, forward * scale + 0.0, 0.0)
        return linear, Vector(0.0, 0.0, turn * scale + 0.0)


ZERO = Velocity()
