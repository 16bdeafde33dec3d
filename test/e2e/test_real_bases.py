# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Driving, lapse, takeover and refusal on bases as people have them.

One viam-server has them all: a recording base, one whose calls take long, rdk's wheeled and
sensor-controlled bases, and a module in Python. Whether a base moves is read off the record of
what turns its wheels. The machine's window is so long that it stops nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
import math
from typing import Any

import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from e2e.conftest import needs_gids, StartPublisher
from support import real_bases
from support.bounds import AT_ONCE, EARLY, LATE, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import kill, observe, wait_for
from support.raw_client import RawClient
from support.viam_server import merged, ViamServer

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

pytestmark = [needs_gids, pytest.mark.parametrize('name', MOVERS)]


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


class Wheels:
    """What turns the wheels of a base, as the record has it; its times are those of effects."""

    def __init__(self, server: ViamServer, name: str, load: Load) -> None:
        self.topic = f'/{name}/cmd_vel'
        self.takes = SLOW if name == 'slow' else 0.0
        self._server, self._name, self._load = server, name, load

    def rests(self, since: float = 0.0) -> list[float]:
        """Return when the base came to rest, since then."""
        return [at for at, moving in self._changes() if not moving and at >= since]

    @property
    def moving(self) -> bool:
        """Whether the base moves now."""
        return bool(self._changes() and self._changes()[-1][1])

    def wait_moving(self) -> float:
        """Wait until the base moves, and return since when."""
        wait_for(lambda: self.moving, f'{self._name} moves')
        return self._changes()[-1][0]

    def wait_rest(self, since: float, seconds: float) -> float:
        """Wait until the base came to rest, hold it to so many seconds, and return when."""
        rest = float(wait_for(lambda: self.rests(since), f'{self._name} comes to rest')[0])
        widened = self._load.between(since, rest)
        assert rest - since <= seconds + widened, (
            f'{self._name} came to rest {rest - since:.3f} s later, not within {seconds:.3f} s'
            f' (widened by {widened:.3f} s for load)'
        )
        return rest

    def keeps_moving(self, since: float, seconds: float) -> None:
        """Watch for so many seconds that the base does not rest; nor did it since then."""
        observe(seconds, lambda: self._expect(not self.rests(since), 'rested'))
        self._expect(self.moving, 'rests')

    def keeps_still(self, seconds: float) -> None:
        """Watch for so many seconds that the base does not move, and ask it in the end."""
        observe(seconds, lambda: self._expect(not self.moving, 'moves'))
        with RawClient(self._server.address) as raw:
            self._expect(not raw.is_moving(self._name), 'says that it moves')

    def _expect(self, true: bool, said: str) -> None:
        assert true, f'{self._name} {said}: {self._changes()[-10:]}'

    def _changes(self) -> list[tuple[float, bool]]:
        """Return when the base began to move or came to rest, and which of both."""
        turning = dict.fromkeys(MOVERS[self._name], False)
        changes: list[tuple[float, bool]] = []
        for entry in self._server.record.calls():
            if entry.base in turning and entry.takes_effect and entry.call != 'is_moving':
                turning[entry.base] = entry.is_motion
                moving = any(turning.values())
                if moving != bool(changes and changes[-1][1]):
                    changes.append((entry.t, moving))
        return changes


@pytest.fixture
def wheels(name: str, machine: ViamServer, bridge: BridgeProcess, load: Load) -> Wheels:
    """Return those of a base that rests."""
    wheels = Wheels(machine, name, load)
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
    lapsed(wheels, kill(teleop, wheels.topic))


def test_a_taker_drives_on_when_the_one_before_lapses_and_its_own_lapse_stops_it(
    wheels: Wheels, start_publisher: StartPublisher
) -> None:
    first, taker = start_publisher('first'), start_publisher('taker')
    first.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    taken = taker.stream(wheels.topic, forward=0.3)
    kill(first, wheels.topic)
    wheels.keeps_moving(taken, 3 * WINDOW)
    lapsed(wheels, kill(taker, wheels.topic))


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
    widened = load.between(since, moves)
    assert moves - since <= 2 * wheels.takes + AGAIN + widened, f'{moves - since:.3f} s later'
    wheels.keeps_moving(moves, 2 * WINDOW)
