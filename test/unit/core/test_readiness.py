# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a machine is reached and lets the bridge in, with time handed in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.pure import machine
from viam_session_bridge.core.events import AccessRefused, MachineAbsent, MachineEvent
from viam_session_bridge.core.readiness import (
    ABSENT_AFTER,
    ASKED_AGAIN_AFTER,
    Readiness,
    REPORTED_AGAIN_AFTER,
)
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Call,
    Diagnose,
    ListBases,
    Outcome,
    RequestQueue,
    StopBase,
)
from viam_session_bridge.core.timing import AT_ONCE, NEVER

OK = Answer(Outcome.OK)
WRONG_KEY = Answer(Outcome.UNAUTHENTICATED, 'wrong key')


class Bench:
    def __init__(self, authenticates: bool = True) -> None:
        self.now = 0.0
        self.queue = RequestQueue('main', 0.25)
        self.events: list[MachineEvent] = []
        self.connection = Readiness(
            replace(machine(), insecure=False, environment_key=authenticates),
            self.queue,
            self.events,
        )

    def asked(self) -> list[Call]:
        """Return what is asked now."""
        self.connection.ask(self.now)
        return self.queue.take()

    def due(self) -> float:
        """Return when something is to be asked next; before all time nothing is asked."""
        return self.connection.ask(AT_ONCE)

    def until(self, when: float) -> list[tuple[float, Call]]:
        """Ask whenever something is due; return what was asked, and when."""
        calls = []
        while (due := self.due()) <= when:
            self.now = max(self.now, due)
            calls += [(self.now, call) for call in self.asked()]
        self.now = when
        return calls

    def connect(self) -> None:
        self.connection.opened(self.now)
        self.connection.channel(True, self.now)

    def authenticate(self, answer: Answer = OK) -> None:
        (call,) = self.asked()
        assert call.request == Authenticate()
        self.connection.authenticated(call.number, answer, self.now)

    def refused(self, detail: str = 'no such token') -> None:
        """Have a call of the machine refused that is handed over now."""
        number = self.queue.call(ListBases())
        self.queue.take()
        self.connection.refused(number, detail, self.now, of_base=False)

    def base_refused(self) -> list[Call]:
        """Have a call of a base refused that is handed over now; return what is asked then."""
        number = self.queue.call(StopBase('base'))
        self.queue.take()
        self.connection.refused(number, 'of the base', self.now, of_base=True)
        return self.asked()

    def let_in(self, lifetime: float = 0.0) -> None:
        self.connect()
        self.authenticate(Answer(Outcome.OK, lifetime=lifetime))
        assert self.connection.ready


def test_without_credentials_it_is_ready_once_connected() -> None:
    bench = Bench(authenticates=False)
    bench.connect()
    assert bench.connection.ready
    assert bench.asked() == []


def test_with_credentials_it_is_ready_once_it_has_a_token() -> None:
    bench = Bench()
    bench.connect()
    assert not bench.connection.ready
    bench.authenticate()
    assert bench.connection.ready


def test_a_machine_that_knows_no_keys_is_ready_without_a_token() -> None:
    bench = Bench()
    bench.connect()
    bench.authenticate(Answer(Outcome.UNIMPLEMENTED, 'no such service'))
    assert bench.connection.ready
    assert bench.events == []


def test_a_machine_that_was_away_is_asked_for_a_new_token() -> None:
    bench = Bench()
    bench.let_in()
    bench.connection.channel(False, bench.now)
    assert not bench.connection.ready
    bench.connection.channel(True, bench.now)
    assert not bench.connection.ready
    bench.authenticate()
    assert bench.connection.ready


def test_the_answer_to_a_lost_connection_gives_no_access_to_the_next() -> None:
    bench = Bench()
    bench.connect()
    (call,) = bench.asked()
    bench.connection.channel(False, bench.now)
    bench.connection.channel(True, bench.now)
    (second,) = bench.asked()
    bench.connection.authenticated(call.number, OK, bench.now)
    assert not bench.connection.ready
    bench.connection.authenticated(second.number, OK, bench.now)
    assert bench.connection.ready


def test_a_token_is_renewed_before_it_expires_and_the_old_one_serves_meanwhile() -> None:
    bench = Bench()
    bench.let_in(lifetime=100.0)
    ((at, call),) = bench.until(99.0)
    assert (at, call.request) == (80.0, Authenticate())
    assert bench.connection.ready
    bench.connection.authenticated(call.number, Answer(Outcome.TIMED_OUT), bench.now)
    assert bench.connection.ready
    assert [call.request for _, call in bench.until(100.0)] == [Authenticate()]


def test_a_token_of_no_use_does_not_make_the_bridge_ask_without_pause() -> None:
    bench = Bench()
    bench.let_in(lifetime=1e-9)
    assert bench.asked() == []


def test_a_token_without_a_lifetime_is_not_renewed_by_itself() -> None:
    bench = Bench()
    bench.let_in()
    assert bench.until(1e6) == []


def test_a_call_that_was_not_let_in_leads_to_a_new_token() -> None:
    bench = Bench()
    bench.let_in()
    bench.refused()
    assert not bench.connection.ready
    bench.refused()  # another call of before
    bench.authenticate()
    assert bench.connection.ready
    assert bench.asked() == []


