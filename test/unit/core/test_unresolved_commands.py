# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Commands without an answer, and the question that settles them (R7)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.requests import GetSessions, Outcome, RequestQueue
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.unresolved_commands import (
    Probe,
    SETTLED_AFTER_PROBE,
    SETTLED_WITHOUT_PROBE,
    UnresolvedCommands,
)


def unresolved(*deadlines: float) -> UnresolvedCommands:
    commands = UnresolvedCommands()
    for deadline in deadlines:
        commands.add(deadline)
    return commands


def test_without_one_nothing_is_asked_and_nothing_settled() -> None:
    commands = UnresolvedCommands()
    assert not commands.exist
    assert commands.probe_due() == commands.settled_at == NEVER
    assert not commands.settle(1e9)


def test_the_question_is_due_at_the_latest_deadline() -> None:
    assert unresolved(1.0, 3.0, 2.0).probe_due() == 3.0


def test_it_counts_as_answered_a_second_after_the_answer_to_a_question_past_its_deadline() -> None:
    commands = unresolved(1.0)
    commands.probed(sent_at=1.0, implemented=True, now=1.5)
    assert commands.settled_at == 1.5 + SETTLED_AFTER_PROBE
    assert not commands.settle(2.499)
    assert commands.exist
    assert commands.settle(2.5)
    assert not commands.exist


def test_a_question_from_before_its_deadline_says_nothing() -> None:
    commands = unresolved(1.0)
    commands.probed(sent_at=0.999, implemented=True, now=1.5)
    assert commands.settled_at == NEVER
    assert commands.probe_due() == 1.0


def test_where_that_is_not_implemented_ten_seconds_past_the_deadline_do() -> None:
    commands = unresolved(1.0)
    commands.probed(sent_at=1.0, implemented=False, now=5.0)
    assert commands.settled_at == 1.0 + SETTLED_WITHOUT_PROBE


def test_a_newer_one_has_the_question_asked_anew() -> None:
    commands = unresolved(1.0)
    commands.probed(sent_at=1.0, implemented=True, now=1.5)
    commands.add(2.0)
    assert commands.settled_at == NEVER
    assert commands.probe_due() == 2.0


def test_a_second_answer_does_not_put_it_off() -> None:
    commands = unresolved(1.0)
    commands.probed(sent_at=1.0, implemented=True, now=1.5)
    commands.probed(sent_at=1.6, implemented=True, now=1.7)
    assert commands.settled_at == 1.5 + SETTLED_AFTER_PROBE


def test_one_question_serves_all_bases_whose_commands_it_came_after() -> None:
    early, late, none = unresolved(1.0), unresolved(3.0), unresolved()
    queue = RequestQueue('main', 0.25)
    probe = Probe([early, late, none], queue)
    assert probe.ask(0.9) == 1.0
    assert queue.take() == []
    assert probe.ask(1.0) == probe.ask(2.0) == NEVER
    assert [call.request for call in queue.take()] == [GetSessions()]
    probe.answered(Outcome.OK, 1.5)
    assert (early.settled_at, late.settled_at, none.settled_at) == (2.5, NEVER, NEVER)
    assert probe.ask(1.5) == 3.0


def test_a_machine_without_bases_is_never_asked() -> None:
    assert Probe([], RequestQueue('main', 0.25)).ask(0.0) == NEVER


@pytest.mark.parametrize('outcome', [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CUT])
def test_without_an_answer_it_is_asked_again_after_a_pause_that_doubles(outcome: Outcome) -> None:
    probe = Probe([unresolved(1.0)], RequestQueue('main', 0.25))
    for now, again in ((1.0, 1.05), (2.0, 2.1), (3.0, 3.2)):
        assert probe.ask(now) == NEVER
        probe.answered(outcome, now)
        assert probe.ask(now) == pytest.approx(again)
