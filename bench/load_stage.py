# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A bridge on the real viam-server, with probes, and loads that come and go beside them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import time
from typing import Any

from bench.bursts import bursts, judge, Outcome
from bench.probe import read_sent
from bench.processes import Process
from bench.tail import RotatedTail, Tail
from support.bounds import Load
from support.bridge_process import BridgeProcess, WINDOW
from support.domains import own_domain, publishers_environment, ros_environment
from support.hostile_process import HostileProcess
from support.observer import Observer
from support.usage import Usage
from support.viam_server import ViamServer

PROBES = 5  # each with a base of its own
MACHINE_WINDOW = 2.0  # s
PROCESSES = 4  # of a load's publishers
FLOOD = 5000.0  # Hz
_ALL_STOPPED = 3.0  # s after the load's end
_READ_EVERY = 0.5  # s
_DIAGNOSTICS = '/diagnostics'


@dataclass(frozen=True)
class Measured:
    """
    What became of the probes, the bridge and the loaded bases in one time of load.

    :param sent: commands a second that the load's publishers really sent, the flood's beside
    :param alone: of the probes with a base of their own; `shared`: of the one on the loaded topic
    :param bridge: % of a core; `server` likewise
    :param told: what `/diagnostics` said: warnings and errors, and how far its counters went
    :param overrun: ms for which a loaded base moved after the load's last command, less the
        window; infinite where one was not stopped. The first base is not looked at.
    :param stall: ms for which a thread that was due got no core, at worst: the machine's load
    """

    sent: float
    flood: float
    alone: list[Outcome]
    shared: list[Outcome]
    bridge: float
    server: float
    told: dict[str, int]
    overrun: float
    stall: float
    load_average: float


def topic(base: str) -> str:
    """Return the topic of a base."""
    return f'/{base}/cmd_vel'