def test_a_call_that_went_with_the_old_token_says_nothing_about_the_new_one() -> None:
    bench = Bench()
    bench.let_in()
    before = bench.queue.call(ListBases())
    bench.refused()
    (authenticate,) = bench.asked()
    beside = bench.queue.call(ListBases())
    bench.connection.authenticated(authenticate.number, OK, bench.now)
    for number in (before, beside):
        bench.connection.refused(number, 'no such token', bench.now, of_base=False)
        bench.connection.refused(number, 'no such token', bench.now, of_base=True)
    assert bench.connection.ready
    assert [call.number for call in bench.asked()] == [beside]
    bench.refused()
    assert not bench.connection.ready


@pytest.mark.parametrize('authenticates', [True, False])
def test_a_base_that_refuses_has_the_machine_asked_and_no_other_base_is_concerned(
    authenticates: bool,
) -> None:
    bench = Bench(authenticates)
    if authenticates:
        bench.let_in()
    else:
        bench.connect()
    asked = []
    for _ in range(200):  # commands, at 50 Hz
        asked += [(bench.now, call.request) for call in bench.base_refused()]
        assert bench.connection.ready
        bench.now = round(bench.now + 0.02, 6)
    assert asked == [(at * ASKED_AGAIN_AFTER, ListBases()) for at in range(4)]
    assert bench.events == []


def test_a_machine_that_refuses_as_its_base_does_is_asked_for_a_new_token_at_once() -> None:
    bench = Bench()
    bench.let_in()
    for _ in range(2):
        (question,) = bench.base_refused()
        assert bench.connection.ready
        bench.connection.refused(question.number, 'no such token', bench.now, of_base=False)
        assert not bench.connection.ready
        bench.now = bench.due()
        bench.authenticate()
        assert bench.connection.ready


def test_a_machine_that_refuses_its_own_tokens_is_asked_ever_more_slowly() -> None:
    bench = Bench()
    bench.connect()
    tries = []
    while bench.now < 30.0:
        bench.authenticate()
        tries.append(bench.now)
        bench.refused()
        assert not bench.connection.ready
        bench.now = bench.due()
    assert tries == pytest.approx(
        [0.0, 0.0, 0.05, 0.15, 0.35, 0.75, 1.55, 3.15, 6.35, 12.75, 22.75]
    )
    (event,) = bench.events
    assert event == AccessRefused('main', 'no such token', tries[6])
    # One that was good for a while is replaced at once again.
    bench.authenticate()
    bench.now += 10.0
    bench.refused()
    bench.authenticate()
    assert bench.connection.ready


def test_a_wrong_key_is_tried_again_ever_more_slowly_and_reported_once_a_minute() -> None:
    bench = Bench()
    bench.connect()
    tries = []
    while bench.now < 70.0:
        bench.authenticate(WRONG_KEY)
        tries.append(bench.now)
        bench.now = bench.due()
    assert tries == [0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0]
    assert not bench.connection.ready
    assert bench.events == [AccessRefused('main', 'wrong key', at) for at in (0.0, 65.0)]


def test_without_credentials_a_refusal_is_reported_and_nothing_asked() -> None:
    bench = Bench(authenticates=False)
    bench.connect()
    for _ in range(3):
        bench.refused('who are you')
    assert bench.connection.ready
    assert bench.asked() == []
    assert bench.events == [AccessRefused('main', 'who are you', 0.0)]


@pytest.mark.parametrize('lost_later', [False, True])
def test_a_machine_that_is_not_connected_for_2_s_is_diagnosed_once_a_minute(
    lost_later: bool,
) -> None:
    bench = Bench(authenticates=False)
    bench.connection.opened(bench.now)
    if lost_later:
        bench.connection.channel(True, bench.now)
        assert bench.until(50.0) == []
        bench.connection.channel(False, bench.now)
    start = bench.now
    ((at, call),) = bench.until(start + 200.0)
    assert (at, call.request) == (start + 2.0, Diagnose())
    bench.connection.diagnosed(Answer(Outcome.OK, 'nobody is there'), bench.now)
    assert bench.events == [MachineAbsent('main', 'nobody is there', bench.now)]
    ((again, _),) = bench.until(bench.now + 200.0)
    assert again == start + 260.0


def test_one_that_connects_meanwhile_is_not_reported_to_be_absent() -> None:
    bench = Bench(authenticates=False)
    bench.connection.opened(bench.now)
    bench.until(3.0)
    bench.connection.channel(True, bench.now)
    bench.connection.diagnosed(Answer(Outcome.OK, 'nobody is there'), bench.now)
    assert bench.events == []
    assert bench.due() == NEVER


def test_one_that_was_closed_asks_nothing() -> None:
    bench = Bench()
    bench.let_in(lifetime=100.0)
    bench.connection.closed()
    assert not bench.connection.ready
    assert bench.until(1e6) == []


def test_that_access_is_refused_is_reported_once_a_minute() -> None:
    bench = Bench(authenticates=False)
    bench.connect()
    for bench.now in (0.0, 1.0, REPORTED_AGAIN_AFTER):
        bench.refused()
    assert [event.at for event in bench.events] == [0.0, REPORTED_AGAIN_AFTER]


def test_a_machine_that_was_let_go_of_and_does_not_connect_again_is_diagnosed() -> None:
    bench = Bench()
    bench.let_in()
    bench.connection.closed()
    assert not bench.connection.ready
    bench.connection.opened(bench.now)
    assert [call.request for _, call in bench.until(ABSENT_AFTER)] == [Diagnose()]


def test_a_token_for_one_that_was_let_go_of_is_ignored() -> None:
    bench = Bench()
    bench.connect()
    (call,) = bench.asked()
    bench.connection.closed()
    bench.connection.authenticated(call.number, OK, bench.now)
    bench.connection.channel(True, bench.now)
    assert not bench.connection.ready
