# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A process of the tests: started, frozen, ended by its own id, and gone when the tests are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import itertools
import os
from pathlib import Path
import signal
import subprocess
import time
from typing import Any, TYPE_CHECKING

from support.bounds import PATIENCE
from viam_session_bridge.tools.processes import Process

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
# Before a command: it dies with the thread that started it. No `preexec_fn`, for beside gRPC what
# Python runs between fork() and exec() may hang.
DIES_WITH_TESTS = ('setpriv', '--pdeathsig', 'KILL')


class ProcessUnderTest(Process):
    """
    One process with its output in a file; for `with`, which starts it and kills it.

    It dies with the thread that started it, so that no crash of the tests leaves it behind.
    """

    failure = AssertionError

    def __init__(self, directory: Path, name: str, environment: Mapping[str, str]) -> None:
        # This working copy, whatever is installed.
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
        super().__init__(directory, name, {'PYTHONPATH': path, **environment})
        self._inside: Sequence[str] = ()

    def inside(self, command: Sequence[str]) -> Self:
        """Have it run by a command that becomes it, such as one that enters another host."""
        self._inside = command
        return self

    def command(self) -> Sequence[str]:
        """Return what to run."""
        raise NotImplementedError

    def wait_ready(self) -> None:
        """Wait until the process does its work."""

    def start(self, ready: bool = True) -> None:
        """Start it; `ready` waits until it does its work."""
        command = [*self._inside, *DIES_WITH_TESTS, *self.command()]
        self.launch(command, **self._pipes())
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
        """Wait until it has ended by itself and return its exit status."""
        return super().wait_exit(timeout)

    def wait_until(
        self, condition: Callable[[], Any], failure: str, timeout: float = PATIENCE
    ) -> None:
        """Wait until a condition holds."""
        super().wait_until(condition, failure, timeout)

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

    def _pipes(self) -> dict[str, Any]:
        return {'stdin': subprocess.DEVNULL}
