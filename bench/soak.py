# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A long life in a short time, with windows of 30 ms: `python -m bench.soak`.

In two layers. `shell`: the bridge without ROS on the simulated machine, until it has had so many
sessions and commands. `dds`: the whole bridge on the real viam-server, with publishers that come
and go, for so many minutes. Of each process memory, threads and descriptors are looked at, and of
the bridge the sizes of the overview and the event log with its predecessors. What is flat: after
the first quarter of the time nothing grows by more than its bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from bench.processes import Process, Workbench
from bench.soak_shell import BASES, WINDOW
from bench.summary import Check, conditions, finish, table
from support.bridge_process import BridgeProcess, parameters
from support.domains import own_domain
from support.hostile_process import HostileProcess
from support.observer import Observer
from support.ports import free_port
from support.usage import Usage
from support.viam_server import ViamServer
from viam_session_bridge.reporting.event_log import FILES_KEPT, MAX_BYTES

GROWTH = {'memory': 5.0, 'threads': 2, 'files': 4}  # MB; more than the first quarter's most
OVERVIEW = 64_000  # bytes
LOG = (FILES_KEPT + 1) * MAX_BYTES
CROWDS = 2  # processes of publishers that come and go
EVERY = 5.0  # s between two looks


@dataclass(frozen=True)
class Look:
    """What the processes took at one moment, and what the bridge had done and written."""

    usages: dict[str, Usage]
    done: dict[str, int]
    overview: int
    log: int


@dataclass
class Layer:
    """One layer's looks, and what else must hold of it."""

    looks: list[Look] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


def main() -> int:
    """Run the layers; exit status 1 where something grew or a stop is missing."""
    options = _options()
    results = conditions()
    checks: list[Check] = []
    layers: dict[str, Callable[[argparse.Namespace], Layer]] = {'shell': _runtime, 'dds': _dds}
    for name in options.layers:
        print(f'\n{name}', flush=True)
        layer = layers[name](options)
        checks += [
            Check(f'{name}: {check.what}', check.held, check.measured)
            for check in (*layer.checks, *_judge(layer.looks))
        ]
        results[name] = [asdict(look) for look in layer.looks]
    return finish(checks, results, options.json)


def _runtime(options: argparse.Namespace) -> Layer:
    layer = Layer()
    with Workbench(options.domain) as bench:
        address = f'127.0.0.1:{free_port()}'
        machine = bench.start(
            'simulation', 'viam_session_bridge.simulation', '--address', address,
            '--window', str(WINDOW), '--bases', *BASES,
        )  # fmt: skip
        machine.hear('listening')
        wanted = {'sessions': options.sessions, 'commands': options.commands}
        bridge = bench.start(
            'bridge', 'bench.soak_shell', address, str(bench.path / 'events.jsonl'),
            *map(str, wanted.values()), str(60.0 * options.minutes),
        )  # fmt: skip
        pids = {'bridge': bridge.pid, 'machine': machine.pid}
        said: dict[str, Any] = {}
        for said in _lines(bridge):
            if 'not_final' not in said:
                _look(layer, pids, said)
    done = {name: said.get(name, 0) for name in wanted}
    layer.checks += [
        Check('as much as was wanted', all(done[name] >= wanted[name] for name in wanted),
              f'{done}'),
        Check('every stop is final at the end', said.get('not_final') == [],
              f'{said.get("not_final")}, {said.get("failures")}'),
    ]  # fmt: skip
    return layer


