# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""A base that the machine does not have: when that is asked, and when it is told."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from support.pure import base, machine, Rig
from viam_session_bridge.core.events import BaseKnown, BaseUnknown
from viam_session_bridge.core.missing_bases import (
    is_unknown_base,
    LISTED_WITHIN,
    LONGEST_PAUSE,
    MISSING_AFTER,
    MissingBases,
    REPORTED_AGAIN_AFTER,
)
from viam_session_bridge.core.requests import (
    Answer,
    GetMachineStatus,
    ListBases,
    Listed,
    Move,
    Outcome,
    Request,
    RequestQueue,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.timing import AT_ONCE

NO_SUCH = 'UNKNOWN: no node found with api rdk:component:base and name base'
BROKEN = {'base': 'resource build error: no motor'}
ABSENT = {'base': ''}


def answer(
    rig: Rig, lacking: Mapping[str, str], complete: bool | None, kind: type[Request]
) -> None:
    """Answer which bases there are."""
    rig.answer(kind, listed=Listed(('left', 'right'), lacking, complete))


def ask_until(
    rig: Rig,
    when: float,
    lacking: Mapping[str, str],
    complete: bool | None = True,
    kind: type[Request] = GetMachineStatus,
) -> list[float]:
    """Answer whenever that is asked; return when it was."""
    asked = []
    while True:
        if rig.pending(kind):
            asked.append(rig.now)
            answer(rig, lacking, complete, kind)
        elif rig.wake_at is None or rig.wake_at > when:
            rig.now = when
            return asked
        else:
            rig.now = max(rig.now, rig.wake_at)
            rig.tick()


def fail(rig: Rig, detail: str = NO_SUCH) -> None:
    """Let A command the base, and the machine refuse that and the stop."""
    rig.command('A')
    if rig.pending(StartSession):
        rig.answer(StartSession)
    if rig.pending(Move):
        rig.answer(Move, Outcome.FAILED, detail=detail)
    if rig.pending(StopBase):
        rig.answer(StopBase, Outcome.FAILED, detail=detail)


# At connect


def test_it_is_asked_at_connect_and_no_more_where_all_is_there() -> None:
    rig = Rig(list_bases=True)
    assert ask_until(rig, 1000.0, {}) == [0.0]
    assert rig.events_of(BaseUnknown) == []


@pytest.mark.parametrize('lacking', [ABSENT, BROKEN], ids=['absent', 'broken'])
def test_one_that_is_missing_is_reported_before_anyone_commands_it(
    lacking: Mapping[str, str],
) -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 0.0, lacking)
    unknown = BaseUnknown('base', ('left', 'right'), lacking['base'], 0.0)
    assert rig.events_of(BaseUnknown) == [unknown]


def test_while_it_is_missing_that_is_asked_now_and_then_and_reported_once_a_minute() -> None:
    rig = Rig(list_bases=True)
    asked = ask_until(rig, 130.0, ABSENT)
    assert asked[:5] == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert {later - at for at, later in pairwise(asked[4:])} == {LONGEST_PAUSE}
    assert [event.at for event in rig.events_of(BaseUnknown)] == [
        0.0, REPORTED_AGAIN_AFTER + 5.0, 2 * REPORTED_AGAIN_AFTER + 5.0,
    ]  # fmt: skip


def test_a_machine_that_is_still_making_its_bases_is_given_time() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 20.0, ABSENT, complete=False)
    ask_until(rig, 1000.0, {})
    assert rig.events_of(BaseUnknown) == []
    assert rig.events_of(BaseKnown) == []


@pytest.mark.parametrize('complete', [False, None], ids=['not yet', 'does not say'])
def test_one_that_is_missing_for_long_is_reported_whatever_the_machine_says(
    complete: bool | None,
) -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, MISSING_AFTER + LONGEST_PAUSE, ABSENT, complete)
    (event,) = rig.events_of(BaseUnknown)
    assert MISSING_AFTER <= event.at < MISSING_AFTER + LONGEST_PAUSE


