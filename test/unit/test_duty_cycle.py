# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How often ``~/sessions`` is published where every command is a change."""

from __future__ import annotations

import pytest

from viam_session_bridge.reporting.duty_cycle import DutyCycle, SHARE


def test_without_a_change_there_is_nothing_to_publish() -> None:
    pace = DutyCycle()
    assert pace.wait(0.0) is None
    pace.changed()
    pace.published(0.0, 0.001)
    assert pace.wait(10.0) is None


def test_the_first_change_is_published_at_once() -> None:
    pace = DutyCycle()
    pace.changed()
    assert pace.wait(0.0) == 0.0


def test_a_change_right_after_waits_and_is_not_forgotten() -> None:
    pace = DutyCycle()
    pace.published(0.0, 0.01)
    pace.changed()
    assert pace.wait(0.01) == pytest.approx(0.01 / SHARE)
    assert pace.wait(5.0) == 0.0


def test_changes_without_end_leave_the_time_to_the_commands() -> None:
    pace, now, taken, longest = DutyCycle(), 0.0, 0.0, 0.0
    published_at = 0.0
    while now < 60.0:
        pace.changed()
        if pace.wait(now) == 0.0:
            longest = max(longest, now - published_at)
            published_at = now
            pace.published(now, now + 0.01)  # some hundred sessions
            now += 0.01
            taken += 0.01
        now += 0.001
    assert taken / now <= SHARE
    assert longest <= 2 * 0.01 / SHARE
