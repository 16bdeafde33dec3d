# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Where clock times stand on the axis, and which texts there is room for: pure."""

from __future__ import annotations

from datetime import datetime
import math

_STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
)  # fmt: skip
_DAY = 86400.0  # s


def ticks(begin: float, end: float, most: int) -> list[tuple[float, str]]:
    """Return at most so many round local times between two, each with its text."""
    length = max(end - begin, 1e-3)
    step = next((step for step in _STEPS if length / step < most), None)
    if step is None:
        step = _DAY * math.ceil(length / _DAY / max(most - 1, 1))
    shift = datetime.fromtimestamp(begin).astimezone().utcoffset()
    local = 0.0 if shift is None else shift.total_seconds()
    first = math.ceil((begin + local) / step)
    count = math.floor((end + local) / step) - first + 1
    times = [(first + number) * step - local for number in range(count)]
    return [(time, _text(time, step, length)) for time in times]


def _text(time: float, step: float, length: float) -> str:
    # A little more, for what the division left below a round number.
    moment = datetime.fromtimestamp(time + 1e-6)
    if step >= _DAY:
        return moment.strftime('%Y-%m-%d')
    if length > _DAY:
        return moment.strftime('%d %b %H:%M')
    text = moment.strftime('%H:%M:%S.%f')[:-3]
    return text if step < 0.1 else text[:-2] if step < 1 else text[:-4]


class Room:
    """One line of text: who comes first has its place."""

    def __init__(self, begin: float, end: float) -> None:
        """Be empty between two places (in)."""
        self._begin, self._end = begin, end
        self._taken: list[tuple[float, float]] = []

    def take(self, begin: float, end: float) -> bool:
        """Take a place if it is free, and return whether it was."""
        if begin < self._begin or end > self._end:
            return False
        if any(begin < other_end and end > other for other, other_end in self._taken):
            return False
        self._taken.append((begin, end))
        return True
