# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""When a machine is asked, and when it is dialled anew (R7)."""

from __future__ import annotations

import pytest

from support.pure import CALL_TIMEOUT
from viam_session_bridge.core.dead_peer_detector import DeadPeerDetector
from viam_session_bridge.core.timing import NEVER


def test_the_patience_doubles_from_dial_to_dial_until_something_is_heard() -> None:
    """A Stop that takes longer than the first patience ends on a later connection."""
    detector = DeadPeerDetector()
    now = 0.0
    dials = []
    detector.watch(True, now)
    for _ in range(4):
        for _ in range(3):
            due = detector.next_deadline()
            now = due + CALL_TIMEOUT
            detector.asked()
            dialled = detector.question_ended(False, now)
        assert dialled
        dials.append(now)
        detector.watch(False, now)
        detector.watch(True, now)
    pauses = [after - before for before, after in zip([0.0, *dials], dials, strict=False)]
    assert pauses == pytest.approx([1.75, 2.75, 4.75, 8.75])
    detector.heard(now)
    assert detector.next_deadline() == now + 1.0


def test_no_question_is_asked_beside_another() -> None:
    detector = DeadPeerDetector()
    detector.watch(True, 0.0)
    detector.asked()
    detector.watch(False, 1.1)
    detector.watch(True, 1.2)
    detector.heard(1.3)
    assert detector.next_deadline() == NEVER
    assert not detector.question_ended(True, 1.4)
    assert detector.next_deadline() == 2.4


def test_a_question_that_was_open_when_the_stop_ended_counts_for_nothing() -> None:
    detector = DeadPeerDetector()
    detector.watch(True, 0.0)
    detector.asked()
    detector.watch(False, 1.1)
    assert not detector.question_ended(False, 1.25)
    assert detector.next_deadline() == NEVER
