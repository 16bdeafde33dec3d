# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A base under control takes a zero velocity for a setpoint, and need not come to rest by it (R22).

rdk's sensor-controlled base, over a wheeled one. With a dead sensor its loop drives on for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import StartPublisher
from support import real_bases
from support.bounds import Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import observe, wait_for
from support.raw_client import RawClient
from support.viam_server import ViamServer
from support.wheels import Wheels

BASE = 'controlled'
BASES: dict[str, dict[str, Any]] = {BASE: {'command_topics': [f'/{BASE}/cmd_vel']}}
CALL_TIMEOUT = 1.0  # s
ROOM = 0.3  # s to rest on top of the window


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViamServer]:
    directory = tmp_path_factory.mktemp('viam_server')
    config = real_bases.sensor_controlled(BASE)
    with ViamServer(directory, [], 30.0, extra=config) as server:
        yield server


@pytest.fixture
def wheels(machine: ViamServer, load: Load) -> Wheels:
    return Wheels(machine, BASE, load, real_bases.movers(BASE))


def dead(machine: ViamServer, is_dead: bool) -> None:
    machine.do(real_bases.sensor(BASE), {'dead': is_dead}, real_bases.SENSOR)


def at_rest(machine: ViamServer) -> bool:
    with RawClient(machine.address) as raw:
        return not raw.is_moving(BASE)


def test_one_that_drives_on_under_its_zeros_is_stopped_and_driven_again(
    machine: ViamServer,
    wheels: Wheels,
    bridge: BridgeProcess,
    start_publisher: StartPublisher,
    load: Load,
) -> None:
    teleop = start_publisher('teleop')
    teleop.stream(wheels.topic, forward=0.2)
    wheels.wait_moving()
    dead(machine, True)
    zeros = teleop.stream(wheels.topic, forward=0.0)
    wheels.keeps_moving(zeros, WINDOW / 2)
    rest = wheels.wait_rest(zeros, WINDOW + ROOM)
    assert rest - zeros >= WINDOW / 2
    stopped = bridge.wait_event('stop_acknowledged', since=zeros)
    assert stopped['stop']['cause'] == 'a zero that does not stop it'
    wheels.keeps_still(4 * WINDOW)
    assert not [one for one in bridge.events('session_ended') if one['at'] >= zeros]
    dead(machine, False)
    driven = teleop.stream(wheels.topic, forward=0.2)
    load.hold(wheels.wait_moving() - driven, ROOM, driven)


def test_one_that_stands_under_its_zeros_is_left_to_its_loop(
    machine: ViamServer,
    wheels: Wheels,
    bridge: BridgeProcess,
    start_publisher: StartPublisher,
) -> None:
    dead(machine, False)
    wait_for(lambda: at_rest(machine), 'it stands')
    teleop = start_publisher('teleop')
    began = teleop.stream(wheels.topic, forward=0.0)
    bridge.wait_event('session_started', since=began)
    observe(3 * WINDOW, lambda: None)
    assert not [one for one in bridge.events('stop_acknowledged') if one['at'] >= began]
    assert at_rest(machine)
