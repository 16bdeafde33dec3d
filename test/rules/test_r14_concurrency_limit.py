# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A machine gets a few commands at once; the others wait for their turn, stops never (R14)."""

from __future__ import annotations

import pytest

from support import pure
from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.concurrency_limit import MOST, YOUNG
from viam_session_bridge.core.machine_control import MachineControl
from viam_session_bridge.core.requests import (
    Answer,
    Call,
    Listed,
    Move,
    Outcome,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity

BASES = [f'base{number}' for number in range(3 * MOST)]
WINDOW = 0.4  # s


class Machine:
    """A protocol whose machine is connected and knows the client's session."""

    def __init__(self) -> None:
        self.protocol = MachineControl(
            pure.machine(),
            pure.configuration(*(pure.base(name) for name in BASES), window=WINDOW),
        )
        self.protocol.channel(True, 0.0)
        (question,) = self.drain(0.0)
        listed = Listed(tuple(BASES), {}, True)
        self.protocol.answered(question.number, Answer(Outcome.OK, listed=listed), 0.0)
        self.command('base0', 0.0)
        (start,) = self.drain(0.0)
        assert isinstance(start.request, StartSession)
        self.protocol.answered(start.number, Answer(Outcome.OK, sid='sid', window=2.0), 0.0)
        self.answer(self.drain(0.0), 0.0)

    def command(self, base: str, now: float, speed: float = 0.1) -> None:
        self.protocol.forward(Forward(base, 'client', 1, Velocity(x=speed), now))

    def drain(self, now: float) -> list[Call]:
        return self.protocol.drain(now)

    def answer(self, calls: list[Call], now: float) -> None:
        for call in calls:
            self.protocol.answered(call.number, Answer(Outcome.OK), now)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def bases(calls: list[Call]) -> list[str]:
    """Return the bases that are commanded; nothing else is asked."""
    assert all(isinstance(call.request, Move) for call in calls)
    return [call.request.base for call in calls if isinstance(call.request, Move)]


def test_a_few_go_at_once_and_the_others_in_their_turn(machine: Machine) -> None:
    for base in BASES:
        machine.command(base, 0.1)
    gone = []
    for _ in range(3):
        calls = machine.drain(0.1)
        assert len(calls) == MOST
        gone += bases(calls)
        machine.answer(calls, 0.1)
    assert gone == BASES
    assert not machine.drain(0.1)


def test_one_answer_makes_room_for_one(machine: Machine) -> None:
    for base in BASES:
        machine.command(base, 0.1)
    first = machine.drain(0.1)
    machine.answer(first[:1], 0.102)
    assert bases(machine.drain(0.102)) == [BASES[MOST]]
    assert not machine.drain(0.102)


def test_who_has_to_wait_sends_the_newest_and_keeps_its_turn(machine: Machine) -> None:
    for base in BASES:
        machine.command(base, 0.1)
    first = machine.drain(0.1)
    machine.command(BASES[-1], 0.101, 0.2)
    machine.command(BASES[MOST], 0.102, 0.3)
    assert not machine.drain(0.102)
    machine.answer(first, 0.103)
    second = machine.drain(0.103)
    assert bases(second) == BASES[MOST : 2 * MOST]
    request = second[0].request
    assert isinstance(request, Move)
    assert request.velocity.x == 0.3


def test_who_comes_later_waits_behind_those_who_wait(machine: Machine) -> None:
    for base in BASES[: MOST + 1]:
        machine.command(base, 0.1)
    first = machine.drain(0.1)
    machine.answer(first[:1], 0.101)
    machine.command(BASES[-1], 0.101)
    assert bases(machine.drain(0.101)) == [BASES[MOST]]
    machine.answer(first[1:2], 0.102)
    assert bases(machine.drain(0.102)) == [BASES[-1]]


def test_a_call_that_takes_long_keeps_nobody_waiting_for_long(machine: Machine) -> None:
    for base in BASES:
        machine.command(base, 0.1)
    assert len(machine.drain(0.1)) == MOST
    due = machine.protocol.due_at
    assert due == pytest.approx(0.1 + YOUNG)
    assert not machine.drain(0.1 + YOUNG - 1e-6)
    machine.protocol.tick(0.1 + YOUNG + 1e-6)
    assert bases(machine.drain(0.1 + YOUNG + 1e-6)) == BASES[MOST : 2 * MOST]


def test_a_stop_waits_for_no_turn(machine: Machine) -> None:
    machine.command(BASES[-1], 0.1)
    machine.answer(machine.drain(0.1), 0.1)
    for base in BASES[:-1]:
        machine.command(base, 0.2)
    assert len(machine.drain(0.2)) == MOST
    for base in BASES:
        machine.protocol.stop(Stop(base, Cause.LAPSE, 'client', 0.2, 1, 0.1))
    stops = [call.request for call in machine.drain(0.2)]
    # Those that were never handed a command, and whose commands wait no longer, too.
    assert stops == [StopBase(base) for base in BASES]


def test_a_turn_whose_command_is_gone_passes_to_the_next(machine: Machine) -> None:
    for base in BASES:
        machine.command(base, 0.1)
    first = machine.drain(0.1)
    for base in BASES[MOST : 2 * MOST]:
        machine.protocol.stop(Stop(base, Cause.LAPSE, 'client', 0.1, 1, 0.1))
    machine.answer(machine.drain(0.1), 0.1)  # the stops
    machine.answer(first, 0.101)
    now, gone = 0.101, bases(machine.drain(0.101))
    while machine.protocol.due_at <= now:
        machine.protocol.tick(now)
        gone += bases(machine.drain(now))
    assert gone == BASES[2 * MOST :]


def test_a_command_that_waited_a_whole_window_for_its_turn_has_failed(machine: Machine) -> None:
    machine.command(BASES[-1], 0.1)
    machine.answer(machine.drain(0.1), 0.1)
    for base in BASES[: MOST + 1]:
        machine.command(base, 0.1)
    machine.drain(0.1)
    # Not looked at for a whole window: the process was frozen, say.
    machine.protocol.tick(0.1 + WINDOW)
    requests = [call.request for call in machine.drain(0.1 + WINDOW)]
    assert StopBase(BASES[MOST]) in requests
    assert not any(isinstance(one, Move) and one.base == BASES[MOST] for one in requests)
