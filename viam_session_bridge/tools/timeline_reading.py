# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Read what ``reporting/event_log.py`` wrote: files to events, events to runs of the bridge.

A line that is no event (cut off, of a newer bridge, not ours at all) is counted, never fatal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, MISSING
from enum import Enum
from functools import cache
import json
from pathlib import Path
from statistics import median
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from viam_session_bridge.core.actions import SessionEnded, SessionStarted, TakenOver
from viam_session_bridge.reporting.event_log import EVENT_NAMES, LogClosed, Logged, LogOpened

KINDS = {name: kind for kind, name in EVENT_NAMES.items()}
_LATEST = 1e10  # s; no clock shows a later time
_DISORDER = 1.0  # s that a line may be older than the one before it
_CLOCK_SET = 1.0  # s: a wall clock that differs by more was set meanwhile


@dataclass(frozen=True)
class Entry:
    """One line of the log; ``wall`` is s since the epoch, node and topic '' where not known."""

    event: Logged
    wall: float
    node: str = ''
    topic: str = ''


def files_of(log: Path) -> list[Path]:
    """Return the files of a log that exist, the oldest first."""
    rotated = [
        file for file in log.parent.glob('*')
        if file.stem == log.name and file.suffix[1:].isdecimal()
    ]  # fmt: skip
    rotated.sort(key=lambda file: -int(file.suffix[1:]))
    return [*rotated, *([log] if log.exists() else [])]


def lines_of(files: Iterable[Path]) -> Iterator[str]:
    """Yield the lines of files that are not empty; OSError where a file cannot be read."""
    for file in files:
        with file.open(encoding='utf-8', errors='replace', newline='\n') as opened:
            yield from (line for line in opened if line.strip())


def read(lines: Iterable[str]) -> tuple[list[Entry], Counter[str]]:
    """Return the entries, and how many lines were skipped for which reason."""
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    for line in lines:
        try:
            entries.append(_entry(json.loads(line)))
        except KeyError:
            skipped['of another kind'] += 1
        except (ValueError, OverflowError, RecursionError):
            skipped['not whole'] += 1
    return entries, skipped


def printable(text: str) -> str:
    """Return a text with spaces for what neither a terminal nor XML should be given."""
    return ''.join(c if c.isprintable() else ' ' for c in text)


def _entry(line: Any) -> Entry:
    """Return a line's entry; KeyError where its kind is not known, ValueError where it is bad."""
    if not isinstance(line, dict):
        raise ValueError('no object')
    kind = line.get('event')
    event = _object(KINDS[kind if isinstance(kind, str) else ''], line)
    about = (line.get(name) for name in ('node', 'topic'))
    names = (printable(name) if isinstance(name, str) else '' for name in about)
    return Entry(event, _value(float, line.get('wall')), *names)


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def _object(kind: type[Any], values: dict[str, Any]) -> Any:
    """Return an object of a data class; a field that is not there must have a default."""
    given = {
        field.name: _value(_hints(kind)[field.name], values.get(field.name))
        for field in fields(kind)
        if field.name in values or field.default is MISSING
    }
    return kind(**given)


def _value(kind: Any, value: Any) -> Any:
    """Return a JSON value as a field's type demands, ValueError where it is of another."""
    if isinstance(kind, UnionType):  # each is of something and None
        return None if value is None else _value(get_args(kind)[0], value)
    if kind is float and type(value) in (int, float) and abs(value) < _LATEST:
        return float(value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(get_args(kind)[0], inner) for inner in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _value(get_args(kind)[1], inner) for key, inner in value.items()}
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return _object(kind, value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is str and isinstance(value, str):
        return printable(value)
    if kind in (int, bool) and type(value) is kind:
        return value
    raise ValueError(f'{value!r} is no {kind}')


class Run:
    """
    One run of the bridge: its entries, never none, and whose each session is.

    The log goes on over restarts of the bridge and of the computer: session numbers and the steady
    clock begin anew then. It may lack a run's beginning or end.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Take the entries of one run."""
        self.entries = entries
        events = [entry.event for entry in entries]
        # Lines are written later than their events, so the least offset is the best; and on many
        # robots the clock is set some time after the start, so it is one that most agree with.
        offsets = [entry.wall - entry.event.at for entry in entries]
        most = median(offsets)
        near = (offset for offset in offsets if abs(offset - most) < _CLOCK_SET)
        self._offset = min(near, default=most)
        self.opened = isinstance(events[0], LogOpened)
        self.closed = isinstance(events[-1], LogClosed)
        self.begin = self.time(min(event.at for event in events))
        self.end = self.time(max(event.at for event in events))
        self.clients = {
            event.session: event.client
            for event in events
            if isinstance(event, (SessionStarted, SessionEnded, TakenOver))
        }

    def time(self, at: float) -> float:
        """Return a steady time as s since the epoch."""
        return at + self._offset


def split(entries: Iterable[Entry]) -> list[Run]:
    """Return the runs, in their order."""
    runs: list[list[Entry]] = []
    latest, highest = 0.0, 0
    for entry in entries:
        event = entry.event
        restarted = isinstance(event, SessionStarted) and event.session <= highest
        rebooted = event.at < latest - _DISORDER
        if not runs or isinstance(event, LogOpened) or restarted or rebooted:
            runs.append([])
            highest = 0
        runs[-1].append(entry)
        latest = event.at
        if isinstance(event, SessionStarted):
            highest = event.session
    return [Run(run) for run in runs]


class Names:
    """The names of clients: the last node and topic that the log knows of each."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Read all the log: a node's name is often known only after its start."""
        self._nodes: dict[str, str] = {}
        self._topics: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        for entry in entries:
            client = getattr(entry.event, 'client', '')
            if client:
                self._number(client)
                self._nodes[client] = entry.node or self._nodes.get(client, '')
                self._topics[client] = entry.topic or self._topics.get(client, '')

    def of(self, client: str) -> str:
        """Return a client's name: its node, or what else is known."""
        if not client:
            return 'nobody'
        known = self._nodes.get(client) or self.topic(client)
        return known or (client if client.startswith('/') else f'publisher {self._number(client)}')

    def topic(self, client: str) -> str:
        """Return a client's topic, '' where not known."""
        return self._topics.get(client, '')

    def _number(self, client: str) -> int:
        return self._numbers.setdefault(client, len(self._numbers) + 1)
