# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A receiving loop that was not scheduled in time (R2)."""

from __future__ import annotations

import math

import pytest

from viam_session_bridge.core.old_messages import StallDetector


@pytest.mark.parametrize(('window', 'limit'), [(0.03, 0.02), (0.5, 0.25), (60.0, 30.0)])
def test_a_check_is_late_beyond_half_a_window_after_it_was_due(
    window: float, limit: float
) -> None:
    stalls = StallDetector(window, 100.0)
    assert stalls.period == window / 4
    assert stalls.late(100.0 + window / 4 + limit - 1e-6) == 0.0
    at = 100.0 + window / 4 + limit - 1e-6
    assert stalls.late(at + window / 4 + limit + 1e-6) == pytest.approx(limit, rel=1e-3)
    assert stalls.late(at + window / 4 + limit + 2e-6) == 0.0


def test_exactly_half_a_window_late_is_not_too_late() -> None:
    assert StallDetector(1.0, 0.0).late(0.25 + 0.5) == 0.0
    assert StallDetector(1.0, 0.0).late(math.nextafter(0.75, 1.0)) > 0.5
