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

ROOT = Path(__file__).resolve().parents[1]
ANNOUNCED = ROOT / 'test' / 'support' / 'fastdds.xml'
DOMAINS = range(90, 102)
CALL_TIMEOUT, MAX_SESSIONS = 0.25, 256  # s; the parameters' defaults
_START = 60.0  # s, of a process on a busy machine
_END = 10.0  # s


class Process:
    """A Python module that runs as a process, its errors in a log file."""

    def __init__(
        self, log: Path, environment: Mapping[str, str], *arguments: str, checkout: Path = ROOT
    ) -> None:
        """Start `python -m ARGUMENTS` with the modules of a checkout of the project."""
        self._log = log
        self.left_behind: set[Path] = set()
        """The locks of the shared memory that it had when it was killed."""
        with log.open('ab') as errors:
            self._popen = subprocess.Popen(
                [sys.executable, '-m', *arguments],
                cwd=checkout,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def say(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._popen.stdin
        self._popen.stdin.write(f'{line}\n')

    def hear(self, word: str) -> str:
        """Return its next line of stdout that has the word; RuntimeError where it ends before."""
        assert self._popen.stdout
        for line in self._popen.stdout:
            if word in line:
                return line
        raise RuntimeError(f'{self._log.name} ended: {self._log.read_text()[-2000:]}')

    def cpu(self) -> float:
        """Return the CPU seconds that the process used so far."""
        # The process's CPU clock, MAKE_PROCESS_CPUCLOCK of Linux: utime and stime together, and
        # finer than the ticks of /proc/PID/stat.
        return time.clock_gettime((~self.pid << 3) | 2)

    def running(self) -> bool:
        """Return whether the process has not ended."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """End the process at once; its shared memory stays until :meth:`Workbench.tidy`."""
        self.left_behind = shared_memory.segment_locks(self.pid)
        self._popen.kill()
        self._reap()

    def leave(self) -> None:
        """End a process that ends with its stdin."""
        assert self._popen.stdin
        self._popen.stdin.close()
        self._popen.wait(_END)
        self._reap()

    def interrupt(self) -> None:
        """End the process in an orderly way, or at once where that fails."""
        self._popen.send_signal(signal.SIGINT)
        try:
            self._popen.wait(_END)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        self._reap()

    def _reap(self) -> None:
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe
            pipe.close()


class Workbench:
    """A scratch directory, a ROS domain and the processes in them."""

    def __init__(self, domain: int | None = None) -> None:
        """Choose a domain where none is given."""
        self._scratch = tempfile.TemporaryDirectory(prefix='bench-')
        self.path = Path(self._scratch.name)
        self._processes: list[Process] = []
        self._environment = {
            **os.environ,
            'ROS_DOMAIN_ID': str(domain or DOMAINS[os.getpid() % len(DOMAINS)]),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(self.path / 'ros'),
            'PYTHONUNBUFFERED': '1',
        }
        if 'ROS_DISTRO' not in os.environ:
            self._environment['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'

    def __enter__(self) -> Workbench:
        """Make SIGTERM end the processes too."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes, the last first."""
        for process in reversed(self._processes):
            if process.running():
                process.interrupt()
        self.tidy()
        self._scratch.cleanup()

    def tidy(self) -> None:
        """Remove what killed processes left in /dev/shm."""
        for process in self._processes:
            shared_memory.remove(process.left_behind)
            process.left_behind = set()

    def start(
        self, name: str, *arguments: str, announced: bool = True, checkout: Path = ROOT
    ) -> Process:
        """
        Start `python -m ARGUMENTS`; its errors go to NAME.log.

        :param announced: several times a second, not every three: found sooner, and else the same
        """
        environment = {**self._environment}
        if announced:
            environment['FASTDDS_DEFAULT_PROFILES_FILE'] = str(ANNOUNCED)
        process = Process(self.path / f'{name}.log', environment, *arguments, checkout=checkout)
        self._processes.append(process)
        return process

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
            if not process.running() or time.monotonic() > until:
                text = (self.path / f'{log.name.partition(".")[0]}.log').read_text()
                raise RuntimeError(f'the bridge does not connect: {text[-2000:]}')
            ready |= {event['machine'] for event in events.new() if event.get('ready')}
            time.sleep(0.05)
        return process, log


def _list(names: Any) -> str:
    return f'[{", ".join(names)}]'
