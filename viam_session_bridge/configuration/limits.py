# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers that parameters may have, named once for the checks and for the descriptors."""

from __future__ import annotations

from dataclasses import dataclass
import math


@dataclass(frozen=True)
class Range:
    """A range of finite numbers; both ends belong to it, the lower one unless ``above_low``."""

    low: float
    high: float = math.inf
    above_low: bool = False

    def __contains__(self, number: float) -> bool:
        """Tell whether a number is in the range; NaN and the infinities are in none."""
        if not math.isfinite(number) or number > self.high:
            return False
        return number > self.low if self.above_low else number >= self.low

    def __str__(self) -> str:
        """Say it as a message does, 'from 0.03 to 60'."""
        if math.isinf(self.high):
            return f'above {self.low:g}' if self.above_low else f'{self.low:g} or more'
        low = f'above {self.low:g}' if self.above_low else f'from {self.low:g}'
        return f'{low} {"and up " if self.above_low else ""}to {self.high:g}'


HEARTBEAT_WINDOW = Range(0.03, 60.0)
# The upper end keeps a slip of the keyboard from holding up the exit for days.
SHUTDOWN_TIMEOUT = Range(0.0, 3600.0, above_low=True)
STOP_TIMEOUT = Range(0.25, 60.0)
LEVEL_TIMEOUT = Range(0.0, 3600.0)
CALL_TIMEOUT = Range(0.02, 5.0)
MAX_SESSIONS = Range(1, 1024)
NOT_NEGATIVE = Range(0.0)
