# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The event log: what happened, one JSON object a line, rotated (parameter ``event_log``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
import json
import logging
from logging.handlers import RotatingFileHandler
import re
import time
from typing import Any

from viam_session_bridge.bridge import Event
from viam_session_bridge.machine.happened import SID_SHOWN

MAX_BYTES = 10_000_000
FILES_KEPT = 3


@dataclass(frozen=True)
class LogOpened:
    """A bridge begins: its sessions are numbered from 1, and no machine is connected yet."""

    at: float


@dataclass(frozen=True)
class LogClosed:
    """The bridge ended in order; one that was killed does not say so."""

    at: float


Logged = Event | LogOpened | LogClosed


class EventLog:
    """
    Writes events to a file and its rotated predecessors (``PATH.1`` the youngest).

    Each line has ``event`` (the kind, ``session_ended``), ``wall`` (s since the epoch when it was
    written) and the event's own fields; their times are s on the steady clock (CLOCK_MONOTONIC).
    A line about a client has the ``node`` and ``topic`` of its publisher, '' where not known.
    A disk that is full loses lines, never the bridge.
    """

    def __init__(
        self, path: str, describe: Callable[[str], tuple[str, str]] | None = None
    ) -> None:
        """
        Open the file for appending, with OSError where that cannot be done.

        :param describe: a client's node and topic
        """
        self._describe = describe
        self._handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=FILES_KEPT)
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]
        self.write(LogOpened(time.monotonic()))

    def write(self, event: Logged) -> None:
        """Write one event."""
        line = {'event': kind_of(event), 'wall': time.time(), **_plain(asdict(event))}
        if 'sid' in line:
            line['sid'] = line['sid'][:SID_SHOWN]
        client = getattr(event, 'client', '')
        if client and self._describe is not None:
            line['node'], line['topic'] = self._describe(client)
        self._handler.emit(logging.makeLogRecord({'msg': json.dumps(line)}))

    def close(self) -> None:
        """Close the file."""
        self.write(LogClosed(time.monotonic()))
        self._handler.close()


def kind_of(event: Logged) -> str:
    """Return an event's kind in snake case."""
    return name_of(type(event))


def name_of(kind: type[Logged]) -> str:
    """Return how the log calls a kind of events."""
    return re.sub(r'(?<!^)(?=[A-Z])', '_', kind.__name__).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.value if isinstance(value, Enum) else value