def test_an_old_machine_that_has_no_status_is_asked_for_its_resources() -> None:
    rig = Rig(list_bases=True)
    rig.answer(GetMachineStatus, Outcome.UNIMPLEMENTED)
    asked = ask_until(rig, 40.0, ABSENT, None, ListBases)
    assert asked[0] == 0.0
    assert len(rig.events_of(BaseUnknown)) == 1


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_nothing_is_reported_and_it_is_asked_again(outcome: Outcome) -> None:
    rig = Rig(list_bases=True)
    rig.answer(GetMachineStatus, outcome)
    assert rig.events_of(BaseUnknown) == []
    assert ask_until(rig, 100.0, {}) == [1.0]


def test_it_is_asked_anew_at_the_next_connect_and_an_answer_of_before_is_ignored() -> None:
    rig = Rig(list_bases=True)
    rig.channel(False)
    rig.channel(True)
    assert len(rig.pending(GetMachineStatus)) == 2
    answer(rig, ABSENT, True, GetMachineStatus)
    assert rig.events_of(BaseUnknown) == []
    answer(rig, ABSENT, True, GetMachineStatus)
    assert len(rig.events_of(BaseUnknown)) == 1


def test_once_it_is_there_that_is_reported_and_asked_no_more() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 5.0, ABSENT)
    assert ask_until(rig, 1000.0, {}) == [7.0]
    assert rig.events_of(BaseKnown) == [BaseKnown('base', 7.0)]


# By a command's answer


@pytest.mark.parametrize(
    'detail',
    [
        NO_SUCH,
        'UNKNOWN: resource "rdk:component:base/base" not found',
        'NOT_FOUND: resource "rdk:component:base/rem1:base" not found',
        f'UNKNOWN: rpc error: code = Unknown desc = {NO_SUCH.removeprefix("UNKNOWN: ")}',
    ],
)
def test_a_machine_that_does_not_know_a_base_says_so_in_these_words(detail: str) -> None:
    assert is_unknown_base(Answer(Outcome.FAILED, detail))
    for outcome in Outcome:
        if outcome is not Outcome.FAILED:
            assert not is_unknown_base(Answer(outcome, detail))


@pytest.mark.parametrize(
    'detail',
    [
        'NOT_FOUND: motor 3 is not on the bus',
        'UNKNOWN: no node found with api rdk:component:motor and name left',
        'UNKNOWN: resource rdk:component:base/base not available; reason=resource build error',
        'UNKNOWN: resource "rdk:component:motor/left" not found',
        'UNKNOWN: no route: resource "rdk:component:base/base" not found',
    ],
)
def test_another_failure_does_not_say_so_and_has_nothing_asked(detail: str) -> None:
    assert not is_unknown_base(Answer(Outcome.FAILED, detail))
    rig = Rig(list_bases=True)
    ask_until(rig, 0.0, {})
    fail(rig, detail)
    assert rig.pending(GetMachineStatus) == []


def test_a_base_that_went_is_asked_for_when_a_command_finds_that_out() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 1.0, {})
    fail(rig)
    assert ask_until(rig, 1.0, ABSENT) == [1.0]
    assert [event.at for event in rig.events_of(BaseUnknown)] == [1.0]


def test_commands_that_fail_so_cost_no_questions_of_their_own() -> None:
    rig = Rig(list_bases=True)
    asked = 0
    for _ in range(200):
        rig.now += 0.1
        rig.tick()
        fail(rig)
        asked += len(ask_until(rig, rig.now, ABSENT))
    assert asked == len([0.0, 1.0, 3.0, 7.0, 15.0])


def test_one_that_takes_a_command_is_there() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 0.5, ABSENT)
    rig.drive('A')
    assert rig.events_of(BaseKnown) == [BaseKnown('base', 0.5)]
    rig.drive('A')
    assert len(rig.events_of(BaseKnown)) == 1


