# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Waits for lines of JSON Lines while they are written."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import time
from typing import Any

from support.tail import Tail as NewLines

_POLL = 0.02  # s; a reader that is quicker disturbs what it measures


class Tail(NewLines):
    """The lines of a file, which need not exist yet."""

    def collect(
        self,
        lines: list[dict[str, Any]],
        enough: Callable[[dict[str, Any]], bool],
        until: float,
    ) -> bool:
        """
        Append new lines until one of them is enough, and return whether one was.

        :param until: when to give up, s of time.monotonic()
        """
        while True:
            last = time.monotonic() >= until
            added = self.new()
            lines += added
            if any(map(enough, added)):
                return True
            if last:
                return False
            time.sleep(_POLL)


class RotatedTail:
    """The lines of a file that is rotated now and then, but not twice between two looks."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning."""
        self._path = path
        self._inode = 0
        self._at = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the whole lines that were added since the last call."""
        lines: list[dict[str, Any]] = []
        if not self._path.exists():
            return lines
        inode = self._path.stat().st_ino
        if self._inode not in (0, inode):
            lines += self._read(self._path.with_name(f'{self._path.name}.1'))
            self._at = 0
        self._inode = inode
        return lines + self._read(self._path)

    def _read(self, path: Path) -> list[dict[str, Any]]:
        with path.open('rb') as file:
            file.seek(self._at)
            added = file.read()
        whole = added[: added.rfind(b'\n') + 1]
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
