# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The machine sessions behind the client sessions: R11, R13, R15."""

import pytest

from support.pure import base, CALL_TIMEOUT, machine, Rig, WINDOW
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Refusal
from viam_session_bridge.core.events import (
    MachineSessionExpired,
    MachineSessionFailed,
    MachineSessionStarted,
    Unsupervised,
)
from viam_session_bridge.core.requests import (
    Move,
    Outcome,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity

MACHINE_WINDOW = 2.0
BEAT = MACHINE_WINDOW / 5
STOP = StopBase('base')


def driving(*bases: str, window: float = WINDOW, **options: object) -> Rig:
    """Let A drive the first base under sid-1, on a machine whose window is 2 s."""
    names = bases or ('base',)
    rig = Rig(
        *[base(name) for name in names],
        window=window,
        machines=[machine(**options)],  # type: ignore[arg-type]
    )
    rig.machine_window = MACHINE_WINDOW
    rig.drive('A', topic=f'/{names[0]}')
    return rig


def refused(rig: Rig, reason: Refusal = Refusal.TOO_MANY_SESSIONS) -> int:
    return rig.bridge.refusals[('base', reason)]


# One for each client session (R11)


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
    started = rig.told(MachineSessionStarted)
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


# Heartbeats (R11, R12)


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
    assert rig.feed(lambda: rig.bridge.seen('A')) == []
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
        rig.bridge.seen('A')
        rig.acknowledge()
        rig.command('A')
        rig.answer(StartSession, sid='sid-1')
        rig.answer(Move)
    assert alive_by_its_own_heartbeats(rig, 2.0) == [0.4, 0.8, 1.2, 1.6, 2.0]


# Resuming (R11)


def test_the_clients_next_session_resumes_its_own_ended_one() -> None:
    rig = driving()
    rig.until(WINDOW, times_out=False)
    rig.acknowledge()
    assert rig.command('A') == [StartSession('sid-1')]
    rig.answer(StartSession, sid='sid-1')
    assert [one.resumed for one in rig.told(MachineSessionStarted)] == [False, True]


def test_not_before_its_stops_are_final() -> None:
    rig = Rig(base('base', '/both'), base('other', '/both'))
    rig.drive('A', topic='/both')
    rig.left('A')
    rig.bridge.seen('A')
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
    rig.until(MACHINE_WINDOW + CALL_TIMEOUT)
    assert rig.command('B') == [StartSession('')]


# max_sessions (R11)


def test_beyond_it_new_clients_are_refused() -> None:
    rig = driving(max_sessions=1)
    assert rig.command('B') == []
    assert refused(rig) == 1
    assert rig.bridge.table.session('B') is None


def test_a_client_that_has_one_is_not() -> None:
    rig = driving(max_sessions=1)
    assert rig.command('A') == [Move('base', Velocity(0.3), 'sid-1')]


def test_ended_ones_count_until_they_lapsed_on_the_machine() -> None:
    rig = driving(max_sessions=1)
    rig.left('A')
    rig.acknowledge()
    rig.now = MACHINE_WINDOW
    assert rig.command('B') == []
    rig.now = MACHINE_WINDOW + CALL_TIMEOUT
    assert rig.command('B') == [StartSession('')]


def test_the_ended_ones_own_client_may_resume_it() -> None:
    rig = driving(max_sessions=1)
    rig.left('A')
    rig.bridge.seen('A')
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
    rig.bridge.seen('A')
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


# The machine forgot a session (R13)


def test_expired_on_a_heartbeat_motion_needs_a_new_command() -> None:
    rig = driving(window=2.0)
    rig.until(0.4)
    assert rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED) == [STOP]
    rig.acknowledge()
    assert rig.calls == []
    assert [one.sid for one in rig.told(MachineSessionExpired)] == ['sid-1']
    assert rig.command('A') == [StartSession('sid-1')]


def test_expired_on_a_command_stops_the_other_bases_it_used_last() -> None:
    rig = driving('base', 'other', 'third')
    rig.drive('A', topic='/other')
    rig.drive('A', topic='/third')
    rig.drive('B', topic='/third')
    rig.command('A')
    led_to = rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert set(led_to) == {StartSession('sid-1'), StopBase('other')}


def test_expired_on_a_heartbeat_while_a_command_is_in_flight_nothing_is_sent_again() -> None:
    rig = driving(window=2.0, call_timeout=5.0)
    rig.until(0.4)
    rig.command('A', 0.4)
    assert STOP in rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.acknowledge()
    assert rig.calls == []


def test_answers_for_a_replaced_one_are_ignored() -> None:
    rig = driving(window=2.0, call_timeout=5.0)
    rig.until(0.4)  # a heartbeat for sid-1 is in flight
    rig.command('A')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.answer(StartSession, sid='sid-9')
    rig.answer(Move)
    assert rig.answer(SendHeartbeat, Outcome.SESSION_EXPIRED) == []
    assert len(rig.told(MachineSessionExpired)) == 1
    assert rig.command('A') == [Move('base', Velocity(0.3), 'sid-9')]


def test_two_commands_that_find_it_expired_start_one_new_one() -> None:
    rig = Rig(base('base', '/both'), base('other', '/both'))
    rig.drive('A', topic='/both')
    rig.command('A', topic='/both')
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    rig.answer(Move, Outcome.SESSION_EXPIRED)
    assert rig.pending(StartSession) == [StartSession('sid-1')]


# No sessions on the machine (R15)


@pytest.mark.parametrize(
    'outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED]
)
def test_a_machine_that_fails_to_start_one_gets_no_motion(outcome: Outcome) -> None:
    rig = Rig()
    rig.command('A')
    assert rig.answer(StartSession, outcome) == [STOP]
    rig.acknowledge()
    assert rig.pending(Move) == []
    assert [one.client for one in rig.told(MachineSessionFailed)] == ['A']


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_not_even_where_unsupervised_motion_is_allowed(outcome: Outcome) -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    assert rig.answer(StartSession, outcome) == [STOP]
    assert rig.told(Unsupervised) == []


def test_one_that_has_none_gets_it_where_that_is_allowed_and_it_is_reported() -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    assert rig.answer(StartSession, Outcome.UNIMPLEMENTED) == [Move('base', Velocity(0.3), '')]
    rig.answer(Move)
    assert rig.command('B') == [Move('base', Velocity(0.3), '')]
    rig.answer(Move)
    assert len(rig.told(Unsupervised)) == 1
    assert rig.until(WINDOW) == [(WINDOW, STOP)]


def test_after_an_outage_it_is_asked_again() -> None:
    rig = Rig(machines=[machine(allow_unsupervised=True)])
    rig.command('A')
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    rig.answer(Move)
    rig.channel(False)
    rig.channel(True)
    assert rig.command('A') == [StartSession('')]


def test_a_start_of_a_machine_without_sessions_takes_no_place() -> None:
    """Its client left before the machine said so (R11)."""
    rig = Rig(machines=[machine(max_sessions=1, allow_unsupervised=True)])
    rig.command('A')
    rig.left('A')
    rig.answer(StartSession, Outcome.UNIMPLEMENTED)
    rig.acknowledge()
    assert [type(request) for request in rig.command('B')] == [Move]
