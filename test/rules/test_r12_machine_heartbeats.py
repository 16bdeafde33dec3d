# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R12: what keeps a machine session alive: the clock's ticks, while its client's session lives."""

from __future__ import annotations

import pytest

from support.pure import driving, Rig, SESSION_WINDOW, STOP, WINDOW
from viam_session_bridge.core.requests import Move, Outcome, SendHeartbeat, StartSession

BEAT = SESSION_WINDOW / 5


def alive_by_its_own_heartbeats(rig: Rig, until: float) -> list[float]:
    """Let A send a heartbeat every 0.1 s; return when the bridge sent one to the machine."""
    beats = []
    while rig.now < until:
        rig.heartbeat('A')
        for at, request in rig.until(round(rig.now + 0.1, 6)):
            assert request == SendHeartbeat('sid-1')
            beats.append(at)
            rig.answer(SendHeartbeat)
    return beats


def test_a_fifth_of_the_machines_window_after_its_last_use_it_is_heartbeated() -> None:
    assert alive_by_its_own_heartbeats(driving(), 2.0) == [0.4, 0.8, 1.2, 1.6, 2.0]


def test_forwarded_commands_count() -> None:
    rig = driving()
    for step in range(1, 50):
        assert rig.until(step * 0.1) == []
        rig.drive('A')


def test_not_once_the_client_session_is_over() -> None:
    rig = driving()
    sent = rig.until(0.45, times_out=False)
    assert sent == [(0.4, SendHeartbeat('sid-1'))]
    rig.answer(SendHeartbeat)
    rig.until(WINDOW)
    rig.acknowledge()
    assert rig.until(10.0) == []


def test_not_even_where_both_are_due_at_once() -> None:
    rig = driving(window=BEAT)
    assert rig.until(BEAT) == [(BEAT, STOP)]


def test_only_the_lapse_clocks_tick_sends_them() -> None:
    rig = driving()
    rig.now = 0.45
    assert rig.heartbeat('A') == []
    assert rig.feed(lambda: rig.bridge.seen('A', rig.now)) == []
    assert rig.channel(False) == rig.channel(True) == []
    assert rig.tick() == [SendHeartbeat('sid-1')]


def test_the_next_waits_for_the_answer() -> None:
    rig = driving(call_timeout=5.0)
    rig.now = 0.4
    rig.heartbeat('A')
    assert rig.tick() == [SendHeartbeat('sid-1')]
    rig.now = 0.8
    rig.heartbeat('A')
    assert rig.tick() == []
    assert rig.answer(SendHeartbeat) == []
    assert rig.until(0.8) == [(0.8, SendHeartbeat('sid-1'))]


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_one_that_fails_is_followed_by_the_next_all_the_same(outcome: Outcome) -> None:
    rig = driving(window=2.0)
    rig.until(0.4)
    rig.answer(SendHeartbeat, outcome)
    assert [at for at, _ in rig.until(0.8)] == [0.8]


def test_a_resumed_one_is_heartbeated_as_often_as_before() -> None:
    rig = driving()
    for _ in range(5):
        rig.left('A')
        rig.bridge.seen('A', rig.now)
        rig.acknowledge()
        rig.command('A')
        rig.answer(StartSession, sid='sid-1')
        rig.answer(Move)
    assert alive_by_its_own_heartbeats(rig, 2.0) == [0.4, 0.8, 1.2, 1.6, 2.0]
