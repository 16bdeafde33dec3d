# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A simulated wheeled base, and the driver that serves its calls: pure, with the time handed in.

As in viam-server's wheeled base, linear Y is forward and angular Z turns left, and the other axes
are ignored. It obeys at once. Its position is by REP 103: x and y in m, the heading in rad,
counter-clockwise, all 0 at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
import math

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)

MAX_LINEAR = 1000.0  # mm/s at full power
MAX_ANGULAR = 180.0  # deg/s at full power
# A faster base than this is taken for one that runs this fast, so that no number overflows.
_FASTEST = 1e6


@dataclass(frozen=True)
class BaseState:
    """
    Where a base is (m, rad within +-pi) and how it moves.

    ``linear`` (mm/s) and ``angular`` (deg/s) are Viam's: the velocity as it was received, ignored
    axes too.
    """

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    linear: Vector = ZERO
    angular: Vector = ZERO

    @property
    def moving(self) -> bool:
        """Whether the wheels turn, which the ignored axes do not make them do."""
        return self.linear[1] != 0 or self.angular[2] != 0


class SimulatedBase:
    """One base; not thread-safe. ValueError for numbers that are not finite."""

    def __init__(self, now: float):
        self._state = BaseState()
        self._at = now

    def set_velocity(self, now: float, linear: Vector, angular: Vector) -> None:
        """Move at this velocity (mm/s, deg/s) until the next call."""
        _check_finite(*linear, *angular)
        self._begin(now, linear, angular)

    def set_power(self, now: float, linear: Vector, angular: Vector) -> None:
        """Move at these fractions (-1 to 1, what is beyond counts as that) of the maxima."""
        _check_finite(*linear, *angular)
        x, y, z = (_within(1.0, fraction) * MAX_LINEAR for fraction in linear)
        roll, pitch, yaw = (_within(1.0, fraction) * MAX_ANGULAR for fraction in angular)
        self._begin(now, (x, y, z), (roll, pitch, yaw))

    def stop(self, now: float) -> None:
        """Stand still. Never fails."""
        self._begin(now, ZERO, ZERO)

    def state(self, now: float) -> BaseState:
        """Return where the base is now and how it moves: along an arc, exactly."""
        elapsed = max(now - self._at, 0.0)
        self._at += elapsed
        state = self._state
        if elapsed and state.moving:
            way = _within(_FASTEST, state.linear[1]) / 1000.0 * elapsed
            half = math.radians(_within(_FASTEST, state.angular[2])) * elapsed / 2
            # The chord of the arc, and its direction.
            chord = way * math.sin(half) / half if half else way
            direction = state.heading + half
            self._state = replace(
                state,
                x=state.x + chord * math.cos(direction),
                y=state.y + chord * math.sin(direction),
                heading=math.remainder(direction + half, math.tau),
            )
        return self._state

    def _begin(self, now: float, linear: Vector, angular: Vector) -> None:
        self._state = replace(self.state(now), linear=linear, angular=angular)


Effect = Callable[..., None]
"""The method of a base that carries out a call; its name is the call's name in the record."""


@dataclass(frozen=True)
class Driver:
    """
    What takes time, and what is cancelled; ValueError for a time below 0.

    ``drive_time`` is how long SetVelocity and SetPower take until they take effect, ``stop_time``
    how long Stop does, in s; inf: they hang. viam-server cancels a base's running call when the
    next one comes, and when its caller gives up: the call fails then, unless the driver blocks and
    so ignores that (``ignore_cancel``): it takes effect later all the same.
    """

    drive_time: float = 0.0
    stop_time: float = 0.0
    ignore_cancel: bool = False

    def __post_init__(self) -> None:
        for name, seconds in (('drive time', self.drive_time), ('stop time', self.stop_time)):
            if not seconds >= 0:
                raise ValueError(f'{name} must be 0 or more seconds (inf: hang), not {seconds}')

    def time_of(self, effect: Effect) -> float:
        """Return how long a call takes, in s."""
        return self.stop_time if effect is SimulatedBase.stop else self.drive_time


PROMPT = Driver()
"""Serves every call at once."""


def _check_finite(*numbers: float) -> None:
    for number in numbers:
        if not math.isfinite(number):
            raise ValueError(f'{number} is not a finite number')


def _within(limit: float, value: float) -> float:
    return max(-limit, min(limit, value))
