# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a process takes of the computer."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import time


@dataclass(frozen=True)
class Usage:
    """
    What a process takes at one moment.

    :param at: s, when
    :param memory: MB that are resident
    :param cpu: s of CPU time so far
    """

    at: float
    memory: float
    threads: int
    files: int
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Look at a process."""
        process = Path(f'/proc/{pid}')
        pages = int((process / 'statm').read_text().split()[1])
        return cls(
            at=time.monotonic(),
            memory=pages * os.sysconf('SC_PAGE_SIZE') / 1e6,
            threads=len(os.listdir(process / 'task')),
            files=len(os.listdir(process / 'fd')),
            # The process's CPU clock, MAKE_PROCESS_CPUCLOCK of Linux.
            cpu=time.clock_gettime((~pid << 3) | 2),
        )

    def cpu_share(self, since: Usage) -> float:
        """Return which part of a core it took since then."""
        return (self.cpu - since.cpu) / (self.at - since.at)
