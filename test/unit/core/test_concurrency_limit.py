# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Which commands of a machine may go now, and whose turn is next (R14)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.concurrency_limit import ConcurrencyLimit, MOST, YOUNG
from viam_session_bridge.core.timing import AT_ONCE, NEVER

BASES = [f'base{number}' for number in range(2 * MOST)]


@pytest.fixture
def limit() -> ConcurrencyLimit:
    """Leave the most commands under way, since 0 s, with two bases that wait."""
    limit = ConcurrencyLimit()
    for number, base in enumerate(BASES[:MOST]):
        assert limit.has_room(0.0)
        limit.sent(base, number, 0.0)
    for base in BASES[MOST : MOST + 2]:
        limit.wait(base)
    return limit


def test_at_rest_nobody_has_a_turn_to_wait_for() -> None:
    limit = ConcurrencyLimit()
    assert limit.next_turn(0.0) == NEVER
    assert limit.take_turns(0.0) == []


def test_one_more_than_the_most_has_no_room(limit: ConcurrencyLimit) -> None:
    assert not limit.has_room(YOUNG / 2)
    assert limit.take_turns(YOUNG / 2) == []
    assert limit.next_turn(YOUNG / 2) == YOUNG


def test_an_answer_makes_room_for_the_one_that_waited_first(limit: ConcurrencyLimit) -> None:
    limit.answered(1)
    assert limit.next_turn(YOUNG / 2) == AT_ONCE
    assert limit.take_turns(YOUNG / 2) == [BASES[MOST]]
    assert list(limit.waiting) == [BASES[MOST + 1]]


def test_a_call_that_takes_long_does_not_count(limit: ConcurrencyLimit) -> None:
    assert limit.take_turns(YOUNG) == BASES[MOST : MOST + 2]
    assert limit.next_turn(YOUNG) == NEVER


def test_waiting_again_keeps_the_turn(limit: ConcurrencyLimit) -> None:
    limit.wait(BASES[MOST])
    assert list(limit.waiting) == BASES[MOST : MOST + 2]


def test_who_is_sent_for_waits_no_longer(limit: ConcurrencyLimit) -> None:
    limit.sent(BASES[MOST], 9, YOUNG)
    assert list(limit.waiting) == [BASES[MOST + 1]]


def test_an_answer_to_a_call_that_no_longer_counts_is_no_matter(limit: ConcurrencyLimit) -> None:
    assert limit.has_room(YOUNG)
    limit.answered(0)
    assert limit.has_room(YOUNG)


def test_the_next_turn_is_when_one_that_counts_no_longer_does() -> None:
    limit = ConcurrencyLimit()
    for number, at in enumerate((0.0, YOUNG / 2, YOUNG / 2, YOUNG / 2)):
        limit.sent('base', number, at)
    limit.wait('other')
    assert limit.next_turn(YOUNG) == YOUNG / 2 + YOUNG
