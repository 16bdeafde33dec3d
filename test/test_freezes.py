# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R2: when the loop froze, and which messages come from before, by their senders' clocks."""

from __future__ import annotations

import pytest

from viam_session_bridge.ros.freezes import Backlog, Punctuality, REMEMBERED, WATCHED

WALL = 1.7e9  # s, at 0 of the steady clock
WAY = 0.001  # s, that a message takes


class Host:
    """A publisher's computer, and the bridge's that hears it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.backlog = Backlog()
        self.ahead = ahead  # s, of the publisher's clock
        self.set_by = 0.0  # s, what the bridge's own clock was set by

    def age(self, sent: float, taken: float, publisher: str = 'teleop') -> float:
        """Return the age of a message, given when it was sent and taken."""
        stamp = WALL + sent + self.ahead
        return self.backlog.age(publisher, stamp, taken, WALL + self.set_by + taken)

    def stream(self, start: float, end: float, way: float = WAY) -> None:
        """Let messages come on time."""
        for at in range(round(50 * start), round(50 * end)):
            assert self.age(at / 50, at / 50 + way) == 0.0

    def thaw(self, now: float) -> None:
        """Let a freeze end."""
        self.backlog.thawed(now, WALL + self.set_by + now)


@pytest.mark.parametrize('ahead', [0.0, -3600.0, 3600.0, 0.05, -0.05])
def test_message_from_before_the_thaw_is_found_whatever_its_clock_shows(ahead: float) -> None:
    host = Host(ahead)
    host.stream(0.0, 1.0)
    host.thaw(2.0)
    assert host.age(1.94, 2.2) == pytest.approx(0.26 - WAY, abs=1e-5)
    assert host.age(1.99, 2.9) == pytest.approx(0.91 - WAY, abs=1e-5)


@pytest.mark.parametrize('ahead', [0.0, -3600.0, 3600.0])
def test_message_from_after_the_thaw_counts_however_long_it_took(ahead: float) -> None:
    host = Host(ahead)
    host.stream(0.0, 1.0)
    host.thaw(2.0)
    assert host.age(2.001, 2.3) == 0.0


def test_without_a_freeze_nothing_is_old() -> None:
    host = Host()
    host.stream(0.0, 1.0)
    assert host.age(1.0, 9.0) == 0.0


def test_of_a_publisher_that_nobody_heard_before_nothing_is_known() -> None:
    host = Host(ahead=-3600.0)
    host.thaw(2.0)
    assert host.age(1.9, 2.2) == 0.0
    assert host.age(1.95, 2.4, 'another') == 0.0


def test_message_without_a_time_counts() -> None:
    backlog = Backlog()
    backlog.thawed(2.0, WALL + 2.0)
    assert backlog.age('teleop', 0.0, 2.1, WALL + 2.1) == 0.0


def test_messages_that_were_slow_before_do_not_make_later_ones_young() -> None:
    host = Host()
    host.stream(0.0, 0.5, way=0.2)
    host.stream(0.5, 1.0)
    host.stream(1.0, 1.5, way=0.2)
    host.thaw(2.0)
    assert host.age(1.94, 2.2) > 0.0


def test_a_clock_that_is_set_costs_messages_for_a_bounded_time_only() -> None:
    host = Host()
    host.stream(0.0, 1.0)
    host.thaw(2.0)
    host.ahead = -3600.0
    assert host.age(2.5, 2.5 + WAY) > 0.0
    assert host.age(2.0 + WATCHED, 2.0 + WATCHED + WAY) == 0.0


def test_a_clock_that_was_set_long_ago_costs_nothing() -> None:
    host = Host()
    host.stream(0.0, 1.0)
    host.ahead = -3600.0
    host.stream(1.0, 1.0 + 3 * REMEMBERED)
    thawed = 2.0 + 3 * REMEMBERED
    host.thaw(thawed)
    assert host.age(thawed + 0.1, thawed + 0.1 + WAY) == 0.0
    assert host.age(thawed - 0.1, thawed + 0.2) > 0.0


def test_publishers_that_come_and_go_are_forgotten() -> None:
    host = Host()
    for number in range(1000):
        host.age(0.0, WAY, f'publisher {number}')
    host.stream(0.0, 3 * REMEMBERED)
    backlog = host.backlog
    assert len(backlog._offsets) + len(backlog._before) <= 2


@pytest.mark.parametrize(('window', 'limit'), [(0.03, 0.02), (0.5, 0.25), (60.0, 30.0)])
def test_a_check_is_late_beyond_half_a_window_after_it_was_due(
    window: float, limit: float
) -> None:
    watch = Punctuality(window, 100.0)
    assert watch.period == window / 4
    assert watch.late(100.0 + window / 4 + limit - 1e-6) == 0.0
    at = 100.0 + window / 4 + limit - 1e-6
    assert watch.late(at + window / 4 + limit + 1e-6) == pytest.approx(limit, rel=1e-3)
    assert watch.late(at + window / 4 + limit + 2e-6) == 0.0
