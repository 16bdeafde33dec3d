# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The machines and bridges that a number of scripts is run on, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
import os
from pathlib import Path
from typing import Any

from campaigns.differential.comparison import Tape
from campaigns.differential.publishing import Domain, PublishingPlayer, topic
from campaigns.differential.raw import Connection, fault_of, RawPlayer
from campaigns.differential.script import Kind, Script
from campaigns.differential.targets import prefix, resource, Starvation, Target
from support.bounds import Load
from support.bridge_process import BridgeProcess, parameters
from support.domains import own_domain
from support.simulated import SimulatedMachineProcess
from support.viam_server import ViamServer

MACHINES = ('viam-server', 'simulated')
# The window of the machines behind the bridges, which so come first.
_BEHIND = 1.5  # windows of the bridge's
_LEAST_BEHIND = 0.6  # s

Machine = ViamServer | SimulatedMachineProcess


class Stage:
    """Everything that scripts of several windows need, started; for `with`."""

    def __init__(self, directory: Path, scripts: Sequence[Script]) -> None:
        """Start it: a script's bases are named after its number among the scripts."""
        self.load = Load()
        self.targets: dict[float, list[Target]] = defaultdict(list)
        self._bridges: list[BridgeProcess] = []
        self._directory = directory
        self._scripts = scripts
        with ExitStack() as stack:
            stack.enter_context(self.load)
            self.load.watch(os.getpid)
            self._start(stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        for window in sorted({script.window for script in self._scripts}):
            machines = {kind: self._machine(stack, kind, window) for kind in MACHINES}
            for kind, machine in machines.items():
                self.targets[window].append(self._raw(stack, kind, machine))
        self._bridges = [self._bridge(stack, window) for window in self.targets]
        for bridge in self._bridges:
            bridge.wait_ready()

    def check(self) -> None:
        """Assert that nothing went wrong in the bridges unforeseen."""
        for bridge in self._bridges:
            assert bridge.running, f'{bridge.name} ended{bridge.log_end()}'
            assert 'Traceback' not in bridge.output(), bridge.output()

    def _of(self, window: float) -> list[tuple[int, Script]]:
        """Return the scripts of one window, with their numbers on the stage."""
        return [one for one in enumerate(self._scripts) if one[1].window == window]

    def _machine(
        self, stack: ExitStack, kind: str, window: float, behind: float | None = None
    ) -> Machine:
        """Start a machine for the scripts of a window; `behind`: its own, behind a bridge."""
        bases = [
            resource(number, base) for number, script in self._of(window) for base in script.bases
        ]
        name = f'{kind}_{window}{"_behind" if behind else ""}'
        make = ViamServer if kind == 'viam-server' else SimulatedMachineProcess
        machine: Machine = make(self._directory, bases, behind or window, name=name)
        stack.enter_context(machine)
        self.load.watch(lambda: machine.pid)
        return machine

    def _raw(self, stack: ExitStack, kind: str, machine: Machine) -> Target:
        connection = stack.enter_context(Connection(machine.address))
        fault = fault_of(machine.control) if isinstance(machine, ViamServer) else None

        def player(script: Script, number: int) -> RawPlayer:
            return RawPlayer(connection, partial(resource, number), fault)

        name, tape = f'{kind}, spoken to', Tape(machine.record.path)
        return Target(name, Kind.RAW, tape, player, (machine.pid,))

    def _bridge(self, stack: ExitStack, window: float) -> BridgeProcess:
        """Start a bridge, in front of two machines, and note both targets."""
        behind = max(_BEHIND * window, _LEAST_BEHIND)
        machines = {kind: self._machine(stack, kind, window, behind) for kind in MACHINES}
        bases: dict[str, Any] = {}
        for kind in MACHINES:
            for number, script in self._of(window):
                bases |= _bases(kind, number, script)
        settings = parameters('', bases, heartbeat_window=window, machine_names=list(MACHINES))
        settings['machines'] = {
            kind: {'address': machine.address, 'insecure': True, 'max_sessions': 1000}
            for kind, machine in machines.items()
        }
        ros_domain = stack.enter_context(own_domain())
        bridge = BridgeProcess(self._directory, ros_domain, settings, name=f'bridge_{window}')
        bridge.start(ready=False)
        stack.enter_context(bridge)
        self.load.watch(lambda: bridge.pid)
        domain = stack.enter_context(Domain(ros_domain))
        starvation = Starvation(bridge)
        self.targets[window] += [
            _published(kind, machine, bridge, domain, starvation)
            for kind, machine in machines.items()
        ]
        return bridge


def _published(
    kind: str, machine: Machine, bridge: BridgeProcess, domain: Domain, starvation: Starvation
) -> Target:
    def player(script: Script, number: int) -> PublishingPlayer:
        return PublishingPlayer(domain, script, prefix(kind, number))

    return Target(
        f'bridge in front of {kind}',
        Kind.BRIDGE,
        Tape(machine.record.path),
        player,
        (machine.pid, bridge.pid),
        partial(starvation.watch, kind),
    )


def _bases(kind: str, number: int, script: Script) -> dict[str, Any]:
    """Return the bridge's parameters for the bases of a script on one machine."""
    name = prefix(kind, number)
    return {
        f'{name}{base}': {
            'machine': kind,
            'resource': resource(number, base),
            'sessions': 'disabled' if base in script.free else 'auto',
            'command_topics': sorted(
                {topic(name, bases) for bases in script.clients.values() if base in bases}
            )
            or [f'/{name}/{base}'],
        }
        for base in script.bases
    }
