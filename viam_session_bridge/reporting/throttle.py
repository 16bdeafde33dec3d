# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How often the log says the same: what fails at 50 Hz is not worth 50 lines a second."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

BURST = 10  # lines that may follow each other at once
EVERY = 1.0  # s for each further one


@dataclass
class _Bucket:
    tokens: float
    at: float
    kept_back: int = 0


class Throttle:
    """Lets a few lines of a kind through at once, then one now and then. Pure."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._buckets: dict[Hashable, _Bucket] = {}

    def let_through(self, kind: Hashable, now: float) -> int | None:
        """Return how many of a kind were kept back before this one; None: keep it back, too."""
        bucket = self._buckets.setdefault(kind, _Bucket(BURST, now))
        bucket.tokens = min(bucket.tokens + (now - bucket.at) / EVERY, BURST)
        bucket.at = now
        if bucket.tokens < 1.0:
            bucket.kept_back += 1
            return None
        bucket.tokens -= 1.0
        kept_back, bucket.kept_back = bucket.kept_back, 0
        return kept_back

    def line(self, kind: Hashable, text: str, now: float) -> str | None:
        """Return the line to write, with how many were kept back before it; None: none."""
        kept_back = self.let_through(kind, now)
        if kept_back is None:
            return None
        return f'{text} (and {kept_back} more like this)' if kept_back else text
