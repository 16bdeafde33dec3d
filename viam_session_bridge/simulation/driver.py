# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""How the driver of a simulated base serves its calls: a value, pure."""

from dataclasses import dataclass


def check_time(seconds: float) -> float:
    """Return how long a call takes, in s; ValueError unless 0 or more (inf: it hangs)."""
    if not seconds >= 0:
        raise ValueError(f'must be 0 or more seconds (inf: hang), not {seconds}')
    return seconds


@dataclass(frozen=True)
class Driver:
    """
    What takes time, and what is cancelled; ValueError as of check_time.

    `drive_time` is how long SetVelocity and SetPower take until they take effect, `stop_time` how
    long Stop does, in s; inf: they hang. viam-server cancels a base's running call when the next
    one comes, and when its caller gives up: the call fails then, unless the driver blocks and so
    ignores that (`ignore_cancel`): it takes effect later all the same.
    """

    drive_time: float = 0.0
    stop_time: float = 0.0
    ignore_cancel: bool = False

    def __post_init__(self) -> None:
        check_time(self.drive_time)
        check_time(self.stop_time)

    def time_of(self, call: str) -> float:
        """Return how long a call takes, in s, by its name in the record."""
        times = {'stop': self.stop_time, 'set_velocity': self.drive_time}
        return {**times, 'set_power': self.drive_time}.get(call, 0.0)


PROMPT = Driver()
"""Serves every call at once."""
