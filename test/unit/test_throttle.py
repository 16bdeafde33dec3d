# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How often the log says the same."""

from __future__ import annotations

import pytest

from viam_session_bridge.reporting.throttle import BURST, EVERY, Throttle


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
