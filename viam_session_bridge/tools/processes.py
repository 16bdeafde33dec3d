# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Child processes, each ended by its own id; shared by the demo, the benchmarks and the tests.

Free ports and ROS domains for them are found here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import contextlib
import os
from pathlib import Path
import random
import signal
import socket
import subprocess
import sys
import time
from typing import Any, ClassVar, TYPE_CHECKING, TypeVar

from viam_session_bridge import signals

if TYPE_CHECKING:
    from typing_extensions import Self

ORDERLY = 10.0  # s that a process has for an orderly end
_POLL = 0.005  # s
# Below those that Linux gives to outgoing connections.
_PORTS = range(18000, 32000)
# Up to the last that DDS has ports for: robots have low numbers, and so have the tests.
_DOMAINS = range(90, 102)


class ProcessError(Exception):
    """A process did not do what it was started for; the message ends with the end of its log."""


class Process:
    """
    One child process, with its errors (and its output, unless piped) in a file.

    As a context manager it is killed at the end, if it still runs. ``failure`` is what it raises
    where the process does not do what it was started for.
    """

    failure: ClassVar[type[Exception]] = ProcessError

    def __init__(
        self, directory: Path, name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Prepare it; ``environment`` is what is changed in that of this process."""
        self.name = name
        self.log = directory / f'{name}.log'
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[Any] | None = None

    def launch(self, command: Sequence[str], **options: Any) -> None:
        """Start a command, with further options of ``subprocess.Popen``."""
        assert not self.running, f'{self.name} runs already'
        with self.log.open('ab') as log:
            defaults = {'stdin': subprocess.DEVNULL, 'stdout': log, 'stderr': log}
            self._process = subprocess.Popen(
                command, env=self._environment, **{**defaults, **options}
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[Any]:
        """Return the process as Python has it, once it was launched."""
        assert self._process is not None, f'{self.name} was not started'
        return self._process

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def write_line(self, line: str = '') -> None:
        """Write a line to its standard input, which is to be a pipe."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f'{line}\n'.encode())
            self.process.stdin.flush()
        except OSError as error:
            raise self.error('ended') from error

    def read_line(self, word: str = '') -> str:
        """Return the next line with a word of its standard output, which is to be a pipe."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if word.encode() in line:
                return str(line, errors='replace')
        raise self.error('ended')

    def output(self) -> str:
        """Return all it has written to its log so far."""
        return self.log.read_text(errors='replace')

    def wait_for_output(self, text: str, timeout: float) -> None:
        """Wait until its log contains a text."""
        self.wait_until(lambda: text in self.output(), f'{text!r} is not in its log', timeout)

    def wait_until(self, condition: Callable[[], Any], failure: str, timeout: float) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.running:
                raise self.error(f'ended: {failure}')
            if time.monotonic() > deadline:
                raise self.error(f'for {timeout:g} s: {failure}')
            time.sleep(_POLL)

    def wait_exit(self, timeout: float) -> int:
        """Wait until it has ended by itself and return its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f'does not end within {timeout:g} s') from None

    def check(self) -> None:
        """Raise ProcessError where it has ended."""
        if not self.running:
            raise self.error(f'ended with {self.process.returncode}')

    def kill(self) -> None:
        """End it at once, as a crash would; nothing happens if it ended already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # of a line that nobody reads any more
                        pipe.close()

    def end(self, number: signal.Signals = signal.SIGINT, timeout: float = ORDERLY) -> int:
        """Have it shut down, kill it if that takes too long, and return its exit status."""
        self.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        self.kill()
        return int(self.process.returncode)

    def error(self, what: str) -> Exception:
        """Return an error that says what went wrong."""
        return self.failure(f'{self.name} {what}{self.log_end()}')

    def log_end(self) -> str:
        """Return the end of the log, for the message of a failure."""
        return f'; {self.log} ends with\n{self.output()[-4000:]}'


Started = TypeVar('Started', bound=Process)


class Processes:
    """Modules of Python that run as processes, ended with the context, the last one first."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start none yet; ``environment`` is what is changed in that of this process."""
        self.directory = directory
        self.environment = dict(environment or {})
        self.started: list[Process] = []

    def start(self, name: str, *arguments: str) -> Process:
        """Run ``python -m ARGUMENTS``, with a pipe to its standard input."""
        return self.add(Process(self.directory, name, self.environment), *arguments)

    def add(self, process: Started, *arguments: str, **options: Any) -> Started:
        """Start a process that was prepared, where a terminal's Ctrl-C does not reach it."""
        self.started.append(process)
        options = {'stdin': subprocess.PIPE, 'start_new_session': True, **options}
        with signals.held_back():  # or one that runs may not be known yet, and is not ended
            process.launch([sys.executable, '-m', *arguments], **options)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not keep any of them alive.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ending())
        try:
            for process in reversed(self.started):
                if process.running:
                    process.end()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def free_port(preferred: Iterable[int] = ()) -> int:
    """Return a free TCP port of the loopback, a preferred one if there is."""
    return _free((*preferred, *random.sample(_PORTS, 100)), socket.SOCK_STREAM)


def free_domain() -> dict[str, str]:
    """Return the settings that keep a process's ROS apart from everybody else's."""
    # The port that the first process of a domain listens on.
    ports = {7400 + 250 * domain + 10: domain for domain in random.sample(_DOMAINS, len(_DOMAINS))}
    domain = ports[_free(ports, socket.SOCK_DGRAM)]
    return {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_STATIC_PEERS': '',
    }


def _free(ports: Iterable[int], kind: socket.SocketKind) -> int:
    for number in ports:
        with socket.socket(type=kind) as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', number))
            return number
    raise OSError('no free port of the loopback was found')
