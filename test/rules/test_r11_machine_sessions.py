# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R11: every client session has a machine session of its own."""

from __future__ import annotations

import pytest

from support.pure import base, CALL_TIMEOUT, driving, machine, Rig, SESSION_WINDOW, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Refusal
from viam_session_bridge.core.events import MachineSessionStarted
from viam_session_bridge.core.requests import Move, Outcome, StartSession, StopBase
from viam_session_bridge.core.velocity import Velocity

# One for each client session


def test_it_is_started_with_the_clients_first_command() -> None:
    rig = Rig(base(sessions=SessionsMode.MANUAL))
    assert rig.heartbeat('A') == []
    assert rig.command('A') == [StartSession('')]
    assert rig.answer(StartSession) == [Move('base', Velocity(0.3), 'sid-1')]
    assert rig.command('A') == []
    assert rig.answer(Move) == [Move('base', Velocity(0.3), 'sid-1')]


def test_each_client_has_its_own() -> None:
    rig = driving()
    assert rig.command('B') == [StartSession('')]
    assert rig.answer(StartSession) == [Move('base', Velocity(0.3), 'sid-2')]
    started = rig.events_of(MachineSessionStarted)
    assert [(one.client, one.sid) for one in started] == [('A', 'sid-1'), ('B', 'sid-2')]


def test_all_bases_of_a_client_share_it() -> None:
    rig = Rig(base('base', '/both'), base('other', '/both'))
    assert rig.command('A', topic='/both') == [StartSession('')]
    assert rig.answer(StartSession) == [
        Move('base', Velocity(0.3), 'sid-1'),
        Move('other', Velocity(0.3), 'sid-1'),
    ]


def test_each_machine_has_its_own() -> None:
    rig = Rig(
        base('base', '/both'),
        base('other', '/both', machine='second'),
        machines=[machine('main'), machine('second')],
    )
    rig.command('A', topic='/both')
    assert len(rig.pending(StartSession)) == 2


def test_without_a_client_session_there_is_none() -> None:
    rig = Rig(base(sessions=SessionsMode.DISABLED))
    assert rig.command('A') == [Move('base', Velocity(0.3), '')]


# Resuming


def test_the_clients_next_session_resumes_its_own_ended_one() -> None:
    rig = driving()
    rig.until(WINDOW, times_out=False)
    rig.acknowledge()
    assert rig.command('A') == [StartSession('sid-1')]
    rig.answer(StartSession, sid='sid-1')
    assert [one.resumed for one in rig.events_of(MachineSessionStarted)] == [False, True]


def test_not_before_its_stops_are_final() -> None:
    rig = Rig(base('base', '/both'), base('other', '/both'))
    rig.drive('A', topic='/both')
    rig.left('A')
    rig.bridge.seen('A', rig.now)
    rig.answer(StopBase)
    rig.command('A', topic='/both')
    assert rig.pending(StartSession) == [StartSession('')]


def test_no_other_client_resumes_it() -> None:
    rig = driving()
    rig.left('A')
    rig.acknowledge()
    assert rig.command('B') == [StartSession('')]


def test_not_long_after_it_lapsed_on_the_machine() -> None:
    rig = driving(max_sessions=1)
    rig.left('A')
    rig.acknowledge()
    rig.until(SESSION_WINDOW + CALL_TIMEOUT)
    assert rig.command('B') == [StartSession('')]


def refused(rig: Rig, reason: Refusal = Refusal.TOO_MANY_SESSIONS) -> int:
    return rig.bridge.refusals[('base', reason)]


# max_sessions


def test_beyond_it_new_clients_are_refused() -> None:
    rig = driving(max_sessions=1)
    assert rig.command('B') == []
    assert refused(rig) == 1
    assert rig.bridge.table.active.get('B') is None


def test_a_client_that_has_one_is_not() -> None:
    rig = driving(max_sessions=1)
    assert rig.command('A') == [Move('base', Velocity(0.3), 'sid-1')]


def test_ended_ones_count_until_they_lapsed_on_the_machine() -> None:
    rig = driving(max_sessions=1)
    rig.left('A')
    rig.acknowledge()
    rig.now = SESSION_WINDOW
    assert rig.command('B') == []
    rig.now = SESSION_WINDOW + CALL_TIMEOUT
    assert rig.command('B') == [StartSession('')]


def test_the_ended_ones_own_client_may_resume_it() -> None:
    rig = driving(max_sessions=1)
    rig.left('A')
    rig.bridge.seen('A', rig.now)
    rig.acknowledge()
    assert rig.command('A') == [StartSession('sid-1')]


def test_ended_while_it_was_started_counts() -> None:
    rig = Rig(machines=[machine(max_sessions=1)])
    rig.command('A')
    rig.left('A')
    rig.answer(StartSession)
    assert rig.command('B') == []


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT])
def test_unanswered_starts_count(outcome: Outcome) -> None:
    rig = Rig(machines=[machine(max_sessions=1)])
    rig.command('A')
    rig.answer(StartSession, outcome)
    rig.left('A')
    rig.acknowledge()
    rig.now = 60.0
    assert rig.command('B') == []  # 60 s is the longest window that a machine may have
    rig.now = 60.0 + CALL_TIMEOUT
    assert rig.command('B') == [StartSession('')]


def test_a_start_that_was_answered_with_an_error_does_not() -> None:
    rig = Rig(machines=[machine(max_sessions=1)])
    rig.command('A')
    rig.answer(StartSession, Outcome.FAILED)
    rig.left('A')
    rig.acknowledge()
    assert rig.command('B') == [StartSession('')]


def test_a_client_whose_starts_get_no_answer_does_not_pile_them_up() -> None:
    rig = Rig(machines=[machine(max_sessions=2)])
    starts = 0
    for _ in range(20):
        starts += rig.command('A').count(StartSession(''))
        if rig.pending(StartSession):
            rig.answer(StartSession, Outcome.TIMED_OUT)
        starts += rig.acknowledge().count(StartSession(''))
    assert starts <= 2


def test_one_to_be_resumed_counts_though_its_start_is_never_sent() -> None:
    rig = driving('base', 'other', max_sessions=1)
    rig.command('A')
    rig.left('A')
    rig.bridge.seen('A', rig.now)
    rig.answer(Move)
    rig.answer(StopBase, newest=True)  # final; the next command waits for the other
    assert rig.command('A') == []
    rig.left('A')
    assert rig.command('B', topic='/other') == []


@pytest.mark.parametrize('outcome', [Outcome.OK, Outcome.FAILED, Outcome.TIMED_OUT])
def test_an_answer_long_after_the_end_is_taken_all_the_same(outcome: Outcome) -> None:
    rig = Rig(base('base'), base('other'), window=0.03)
    rig.machine_window = 0.03
    rig.drive('A', topic='/other')
    rig.command('B')
    rig.left('B')
    rig.now = 1.0
    rig.command('C', topic='/other')
    rig.answer(StartSession, outcome)
    rig.command('C', topic='/other')
