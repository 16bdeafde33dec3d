# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A bridge on simulated time: sessions live by the steady clock, only stamps are held against it.

So a simulation that is paused, or set back, neither keeps a base moving nor stops one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import threading
import time
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
import pytest
from rosgraph_msgs.msg import Clock

from e2e.conftest import StartPublisher
from support.bridge_process import BridgeProcess, parameters, WINDOW
from support.drive import Drive
from support.own_node import OwnNode
from support.simulated import SimulatedMachineProcess

MAX_AGE = 0.5  # s
RATE = 50.0  # Hz
HOUR = 3600.0  # s
BASES: dict[str, dict[str, Any]] = {
    'plain': {'command_topics': ['/plain/cmd_vel']},
    'stamped': {
        'command_topics': ['/unused'],
        'stamped_command_topics': ['/stamped/cmd_vel'],
        'max_stamp_age': MAX_AGE,
    },
}

Drives = Callable[[str], Drive]


class Simulation(OwnNode):
    """A simulation's clock, and a publisher that lives by it."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, 'simulation')
        self._clock = self._node.create_publisher(Clock, '/clock', 10)
        self._commands = self._node.create_publisher(TwistStamped, '/stamped/cmd_vel', 10)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._ahead = HOUR  # s, of the steady clock
        self._paused_at: float | None = None
        self.streaming = False
        self.stamps_ahead = 0.0  # s, of the simulation's clock
        self._node.create_timer(1.0 / RATE, self._tick)

    def jump(self, seconds: float, heard: bool = True) -> float:
        """Set the clock ahead or back; return when. The publisher may not have heard of it."""
        with self._lock:
            self._ahead += seconds
            self.stamps_ahead -= 0.0 if heard else seconds
            return time.monotonic()

    def pause(self) -> None:
        """Let the clock stand still."""
        with self._lock:
            self._paused_at = self._now()

    def _now(self) -> float:
        if self._paused_at is not None:
            return self._paused_at
        return time.monotonic() - self._began + self._ahead

    def _tick(self) -> None:
        with self._lock:
            now = self._now()
            self._clock.publish(Clock(clock=_time(now)))
            if self.streaming:
                command = TwistStamped()
                command.header.stamp = _time(now + self.stamps_ahead)
                command.twist.linear.x = 0.2
                self._commands.publish(command)


def _time(seconds: float) -> Time:
    return Time(sec=int(seconds), nanosec=int(seconds % 1.0 * 1e9))


@pytest.fixture(scope='module')
def machine_kind() -> str:
    """Return the simulated machine: time is the bridge's matter."""
    return 'simulated'


@pytest.fixture(scope='module')
def shared_bridge(
    machine: SimulatedMachineProcess, shared_domain: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BridgeProcess]:
    """Return a bridge on simulated time."""
    settings = parameters(machine.address, BASES, use_sim_time=True)
    directory = tmp_path_factory.mktemp('bridge')
    with BridgeProcess(directory, shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def simulation(domain: int) -> Iterator[Simulation]:
    """Return a simulation whose clock runs."""
    with Simulation(domain) as simulation:
        yield simulation


@pytest.mark.parametrize('jump', [HOUR, -HOUR, 0.0])
def test_a_clock_that_jumps_or_stands_changes_nothing_for_a_session(
    bridge: BridgeProcess,
    drive: Drives,
    simulation: Simulation,
    start_publisher: StartPublisher,
    jump: float,
) -> None:
    base = drive('plain')
    teleop = start_publisher('teleop')
    began = teleop.stream('/plain/cmd_vel', forward=0.1)
    base.wait_driven(began, times=25)
    if jump:
        simulation.jump(jump)
    else:
        simulation.pause()
    base.keeps_moving(began, 2 * WINDOW)
    stop = base.stopped_after_kill(teleop, '/plain/cmd_vel')
    base.stands_still(stop.t)


@pytest.mark.parametrize('jump', [HOUR, -HOUR])
def test_stamps_are_held_against_the_simulations_clock(
    bridge: BridgeProcess, drive: Drives, simulation: Simulation, jump: float
) -> None:
    base = drive('stamped')
    simulation.streaming = True
    began = time.monotonic()
    base.wait_driven(began, times=25)
    jumped = simulation.jump(jump, heard=False)
    base.not_stopped(base.motions(began)[5].t, jumped)
    stop = base.wait_stopped(jumped)
    decided = bridge.wait_event('stop', base='stamped', cause='refused', since=jumped)
    assert decided['at'] <= stop.t
    base.stands_still(stop.t)
    simulation.stamps_ahead = 0.0
    base.wait_driven(stop.t)
    simulation.streaming = False
    base.wait_stopped(time.monotonic())
