# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the bridge takes of the computer under abuse, over time: `python -m bench.abuse`.

Each abuse has a bridge of its own, whose other base a publisher of 50 Hz drives all the time; that
one is killed at the end, and its base's stop timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from bench.summary import Check, conditions, finish, table
from support.bad_peers import GoesAway, GoesAwayAtOnce, HangsUp, Peer
from support.bounds import Load
from support.bridge_process import BridgeProcess, WINDOW
from support.domains import own_domain, ros_environment
from support.drive import Drive, kill
from support.hostile_process import HostileProcess
from support.publisher import HEARTBEATS
from support.publisher_process import PublisherProcess
from support.usage import Usage
from support.viam_server import ViamServer

VICTIM, ABUSED = '/victim/cmd_vel', '/abused/cmd_vel'
FLOOD = 5000.0  # Hz
MIXED = '0.1,nan,inf,-inf,1e307'
CROWD = 10_000  # publishers
MACHINE_WINDOW = 2.0  # s
PLATEAU = 10.0  # MB, from the second quarter of the time to the last; reconnecting takes some
LATE = 50.0  # ms


class Stage:
    """A bridge, a viam-server with the victim's base, and whoever drives the other base."""

    def __init__(self, directory: Path, stack: ExitStack, peer: Callable[[], Peer] | None) -> None:
        """
        Begin.

        :param peer: makes the machine of the abused base, where that is not the viam-server
        """
        self._directory, self._stack = directory, stack
        self._domain = stack.enter_context(own_domain())
        os.environ.update(ros_environment(self._domain))
        server = stack.enter_context(ViamServer(directory, ['victim', 'abused'], MACHINE_WINDOW))
        machines = {'good': server.address}
        if peer is not None:
            bad = peer()
            stack.callback(bad.stop)
            machines['bad'] = bad.address
        parameters = {
            'heartbeat_window': WINDOW,
            'machine_names': list(machines),
            'machines': {
                name: {'address': address, 'insecure': True} for name, address in machines.items()
            },
            'base_names': ['victim', 'abused'],
            'bases': {
                'victim': {'machine': 'good', 'command_topics': [VICTIM]},
                'abused': {'machine': list(machines)[-1], 'command_topics': [ABUSED]},
            },
        }
        self.bridge = BridgeProcess(directory, self._domain, parameters)
        self.bridge.start(ready=False)
        stack.enter_context(self.bridge)
        self.bridge.wait_event('channel_changed', machine='good', ready=True)
        self._base = Drive(server.record, 'victim', stack.enter_context(Load()))
        self._victim = self.publisher('victim', VICTIM)
        self._base.wait_driven()

    def publisher(self, node: str, topic: str) -> PublisherProcess:
        """Start a publisher of 50 Hz."""
        publisher = PublisherProcess(self._directory, node, self._domain)
        publisher.start()
        self._stack.enter_context(publisher)
        publisher.stream(topic, forward=0.2)
        return publisher

    def hostile(self, what: str, *arguments: object, name: str = 'hostile') -> HostileProcess:
        """Start one that means harm."""
        process = HostileProcess(self._directory, self._domain, what, name, *arguments)
        return self._stack.enter_context(process)

    def stop_late(self) -> float:
        """Kill the victim and return by how many ms its base's stop was late."""
        first, last = kill(self._victim, VICTIM)
        return 1e3 * (self._base.wait_stopped(first).t - last - WINDOW)


def crowd(stage: Stage) -> Sequence[HostileProcess]:
    """Let publishers come and go."""
    return [
        stage.hostile('crowd', ABUSED, CROWD // 2, 10, 0.1, name=f'crowd_{kind}') for kind in 'ab'
    ]


def driven(stage: Stage) -> Sequence[HostileProcess]:
    """Drive the base of a machine that is none."""
    stage.publisher('driver', ABUSED)
    return []


@dataclass(frozen=True)
class Abuse:
    """What is done to the bridge; `peer` makes the machine of the abused base."""

    begin: Callable[[Stage], Sequence[HostileProcess]]
    peer: Callable[[], Peer] | None = None


ABUSES = {
    'nothing': Abuse(lambda stage: []),
    'flood for another base': Abuse(lambda stage: [stage.hostile('flood', ABUSED, FLOOD, MIXED)]),
    "flood on the victim's topic": Abuse(
        lambda stage: [stage.hostile('flood', VICTIM, FLOOD, 'nan')]),
    'flood as fast as it can': Abuse(lambda stage: [stage.hostile('flood', ABUSED, 0, MIXED)]),
    'flood of heartbeats': Abuse(lambda stage: [stage.hostile('beats', HEARTBEATS, FLOOD, 1000)]),
    'heartbeats of 1 MB': Abuse(lambda stage: [stage.hostile('beats', HEARTBEATS, 100, 1000000)]),
    'publishers that come and go': Abuse(crowd),
    'peer that goes away at each call': Abuse(driven, GoesAway),
    'peer that goes away at once': Abuse(driven, GoesAwayAtOnce),
    'peer that hangs up': Abuse(driven, HangsUp),
}  # fmt: skip


def main() -> int:
    """Abuse a bridge in each way; exit status 1 where it grew or a stop was late."""
    options = _options()
    results = conditions()
    checks = []
    for name, abuse in ABUSES.items():
        if options.only not in name:
            continue
        print(f'\n{name}', flush=True)
        with tempfile.TemporaryDirectory(prefix='abuse-') as scratch, ExitStack() as stack:
            stage = Stage(Path(scratch), stack, abuse.peer)
            usages = _watch(stage, abuse.begin(stage), options.seconds, options.every)
            late = stage.stop_late()
        quarter = max(len(usages) // 4, 1)
        before, after = (
            max(usage.memory for usage in part)
            for part in (usages[quarter : 2 * quarter] or usages, usages[-quarter:])
        )
        checks += [
            Check(f'{name}: memory stays', after - before <= PLATEAU, f'{after - before:+.1f} MB'),
            Check(f'{name}: stopped in time', late <= LATE, f'{late:.1f} ms'),
        ]
        results[name] = {'usages': [asdict(usage) for usage in usages], 'stop_late': late}
    return finish(checks, results, options.json)


def _watch(
    stage: Stage, hostile: Sequence[HostileProcess], seconds: float, every: float
) -> list[Usage]:
    """Watch for so long, longer where publishers still come, and print a table."""
    usages = [Usage.of(stage.bridge.pid)]
    rows: list[list[Any]] = []
    began = usages[0].at
    while usages[-1].at < began + seconds:
        time.sleep(every)
        usages.append(Usage.of(stage.bridge.pid))
        usage = usages[-1]
        rows.append([
            usage.at - began, usage.memory, usage.threads, usage.files,
            100.0 * usage.cpu_share(usages[-2]), sum(process.count for process in hostile),
        ])  # fmt: skip
    print(table(['s', 'MB', 'threads', 'files', '% of a core', 'sent'], rows), flush=True)
    return usages


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Memory and CPU of a bridge under abuse.')
    parser.add_argument('--seconds', type=float, default=60.0, help='of each (default: 60)')
    parser.add_argument('--every', type=float, default=5.0, help='s between rows (default: 5)')
    parser.add_argument('--only', default='', metavar='WORDS', help='abuses whose name has them')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
