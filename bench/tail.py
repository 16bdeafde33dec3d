# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Reads JSON Lines while they are written, each line once."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import time
from typing import Any

_POLL = 0.02  # s; a reader that is quicker disturbs what it measures


class Tail:
    """The lines of a file, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning."""
        self.path = path
        self._at = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the whole lines that were added since the last call."""
        try:
            with self.path.open('rb') as file:
                file.seek(self._at)
                added = file.read()
        except FileNotFoundError:
            return []
        whole = added[: added.rfind(b'\n') + 1]
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

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
