# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers that mean harm, in a process of their own: what `hostile.py` can do."""

from __future__ import annotations

from pathlib import Path
import struct
import sys

from support.domains import ros_environment
from support.process import ProcessUnderTest

_PROGRAM = Path(__file__).with_name('hostile.py')
_SENT = struct.Struct('<qd')  # as of hostile.py, which only a ROS process can import


class HostileProcess(ProcessUnderTest):
    """
    One process of `hostile.py`; for `with`.

    It is `nice`: it is to harm by what it sends, and not by taking the cores from all others,
    which no bridge can do anything about.
    """

    def __init__(
        self, directory: Path, domain: int, what: str, node: str, *arguments: object
    ) -> None:
        super().__init__(directory, node, ros_environment(domain))
        self._file = directory / f'{node}.sent'
        self._arguments = [what, node, str(self._file), *map(str, arguments)]

    def command(self) -> list[str]:
        """Return what to run."""
        return ['nice', '-n', '19', sys.executable, str(_PROGRAM), *self._arguments]

    def wait_ready(self) -> None:
        """Wait until somebody hears it."""
        self.wait_until(lambda: 'heard' in self.output(), 'nobody hears it')

    @property
    def count(self) -> int:
        """How many messages it sent so far."""
        return self._sent()[0]

    @property
    def last_sent(self) -> float:
        """When the last of them left."""
        return self._sent()[1]

    def _sent(self) -> tuple[int, float]:
        data = self._file.read_bytes() if self._file.exists() else b''
        return _SENT.unpack(data) if len(data) == _SENT.size else (0, 0.0)
