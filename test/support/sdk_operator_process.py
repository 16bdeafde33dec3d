# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A Viam SDK program in a process of its own, beside the bridge on the same machine."""

from __future__ import annotations

import json
from pathlib import Path
import select
import subprocess
import sys
import time
from typing import Any

from support.bounds import PATIENCE
from support.process import ProcessUnderTest

_PROGRAM = Path(__file__).with_name('sdk_operator.py')


class SdkOperatorProcess(ProcessUnderTest):
    """An operator whose session starts with its first command, and lives as long as it does."""

    def __init__(self, directory: Path, address: str, *, name: str = 'sdk_operator') -> None:
        super().__init__(directory, name, {})
        self._address = address

    def command(self) -> list[str]:
        """Return what to run."""
        return [sys.executable, str(_PROGRAM), self._address]

    def wait_ready(self) -> None:
        """Wait until it is connected."""
        self._await_answer()

    def drive(self, base: str, forward: float) -> None:
        """Tell a base a speed in m/s once; returns when the machine has acknowledged it."""
        assert self._process is not None and self._process.stdin is not None
        order = {'base': base, 'forward': forward}
        self._process.stdin.write(json.dumps(order).encode() + b'\n')
        self._process.stdin.flush()
        assert self._await_answer() == {'drives': base}

    def kill(self) -> None:
        """End it at once, as a crash would."""
        super().kill()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _await_answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while not select.select([self._process.stdout], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, f'{self.name} does not answer{self.log_end()}'
        answer = self._process.stdout.readline()
        assert answer, f'{self.name} ended{self.log_end()}'
        told: dict[str, Any] = json.loads(answer)
        return told

    def _pipes(self, log: Any) -> dict[str, Any]:
        return {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
