# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The bridge without ROS, driven by clients that come and go: `python -m bench.soak_shell`.

Arguments: the machine's address, the event log, sessions and commands that are wanted at least,
and the s after which it ends in any case. All that decides and sends is the product's: shell,
lapse clock, protocol, gRPC, event log, overview; this plays the receiving loop and the executor.
It prints one line of JSON every few seconds, and ends with a line that has `not_final`.
"""

from __future__ import annotations

from collections import Counter, deque
import heapq
import json
import os
from pathlib import Path
import random
import sys
import threading
import time

from support.shell_run import settings
from viam_session_bridge.core.actions import Refused, SessionEnded, SessionStarted
from viam_session_bridge.core.events import CommandFailed, StopFinal
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.reporting.event_log import EventLog
from viam_session_bridge.reporting.overview import ENDED_KEPT, ended_row, SessionRow, snapshot
from viam_session_bridge.runtime import Runtime

WINDOW = 0.03  # s
BASES = [f'base{number}' for number in range(4)]
CLIENTS = 40  # at a time: ten a base, so that they take over from each other
BURSTS, COMMANDS = 2, 8  # of a session, and of each burst
SPACING = 0.005  # s between two bursts
SILENT = 1.5 * WINDOW
CALL_TIMEOUT = 0.25  # s
EVERY = 2.0  # s between two lines
OVERVIEW_EVERY = 1.0  # s, as of the reporter


class Reporting:
    """The executor's part: takes the events, writes the log, looks at the overview."""

    def __init__(self, log: str) -> None:
        self.counts: Counter[str] = Counter()
        self.overview = 0
        self._log = EventLog(log)
        self._ended_sessions: deque[SessionRow] = deque(maxlen=ENDED_KEPT)
        self._woken = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name='executor')

    def start(self, runtime: Runtime) -> None:
        """Begin."""
        self._runtime = runtime
        self._thread.start()

    def wake(self) -> None:
        """Take what there is; from any thread."""
        self._woken.set()

    def end(self) -> None:
        """Take the rest and end."""
        self._over = True
        self._woken.set()
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        look_at = 0.0
        while not self._over:
            self._woken.wait(OVERVIEW_EVERY)
            self._woken.clear()
            self._take()
            if (now := time.monotonic()) >= look_at:
                look_at = now + OVERVIEW_EVERY
                overview = self._runtime.look(lambda bridge, at: snapshot(bridge, at, _describe))
                rows = [*overview.as_dict().items(), *(row.id for row in self._ended_sessions)]
                self.overview = len(json.dumps(rows))

    def _take(self) -> None:
        for event in self._runtime.events():
            self._log.write(event)
            if isinstance(event, SessionStarted):
                self.counts['sessions'] = event.session
            elif isinstance(event, SessionEnded):
                self._ended_sessions.append(ended_row(event, *_describe(event.client)))
                self.counts[event.cause.value] += 1
                self.counts['commands'] += event.commands
            elif isinstance(event, Refused):
                self.counts[f'refused_{event.reason.value}'] += 1
            elif isinstance(event, StopFinal):
                self.counts['stops'] += 1
            elif isinstance(event, CommandFailed):
                self.counts['failed'] += 1


def main(address: str, log: str, sessions: int, commands: int, seconds: float) -> int:
    """Run until enough was done; exit status 1 where the bridge failed or a stop is missing."""
    failures: list[BaseException] = []
    reporting = Reporting(log)
    machines = dict.fromkeys(BASES, 'main')
    runtime = Runtime(
        settings(machines, {'main': address}, WINDOW, CALL_TIMEOUT),
        reporting.wake,
        failures.append,
    )
    runtime.start()
    reporting.start(runtime)
    runtime.activate()
    while not runtime.look(lambda bridge, now: bridge.machines['main'].ready):
        time.sleep(SPACING)
    until = time.monotonic() + seconds
    counts = reporting.counts

    def goes_on() -> bool:
        enough = counts['sessions'] >= sessions and counts['commands'] >= commands
        return not (failures or enough or time.monotonic() >= until)

    says_at = 0.0
    load = ClientLoad(runtime)
    while goes_on():
        load.step()
        if time.monotonic() >= says_at:
            says_at = time.monotonic() + EVERY
            _say(log, reporting)
    runtime.deactivate()
    not_final = runtime.wait_closed(5.0)
    runtime.close()
    reporting.end()
    _say(log, reporting, not_final=sorted(not_final), failures=list(map(repr, failures)))
    return 1 if failures or not_final else 0


class ClientLoad:
    """Clients that command some times and fall silent, leave, or begin anew."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._number = 0
        now = time.monotonic()
        # (when next, its base, its client, the bursts that it has left)
        self._due = [
            (now + SPACING * n, BASES[n % len(BASES)], self._new(), BURSTS)
            for n in range(CLIENTS)
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


def _describe(client: str) -> tuple[str, str]:
    return '/node', '/topic'


def _say(log: str, reporting: Reporting, **more: object) -> None:
    files = list(Path(log).parent.glob(f'{Path(log).name}*'))
    line = {
        'pid': os.getpid(), **reporting.counts, 'overview': reporting.overview,
        'log': sum(file.stat().st_size for file in files), 'log_files': len(files), **more,
    }  # fmt: skip
    print(json.dumps(line), flush=True)


if __name__ == '__main__':
    where, log_path, *wanted, longest = sys.argv[1:]
    sys.exit(main(where, log_path, int(wanted[0]), int(wanted[1]), float(longest)))
