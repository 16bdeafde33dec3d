# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Which stop goes out first (R18), over many lapses of a bridge without ROS.

Shown where the bridge lets go of them, as they are handed to gRPC. In which order they arrive is
up to three connections and three servers: on an idle computer mostly in this one, 0.3 to 0.9 ms
apart at the median.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import time

import pytest

from e2e.hierarchy.conftest import ON_TIME, PARENTS, Tree
from support.bounds import Load
from support.drive import wait_for
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.requests import Answer, Call, StopBase
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.runtime import Runtime
from viam_session_bridge.viam.channel import Channel

pytestmark = pytest.mark.fast_bases('all that is judged is over before a Stop ends')

WINDOW = 0.06  # s
LAPSES = 15
UPSIDE_DOWN = {'main': 'arm', 'arm': 'hand', 'hand': ''}  # the deepest first


def configuration(tree: Tree, parents: dict[str, str]) -> Configuration:
    machines = tuple(
        MachineConfiguration(part, tree[part].address, True, 0.25, 256, False, parent)
        for part, parent in parents.items()
    )
    bases = tuple(
        BaseConfiguration(
            part, part, part, ('/all',), (), SessionsMode.AUTO, DriveMode.VELOCITY, 0.0, 0.0, 0.0
        )
        for part in parents
    )
    return Configuration(WINDOW, 2.0, '', machines, bases)


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Call, float]]:
    """Return the stops that are handed to gRPC, and when, as it happens."""
    stops: list[tuple[Call, float]] = []
    hand_over = Channel.hand_over

    def noted(self: Channel, call: Call, done: Callable[[Call, Answer], None]) -> None:
        if isinstance(call.request, StopBase):
            stops.append((call, time.monotonic()))
        hand_over(self, call, done)

    monkeypatch.setattr(Channel, 'hand_over', noted)
    return stops


class Running:
    """A bridge without ROS that drives all three bases and lets them lapse; for `with`."""

    def __init__(self, tree: Tree, parents: dict[str, str]) -> None:
        self._tree = tree
        self._failures: list[BaseException] = []
        self._runtime = Runtime(configuration(tree, parents), lambda: None, self._failures.append)

    def __enter__(self) -> Running:
        self._runtime.start()
        self._runtime.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self._runtime.close()
        assert self._failures == []

    def wait_connected(self) -> None:
        """Wait until all machines may be driven."""

        def connected(bridge: Bridge, _: float) -> bool:
            return all(machine.ready for machine in bridge.machines.values())

        wait_for(lambda: self._runtime.look(connected), 'connected')

    def lapse(self) -> dict[str, float]:
        """Drive all, fall silent, and return when each base got its stop."""
        since = time.monotonic()

        def began(part: str, call: str) -> list[float]:
            entries = self._tree[part].record.calls(part, call, 'begin')
            return [entry.t for entry in entries if entry.t >= since]

        def driven() -> bool:
            self._runtime.command('client', '/all', Velocity(x=0.2))
            return all(began(part, 'set_velocity') for part in self._tree)

        wait_for(driven, 'all are driven')
        wait_for(lambda: all(began(part, 'stop') for part in self._tree), 'all are stopped')
        wait_for(lambda: not self._runtime.look(lambda bridge, _: bridge.not_final()), 'for good')
        return {part: began(part, 'stop')[0] for part in self._tree}


def first_tries(stops: list[tuple[Call, float]]) -> list[tuple[str, float]]:
    """
    Return each machine's first stop, in the order of handing over.

    Another thread may hand over the second of one machine (a command to it was answered) before
    the lapse clock has come to its first.
    """
    first = {
        machine: min(call.number for call, _ in stops if call.machine == machine)
        for machine in PARENTS
    }
    return [(call.machine, at) for call, at in stops if call.number == first[call.machine]]


@pytest.mark.parametrize('parents', [PARENTS, UPSIDE_DOWN], ids=['hand below', 'main below'])
def test_stops_go_out_deepest_first_in_the_same_instant(
    handed_over: list[tuple[Call, float]], load: Load, parents: dict[str, str], tree: Tree
) -> None:
    load.watch(os.getpid)
    with Running(tree, parents) as running:
        running.wait_connected()
        for _ in range(LAPSES):
            handed_over.clear()
            since = time.monotonic()
            arrived = running.lapse().values()
            out = first_tries(handed_over)
            assert [machine for machine, _ in out] == list(parents)
            load.hold(out[-1][1] - out[0][1], ON_TIME, since)
            load.hold(max(arrived) - min(arrived), ON_TIME, since)
