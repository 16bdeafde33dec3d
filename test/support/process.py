# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A process of the tests: started, frozen, ended by its own id, and gone when the tests are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import ctypes
import itertools
import os
from pathlib import Path
import signal
import subprocess
import time
from typing import Any, TYPE_CHECKING

from support.bounds import PATIENCE

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_POLL = 0.005  # s
_libc = ctypes.CDLL(None)


class ProcessUnderTest:
    """
    One process with its output in a file; for `with`, which starts it and kills it.

    It dies with the thread that started it, so that no crash of the tests leaves it behind.
    """

    def __init__(self, directory: Path, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = directory / f'{name}.log'
        # This working copy, whatever is installed.
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
        self._environment = {**os.environ, 'PYTHONPATH': path, **environment}
        self._process: subprocess.Popen[Any] | None = None
        self._enter: Callable[[], None] | None = None

    def inside(self, enter: Callable[[], None]) -> Self:
        """Have it run `enter` before its program, which moves it to another host."""
        self._enter = enter
        return self

    def command(self) -> Sequence[str]:
        """Return what to run."""
        raise NotImplementedError

    def wait_ready(self) -> None:
        """Wait until the process does its work."""

    def start(self, ready: bool = True) -> None:
        """Start it; `ready` waits until it does its work."""
        assert not self.running, f'{self.name} runs already'
        with self.log.open('ab') as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self._environment,
                stderr=log,
                preexec_fn=self._before_program,
                **self._pipes(log),
            )
        if ready:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, f'{self.name} was not started'
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a crash would; nothing happens if it ended already."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        """Freeze it, all its threads."""
        os.kill(self.pid, signal.SIGSTOP)
        state = Path(f'/proc/{self.pid}/stat')
        self.wait_until(
            lambda: state.read_text().rpartition(')')[2].split()[0] == 'T', 'it does not freeze'
        )

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def wait_exit(self, timeout: float = PATIENCE) -> int:
        """Wait until it ended by itself and return its exit status."""
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'no end within {timeout:.3f} s{self.log_end()}') from None

    def terminate(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def end_impatiently(self, numbers: Iterable[signal.Signals]) -> int:
        """Send these signals in turn, one a ms, until it has ended; return the exit status."""
        deadline = time.monotonic() + PATIENCE
        turns = itertools.cycle(numbers)
        while self.running and time.monotonic() < deadline:
            self.send_signal(next(turns))
            time.sleep(0.001)
        return self.wait_exit()

    def output(self) -> str:
        """Return all it has written to its log so far."""
        return self.log.read_text(errors='replace')

    def wait_until(
        self, condition: Callable[[], Any], failure: str, timeout: float = PATIENCE
    ) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.running:
                raise AssertionError(f'{self.name} ended: {failure}{self.log_end()}')
            if time.monotonic() > deadline:
                raise AssertionError(
                    f'{self.name}, for {timeout:.3f} s: {failure}{self.log_end()}'
                )
            time.sleep(_POLL)

    def log_end(self) -> str:
        """Return the end of the log, for the message of a failure."""
        return f'; {self.log} ends with\n{self.output()[-4000:]}'

    def _pipes(self, log: Any) -> dict[str, Any]:
        return {'stdin': subprocess.DEVNULL, 'stdout': log}

    def _before_program(self) -> None:
        _die_with_parent()
        if self._enter is not None:
            self._enter()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
