# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Machine sessions that are heartbeated by signs of life alone (R16)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.requests import Answer, Outcome
from viam_session_bridge.core.stop_policy import shortest_window, SignedSessions
from viam_session_bridge.core.timing import NEVER

WINDOW = 1.0
FIFTH = WINDOW / 5


def sessions_of(window: float = WINDOW) -> SignedSessions:
    """Begin with one of A's, session 1, since 0 s."""
    sessions = SignedSessions('main', 256, 0.25, False, [])
    sessions.open('A', 1, lambda sid: True)
    machine_session = sessions.live.get(1)
    assert machine_session is not None
    sessions.start(machine_session, 1, 0.0)
    sessions.start_answered(1, Answer(Outcome.OK, sid='one', window=window), 0.0)
    return sessions


@pytest.fixture
def sessions() -> SignedSessions:
    return sessions_of()


def test_without_a_sign_of_life_none_is_due(sessions: SignedSessions) -> None:
    assert sessions.next_beat() == NEVER
    assert sessions.beats_due(10.0) == []


def test_a_sign_is_passed_on_at_once(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    assert sessions.next_beat() == 0.5
    assert sessions.beats_due(0.5) == [sessions.live.get(1)]
    assert sessions.beats_due(0.5) == []


def test_not_within_a_fifth_of_the_window_after_its_last_use(sessions: SignedSessions) -> None:
    sessions.used('one', 0.4)
    sessions.signed(1, 0.4 + FIFTH - 0.001)
    assert sessions.next_beat() == NEVER


def test_nor_by_a_clock_that_comes_too_late_for_it(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    assert sessions.beats_due(0.5 + FIFTH) == []


def test_nor_once_the_client_session_ended(sessions: SignedSessions) -> None:
    sessions.signed(1, 0.5)
    sessions.ended(1)
    assert sessions.beats_due(0.5) == []


def test_of_several_machines_the_shortest_window_counts() -> None:
    unknown = SignedSessions('other', 256, 0.25, False, [])
    assert shortest_window([sessions_of(3.0), unknown, sessions_of(2.0)]) == 2.0
