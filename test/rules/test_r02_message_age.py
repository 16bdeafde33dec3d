# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R2: how old messages are when they come, by clocks that may show anything and may be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nextafter

import pytest

from viam_session_bridge.core.old_messages import (
    MessageAge,
    PUBLISHERS_KEPT,
    REMEMBERED,
    SLICE,
    WATCHED,
)

WINDOW = 0.5  # s
WALL = 1.7e9  # s, what a right clock shows at 0 of the steady one
WAY = 0.001  # s, that a message takes
PERIOD = 0.02  # s
HOUR = 3600.0
ROBOT, REMOTE, NOWHERE = 'robot', 'remote', ''  # hosts; the bridge is on the first


@dataclass
class Host:
    """A computer whose clock is `ahead`, in s."""

    name: str
    ahead: float = 0.0

    def shows(self, at: float) -> float:
        """Return what its clock shows at a steady time."""
        return WALL + at + self.ahead


@dataclass
class Rig:
    """The bridge's view of publishers, whose names begin with their host's."""

    robot: Host = field(default_factory=lambda: Host(ROBOT))
    remote: Host = field(default_factory=lambda: Host(REMOTE))
    clocks_set: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ages = MessageAge(
            WINDOW,
            lambda publisher: publisher.partition(' ')[0],
            ROBOT,
            lambda publisher, by, now: self.clocks_set.append((publisher, by)),
        )

    def age(self, host: Host, sent: float, taken: float, name: str = 'teleop') -> float:
        """Return what becomes of a message, given the steady times of sending and taking."""
        publisher = f'{host.name} {name}'
        return self.ages.too_old(publisher, host.shows(sent), taken, self.robot.shows(taken))

    def stream(self, host: Host, start: float, end: float, **how: float) -> list[float]:
        """Return the ages that messages of 50 Hz are discarded for; 0.0: they are not."""
        way = how.get('way', WAY)
        sent = [start + number * PERIOD for number in range(round((end - start) / PERIOD))]
        return [self.age(host, at, at + way) for at in sent]

    def backlog(
        self, host: Host, start: float, end: float, taken: float, speed: float
    ) -> list[tuple[float, float]]:
        """Hand over what was sent, so many times as fast; return true ages and verdicts."""
        found = []
        for number in range(round((end - start) / PERIOD)):
            sent, at = start + number * PERIOD, taken + number * PERIOD / speed
            found.append((at - sent, self.age(host, sent, at)))
        return found


@pytest.fixture
def rig() -> Rig:
    return Rig()


def lost(ages: list[float]) -> float:
    """Return for how many s of a stream's beginning all was discarded; the rest was not."""
    count = next((number for number, age in enumerate(ages) if not age), len(ages))
    assert not any(ages[count:])
    return count * PERIOD


# Clocks that show anything


@pytest.mark.parametrize('ahead', [0.0, -HOUR, HOUR, 0.05, -0.05])
def test_a_message_older_than_the_window_is_discarded_whatever_its_clock_shows(
    rig: Rig, ahead: float
) -> None:
    rig.remote.ahead = ahead
    assert not any(rig.stream(rig.remote, 0.0, 1.0))
    assert rig.age(rig.remote, 1.0, 1.0 + WINDOW) == 0.0
    assert rig.age(rig.remote, 1.02, 1.02 + WINDOW + 2 * WAY) == pytest.approx(0.501, abs=1e-5)
    assert rig.age(rig.remote, 1.5, 15.9) == pytest.approx(14.399, abs=1e-5)