def test_one_that_was_never_reported_as_missing_is_not_reported_as_there() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 0.5, {})
    rig.drive('A')
    assert rig.events_of(BaseKnown) == []


def test_one_that_takes_commands_is_there_whatever_the_machine_lists() -> None:
    rig = Rig(list_bases=True)
    rig.drive('A')
    ask_until(rig, 0.1, ABSENT)
    assert rig.events_of(BaseUnknown) == []
    fail(rig)
    ask_until(rig, 0.1, ABSENT)
    assert len(rig.events_of(BaseUnknown)) == 1


def test_each_machine_is_asked_for_its_own() -> None:
    rig = Rig(
        base('left', machine='one'),
        base('right', machine='two'),
        machines=[machine('one'), machine('two')],
        list_bases=True,
    )
    assert [call.machine for call, _ in rig.calls] == ['one', 'two']


def test_a_bridge_that_is_activated_again_tells_again() -> None:
    rig = Rig(list_bases=True)
    ask_until(rig, 1.0, ABSENT)
    rig.deactivate()
    rig.channel(False)
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    ask_until(rig, 2.0, ABSENT)
    assert [event.at for event in rig.events_of(BaseUnknown)] == [0.0, 1.0]


# Several bases


class Bases(MissingBases):
    """The bases of a machine that does not say whether it has tried to make all."""

    def __init__(self) -> None:
        self._calls = RequestQueue('main', 0.25)
        super().__init__(self._calls)
        self.channel(True, 0.0)

    def lacks(self, *bases: str, now: float) -> list[BaseKnown | BaseUnknown]:
        """Ask which there are, and answer that; return what is new."""
        self.ask(now)
        self._calls.take()
        listed = Listed((), dict.fromkeys(bases, ''))
        return self.listed(self._calls.last, Answer(Outcome.OK, listed=listed), now)


def test_each_is_given_time_from_when_it_is_first_missing() -> None:
    bases = Bases()
    assert bases.lacks('one', now=0.0) == []
    assert bases.lacks('two', 'one', now=MISSING_AFTER - 1.0) == []
    assert bases.lacks('two', 'one', now=MISSING_AFTER + 9.0) == [
        BaseUnknown('one', (), '', MISSING_AFTER + 9.0)
    ]


def test_one_that_came_and_went_again_is_asked_about_at_once() -> None:
    bases = Bases()
    bases.lacks('one', now=0.0)
    bases.answered('one', Answer(Outcome.OK), 0.1)
    bases.answered('one', Answer(Outcome.FAILED, NO_SUCH), 0.2)
    assert bases.ask(AT_ONCE) == 0.2
    assert bases.lacks('one', now=0.2) == []
    (unknown,) = bases.lacks('one', now=0.2 + MISSING_AFTER)
    assert unknown.base == 'one'


def test_exactly_when_that_time_is_over_one_is_reported() -> None:
    bases = Bases()
    bases.lacks('one', now=0.0)
    assert bases.lacks('one', now=MISSING_AFTER) == [BaseUnknown('one', (), '', MISSING_AFTER)]


def test_all_that_are_there_again_are_reported() -> None:
    bases = Bases()
    bases.lacks('one', 'two', now=0.0)
    assert len(bases.lacks('one', 'two', now=MISSING_AFTER)) == 2
    found = bases.lacks(now=MISSING_AFTER + LONGEST_PAUSE)
    assert {event.base for event in found if isinstance(event, BaseKnown)} == {'one', 'two'}


def test_the_question_has_a_deadline_of_its_own() -> None:
    queue = RequestQueue('main', 0.25)
    bases = MissingBases(queue)
    bases.channel(True, 0.0)
    bases.ask(0.0)
    assert [call.timeout for call in queue.take()] == [LISTED_WITHIN]
