# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""`drive_mode: power` on rdk's own bases: what the motors of both sides get (R21)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import real_bases
from support.bounds import PATIENCE
from support.bridge_process import BridgeProcess, parameters
from support.publisher_process import PublisherProcess
from support.viam_server import merged, ViamServer

MAX_LINEAR, MAX_ANGULAR = 1.0, 2.0  # m/s and rad/s at full power
POWER = {
    'drive_mode': 'power',
    'max_linear_speed': MAX_LINEAR,
    'max_angular_speed': MAX_ANGULAR,
}
BASES = {
    'wheeled': real_bases.wheeled('wheeled'),
    'sensor_controlled': real_bases.sensor_controlled('sensor_controlled'),
}


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    """Return a viam-server with these bases alone."""
    extra = merged(*BASES.values())
    with ViamServer(tmp_path_factory.mktemp('machine'), bases=(), extra=extra) as machine:
        yield machine


@pytest.fixture(scope='module')
def teleop(
    machine: ViamServer, shared_domain: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PublisherProcess]:
    """Return a publisher that drives them through a bridge."""
    directory = tmp_path_factory.mktemp('bridge')
    bases = {name: {'command_topics': [f'/{name}/cmd_vel'], **POWER} for name in BASES}
    bridge = BridgeProcess(directory, shared_domain, parameters(machine.address, bases))
    with bridge, PublisherProcess(directory, 'teleop', shared_domain) as teleop:
        yield teleop


@pytest.mark.parametrize(
    ('forward', 'turn', 'left', 'right'),
    [
        (0.5, 0.25, 0.25, 0.75),
        (0.5, -0.25, 0.75, 0.25),
        (-0.5, 0.25, -0.75, -0.25),
        (-0.5, -0.25, -0.25, -0.75),
        (0.0, 0.5, -0.5, 0.5),
        (0.0, -0.5, 0.5, -0.5),
        (0.01, 0.5, -0.49, 0.51),
        (-0.01, 0.5, -0.51, 0.49),
        (1.0, 0.25, 0.6, 1.0),
        (-1.0, 0.25, -1.0, -0.6),
        (0.5, 1.0, -1 / 3, 1.0),
    ],
    ids=[
        'forward, left', 'forward, right', 'back, counter-clockwise', 'back, clockwise',
        'in place, left', 'in place, right', 'almost in place, forward', 'almost in place, back',
        'more than full, forward', 'more than full, back', 'more than full, turning',
    ],
)  # fmt: skip
@pytest.mark.parametrize('base', BASES)
def test_both_sides_get_what_turns_the_base_as_rep_103_says(
    base: str,
    forward: float,
    turn: float,
    left: float,
    right: float,
    machine: ViamServer,
    teleop: PublisherProcess,
) -> None:
    topic = f'/{base}/cmd_vel'
    began = teleop.stream(topic, forward=forward * MAX_LINEAR, turn=turn * MAX_ANGULAR)
    motors = real_bases.movers(base)

    def powers() -> list[float | None]:
        """Return the last powers, once those of an earlier message are out of the way."""
        powers = [machine.record.calls(motor, 'set_power') for motor in motors]
        new = [[call.power for call in calls if call.t > began] for calls in powers]
        return [calls[-1] for calls in new if len(calls) >= 3]

    expected = pytest.approx([left, right], abs=1e-9)
    machine.record.wait_for(lambda _: powers() == expected, PATIENCE, f'{left}, {right}')