def test_however_long_a_publisher_was_silent(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    assert rig.age(rig.remote, HOUR, HOUR + 23.0) == pytest.approx(23.0 - WAY, abs=1e-5)
    assert rig.age(rig.remote, 2 * HOUR, 2 * HOUR + WAY) == 0.0


def test_a_message_without_a_time_is_not_judged(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    assert rig.ages.too_old('remote teleop', 0.0, 99.0, WALL + 99.0) == 0.0
    assert rig.age(rig.remote, 1.0, 99.0) > 0.0


def test_slow_messages_do_not_make_later_ones_young(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.stream(rig.remote, 1.0, 2.0, way=0.3)
    assert rig.age(rig.remote, 2.0, 2.6) == pytest.approx(0.6 - WAY, abs=1e-5)


def test_what_is_discarded_does_not_count(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    for number in range(50):
        assert rig.age(rig.remote, 1.0 + number / 50, 16.0 + number / 1000) > 13.0
    assert rig.age(rig.remote, 16.1, 16.1 + WAY) == 0.0
    assert rig.age(rig.remote, 16.1, 16.8) > 0.0


@pytest.mark.parametrize('drift', [500e-6, -500e-6, 0.02, -0.02], ids=str)
def test_a_clock_that_drifts_costs_nothing_and_hides_nothing(rig: Rig, drift: float) -> None:
    for number in range(3000):
        at = number * PERIOD
        rig.remote.ahead = drift * at
        assert rig.age(rig.remote, at, at + WAY) == 0.0
    assert rig.age(rig.remote, 60.0, 60.8 + abs(drift) * (WATCHED + SLICE)) > WINDOW
    assert rig.clocks_set == []


def test_the_least_offset_is_of_the_last_ten_seconds_of_accepted_messages(rig: Rig) -> None:
    rig.age(rig.remote, 0.0, 0.0)
    rig.stream(rig.remote, PERIOD, WATCHED - SLICE, way=0.3)
    assert rig.age(rig.remote, WATCHED, WATCHED + 0.6) == pytest.approx(0.6, abs=1e-5)
    rig.stream(rig.remote, WATCHED, WATCHED + 2 * SLICE, way=0.3)
    at = WATCHED + 2 * SLICE
    assert rig.age(rig.remote, at, at + 0.6) == 0.0
    assert rig.age(rig.remote, at, at + 0.9) == pytest.approx(0.6, abs=1e-5)


def test_exactly_at_the_window_one_is_not_older_than_it() -> None:
    ages = MessageAge(0.5, lambda publisher: REMOTE, ROBOT, lambda *_: None)
    assert ages.too_old('teleop', 1.0, 1.0, WALL) == 0.0
    assert ages.too_old('teleop', 2.0, 2.5, WALL) == 0.0
    assert ages.too_old('teleop', 3.0, nextafter(3.5, 4.0), WALL) > 0.5


# Clocks that are set


def test_one_that_is_set_forward_costs_nothing(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.remote.ahead = HOUR
    assert not any(rig.stream(rig.remote, 1.0, 2.0))
    assert rig.age(rig.remote, 2.0, 2.0 + 2 * WINDOW) > WINDOW
    assert rig.clocks_set == []


@pytest.mark.parametrize('back', [HOUR, 1.0])
def test_one_that_is_set_back_costs_one_window_and_is_reported(rig: Rig, back: float) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.remote.ahead = -back
    assert lost(rig.stream(rig.remote, 1.0, 3.0)) == pytest.approx(WINDOW, abs=PERIOD)
    ((publisher, by),) = rig.clocks_set
    assert publisher == 'remote teleop'
    assert by == pytest.approx(back, abs=1e-5)
    assert rig.age(rig.remote, 3.0, 3.0 + 2 * WINDOW) == pytest.approx(2 * WINDOW - WAY, abs=1e-5)


def test_that_one_was_set_is_reported_when_it_is_found_out() -> None:
    found: list[tuple[str, float, float]] = []
    ages = MessageAge(0.5, lambda publisher: REMOTE, ROBOT, lambda *clock: found.append(clock))
    for sent, now in ((8.0, 8.0), (8.0, 9.0), (8.5, 9.5), (9.0, 10.0)):
        ages.too_old('teleop', sent, now, WALL)
    assert found == [('teleop', 1.0, 9.5)]
    assert list(ages._clocks) == ['teleop']


def test_a_key_pressed_now_and_then_costs_one_press(rig: Rig) -> None:
    rig.age(rig.remote, 0.0, WAY)
    rig.remote.ahead = -HOUR
    assert rig.age(rig.remote, 10.0, 10.0 + WAY) > 0.0
    assert rig.age(rig.remote, 15.0, 15.0 + WAY) == 0.0


def test_messages_of_which_one_was_on_time_were_not_set(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    for at in (1.0, 1.4, 1.8, 2.2):
        assert rig.age(rig.remote, at - 3.0, at) > 0.0
        assert rig.age(rig.remote, at, at + WAY) == 0.0
    assert rig.clocks_set == []


# Backlogs: what was said during an outage of 23 s, and a live stream after it


@pytest.mark.parametrize('speed', [inf, 100.0, 2.0, 1.25])
def test_a_backlog_is_discarded_however_fast_it_comes(rig: Rig, speed: float) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    handed_over = rig.backlog(rig.remote, 1.0, 24.0, 24.0, speed)
    assert [age for true, age in handed_over if true > WINDOW + WAY and not age] == []
    assert rig.clocks_set == []
    end = 24.0 + 23.0 / speed
    assert not any(rig.stream(rig.remote, end, end + 1.0))


def test_one_that_comes_in_batches_at_the_pace_of_its_sending_is_discarded(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    for batch in range(11):
        handed_over = rig.backlog(rig.remote, 1.0 + 2 * batch, 3.0 + 2 * batch, 24.0 + 2 * batch,
                                  speed=100.0)  # fmt: skip
        assert all(age for _, age in handed_over)
    assert rig.clocks_set == []


def test_one_whose_link_is_cut_again_in_its_midst_is_discarded(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    assert all(age for _, age in rig.backlog(rig.remote, 1.0, 1.1, 16.0, speed=inf))
    assert all(age for _, age in rig.backlog(rig.remote, 1.1, 1.2, 31.0, speed=inf))
    assert rig.clocks_set == []


# Publishers of which nothing is known


def test_a_first_message_is_accepted_where_nobody_of_its_host_is_known(rig: Rig) -> None:
    rig.stream(rig.robot, 0.0, 1.0)
    rig.remote.ahead = -HOUR
    assert rig.age(rig.remote, 1.0, 15.0) == 0.0


def test_a_first_message_is_judged_by_another_publisher_of_its_host(rig: Rig) -> None:
    rig.remote.ahead = -HOUR
    rig.stream(rig.remote, 0.0, 1.0)
    assert rig.age(rig.remote, 1.0, 15.0, 'another') == pytest.approx(14.0 - WAY, abs=1e-5)
    assert rig.age(rig.remote, 15.0, 15.0 + WAY, 'another') == 0.0


def test_one_whose_first_message_was_old_is_judged_by_its_later_ones(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    assert rig.age(rig.remote, 1.0, 15.0, 'another') > 0.0
    assert rig.age(rig.remote, 17.0, 17.0 + WAY, 'another') == 0.0


def test_by_the_one_of_its_host_that_was_heard_last(rig: Rig) -> None:
    rig.age(rig.remote, 0.0, WAY, 'silent since')
    rig.remote.ahead = -HOUR
    rig.stream(rig.remote, 1.0, 2.0)
    assert rig.clocks_set != []
    assert rig.age(rig.remote, 2.0, 2.0 + WAY, 'another') == 0.0


def test_where_the_host_is_not_known_each_is_judged_by_itself(rig: Rig) -> None:
    nowhere = Host(NOWHERE)
    rig.stream(nowhere, 0.0, 1.0)
    assert rig.age(nowhere, 1.0, 15.0, 'another') == 0.0
    assert rig.age(nowhere, 1.0, 15.0) > 0.0


def test_two_hosts_of_which_neither_is_known_are_not_one() -> None:
    ages = MessageAge(WINDOW, lambda publisher: NOWHERE, NOWHERE, lambda *_: None)
    assert ages.too_old('teleop', 100.0, 1.0, 100.0) == 0.0
    assert ages.too_old('teleop', 101.0, 2.0, 101.0 + HOUR) == 0.0  # ours was set, not theirs


# Our own clock, set at boot


@pytest.mark.parametrize('by', [HOUR, -HOUR, 1.7e9, -1.0, 1.0])
def test_our_own_clock_that_is_set_costs_nothing_and_lets_nothing_old_pass(
    rig: Rig, by: float
) -> None:
    for host in (rig.robot, rig.remote):
        rig.stream(host, 0.0, 1.0)
    rig.robot.ahead = by
    for host in (rig.robot, rig.remote):
        assert rig.age(host, 1.0, 1.0 + 2 * WINDOW) == pytest.approx(2 * WINDOW - WAY, abs=1e-5)
        assert not any(rig.stream(host, 2.0, 3.0))
        assert rig.age(host, 3.0, 3.0 + 2 * WINDOW) == pytest.approx(2 * WINDOW - WAY, abs=1e-5)
    assert rig.clocks_set == []


def test_where_it_is_not_known_who_shares_it_setting_it_back_costs_one_window(rig: Rig) -> None:
    nowhere = Host(NOWHERE)
    rig.stream(nowhere, 0.0, 1.0)
    rig.robot.ahead = nowhere.ahead = -HOUR
    assert lost(rig.stream(nowhere, 1.0, 3.0)) == pytest.approx(WINDOW, abs=PERIOD)


# Freezes


@pytest.mark.parametrize('ahead', [0.0, -HOUR, HOUR])
def test_after_a_thaw_what_was_sent_before_it_is_discarded_however_young(
    rig: Rig, ahead: float
) -> None:
    rig.remote.ahead = ahead
    rig.stream(rig.remote, 0.0, 1.0)
    rig.ages.thawed(2.0)
    assert rig.age(rig.remote, 1.94, 2.2) == pytest.approx(0.26 - WAY, abs=1e-5)
    assert rig.age(rig.remote, 1.99, 2.4) == pytest.approx(0.41 - WAY, abs=1e-5)
    assert rig.age(rig.remote, 2.001, 2.4) == 0.0


def test_what_was_sent_at_the_very_thaw_is_not_discarded() -> None:
    ages = MessageAge(0.5, lambda publisher: REMOTE, ROBOT, lambda *_: None)
    assert ages.too_old('teleop', 1.0, 1.0, WALL) == 0.0
    ages.thawed(2.0)
    assert ages.too_old('teleop', 2.0, 2.25, WALL) == 0.0


def test_what_was_discarded_for_a_thaw_alone_does_not_say_that_a_clock_was_set(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.ages.thawed(2.0)
    assert all(rig.age(rig.remote, at, at + 0.4) for at in (1.62, 1.75, 1.98))
    rig.ages.thawed(3.0)
    assert rig.age(rig.remote, 2.62, 3.02) > 0.0
    assert rig.clocks_set == []


# What is remembered


def test_a_clock_is_remembered_for_a_minute_after_its_publisher_left(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.ages.changed([], ['remote teleop'], 1.0)
    rig.ages.changed([], [], 1.0 + REMEMBERED - PERIOD)
    assert rig.age(rig.remote, 1.0, 1.0 + REMEMBERED) > 0.0
    rig.ages.changed([], [], 1.0 + REMEMBERED)
    assert rig.age(rig.remote, 1.0, 1.0 + REMEMBERED) == 0.0


def test_one_that_came_back_is_remembered(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.ages.changed([], ['remote teleop'], 1.0)
    rig.ages.changed(['remote teleop'], [], 2.0)
    rig.ages.changed([], [], HOUR)
    assert rig.age(rig.remote, 1.0, HOUR) > 0.0


@pytest.mark.parametrize('leave', [True, False])
def test_however_many_come_few_are_remembered_and_those_heard_last(rig: Rig, leave: bool) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    nowhere = Host(NOWHERE)
    clock = rig.ages._clocks['remote teleop']
    for number in range(3 * PUBLISHERS_KEPT):
        rig.age(nowhere, 1.0, 1.0, str(number))
        rig.age(rig.remote, 1.0 + number / 1000, 1.0 + number / 1000)
        if leave:
            rig.ages.changed([], [f' {number}'], 1.0)
    assert len(rig.ages._clocks) == PUBLISHERS_KEPT
    assert len(rig.ages._left) < PUBLISHERS_KEPT
    assert rig.ages._clocks['remote teleop'] is clock
    assert rig.age(rig.remote, 1.0, 15.0) > 0.0


def test_of_a_long_stream_little_is_remembered(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 3 * WATCHED)
    (clock,) = rig.ages._clocks.values()
    assert WATCHED / SLICE <= len(clock.slices) <= WATCHED / SLICE + 1


def test_one_that_came_and_was_never_gone_changes_nothing(rig: Rig) -> None:
    rig.stream(rig.remote, 0.0, 1.0)
    rig.ages.changed(['remote teleop'], [], 1.0)
    assert rig.age(rig.remote, 1.0, HOUR) > 0.0
