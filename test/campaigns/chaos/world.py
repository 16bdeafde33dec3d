# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts with all that runs there: publishers and the bridge, two viam-servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field
import math
from pathlib import Path
import time
from typing import Any

from campaigns.chaos.checking import Bounds, Judge, Sender, SLOWEST, STEP, Trouble, Verdict
from support.bounds import Load
from support.bridge_process import BridgeProcess
from support.domains import own_domain
from support.link import two_hosts, TwoHosts
from support.publisher_process import PublisherProcess
from support.viam_server import ViamServer

TOPICS = {'one': '/left', 'two': '/both', 'three': '/far'}
RATES = {'one': 50.0, 'two': 20.0, 'three': 50.0}  # Hz
BASES = {
    'left': {'machine': 'main', 'command_topics': ['/left', '/both']},
    'right': {'machine': 'main', 'command_topics': ['/both']},
    'far': {'machine': 'sub', 'command_topics': ['/far']},
}
DRIVEN_BY = {'one': ['left'], 'two': ['left', 'right'], 'three': ['far']}
MOST_BASES = 2  # of one machine
RECOVERY = 12.0  # s until all is driven again, a start of the bridge included
REST = 2.0  # s after the last motion in which nothing is to move


def bounds_of(takes: float) -> Bounds:
    """
    Return what holds for bases whose calls take so many s.

    A machine that stops bases of its own accord, for a machine session ended, holds up all other
    commands until the last one has been stopped: a call may take as long as that besides.
    """
    call_timeout = 0.25 + takes + MOST_BASES * takes
    return Bounds(window=0.4, machine_window=1.0, call_timeout=call_timeout, takes=takes)


class BrokenError(AssertionError):
    """Something is not as it was promised, and the rest of the campaign would say little."""


@dataclass
class Life:
    """One process of a publisher."""

    process: PublisherProcess
    topic: str
    speed: float
    left: float = math.inf

    def sender(self, name: str) -> Sender:
        """Return what it noted."""
        sent = [one.before for one in self.process.sent(self.topic)]
        return Sender(name, self.speed, sent, self.left)


@dataclass
class World:
    """What runs, and what happened to it."""

    directory: Path
    bounds: Bounds
    domain: int
    hosts: TwoHosts
    load: Load
    processes: ExitStack
    environment: dict[str, str]
    lives: dict[str, list[Life]] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    kills: dict[str, list[float]] = field(default_factory=lambda: {'main': [], 'sub': []})
    recoveries: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        address = self.hosts.machine_address
        bases = {part: [b for b in BASES if BASES[b]['machine'] == part] for part in self.kills}
        self.servers = {
            part: ViamServer(
                self.directory, bases[part], self.bounds.machine_window, name=part, host=address
            )
            for part in self.kills
        }
        for part, server in self.servers.items():
            self.processes.callback(server.kill)
            self.start_machine(part)
            self.load.watch(lambda server=server: server.pid)  # type: ignore[misc]
        machines = {
            part: {
                'address': server.address,
                'insecure': True,
                'allow_plaintext': True,
                'call_timeout': self.bounds.call_timeout,
                'parent': '' if part == 'main' else 'main',
            }
            for part, server in self.servers.items()
        }
        settings: dict[str, Any] = {
            'heartbeat_window': self.bounds.window,
            'machine_names': [*machines],
            'machines': machines,
            'base_names': [*BASES],
            'bases': BASES,
        }
        # Its disk is a small one.
        disk = self.directory / 'disk'
        self.bridge = BridgeProcess(disk, self.domain, settings, environment=self.environment)
        self.bridge.inside(self.hosts.robot)
        self.bridge.start()
        self.processes.enter_context(self.bridge)
        self.load.watch(lambda: self.bridge.pid)
        for name in TOPICS:
            self.begin_life(name)

    def start_machine(self, part: str) -> None:
        """Start a machine, whose bases' calls take their time."""
        server = self.servers[part]
        server.start()
        if takes := self.bounds.takes:
            for base in BASES:
                if BASES[base]['machine'] == part:
                    server.control(base, set_velocity_delay=takes, stop_delay=takes)

    def begin_life(self, name: str) -> None:
        """Start a publisher that drives its bases."""
        number = sum(map(len, self.lives.values()))
        life = Life(
            PublisherProcess(self.directory, f'{name}{number}', self.domain),
            TOPICS[name],
            SLOWEST + STEP * number,
        )
        life.process.inside(self.hosts.robot)
        life.process.start()
        self.processes.enter_context(life.process)
        self.load.watch(lambda: life.process.pid)
        self.lives.setdefault(name, []).append(life)
        self.stream(name)

    def stream(self, name: str) -> None:
        """Have a publisher drive."""
        life = self.lives[name][-1]
        life.process.stream(life.topic, rate=RATES[name], forward=life.speed, marked=True)

    def await_driven(self, kind: str, since: float, what: str) -> None:
        """Wait until every publisher's commands move its bases again."""
        wanted = {(name, base) for name, bases in DRIVEN_BY.items() for base in bases}
        while wanted := {one for one in wanted if not self._drives(*one, since)}:
            took = time.monotonic() - since
            if not self.bridge.running:
                raise BrokenError(f'{what}: the bridge ended{self.bridge.log_end()}')
            if took > RECOVERY + self.load.since(since):
                raise BrokenError(f'{what}: {took:.1f} s later {wanted} are not driven')
            time.sleep(0.01)
        self.recoveries.append((kind, time.monotonic() - since))

    def _drives(self, name: str, base: str, since: float) -> bool:
        speed = 1000.0 * self.lives[name][-1].speed
        record = self.servers[str(BASES[base]['machine'])].record
        return any(
            entry.t > since
            and entry.linear is not None
            and speed <= entry.linear[1] < speed + 1000.0 * STEP / 2
            for entry in record.calls(base, 'set_velocity', 'begin')
        )

    def await_rest(self) -> None:
        """End all publishers' commands and wait until nothing moves, for a while."""
        for name, lives in self.lives.items():
            lives[-1].process.silence(TOPICS[name])
        began = time.monotonic()
        resting = began
        while time.monotonic() < resting + REST:
            if any(self.moving(base) for base in BASES):
                resting = time.monotonic()
            if resting > began + RECOVERY:
                restless = [base for base in BASES if self.moving(base)]
                raise BrokenError(f'{restless} move without a publisher')
            time.sleep(0.01)

    def moving(self, base: str) -> bool:
        """Return whether a base moves now."""
        return self.servers[str(BASES[base]['machine'])].record.moving(base)

    def judge(self) -> Iterator[Verdict]:
        """Yield the verdict on each base."""
        senders = [life.sender(name) for name, lives in self.lives.items() for life in lives]
        for base, settings in BASES.items():
            machine = str(settings['machine'])
            bases = sum(other['machine'] == machine for other in BASES.values())
            judge = Judge(
                machine, self.bounds, senders, self.troubles, self.load.between, bases
            )
            record = self.servers[machine].record
            yield judge.verdict(base, record.calls(base), self.kills[machine])


@contextmanager
def world(
    directory: Path, seed: int, bounds: Bounds, environment: dict[str, str]
) -> Iterator[World]:
    """Start everything; `environment` is for the bridge."""
    with (
        own_domain() as domain,
        two_hosts(directory, seed) as hosts,
        Load() as load,
        ExitStack() as processes,
    ):
        yield World(directory, bounds, domain, hosts, load, processes, environment)
