# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A long life in a short time, with windows of 30 ms.

In two layers. `shell`: the bridge without ROS, in this process, on the simulated machine, until it
has had so many sessions and commands; all that decides and sends is the product's, and this plays
the receiving loop and the executor. `dds`: the whole bridge on the real viam-server, with
publishers that come and go, for so many minutes. Of each process memory, threads and descriptors
are looked at, and of the bridge the sizes of the overview and the event log with its predecessors.
What is flat: after the first quarter of the time nothing grows by more than its bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
import heapq
import json
import os
from pathlib import Path
import random
import threading
import time

from bench.processes import Workbench
from bench.stage import Run, staged
from bench.summary import Check, table
from support.domains import own_domain
from support.hostile_process import HostileProcess
from support.observer import Observer
from support.ports import free_port
from support.shell_run import settings
from support.usage import Usage
from viam_session_bridge.core.actions import SessionEnded, SessionStarted
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.reporting.event_log import EventLog, FILES_KEPT, MAX_BYTES
from viam_session_bridge.reporting.overview import ENDED_KEPT, ended_row, SessionRow, snapshot
from viam_session_bridge.runtime import Runtime

WINDOW = 0.03  # s
BASES = [f'base{number}' for number in range(4)]
WANTED = {'sessions': 100_000, 'commands': 1_000_000}
MINUTES = 10.0  # of dds, of shell at most
QUICK_SHARE = 0.05
GROWTH = {'memory': 5.0, 'threads': 2, 'files': 4}  # MB; more than the second quarter's most
MOST = {'overview': 64_000, 'log': (FILES_KEPT + 1) * MAX_BYTES}  # bytes
EVERY, QUICK_EVERY = 5.0, 1.0  # s between two looks
CLIENTS = 40  # of shell at a time: ten a base, so that they take over from each other
BURSTS, COMMANDS = 2, 8  # of a session, and of each burst
SPACING, SILENT = 0.005, 1.5 * WINDOW  # s between two bursts, and at the end of a session
COMING_AND_GOING = 2  # processes of publishers
CALL_TIMEOUT = 0.25  # s
_OVERVIEW_EVERY = 1.0  # s, as of the reporter


@dataclass(frozen=True)
class Look:
    """What the processes took at one moment, and what the bridge had done and written."""

    usages: dict[str, Usage]
    done: dict[str, int]


class Layer:
    """One layer's looks at its processes, by name."""

    def __init__(self, name: str, every: float, pids: Mapping[str, int]) -> None:
        """Begin with no looks."""
        self.looks: list[Look] = []
        self.every = every
        self._name, self._pids = name, pids

    def look(self, done: Callable[[], dict[str, int]]) -> None:
        """Look at the processes and print a row, where it is time."""
        now = time.monotonic()
        if self.looks and now < self.looks[-1].usages['bridge'].at + self.every:
            return
        usages = {name: Usage.of(pid) for name, pid in self._pids.items()}
        before = self.looks[-1].usages if self.looks else usages
        self.looks.append(Look(usages, done()))
        began = self.looks[0].usages['bridge'].at
        head: list[str] = ['s']
        row: list[float] = [round(now - began)]
        for name, usage in usages.items():
            head += [f'{name} MB', 'threads', 'files', '%']
            share = usage.cpu_share(before[name]) if before is not usages else 0.0
            row += [round(usage.memory, 1), usage.threads, usage.files, round(100.0 * share)]
        done_now = self.looks[-1].done
        lines = table([*head, *done_now], [[*row, *done_now.values()]]).splitlines()
        print('\n'.join(lines if len(self.looks) == 1 else lines[1:]), flush=True)

    def checks(self) -> list[Check]:
        """Return whether anything grew."""
        if (count := len(self.looks)) < 4:
            return [Check(f'{self._name}: long enough to judge', False, f'{count} looks')]
        quarter = count // 4
        parts = self.looks[quarter : 2 * quarter], self.looks[-quarter:]
        checks = []
        for process in self._pids:
            for what, bound in GROWTH.items():
                before, after = (
                    max(getattr(look.usages[process], what) for look in part) for part in parts
                )
                text = f'{self._name}: growth of the {process}, {what}'
                checks.append(Check.most(text, after - before, bound))
        return checks + [
            Check.most(f'{self._name}: {what}', max(look.done[what] for look in self.looks), most,
                       ' bytes')
            for what, most in MOST.items()
        ]  # fmt: skip


class Executor:
    """Takes the events, writes the log and looks at the overview, on a thread of its own."""

    def __init__(self, log: Path) -> None:
        """Open the log."""
        self.counts = dict.fromkeys([*WANTED, *MOST], 0)
        self.woken = threading.Event()
        self._path, self._log = log, EventLog(str(log))
        self._ended: deque[SessionRow] = deque(maxlen=ENDED_KEPT)
        self._over = False
        self._thread = threading.Thread(target=self._run, name='executor')

    def start(self, runtime: Runtime) -> None:
        """Begin."""
        self._runtime = runtime
        self._thread.start()

    def end(self) -> None:
        """Take the rest and end."""
        self._over = True
        self.woken.set()
        self._thread.join()
        self._log.close()

    def done(self) -> dict[str, int]:
        """Return what was done and written so far."""
        return {**self.counts, 'log': _size(self._path)}

    def _run(self) -> None:
        look_at = 0.0
        while not self._over:
            self.woken.wait(_OVERVIEW_EVERY)
            self.woken.clear()
            for event in self._runtime.events():
                self._log.write(event)
                if isinstance(event, SessionStarted):
                    self.counts['sessions'] = event.session
                elif isinstance(event, SessionEnded):
                    self._ended.append(ended_row(event, '/node', '/topic'))
                    self.counts['commands'] += event.commands
            if (now := time.monotonic()) >= look_at:
                look_at = now + _OVERVIEW_EVERY
                overview = self._runtime.look(
                    lambda bridge, at: snapshot(bridge, at, lambda client: ('/node', '/topic'))
                )
                rows = [*overview.as_dict().items(), *(row.id for row in self._ended)]
                self.counts['overview'] = len(json.dumps(rows))


