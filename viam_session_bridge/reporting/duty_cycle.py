# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How often ``~/sessions`` is published: at each change, but not for most of the time. Pure.

Some hundred sessions take milliseconds, in which Python runs nothing else. Where publishers of
one base alternate every command is a change: the overview must not cost the commands their time.
"""

from __future__ import annotations

SHARE = 0.05
"""Share of the time that publishing may take."""


class DutyCycle:
    """When what changed is to be published; ``now`` in s, steady."""

    def __init__(self) -> None:
        """Start with nothing to publish."""
        self._changed = False
        self._free_at = float('-inf')

    def changed(self) -> None:
        """Note a change."""
        self._changed = True

    def wait(self, now: float) -> float | None:
        """Return the seconds until the change is to be published, None: there is none."""
        return max(self._free_at - now, 0.0) if self._changed else None

    def published(self, began: float, now: float) -> None:
        """Note that all was published, from ``began`` to ``now``."""
        self._changed = False
        self._free_at = now + (now - began) / SHARE
