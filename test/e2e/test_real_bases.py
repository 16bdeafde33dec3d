# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Driving, lapse, takeover and refusal on bases as people have them.

One viam-server has them all: a recording base, one whose calls take long, rdk's wheeled and
sensor-controlled bases, and a module in Python. The machine's window is so long that it stops
nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
import math
from typing import Any

import pytest

pytest.importorskip('viam', reason='a module is written with viam-sdk')

from e2e.conftest import StartPublisher
from support import real_bases
from support.bounds import AT_ONCE, EARLY, LATE, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import freeze, wait_for
from support.viam_server import merged, ViamServer
from support.wheels import Wheels

SLOW = 0.4  # s that SetVelocity and Stop of the slow base take
ROOM = 0.3  # s to rest on top of what the Stop takes (R7)
AGAIN = 0.5  # s to drive again on top of what the calls take, after a refusal
MACHINE_WINDOW = 30.0  # s
CALL_TIMEOUT = 1.0  # s, longer than the slow base takes
MOVERS = {
    'fast': ('fast',),
    'slow': ('slow',),
    'wheeled': real_bases.movers('wheeled'),
    'controlled': real_bases.movers('controlled'),
    'module': ('module',),
}
BASES: dict[str, dict[str, Any]] = {
    name: {'command_topics': [f'/{name}/cmd_vel']} for name in MOVERS
}

pytestmark = [pytest.mark.parametrize('name', MOVERS)]


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    configs = [
        real_bases.wheeled('wheeled'),
        real_bases.sensor_controlled('controlled'),
        real_bases.module('module'),
    ]
    extra: Any = reduce(merged, configs)
    directory = tmp_path_factory.mktemp('viam_server')
    with ViamServer(directory, ['fast', 'slow'], MACHINE_WINDOW, extra=extra) as server:
        server.control('slow', set_velocity_delay=SLOW, stop_delay=SLOW)
        yield server


@pytest.fixture
def wheels(name: str, machine: ViamServer, bridge: BridgeProcess, load: Load) -> Wheels:
    """Return those of a base that rests."""
    takes = SLOW if name == 'slow' else 0.0
    wheels = Wheels(machine, name, load, MOVERS[name], takes)
    wait_for(lambda: not wheels.moving, f'{name} rests')
    return wheels


def lapsed(wheels: Wheels, sent: tuple[float, float]) -> None:
    """Hold the base to rest one window after the last sign of life, and to stay so."""
    rest = wheels.wait_rest(sent[1], WINDOW + LATE + wheels.takes + ROOM)
    assert rest - sent[0] >= WINDOW - EARLY
    wheels.keeps_still(3 * WINDOW)


def test_it_is_driven_for_as_long_as_its_publisher_lives_and_stopped_when_that_lapses(
    wheels: Wheels, start_publisher: StartPublisher
) -> None:
    teleop = start_publisher('teleop')
    teleop.stream(wheels.topic, forward=0.2)
    wheels.keeps_moving(wheels.wait_moving(), 4 * WINDOW)
    lapsed(wheels, freeze(teleop, wheels.topic))


def test_a_taker_drives_on_when_the_one_before_lapses_and_its_own_lapse_stops_it(
    wheels: Wheels, start_publisher: StartPublisher
) -> None:
    first, taker = start_publisher('first'), start_publisher('taker')
    first.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    taken = taker.stream(wheels.topic, forward=0.3)
    freeze(first, wheels.topic)
    wheels.keeps_moving(taken, 3 * WINDOW)
    lapsed(wheels, freeze(taker, wheels.topic))


def test_a_refused_command_stops_it_and_the_next_good_one_drives_it(
    wheels: Wheels, start_publisher: StartPublisher, load: Load
) -> None:
    teleop = start_publisher('teleop')
    teleop.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    refused = teleop.stream(wheels.topic, forward=math.nan)
    wheels.wait_rest(refused, AT_ONCE + wheels.takes + ROOM)
    wheels.keeps_still(2 * WINDOW)
    drives_again(wheels, teleop.stream(wheels.topic, forward=0.2), load)


def test_one_refused_command_among_good_ones_stops_it_and_it_is_driven_on(
    name: str,
    wheels: Wheels,
    bridge: BridgeProcess,
    start_publisher: StartPublisher,
    load: Load,
) -> None:
    teleop = start_publisher('teleop')
    teleop.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    refused = teleop.stream(wheels.topic, forward=math.nan)
    # Of what waits the newest counts: the good one must not overtake it.
    bridge.wait_event('stop', since=refused, base=name, cause='refused')
    good = teleop.stream(wheels.topic, forward=0.2)
    wheels.wait_rest(refused, AT_ONCE + wheels.takes + ROOM)
    drives_again(wheels, good, load)


def drives_again(wheels: Wheels, since: float, load: Load) -> None:
    """Hold the base to be driven again soon, and on."""
    moves = wheels.wait_moving()
    load.hold(moves - since, 2 * wheels.takes + AGAIN, since, moves)
    wheels.keeps_moving(moves, 2 * WINDOW)
