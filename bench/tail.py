# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Waits for lines of JSON Lines while they are written."""

from __future__ import annotations

from collections.abc import Callable
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
