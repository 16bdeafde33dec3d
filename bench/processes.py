# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of a measurement, in a ROS domain of their own; all end with the workbench."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench import shared_memory
from bench.tail import Tail
from viam_session_bridge.tools import processes

ROOT = Path(__file__).resolve().parents[1]
ANNOUNCED = ROOT / 'test' / 'support' / 'fastdds.xml'
CALL_TIMEOUT, MAX_SESSIONS = 0.25, 256  # s; the parameters' defaults
_START = 60.0  # s, of a process on a busy machine
_END = 10.0  # s


class Process(processes.Process):
    """A process that reads lines on its stdin and writes lines to its stdout."""

    failure = RuntimeError

    def __init__(self, directory: Path, name: str, environment: Mapping[str, str]) -> None:
        """Prepare it."""
        super().__init__(directory, name, environment)
        self.left_behind: set[Path] = set()
        """The locks of the shared memory that it had when it was killed."""

    def cpu(self) -> float:
        """Return the CPU seconds that the process used so far."""
        # The process's CPU clock, MAKE_PROCESS_CPUCLOCK of Linux: utime and stime together, and
        # finer than the ticks of /proc/PID/stat.
        return time.clock_gettime((~self.pid << 3) | 2)

    def kill(self) -> None:
        """End the process at once; its shared memory stays until :meth:`Workbench.tidy`."""
        if self.running:
            self.left_behind = shared_memory.segment_locks(self.pid)
        super().kill()

    def leave(self) -> None:
        """End a process that ends with its stdin."""
        assert self.process.stdin
        self.process.stdin.close()
        self.wait_exit(_END)
        self.kill()


class Workbench(processes.Processes):
    """A scratch directory, a ROS domain and the processes in them."""

    def __init__(self, domain: int | None = None) -> None:
        """Choose a domain where none is given."""
        self._scratch = tempfile.TemporaryDirectory(prefix='bench-')
        self.path = Path(self._scratch.name)
        environment = {
            **processes.free_domain(),
            'ROS_LOG_DIR': str(self.path / 'ros'),
            'PYTHONUNBUFFERED': '1',
            'PYTHONDONTWRITEBYTECODE': '',  # compiled once, as where it is installed
        }
        if domain is not None:
            environment['ROS_DOMAIN_ID'] = str(domain)
        if 'ROS_DISTRO' not in os.environ:
            environment['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
        super().__init__(self.path, environment)

    def __enter__(self) -> Workbench:
        """Make SIGTERM end the processes too."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        return self

    def __exit__(self, *error: object) -> None:
        """End all processes, the last first."""
        super().__exit__(*error)
        self.tidy()
        self._scratch.cleanup()

    def tidy(self) -> None:
        """Remove what killed processes left in /dev/shm."""
        for process in self.started:
            if isinstance(process, Process):
                shared_memory.remove(process.left_behind)
                process.left_behind = set()

    def start(
        self, name: str, *arguments: str, announced: bool = True, checkout: Path = ROOT
    ) -> Process:
        """
        Start `python -m ARGUMENTS`; its errors go to NAME.log.

        :param announced: several times a second, not every three: found sooner, and else the same
        :param checkout: the project's directory whose modules it runs
        """
        environment = {**self.environment}
        if announced:
            environment['FASTDDS_DEFAULT_PROFILES_FILE'] = str(ANNOUNCED)
        process = Process(self.path, name, environment)
        return self.add(process, *arguments, stdout=subprocess.PIPE, cwd=checkout)

    def spawn_bridge(
        self,
        bases: Mapping[str, str],
        window: float,
        *,
        name: str = 'bridge',
        call_timeout: float = CALL_TIMEOUT,
        max_sessions: int = MAX_SESSIONS,
        checkout: Path = ROOT,
    ) -> tuple[Process, Path]:
        """
        Start a bridge without waiting for it, and return it with its event log.

        :param bases: the address of the machine of each base; its topic is /BASE/cmd_vel
        :param name: where there are several; only the first one's node has its usual name
        :param checkout: the project's directory whose bridge it is
        """
        log = self.path / f'{name}.events.jsonl'
        addresses = dict.fromkeys(bases.values())
        machines = {address: f'machine_{i}' for i, address in enumerate(addresses)}
        given: dict[str, Any] = {
            'heartbeat_window': window,
            'event_log': str(log),
            'machine_names': _list(machines.values()),
            'base_names': _list(bases),
        }
        for address, machine in machines.items():
            given[f'machines.{machine}.address'] = address
            given[f'machines.{machine}.insecure'] = 'true'
            given[f'machines.{machine}.call_timeout'] = call_timeout
            given[f'machines.{machine}.max_sessions'] = max_sessions
        for base, address in bases.items():
            given[f'bases.{base}.machine'] = machines[address]
            given[f'bases.{base}.command_topics'] = _list([f'/{base}/cmd_vel'])
        options = [part for key, value in given.items() for part in ('-p', f'{key}:={value}')]
        if name != 'bridge':
            options += ['-r', f'__node:={name}']
        # As users start it: it chooses its way through the middleware by itself.
        process = self.start(
            name, 'viam_session_bridge', '--ros-args', *options, announced=False, checkout=checkout
        )
        return process, log

    def start_bridge(
        self, bases: Mapping[str, str], window: float, **parameters: Any
    ) -> tuple[Process, Path]:
        """Start a bridge as :meth:`spawn_bridge` does, and wait until it is connected."""
        process, log = self.spawn_bridge(bases, window, **parameters)
        waiting = len(set(bases.values()))
        ready: set[str] = set()
        events, until = Tail(log), time.monotonic() + _START
        while len(ready) < waiting:
            if not process.running or time.monotonic() > until:
                text = (self.path / f'{log.name.partition(".")[0]}.log').read_text()
                raise RuntimeError(f'the bridge does not connect: {text[-2000:]}')
            ready |= {event['machine'] for event in events.new() if event.get('ready')}
            time.sleep(0.05)
        return process, log


def _list(names: Any) -> str:
    return f'[{", ".join(names)}]'
