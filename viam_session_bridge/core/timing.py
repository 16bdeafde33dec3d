# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Which of several deadlines comes first."""

from __future__ import annotations

from collections.abc import Iterable


def soonest(times: Iterable[float | None]) -> float | None:
    """Return the earliest, None where there is none; asked several times for each command."""
    first = None
    for at in times:
        if at is not None and (first is None or at < first):
            first = at
    return first
