# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""A base that the machine does not have: it is asked which it has, and only then."""

from __future__ import annotations

import pytest

from support.pure import base, machine, Rig
from viam_session_bridge.machine import wire
from viam_session_bridge.machine.calls import ListBases, Move, Outcome, StartSession, StopBase
from viam_session_bridge.machine.happened import BaseKnown, BaseUnknown
from viam_session_bridge.machine.methods import bases_of
from viam_session_bridge.machine.missing import ASKED_AGAIN_AFTER

NO_SUCH = 'UNKNOWN: no node found with api rdk:component:base and name base'


def fail(rig: Rig, detail: str = NO_SUCH) -> None:
    """Let A command the base, and the machine refuse that and the stop."""
    rig.command('A')
    if rig.pending(StartSession):
        rig.answer(StartSession)
    if rig.pending(Move):
        rig.answer(Move, Outcome.FAILED, detail=detail)
    while rig.pending(StopBase):
        rig.answer(StopBase, Outcome.FAILED, detail=detail)


@pytest.mark.parametrize(
    'detail',
    [
        NO_SUCH,
        'NOT_FOUND: base',
        'UNKNOWN: resource "rdk:component:base/base" not found',
    ],
)
def test_the_bases_there_are_are_told(detail: str) -> None:
    rig = Rig()
    fail(rig, detail)
    assert rig.pending(ListBases) == [ListBases('base')]
    rig.answer(ListBases, bases=('left', 'right'))
    assert rig.told(BaseUnknown) == [BaseUnknown('base', ('left', 'right'), 0.0)]


@pytest.mark.parametrize(
    'detail',
    [
        'UNKNOWN: motor 3 failed',
        'UNKNOWN: no node found with api rdk:component:motor and name left',
        'FAILED_PRECONDITION: resource "rdk:component:base/base" not available',
    ],
)
def test_another_failure_is_no_reason_to_ask(detail: str) -> None:
    rig = Rig()
    fail(rig, detail)
    assert rig.pending(ListBases) == []


@pytest.mark.parametrize('outcome', [Outcome.TIMED_OUT, Outcome.CUT, Outcome.UNIMPLEMENTED])
def test_a_call_that_the_machine_did_not_answer_so_is_no_reason_to_ask(outcome: Outcome) -> None:
    rig = Rig()
    rig.command('A')
    rig.answer(StartSession)
    rig.answer(Move, outcome, detail=NO_SUCH)
    assert rig.pending(ListBases) == []


def test_one_that_is_commanded_again_and_again_is_asked_for_once_a_minute() -> None:
    rig = Rig()
    asked = 0
    while rig.now < 2.5 * ASKED_AGAIN_AFTER:
        fail(rig)
        for _ in rig.pending(ListBases):
            rig.answer(ListBases, bases=())
            asked += 1
        rig.now += 0.2
        rig.tick()
    assert asked == 3
    assert [one.at for one in rig.told(BaseUnknown)] == pytest.approx(
        [0.0, ASKED_AGAIN_AFTER, 2 * ASKED_AGAIN_AFTER], abs=1.3
    )


def test_once_it_is_there_that_is_told_once_and_a_new_failure_again() -> None:
    rig = Rig()
    fail(rig)
    rig.answer(ListBases, bases=())
    rig.until(1.0)
    assert rig.answer(StopBase, newest=True) == []
    rig.drive('A')
    assert [one.base for one in rig.told(BaseKnown)] == ['base']
    fail(rig)
    assert rig.pending(ListBases) == [ListBases('base')]


def test_an_answer_after_it_is_there_is_ignored() -> None:
    rig = Rig()
    fail(rig)
    rig.until(0.06)
    rig.answer(StopBase, newest=True)
    rig.answer(ListBases, bases=('left',))
    assert rig.told(BaseUnknown) == []


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.UNIMPLEMENTED])
def test_without_an_answer_nothing_is_told(outcome: Outcome) -> None:
    rig = Rig()
    fail(rig)
    rig.answer(ListBases, outcome)
    assert rig.told(BaseUnknown) == []


def test_the_stops_go_on_meanwhile() -> None:
    rig = Rig()
    fail(rig)
    assert (0.05, StopBase('base')) in rig.until(0.06, times_out=False)


def test_each_machine_is_asked_for_its_own() -> None:
    rig = Rig(
        base('left', machine='one'),
        base('right', machine='two'),
        machines=[machine('one'), machine('two')],
    )
    for name in ('left', 'right'):
        rig.command('A', topic=f'/{name}')
        rig.answer(StartSession)
        rig.answer(Move, Outcome.FAILED, detail=NO_SUCH)
    assert [
        (call.machine, call.request) for call, _ in rig.calls
        if isinstance(call.request, ListBases)
    ] == [('one', ListBases('left')), ('two', ListBases('right'))]


def test_of_all_that_a_machine_lists_its_bases_are_named() -> None:
    listed = wire.RESOURCE_NAMES.response()
    for kind, subtype, name in (
        ('component', 'base', 'rem1:base'),
        ('component', 'motor', 'left'),
        ('service', 'base', 'odd'),
        ('component', 'base', 'wheels'),
    ):
        listed.resources.add(namespace='rdk', type=kind, subtype=subtype, name=name)
    assert bases_of(listed) == ('rem1:base', 'wheels')