class ClientLoad:
    """Clients that command some times and fall silent, leave, or begin anew."""

    def __init__(self, runtime: Runtime) -> None:
        """Begin with all of them."""
        self._runtime = runtime
        self._number = 0
        now = time.monotonic()
        # (when next, its base, its client, the bursts that it has left)
        self._due = [
            (now + SPACING * n, BASES[n % len(BASES)], self._new(), BURSTS) for n in range(CLIENTS)
        ]

    def step(self) -> None:
        """Wait for whoever is next, and let it do one thing."""
        at, base, client, left = heapq.heappop(self._due)
        time.sleep(max(at - time.monotonic(), 0.0))
        if left:
            for _ in range(COMMANDS):
                self._runtime.command(client, f'/{base}', Velocity(random.uniform(0.1, 1.0)))
            heapq.heappush(self._due, (time.monotonic() + SPACING, base, client, left - 1))
            return
        ends = random.choice(('leaves', 'silent', 'comes back', 'keeps alive'))
        if ends == 'leaves':
            self._runtime.left(client)
        elif ends == 'keeps alive':
            self._runtime.heartbeat(client, f'/{base}', True)
        if ends != 'comes back':
            client = self._new()
        heapq.heappush(self._due, (time.monotonic() + SILENT, base, client, BURSTS))

    def _new(self) -> str:
        self._number += 1
        client = f'{self._number:032x}'
        self._runtime.seen(client)
        return client


def measure(run: Run) -> list[Check]:
    """Run the layers."""
    share, every = (QUICK_SHARE, QUICK_EVERY) if run.quick else (1.0, EVERY)
    checks = []
    for name, measured in (('shell', _shell), ('dds', _dds)):
        layer, more = measured(run, share, every)
        checks += [*more, *layer.checks()]
        run.results[name] = [asdict(one) for one in layer.looks]
    return checks


def _shell(run: Run, share: float, every: float) -> tuple[Layer, list[Check]]:
    failures: list[BaseException] = []
    with Workbench(run.domain) as bench:
        address = f'127.0.0.1:{free_port()}'
        machine = bench.start(
            'simulation', 'viam_session_bridge.simulation', '--address', address,
            '--window', str(WINDOW), '--bases', *BASES,
        )  # fmt: skip
        machine.read_line('listening')
        executor = Executor(bench.path / 'events.jsonl')
        machines = settings(dict.fromkeys(BASES, 'main'), {'main': address}, WINDOW, CALL_TIMEOUT)
        runtime = Runtime(machines, executor.woken.set, failures.append)
        runtime.start()
        executor.start(runtime)
        runtime.activate()
        while not runtime.look(lambda bridge, now: bridge.machines['main'].ready):
            time.sleep(SPACING)
        load, counts = ClientLoad(runtime), executor.counts
        layer = Layer('shell', every, {'bridge': os.getpid(), 'machine': machine.pid})
        until = time.monotonic() + 60.0 * MINUTES
        while (
            any(counts[what] < share * wanted for what, wanted in WANTED.items())
            and not failures and time.monotonic() < until
        ):  # fmt: skip
            load.step()
            layer.look(executor.done)
        runtime.deactivate()
        not_final = sorted(runtime.wait_closed(5.0))
        runtime.close()
        executor.end()
    done = {what: counts[what] for what in WANTED}
    enough = all(done[what] >= share * wanted for what, wanted in WANTED.items())
    return layer, [
        Check('shell: as much as was wanted', enough, f'{done}'),
        Check('shell: every stop is final at the end', not (not_final or failures),
              f'{not_final}, {failures}'),
    ]  # fmt: skip


def _dds(run: Run, share: float, every: float) -> tuple[Layer, list[Check]]:
    with ExitStack() as stack:
        domain = stack.enter_context(own_domain())
        stage = stack.enter_context(staged(replace(run, domain=domain), BASES, WINDOW))
        bridge, log = stage.bench.start_bridge(dict.fromkeys(BASES, stage.server.address), WINDOW)
        observer = stack.enter_context(Observer(domain))
        observer.wait_services()
        publishers = [
            stack.enter_context(HostileProcess(
                stage.bench.path, domain, 'crowd', f'publishers{number}',
                f'/{BASES[number]}/cmd_vel', 10**9, 10, 0.1,
            ))
            for number in range(COMING_AND_GOING)
        ]  # fmt: skip

        def done() -> dict[str, int]:
            overview = observer.overview()
            sessions = max((row['id'] for row in overview['sessions']), default=0)
            return {'sessions': sessions, 'overview': len(json.dumps(overview)), 'log': _size(log)}

        layer = Layer('dds', every, {'bridge': bridge.pid, 'machine': stage.server.pid})
        until = time.monotonic() + 60.0 * MINUTES * share
        while time.monotonic() < until:
            time.sleep(every)
            layer.look(done)
        for process in publishers:
            process.kill()
        time.sleep(1.0)
        moving = [base for base in BASES if stage.server.record.moving(base)]
    return layer, [Check('dds: no base moves at the end', not moving, f'{moving}')]


def _size(log: Path) -> int:
    return sum(file.stat().st_size for file in log.parent.glob(f'{log.name}*'))
