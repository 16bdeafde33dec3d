# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the end of a call of one machine leads to, asked of the class itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.pure import configuration, machine
from viam_session_bridge.configuration.model import StopPolicy
from viam_session_bridge.core.actions import Forward
from viam_session_bridge.core.events import (
    AccessRefused,
    ChannelChanged,
    MachineAbsent,
    MachineEvent,
)
from viam_session_bridge.core.machine_control import MachineControl
from viam_session_bridge.core.readiness import ABSENT_AFTER
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Diagnose,
    Move,
    Outcome,
    Request,
    StartSession,
)
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import Velocity

OK = Answer(Outcome.OK)


class Control(MachineControl):
    """One machine with one base, opened at 0 s; calls are answered by hand."""

    def __init__(
        self, *, authenticates: bool = False, stop_policy: StopPolicy = StopPolicy.BRIDGE
    ) -> None:
        of = replace(machine(), insecure=not authenticates, environment_key=authenticates)
        super().__init__(of, configuration(machines=[of], stop_policy=stop_policy))
        self._calls: dict[type[Request], int] = {}
        self.opened(0.0)

    def end(self, kind: type[Request], answer: Answer, now: float) -> str:
        """Answer the newest call of a kind that was handed over by now; return the base or ''."""
        self.hand_over(now)
        return self.answered(self._calls.pop(kind), answer, now)

    def hand_over(self, now: float) -> None:
        self._calls |= {type(call.request): call.number for call in self.drain(now)}

    def reported(self, kind: type[MachineEvent]) -> list[MachineEvent]:
        return [event for event in self.events if isinstance(event, kind)]


def driving(stop_policy: StopPolicy = StopPolicy.BRIDGE) -> Control:
    """Have a command of A's in flight at 0 s."""
    control = Control(stop_policy=stop_policy)
    control.channel(True, 0.0)
    control.forward(Forward('base', 'A', 1, Velocity(0.3), 0.0))
    started = Answer(Outcome.OK, sid='one', window=60.0)
    assert control.end(StartSession, started, 0.0) == ''
    control.hand_over(0.0)
    return control


def test_why_a_machine_is_absent_is_reported_in_the_words_of_the_channel() -> None:
    control = Control()
    control.end(Diagnose, Answer(Outcome.CUT, 'no route to host'), ABSENT_AFTER)
    assert control.events == [MachineAbsent('main', 'no route to host', ABSENT_AFTER)]


def test_a_machine_is_ready_once_it_gave_a_token() -> None:
    control = Control(authenticates=True)
    control.channel(True, 0.0)
    assert not control.ready
    control.end(Authenticate, OK, 0.1)
    assert control.ready
    assert control.events == [ChannelChanged('main', True, 0.1)]


def test_why_it_gave_none_is_reported_in_its_words() -> None:
    control = Control(authenticates=True)
    control.channel(True, 0.0)
    control.end(Authenticate, Answer(Outcome.UNAUTHENTICATED, 'wrong key'), 0.1)
    assert not control.ready
    assert control.reported(AccessRefused) == [AccessRefused('main', 'wrong key', 0.1)]


@pytest.mark.parametrize('policy', list(StopPolicy))
@pytest.mark.parametrize('outcome', [Outcome.OK, Outcome.CANCELLED])
def test_only_a_command_that_was_displaced_tells_of_its_base(
    policy: StopPolicy, outcome: Outcome
) -> None:
    displaced = policy is StopPolicy.MACHINE and outcome is Outcome.CANCELLED
    assert driving(policy).end(Move, Answer(outcome), 0.1) == ('base' if displaced else '')


def test_a_call_of_the_machine_that_is_refused_is_reported_in_its_words() -> None:
    control = Control()
    control.channel(True, 0.0)
    control.forward(Forward('base', 'A', 1, Velocity(0.3), 0.0))
    control.end(StartSession, Answer(Outcome.UNAUTHENTICATED, 'no key'), 0.1)
    assert control.reported(AccessRefused) == [AccessRefused('main', 'no key', 0.1)]


def test_before_it_is_opened_nothing_is_due() -> None:
    control = MachineControl(machine(), configuration())
    assert control.drain(0.0) == []
    assert control.due_at == NEVER


def test_one_that_stays_unconnected_is_no_news() -> None:
    control = Control()
    control.channel(False, 0.1)
    assert control.events == []


def test_one_that_no_longer_takes_its_token_is_not_ready() -> None:
    control = Control(authenticates=True)
    control.channel(True, 0.0)
    control.end(Authenticate, OK, 0.1)
    control.forward(Forward('base', 'A', 1, Velocity(0.3), 0.1))
    control.end(StartSession, Answer(Outcome.UNAUTHENTICATED, 'no such token'), 0.2)
    assert control.reported(ChannelChanged)[1:] == [ChannelChanged('main', False, 0.2)]


def test_a_base_is_verified_no_more_once_a_command_goes_out_that_waited_meanwhile() -> None:
    control = driving(StopPolicy.MACHINE)
    control.forward(Forward('base', 'A', 1, Velocity(0.4), 0.1))
    control._verification.distrust('base', 0.0, reported=False, now=0.1)
    control.end(Move, OK, 0.2)
    control.hand_over(0.2)
    assert control._verification.bases == {}