def _dds(options: argparse.Namespace) -> Layer:
    layer = Layer()
    with tempfile.TemporaryDirectory(prefix='soak-') as scratch, ExitStack() as stack:
        enter, path = stack.enter_context, Path(scratch)
        domain = enter(own_domain())
        server = enter(ViamServer(path, BASES, WINDOW))
        bases = {base: {'command_topics': [f'/{base}/cmd_vel']} for base in BASES}
        bridge = enter(BridgeProcess(
            path, domain, {**parameters(server.address, bases), 'heartbeat_window': WINDOW},
        ))  # fmt: skip
        observer = enter(Observer(domain))
        observer.wait_services()
        crowds = [
            enter(HostileProcess(
                path, domain, 'crowd', f'crowd{number}', f'/{BASES[number]}/cmd_vel',
                10**9, 10, 0.1,
            ))
            for number in range(CROWDS)
        ]  # fmt: skip
        pids = {'bridge': bridge.pid, 'machine': server.pid}
        until = time.monotonic() + 60.0 * options.minutes
        while time.monotonic() < until:
            time.sleep(EVERY)
            overview = observer.overview()
            logs = list(path.glob(f'{bridge.event_log.name}*'))
            _look(layer, pids, {
                'sessions': max((row['id'] for row in overview['sessions']), default=0),
                'publishers': sum(crowd.count for crowd in crowds),
                'overview': len(json.dumps(overview)),
                'log': sum(file.stat().st_size for file in logs),
            })  # fmt: skip
        for crowd in crowds:
            crowd.kill()
        time.sleep(1.0)
        moving = [base for base in BASES if server.record.moving(base)]
        layer.checks.append(Check('no base moves at the end', not moving, f'{moving}'))
    return layer


def _lines(process: Process) -> Iterator[dict[str, Any]]:
    """Yield what it prints until its last line."""
    said: dict[str, Any] = {}
    while 'not_final' not in said:
        said = json.loads(process.hear('{'))
        yield said


def _look(layer: Layer, pids: Mapping[str, int], said: Mapping[str, Any]) -> None:
    """Look at the processes and print a row, unless one was printed just now."""
    now = time.monotonic()
    looks = layer.looks
    if looks and now < looks[-1].usages['bridge'].at + 0.9 * EVERY:
        return
    usages = {name: Usage.of(pid) for name, pid in pids.items()}
    done = {
        name: count for name, count in said.items()
        if isinstance(count, int) and name not in ('pid', 'overview', 'log', 'log_files')
    }  # fmt: skip
    looks.append(Look(usages, done, said['overview'], said['log']))
    first, last = looks[0], looks[-1]
    columns = ('MB', 'threads', 'files', '%')
    head = ['s', *(f'{name} {what}' for name in usages for what in columns)]
    row: list[Any] = [round(now - first.usages['bridge'].at)]
    for name, usage in usages.items():
        share = usage.cpu_share(looks[-2].usages[name]) if len(looks) > 1 else 0.0
        row += [usage.memory, usage.threads, usage.files, round(100.0 * share)]
    head += ['overview B', 'log MB']
    row += [last.overview, last.log / 1e6]
    lines = table(head, [row]).splitlines()
    print('\n'.join(lines if len(looks) == 1 else lines[1:]), last.done, flush=True)


def _judge(looks: Sequence[Look]) -> list[Check]:
    if len(looks) < 4:
        return [Check('long enough to judge', False, f'{len(looks)} looks')]
    quarter = len(looks) // 4
    checks = []
    for process in looks[0].usages:
        for what, bound in GROWTH.items():
            before, after = (
                max(getattr(look.usages[process], what) for look in part)
                for part in (looks[quarter : 2 * quarter], looks[-quarter:])
            )
            checks.append(Check(
                f'{what} of the {process} grows by {bound} at most', after - before <= bound,
                f'{before:.4g} -> {after:.4g}',
            ))  # fmt: skip
    for what, bound in (('overview', OVERVIEW), ('log', LOG)):
        most = max(getattr(look, what) for look in looks)
        checks.append(Check(f'{what} is {bound} bytes at most', most <= bound, f'{most}'))
    return checks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Memory and the like over many sessions.')
    parser.add_argument('--minutes', type=float, default=10.0,
                        help='of the dds layer, of the other at most (default: 10)')  # fmt: skip
    parser.add_argument('--sessions', type=int, default=100_000, help='(default: 100000)')
    parser.add_argument('--commands', type=int, default=1_000_000, help='(default: 1000000)')
    parser.add_argument('--layers', nargs='+', choices=['shell', 'dds'], default=['shell', 'dds'])
    parser.add_argument('--domain', type=int, help='ROS domain (default: one of 90 to 101)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
