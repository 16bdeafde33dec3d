# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How each kind of fault begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import resource
import subprocess
import sys
import time

from campaigns.chaos.schedule import Planned
from campaigns.chaos.world import World
from support.link_relay import TO_MACHINE, TO_ROBOT

EVERYTHING = frozenset({'main', 'sub'})
SETTLES = 0.5  # s after everything is driven again, in which what came late may still act
CLOCK_SEEN = 2.1
"""
s after it was set, by when the bridge has seen that: libfaketime looks again when the second after
the next one begins. Its publishers' clock is not set with it, as it would be on a real computer:
what they send is old then, until it has been so for a window (R2).
"""

BUSY = 3  # processes
CLOCK_STEPS = 7200.0  # s, at most, in either direction
MEMORY = 8e6  # bytes that the bridge may have more than it has
DESCRIPTORS = 2  # that it may have more

Run = Callable[[World, Planned], Iterator[None]]
"""Begins a fault, yields while it lasts, and mends it."""


@dataclass(frozen=True)
class Kind:
    """What a kind of fault does, and whom it comes between."""

    run: Run
    between: frozenset[str] = frozenset()
    holds_back: bool = False
    frozen: bool = False
    fails_calls: bool = False


def set_clock(environment: Mapping[str, str], offset: float) -> None:
    """Set the wall clock of the processes with that environment to be off by so many s."""
    file = Path(environment['FAKETIME_TIMESTAMP_FILE'])
    other = file.with_suffix('.new')
    other.write_text(f'{offset:+.3f}')
    other.rename(file)  # who reads it meanwhile reads all of it


def _publisher_killed(world: World, fault: Planned) -> Iterator[None]:
    world.lives[fault.publisher][-1].process.kill()
    yield
    world.begin_life(fault.publisher)


def _publisher_leaves(world: World, fault: Planned) -> Iterator[None]:
    life = world.lives[fault.publisher][-1]
    life.left = time.monotonic()
    life.process.leave()
    yield
    world.begin_life(fault.publisher)


def _publisher_frozen(world: World, fault: Planned) -> Iterator[None]:
    process = world.lives[fault.publisher][-1].process
    process.pause()
    yield
    process.resume()


def _publisher_silent(world: World, fault: Planned) -> Iterator[None]:
    life = world.lives[fault.publisher][-1]
    life.process.silence(life.topic)
    yield
    world.stream(fault.publisher)


def _bridge_killed(world: World, fault: Planned) -> Iterator[None]:
    world.bridge.kill()
    yield
    world.bridge.start(ready=False)


def _bridge_frozen(world: World, fault: Planned) -> Iterator[None]:
    world.bridge.pause()
    yield
    world.bridge.resume()


def _bridge_ended(world: World, fault: Planned) -> Iterator[None]:
    status = world.bridge.terminate()
    assert status in (0, 1), f'the bridge ended with {status}{world.bridge.log_end()}'
    yield
    world.bridge.start(ready=False)


def _killed(part: str) -> Run:
    def run(world: World, fault: Planned) -> Iterator[None]:
        server = world.servers[part]
        server.kill()
        world.kills[part].append(time.monotonic())
        yield
        world.start_machine(part)

    return run


def _frozen(part: str) -> Run:
    def run(world: World, fault: Planned) -> Iterator[None]:
        server = world.servers[part]
        server.pause()
        yield
        server.resume()

    return run


def _link(**most: float) -> Run:
    """Make the link bad, by up to so much."""

    def run(world: World, fault: Planned) -> Iterator[None]:
        condition = {name: value * (0.2 + 0.8 * fault.amount) for name, value in most.items()}
        world.hosts.link.become(None, **condition)
        yield
        world.hosts.link.heal()

    return run


def _cut(direction: str | None = None) -> Run:
    """Cut one direction of the link, or both."""

    def run(world: World, fault: Planned) -> Iterator[None]:
        world.hosts.link.become(direction, cut=True)
        yield
        world.hosts.link.heal()

    return run


def _cores_busy(world: World, fault: Planned) -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _disk_full(world: World, fault: Planned) -> Iterator[None]:
    filler = world.bridge.event_log.parent / 'filler'
    with filler.open('wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


def _clock_set(world: World, fault: Planned) -> Iterator[None]:
    set_clock(world.environment, CLOCK_STEPS * (2 * fault.amount - 1))
    yield
    set_clock(world.environment, 0.0)


@contextmanager
def _limited(pid: int, what: int, soft: int) -> Iterator[None]:
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        if os.path.exists(f'/proc/{pid}'):
            resource.prlimit(pid, what, before)


def _descriptors_short(world: World, fault: Planned) -> Iterator[None]:
    pid = world.bridge.pid
    has = len(os.listdir(f'/proc/{pid}/fd'))
    with _limited(pid, resource.RLIMIT_NOFILE, has + DESCRIPTORS):
        yield


def _memory_short(world: World, fault: Planned) -> Iterator[None]:
    pid = world.bridge.pid
    has = int(Path(f'/proc/{pid}/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    with _limited(pid, resource.RLIMIT_AS, has + int(MEMORY * fault.amount)):
        yield
    if not world.bridge.running:  # a supervisor's work
        world.bridge.start(ready=False)


KINDS = {
    'publisher killed': Kind(_publisher_killed),
    'publisher frozen': Kind(_publisher_frozen),
    'publisher falls silent': Kind(_publisher_silent),
    'publisher leaves': Kind(_publisher_leaves),
    'bridge killed': Kind(_bridge_killed, EVERYTHING),
    'bridge frozen': Kind(_bridge_frozen, EVERYTHING),
    'bridge ended in order': Kind(_bridge_ended, EVERYTHING),
    'machine killed': Kind(_killed('main'), frozenset({'main'})),
    'machine frozen': Kind(_frozen('main'), frozenset({'main'}), frozen=True),
    'sub-part killed': Kind(_killed('sub'), frozenset({'sub'})),
    'sub-part frozen': Kind(_frozen('sub'), frozenset({'sub'}), frozen=True),
    'link cut': Kind(_cut(), EVERYTHING, holds_back=True),
    'link half open, to the machine': Kind(_cut(TO_ROBOT), EVERYTHING, holds_back=True),
    'link half open, to the robot': Kind(_cut(TO_MACHINE), EVERYTHING, holds_back=True),
    'link slow': Kind(_link(delay=0.15), EVERYTHING, holds_back=True),
    'link loses packets': Kind(_link(loss=0.3), EVERYTHING, holds_back=True),
    'link reorders packets': Kind(_link(delay=0.01, jitter=0.05), EVERYTHING, holds_back=True),
    'cores busy': Kind(_cores_busy),
    'disk full': Kind(_disk_full),
    # gRPC's deadlines are by the wall clock: a call that is made in that instant may fail.
    'wall clock set': Kind(_clock_set, fails_calls=True),
    'descriptors short': Kind(_descriptors_short, EVERYTHING),
    'memory short': Kind(_memory_short, EVERYTHING),
}