class LoadStage:
    """
    One bridge with so many bases to load, and its probes.

    Each probe drives a base of its own, but the last, which shares the topic of the first base
    with all who load that.
    """

    def __init__(self, directory: Path, stack: ExitStack, bases: int) -> None:
        """Begin; the probes run from now on."""
        self._directory = directory
        self._domain = stack.enter_context(own_domain())
        os.environ.update(ros_environment(self._domain))
        self._probed = [f'probe{number}' for number in range(PROBES)]
        self._loaded = [f'base{number}' for number in range(bases)]
        names = [*self._probed, *self._loaded]
        server = stack.enter_context(ViamServer(directory, names, MACHINE_WINDOW))
        self.bridge = BridgeProcess(directory, self._domain, {
            'heartbeat_window': WINDOW,
            'machines': {'main': {'address': server.address, 'insecure': True}},
            'base_names': names,
            'bases': {name: {'command_topics': [topic(name)]} for name in names},
        })  # fmt: skip
        stack.enter_context(self.bridge)
        self._server_pid = server.pid
        self._record = Tail(server.record.path)
        self._events = RotatedTail(self.bridge.event_log)
        self._observer = stack.enter_context(Observer(self._domain))
        self._observer.listen(_DIAGNOSTICS)
        self._sent = directory / 'probe.sent'
        topics = [topic(base) for base in (*self._probed, self._loaded[0])]
        probe = Process(
            directory / 'probe.log', {**os.environ, **publishers_environment(self._domain)},
            'bench.probe', 'probe', str(self._sent), *topics,
        )  # fmt: skip
        stack.callback(probe.kill)
        self._clients: list[str] = json.loads(probe.hear('ready').partition(' ')[2])
        self._loads = 0
        self._load_of_machine = stack.enter_context(Load())
        time.sleep(2.0)

    def measure(self, publishers: int, rate: float, flood: bool, seconds: float) -> Measured:
        """Load the bridge for so many seconds and return what became of it."""
        loads = self._load(publishers, rate)
        floods = self._flood() if flood else []
        with ExitStack() as stack:
            for process in (*loads, *floods):
                process.start(ready=False)
                stack.enter_context(process)
            for process in (*loads, *floods):
                process.wait_ready()
            return self._watch(loads, floods, seconds)

    def _watch(
        self, loads: Sequence[HostileProcess], floods: Sequence[HostileProcess], seconds: float
    ) -> Measured:
        self._events.new()
        self._record.new()
        told = len(self._observer.messages(_DIAGNOSTICS))
        counts = [sum(process.count for process in kind) for kind in (loads, floods)]
        before = [Usage.of(pid) for pid in (self.bridge.pid, self._server_pid)]
        events = []
        since = time.monotonic()
        while (now := time.monotonic()) < since + seconds:
            time.sleep(_READ_EVERY)
            events += self._events.new()
        after = [Usage.of(pid) for pid in (self.bridge.pid, self._server_pid)]
        rates = [
            (sum(process.count for process in kind) - count) / (now - since)
            for kind, count in zip((loads, floods), counts, strict=True)
        ]
        average = os.getloadavg()[0]
        ended_early = [process.name for process in (*loads, *floods) if not process.running]
        assert not ended_early, f'{ended_early} ended: see their logs'
        for process in (*loads, *floods):
            process.kill()
        ended = max([process.last_sent for process in (*loads, *floods)], default=now)
        time.sleep(max(ended + _ALL_STOPPED - time.monotonic(), 0.0))
        events += self._events.new()
        record = self._record.new()
        outcomes = [
            judge(burst, self._clients[burst.probe], (*self._probed, None)[burst.probe],
                  events, record, WINDOW)
            for burst in bursts(read_sent(self._sent), since, now)
        ]  # fmt: skip
        return Measured(
            sent=rates[0],
            flood=rates[1],
            alone=[outcome for outcome in outcomes if outcome.probe < PROBES],
            shared=[outcome for outcome in outcomes if outcome.probe >= PROBES],
            bridge=100.0 * after[0].cpu_share(before[0]),
            server=100.0 * after[1].cpu_share(before[1]),
            told=told_in(self._observer.messages(_DIAGNOSTICS)[max(told - 1, 0) :]),
            overrun=max(
                # A probe drives the first one on.
                (_overrun(record, base, ended) for base in self._loaded[1:]), default=-math.inf
            ),
            stall=1e3 * self._load_of_machine.worst(since, now),
            load_average=average,
        )

    def _load(self, publishers: int, rate: float) -> Sequence[HostileProcess]:
        self._loads += 1
        processes = min(publishers, PROCESSES)
        loads = []
        for number in range(processes):
            count = len(range(number, publishers, processes))
            # Each begins with another base, so that few publishers do not share one.
            bases = self._loaded[number % len(self._loaded) :] + self._loaded
            loads.append(self._hostile(
                'many', f'load{self._loads}_{number}',
                ','.join(topic(base) for base in bases[: len(self._loaded)]), count,
                rate * count / publishers,
            ))  # fmt: skip
        return loads

    def _flood(self) -> Sequence[HostileProcess]:
        name = f'flood{self._loads}'
        return [self._hostile('flood', name, topic(self._loaded[0]), FLOOD, '0.1')]

    def _hostile(self, what: str, name: str, *arguments: object) -> HostileProcess:
        return HostileProcess(self._directory, self._domain, what, name, *arguments)


def told_in(arrays: Sequence[Any]) -> dict[str, int]:
    """Return how often each warning was told, and how far the bridge's counters went."""
    told: dict[str, int] = {}
    counters: list[dict[str, int]] = []
    for array in arrays:
        bridge, *_ = array.status
        counters.append({
            value.key: int(value.value)
            for value in bridge.values
            if value.key != 'sessions' and value.value.isdecimal()
        })
        for status in array.status[:1]:
            if status.level != b'\0':
                told[status.message] = told.get(status.message, 0) + 1
    for name, count in counters[-1].items() if counters else []:
        if went := count - counters[0].get(name, 0):
            told[name] = went
    return told


def _overrun(record: Sequence[dict[str, Any]], base: str, ended: float) -> float:
    """Return for how many ms it moved too long: to the first stop after its last motion."""
    moving, stopped_at = False, -math.inf
    for line in record:
        if line['base'] == base and line['phase'] == 'end' and 'error' not in line:
            if line['call'] == 'stop' and moving:
                moving, stopped_at = False, line['t']
            elif line['call'] == 'set_velocity':
                moving = True
    return math.inf if moving else 1e3 * (stopped_at - ended - WINDOW)
