# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""When a machine is asked, and when it is dialled anew (R7)."""

from __future__ import annotations

import pytest

from support.pure import CALL_TIMEOUT
from viam_session_bridge.core.dead_peer_detector import DeadPeerDetector
from viam_session_bridge.core.requests import Reach, Redial, RequestQueue
from viam_session_bridge.core.timing import NEVER


class Bench:
    """A detector whose questions and dials are counted."""

    def __init__(self) -> None:
        """Open a Stop at 0 s."""
        self._queue = RequestQueue('main', CALL_TIMEOUT)
        self.detector = DeadPeerDetector(self._queue)
        self.ask(0.0)

    def ask(self, now: float, stop_is_open: bool = True) -> float:
        return self.detector.ask(stop_is_open, now)

    def requests(self) -> list[object]:
        return [call.request for call in self._queue.take()]


def test_the_patience_doubles_from_dial_to_dial_until_something_is_heard() -> None:
    """A Stop that takes longer than the first patience ends on a later connection."""
    bench = Bench()
    now = 0.0
    dials = []
    for _ in range(4):
        for _ in range(3):
            if (due := bench.ask(now)) != NEVER:  # the second and third are asked at once
                bench.ask(now := due)
            now += CALL_TIMEOUT
            bench.detector.question_ended(False, now)
        assert bench.requests() == [Reach(), Reach(), Reach(), Redial()]
        dials.append(now)
        bench.ask(now, stop_is_open=False)
        bench.ask(now)
    pauses = [after - before for before, after in zip([0.0, *dials], dials, strict=False)]
    assert pauses == pytest.approx([1.75, 2.75, 4.75, 8.75])
    bench.detector.heard(now)
    assert bench.ask(now) == now + 1.0


def test_no_question_is_asked_beside_another() -> None:
    bench = Bench()
    bench.ask(1.0)
    bench.ask(1.1, stop_is_open=False)
    bench.ask(1.2)
    bench.detector.heard(1.3)
    assert bench.ask(1.3) == NEVER
    bench.detector.question_ended(True, 1.4)
    assert bench.ask(1.4) == 2.4
    assert bench.requests() == [Reach()]


def test_a_question_that_was_open_when_the_stop_ended_counts_for_nothing() -> None:
    bench = Bench()
    for now in (1.0, 1.25):
        bench.ask(now)
        bench.detector.question_ended(False, now)
    bench.ask(1.5)
    bench.ask(1.6, stop_is_open=False)
    bench.detector.question_ended(False, 1.75)
    assert bench.ask(1.75, stop_is_open=False) == NEVER
    assert bench.requests() == [Reach(), Reach(), Reach()]
