# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The event log: what happened, one JSON object a line, rotated (parameter ``event_log``)."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
import json
import logging
from logging.handlers import RotatingFileHandler
import re
import time
from typing import Any

from viam_session_bridge.bridge import Event

MAX_BYTES = 10_000_000
FILES_KEPT = 3


class EventLog:
    """
    Writes events to a file and its rotated predecessors (``PATH.1`` the youngest).

    Each line has ``event`` (the kind, ``session_ended``), ``wall`` (s since the epoch when it was
    written) and the event's own fields; their times are s on the steady clock (CLOCK_MONOTONIC).
    A disk that is full loses lines, never the bridge.
    """

    def __init__(self, path: str) -> None:
        """Open the file for appending, with OSError where that cannot be done."""
        self._handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=FILES_KEPT)
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]

    def write(self, event: Event) -> None:
        """Write one event."""
        line = json.dumps({'event': kind_of(event), 'wall': time.time(), **_plain(asdict(event))})
        self._handler.emit(logging.makeLogRecord({'msg': line}))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


def kind_of(event: Event) -> str:
    """Return an event's kind in snake case."""
    return re.sub(r'(?<!^)(?=[A-Z])', '_', type(event).__name__).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.value if isinstance(value, Enum) else value
