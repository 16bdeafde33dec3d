# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A Viam SDK program in a process of its own, beside the bridge on the same machine."""

from __future__ import annotations

from pathlib import Path
import sys

from support.commanded_process import CommandedProcess

_PROGRAM = Path(__file__).with_name('sdk_operator.py')


class SdkOperatorProcess(CommandedProcess):
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
        self._write(base=base, forward=forward)
        assert self._await_answer() == {'drives': base}
