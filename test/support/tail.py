# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""JSON Lines, read while they are written, each line once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
