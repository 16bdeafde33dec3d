# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""A machine that is silent while a Stop is open is asked, and dialled anew (R7)."""

import pytest

from support.pure import CALL_TIMEOUT, Rig
from viam_session_bridge.core.dead_peer_detector import DeadPeerDetector
from viam_session_bridge.core.requests import (
    Outcome,
    Reach,
    Redial,
    Request,
    StopBase,
)

STOP = StopBase('base')


@pytest.fixture
def rig() -> Rig:
    """Leave a Stop open since 0 s."""
    rig = Rig(stalls=True, stop_timeout=10.0)
    rig.drive('A')
    rig.left('A')
    return rig


def only(sent: list[tuple[float, Request]], kind: type[Request]) -> list[float]:
    return [at for at, request in sent if isinstance(request, kind)]


def test_after_a_second_of_silence_it_is_asked_three_times_and_dialled_anew(rig: Rig) -> None:
    sent = rig.until(1.75)
    assert only(sent, Reach) == [1.0, 1.0 + CALL_TIMEOUT, 1.0 + 2 * CALL_TIMEOUT]
    assert only(sent, Redial) == [1.0 + 3 * CALL_TIMEOUT]


def test_the_stop_is_sent_on_the_new_connection(rig: Rig) -> None:
    rig.until(1.75)
    rig.channel(False)
    rig.answer(StopBase, Outcome.CUT)
    assert STOP in rig.channel(True)


def test_an_answer_of_any_kind_begins_the_second_anew(rig: Rig) -> None:
    rig.until(1.1)
    rig.answer(Reach)
    assert only(rig.until(2.09), Reach) == []
    assert only(rig.until(2.1), Reach) == [2.1]


def test_a_machine_that_has_no_such_call_answers_too(rig: Rig) -> None:
    rig.until(1.0)
    rig.answer(Reach, Outcome.UNIMPLEMENTED)
    assert only(rig.until(1.99), Reach) == []


def test_where_no_stop_is_open_nothing_is_asked(rig: Rig) -> None:
    rig.until(0.9)
    rig.answer(StopBase)
    assert only(rig.until(10.0), Reach) == []


def test_the_patience_doubles_from_dial_to_dial_until_something_is_heard() -> None:
    """A Stop that takes longer than the first patience ends on a later connection."""
    detector = DeadPeerDetector()
    now = 0.0
    dials = []
    detector.watch(True, now)
    for _ in range(4):
        for _ in range(3):
            due = detector.next_deadline()
            assert due is not None
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
    assert detector.next_deadline() is None
    assert not detector.question_ended(True, 1.4)
    assert detector.next_deadline() == 2.4


def test_a_question_that_was_open_when_the_stop_ended_counts_for_nothing() -> None:
    detector = DeadPeerDetector()
    detector.watch(True, 0.0)
    detector.asked()
    detector.watch(False, 1.1)
    assert not detector.question_ended(False, 1.25)
    assert detector.next_deadline() is None
