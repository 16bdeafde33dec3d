# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the core hands out: calls in their order, events, machines to open and to let go of."""

from __future__ import annotations

from dataclasses import replace

from support.pure import base, configuration, go, left_to_machine, machine, Rig
from viam_session_bridge.core.actions import Refusal, Refused
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.events import LeftToMachine, MachineClosed
from viam_session_bridge.core.requests import Answer, Call, Outcome, StartSession, StopBase
from viam_session_bridge.core.velocity import Velocity

LEVEL_TIMEOUT = 1.5


def of_two() -> Bridge:
    """Have a base on a machine and one on its sub-part; both machines are connected."""
    main, arm = machine(), replace(machine('arm'), parent='main')
    bases = base('base', '/both'), base('hand', '/both', machine='arm')
    bridge = Bridge(
        replace(configuration(*bases, machines=[main, arm]), level_timeout=LEVEL_TIMEOUT)
    )
    for name in bridge.machines:
        bridge.channel(name, True, 0.0)
    return bridge


def answer(bridge: Bridge, calls: list[Call], now: float) -> list[Call]:
    """Answer calls; return those that follow."""
    for call in calls:
        sid = f'of {call.machine}' if isinstance(call.request, StartSession) else ''
        bridge.answered(call, Answer(Outcome.OK, sid=sid, window=60.0 if sid else 0.0), now)
    return bridge.drain(now).calls


def test_before_it_is_activated_commands_are_refused() -> None:
    bridge = of_two()
    bridge.command('A', '/both', Velocity(0.3), None, 0.0)
    refused = [event for event in bridge.drain(0.0).events if isinstance(event, Refused)]
    assert {one.reason for one in refused} == {Refusal.INACTIVE}


def test_machines_are_opened_once_main_parts_first() -> None:
    bridge = of_two()
    assert bridge.drain(0.0).opened == []
    assert not bridge.is_open('arm')
    bridge.activate(0.0)
    out = bridge.drain(0.0)
    assert (out.opened, out.closed) == (['main', 'arm'], [])
    assert bridge.is_open('arm')
    assert bridge.drain(0.0).opened == []


def test_stops_go_to_sub_parts_first_and_before_all_else() -> None:
    bridge = of_two()
    bridge.activate(0.0)
    answer(bridge, bridge.drain(0.0).calls, 0.0)
    bridge.command('A', '/both', Velocity(0.3), None, 0.0)
    answer(bridge, answer(bridge, bridge.drain(0.0).calls, 0.0), 0.0)
    bridge.command('B', '/both', Velocity(0.4), None, 0.1)
    bridge.left('B', 0.1)
    requests = [call.request for call in bridge.drain(0.1).calls]
    assert requests == [StopBase('hand'), StopBase('base')]


def test_a_main_part_is_let_go_of_after_its_sub_part_or_the_level_timeout() -> None:
    bridge = of_two()
    bridge.activate(0.0)
    answer(bridge, bridge.drain(0.0).calls, 0.0)
    bridge.command('A', '/both', Velocity(0.3), None, 0.0)
    answer(bridge, answer(bridge, bridge.drain(0.0).calls, 0.0), 0.0)
    bridge.deactivate(1.0)
    stops = [call for call in bridge.drain(1.0).calls if isinstance(call.request, StopBase)]
    of_arm, of_main = stops
    answer(bridge, [of_main], 1.1)
    assert not bridge.closed
    out = bridge.drain(1.1 + LEVEL_TIMEOUT - 0.01)
    assert (out.closed, out.wake_at) == ([], 1.1 + LEVEL_TIMEOUT)
    out = bridge.drain(1.1 + LEVEL_TIMEOUT)
    assert out.closed == ['main']
    assert out.events == [MachineClosed('main', 1.1 + LEVEL_TIMEOUT)]
    bridge.answered(of_arm, Answer(Outcome.OK), 4.0)
    assert bridge.drain(4.0).closed == ['arm']
    assert bridge.closed
    assert bridge.drain(5.0).closed == []


def test_a_base_that_is_left_to_its_machine_keeps_no_other_from_that() -> None:
    rig = left_to_machine(base('base'), base('arm'))
    rig.drive('A', topic='/arm')
    rig.left('A')
    assert [event.base for event in rig.events_of(LeftToMachine)] == ['arm', 'base']


def test_a_command_goes_to_every_base_of_its_topic() -> None:
    rig = Rig(base('left', '/both'), base('right', '/both'))
    rig.command('A', 0.3, '/both')
    assert rig.answer(StartSession) == [go(0.3, name='left'), go(0.3, name='right')]
