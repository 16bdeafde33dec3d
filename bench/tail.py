# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Waits for lines of JSON Lines while they are written."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import time
from typing import Any

Line = dict[str, Any]

_POLL = 0.02  # s; a reader that is quicker disturbs what it measures


class Tail:
    """The lines of a file, which need not exist yet and may be rotated between two looks, once."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning."""
        self._path = path
        self._inode = 0
        self._at = 0

    def new(self) -> list[Line]:
        """Return the whole lines that were added since the last call."""
        lines: list[Line] = []
        if not self._path.exists():
            return lines
        inode = self._path.stat().st_ino
        if self._inode not in (0, inode):
            lines += self._read(self._path.with_name(f'{self._path.name}.1'))
            self._at = 0
        self._inode = inode
        return lines + self._read(self._path)

    def until(self, enough: Callable[[Line], bool], seconds: float) -> list[Line]:
        """Return new lines as soon as one of them is enough, or what there is when time is up."""
        lines, end = self.new(), time.monotonic() + seconds
        while not any(map(enough, lines)) and time.monotonic() < end:
            time.sleep(_POLL)
            lines += self.new()
        return lines

    def _read(self, path: Path) -> list[Line]:
        with path.open('rb') as file:
            file.seek(self._at)
            added = file.read()
        whole = added[: added.rfind(b'\n') + 1]
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
