# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A process that takes commands as JSON lines on stdin, and answers with such on stdout."""

from __future__ import annotations

import json
import select
import subprocess
import time
from typing import Any

from support.bounds import PATIENCE
from support.process import ProcessUnderTest


class CommandedProcess(ProcessUnderTest):
    """Its output goes to the answers alone; what it logs to stderr is in its file."""

    def kill(self) -> None:
        """End it at once, as a crash would."""
        super().kill()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _write(self, **order: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b'\n')
        self._process.stdin.flush()

    def _await_answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while not select.select([self._process.stdout], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, f'{self.name} does not answer{self.log_end()}'
        line = self._process.stdout.readline()
        assert line, f'{self.name} ended{self.log_end()}'
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _pipes(self, log: Any) -> dict[str, Any]:
        return {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
