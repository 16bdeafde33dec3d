# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R16: sessions of other clients under the bridge's own policy are reported."""

from __future__ import annotations

from support.pure import Rig
from viam_session_bridge.configuration.model import StopPolicy
from viam_session_bridge.core.events import ForeignSessions
from viam_session_bridge.core.requests import GetSessions, Outcome, Purpose
from viam_session_bridge.core.stop_policy import REPORTED_AGAIN


def reported(policy: StopPolicy, sids: tuple[str, ...]) -> list[int]:
    rig = Rig(stop_policy=policy)
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    if rig.channel(True):
        rig.answer(GetSessions, sids=sids)
    assert rig.pending(GetSessions) == []
    rig.channel(False)
    assert rig.channel(True) == []  # once
    assert {one.machine for one in rig.events_of(ForeignSessions)} <= {'main'}
    return [one.count for one in rig.events_of(ForeignSessions)]


def test_foreign_sessions_are_reported_at_activation() -> None:
    assert reported(StopPolicy.BRIDGE, ('of the app', 'of another')) == [2]


def test_without_foreign_sessions_nothing_is_reported() -> None:
    assert reported(StopPolicy.BRIDGE, ()) == []


def test_sessions_of_a_bridge_that_this_node_had_before_are_its_own() -> None:
    before, rig = Rig(), Rig()
    before.drive('A')
    (sid,) = before.bridge.started_sids()['main']
    rig.bridge.remember({'main': [sid], 'gone': ['of a machine that is configured no more']})
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.answer(GetSessions, sids=(sid, 'of the app'))
    assert [one.count for one in rig.events_of(ForeignSessions)] == [1]
    assert rig.bridge.started_sids() == {'main': [sid]}


def test_a_machine_that_this_node_did_not_have_before_has_no_sessions_of_its_own() -> None:
    rig = Rig()
    rig.bridge.remember({'gone': ['of a machine that is configured no more']})
    assert rig.bridge.started_sids() == {'main': []}


def test_without_an_answer_it_is_asked_again() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.answer(GetSessions, Outcome.TIMED_OUT)
    assert rig.until(rig.now + 1.0) == [(1.0, GetSessions(Purpose.REPORT))]
    rig.answer(GetSessions, sids=('of the app',))
    assert [one.count for one in rig.events_of(ForeignSessions)] == [1]


def test_others_that_come_later_are_reported_and_so_is_that_they_are_gone() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    for sids in ((), ('of the app',), ('of the app', 'of another'), (), ()):
        rig.answer(GetSessions, sids=sids)
        assert rig.pending(GetSessions) == []
        rig.until(rig.now + REPORTED_AGAIN)
    assert [(one.count, one.at) for one in rig.events_of(ForeignSessions)] == [
        (1, REPORTED_AGAIN), (0, 3 * REPORTED_AGAIN)
    ]  # fmt: skip


def test_a_machine_that_cannot_tell_of_others_is_not_asked_again() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.answer(GetSessions, Outcome.UNIMPLEMENTED)
    assert rig.until(rig.now + 10 * REPORTED_AGAIN) == []


def test_after_its_end_a_machine_is_not_asked_for_others() -> None:
    rig = Rig()
    rig.deactivate()
    rig.feed(lambda: rig.bridge.activate(rig.now))
    rig.channel(True)
    rig.deactivate()
    rig.answer(GetSessions, sids=('of the app',))
    assert rig.until(rig.now + 10 * REPORTED_AGAIN) == []
    assert rig.events_of(ForeignSessions) == []


def test_under_the_machines_policy_nothing_is_reported() -> None:
    assert reported(StopPolicy.MACHINE, ('of the app',)) == []
