# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated machine in a process of its own, with the interface of `ViamServer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import sys

from support.ports import free_port
from support.process import ProcessUnderTest
from support.record import Record


class SimulatedMachineProcess(ProcessUnderTest):
    """A simulated machine on a port of this computer; it can be started again after its end."""

    def __init__(
        self,
        tmp_path: Path,
        bases: Sequence[str] = ('base',),
        window: float = 2.0,
        port: int | None = None,
        *,
        name: str = 'simulated',
        host: str = '127.0.0.1',
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(tmp_path, name, {})
        self.address = f'{host}:{port or free_port()}'
        self.record = Record(tmp_path / f'{name}.jsonl')
        self._bases = bases
        self._window = window
        self._options = options
        self._log_start = 0

    def command(self) -> list[str]:
        """Return what to run."""
        self._log_start = len(self.output()) if self.log.exists() else 0
        arguments = ['--address', self.address, '--window', str(self._window)]
        arguments += ['--record', str(self.record.path), '--bases', *self._bases]
        arguments += self._options
        return [sys.executable, '-m', 'viam_session_bridge.simulation', *arguments]

    def wait_ready(self) -> None:
        """Wait until it listens."""
        listening = f'listening on {self.address},'
        self.wait_until(
            lambda: listening in self.output()[self._log_start :], 'it does not listen'
        )

    def restart(self) -> None:
        """Kill it and start it anew on the same port; the record goes on."""
        self.kill()
        self.start()

    def terminate(self) -> int:
        """Shut it down as an operator would and return its exit status."""
        self.resume()
        return super().terminate()
