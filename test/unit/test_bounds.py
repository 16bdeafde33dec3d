# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What others can make the bridge spend: lines, memory, time."""

from __future__ import annotations

import math

import pytest

from viam_session_bridge.bounds import BoundedDict, BURST, DutyCycle, EVERY, KINDS_KEPT, Throttle

SHARE = 0.05


# Lines of a log


def test_a_few_come_through_at_once_and_then_one_now_and_then() -> None:
    throttle = Throttle()
    let_through = [
        (at / 50, kept_back)
        for at in range(500)
        if (kept_back := throttle.let_through('a', at / 50)) is not None
    ]
    assert [kept_back for _, kept_back in let_through[:BURST]] == [0] * BURST
    later = [at for at, _ in let_through[BURST:]]
    assert later == pytest.approx([EVERY * number for number in range(1, 10)], abs=0.1)
    assert sum(1 + kept_back for _, kept_back in let_through) > 450


def test_one_kind_costs_another_nothing() -> None:
    throttle = Throttle()
    for _ in range(1000):
        throttle.let_through('a', 0.0)
    assert throttle.let_through('b', 0.0) == 0


def test_after_a_rest_a_few_come_through_again() -> None:
    throttle = Throttle()
    for _ in range(BURST):
        throttle.let_through('a', 0.0)
    assert throttle.let_through('a', 0.0) is None
    again = [throttle.let_through('a', 100.0) for _ in range(BURST + 1)]
    assert again == [1, *[0] * (BURST - 1), None]


def test_a_line_says_how_many_were_kept_back_before_it() -> None:
    throttle = Throttle(burst=1, every=5.0)
    lines = [throttle.line('a', 'it fails', at) for at in (0.0, 1.0, 4.9, 5.0, 10.0)]
    assert lines == ['it fails', None, None, 'it fails (and 2 more like this)', 'it fails']


def test_a_line_for_once_comes_once() -> None:
    throttle = Throttle(burst=1, every=math.inf)
    assert [throttle.line('a', 'it fails', at) for at in (0.0, 1.0, 1e9)] == [
        'it fails', None, None,
    ]  # fmt: skip


def test_a_bounded_number_of_kinds_is_remembered() -> None:
    throttle = Throttle()
    for number in range(3 * KINDS_KEPT):
        throttle.let_through(number, 0.0)
    assert len(throttle._kinds) == KINDS_KEPT


# Memory


def test_new_entries_replace_the_oldest() -> None:
    bounded: BoundedDict[str, int] = BoundedDict(2)
    for number, name in enumerate('abc'):
        bounded[name] = number
    assert bounded == {'b': 1, 'c': 2}


def test_an_entry_that_is_set_again_is_the_newest() -> None:
    bounded: BoundedDict[str, int] = BoundedDict(2)
    bounded['a'] = bounded['b'] = 0
    bounded['a'] = 1
    bounded['c'] = 2
    assert bounded == {'a': 1, 'c': 2}


# Time


def test_work_may_begin_at_once() -> None:
    assert DutyCycle(SHARE).wait(0.0) == 0.0


def test_after_work_there_is_a_pause_as_long_as_the_share_asks_for() -> None:
    cycle = DutyCycle(SHARE)
    cycle.worked(0.0, 0.01)
    assert cycle.wait(0.01) == pytest.approx(0.01 / SHARE)
    assert cycle.wait(5.0) == 0.0


def test_the_pause_after_short_work_is_the_least() -> None:
    cycle = DutyCycle(SHARE, pause=1.0)
    cycle.worked(0.0, 0.001)
    assert cycle.free_at == 1.001


def test_work_without_end_takes_no_more_than_its_share() -> None:
    cycle, now, worked = DutyCycle(SHARE), 0.0, 0.0
    while now < 60.0:
        if not cycle.wait(now):
            cycle.worked(now, now + 0.01)
            now += 0.01
            worked += 0.01
        now += 0.001
    assert 0.9 * SHARE <= worked / now <= SHARE
