# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The calls of one machine, numbered in the order of handing over."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.requests import Call, GetSessions, Reach, RequestQueue, StopBase

TIMEOUT = 0.25


def test_calls_are_numbered_in_the_order_in_which_they_are_handed_over() -> None:
    queue = RequestQueue('main', TIMEOUT)
    assert queue.last == 0
    assert [queue.call(StopBase('base'), 2.0), queue.call(Reach())] == [1, 2]
    assert queue.take() == [
        Call(1, 'main', StopBase('base'), 2.0), Call(2, 'main', Reach(), TIMEOUT)
    ]  # fmt: skip
    assert queue.last == 2


def test_each_is_handed_over_once() -> None:
    queue = RequestQueue('main', TIMEOUT)
    queue.call(Reach())
    queue.take()
    assert queue.take() == []


def test_an_answer_tells_what_was_asked_once() -> None:
    queue = RequestQueue('main', TIMEOUT)
    number = queue.call(GetSessions())
    assert queue.answered(number) == GetSessions()
    with pytest.raises(KeyError):
        queue.answered(number)
