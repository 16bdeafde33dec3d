# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The pause before a repetition."""

from __future__ import annotations

from viam_session_bridge.core.timing import Backoff


def test_it_doubles_up_to_the_longest() -> None:
    backoff = Backoff(0.05, 0.3)
    assert [backoff.take() for _ in range(5)] == [0.05, 0.1, 0.2, 0.3, 0.3]


def test_it_begins_again_with_the_first() -> None:
    backoff = Backoff(0.05, 1.0)
    backoff.take()
    backoff.reset()
    assert backoff.take() == 0.05


def test_it_may_grow_beyond_its_longest_and_does_not_shrink_again() -> None:
    backoff = Backoff(1.0, 1.0)
    assert [backoff.take(longest=4.0) for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    assert backoff.take() == 4.0
