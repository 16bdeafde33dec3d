# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that are all ended, whatever happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from viam_session_bridge import signals

_POLL = 0.02  # s
ORDERLY = 5.0  # s that a process has for an orderly end


class StageError(Exception):
    """Something did not come about; the message is for the user."""


class Process:
    """A module of Python, run as a process of its own; its output goes to a file."""

    def __init__(
        self, name: str, arguments: Sequence[str], env: Mapping[str, str], directory: Path
    ) -> None:
        """Start it, in a session of its own: a terminal's Ctrl-C must not reach it."""
        self.name = name
        self.log = directory / f'{name}.log'
        with self.log.open('ab') as log:
            self.popen = subprocess.Popen(
                [sys.executable, '-m', *arguments],
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def line(self) -> None:
        """Send a line to its standard input."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(b'\n')
            self.popen.stdin.flush()
        except OSError as error:
            raise self._failure('has ended') from error

    def wait_for(self, text: str, timeout: float) -> str:
        """Wait for a line of its output that contains a text, and return it."""
        until = time.monotonic() + timeout
        while True:
            ended = self.popen.poll() is not None
            for line in self.log.read_text(errors='replace').splitlines():
                if text in line:
                    return line
            if ended:
                raise self._failure(f'has ended with {self.popen.returncode}')
            if time.monotonic() > until:
                raise self._failure(f'did not say {text!r} within {timeout:g} s')
            time.sleep(_POLL)

    def check(self) -> None:
        """Raise StageError where it has ended."""
        if self.popen.poll() is not None:
            raise self._failure(f'has ended with {self.popen.returncode}')

    def kill(self) -> float:
        """Kill it, as kill -9 does, and return when (time.monotonic(), s)."""
        at = time.monotonic()
        self.popen.kill()
        self.popen.wait()
        return at

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in order, kill it where that takes too long, and return its exit status."""
        with contextlib.suppress(OSError):
            self.popen.send_signal(number)
        try:
            return self.popen.wait(ORDERLY)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()
        finally:
            if self.popen.stdin is not None:
                with contextlib.suppress(OSError):
                    self.popen.stdin.close()

    def _failure(self, what: str) -> StageError:
        said = self.log.read_text(errors='replace').splitlines()[-10:]
        return StageError('\n'.join([f'{self.name} {what}; it said last:', *said]))


class Processes:
    """Those of one run, ended with it, the last one first."""

    def __init__(self, directory: Path, env: Mapping[str, str] | None = None) -> None:
        """
        Have none yet.

        :param env: their environment, by default this process's
        """
        self._directory = directory
        self._env = os.environ if env is None else env
        self._started: list[Process] = []

    def start(self, name: str, *arguments: str) -> Process:
        """Start a module with its arguments."""
        process = Process(name, arguments, self._env, self._directory)
        self._started.append(process)
        return process

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not keep any of them alive.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ending())
        try:
            for process in reversed(self._started):
                if process.popen.poll() is None:
                    process.end()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
