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

    def _write(self, **order: Any) -> None:
        self.write_line(json.dumps(order))

    def _await_answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while not select.select([self.process.stdout], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, f'{self.name} does not answer{self.log_end()}'
        answer: dict[str, Any] = json.loads(self.read_line())
        return answer

    def _pipes(self) -> dict[str, Any]:
        return {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
