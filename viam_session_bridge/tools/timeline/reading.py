# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Reads an event log: files to lines, lines to events (the way back of ``reporting/event_log.py``).

A line that is no event (cut off, of a newer bridge, not ours at all) is counted, never fatal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, MISSING
from enum import Enum
from functools import cache
import json
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from viam_session_bridge.reporting.event_log import EVENT_NAMES, Logged

KINDS: dict[str, type[Logged]] = {name: kind for kind, name in EVENT_NAMES.items()}
_ABOUT = ('node', 'topic')
_LATEST = 1e10  # s; beyond it is no time of any clock


@dataclass(frozen=True)
class Entry:
    """One line of the log; ``wall`` is s since the epoch, node and topic '' where not known."""

    event: Logged
    wall: float
    node: str = ''
    topic: str = ''


def files_of(path: Path) -> list[Path]:
    """Return the log's files that there are, the oldest first."""
    rotated = [
        file for file in path.parent.glob('*')
        if file.name.startswith(f'{path.name}.') and file.name[len(path.name) + 1 :].isdecimal()
    ]  # fmt: skip
    rotated.sort(key=lambda file: -int(file.suffix[1:]))
    return [*rotated, *([path] if path.exists() else [])]


def lines_of(files: Iterable[Path]) -> Iterator[str]:
    """Yield the lines of these files that are not empty, with OSError where one is unreadable."""
    for file in files:
        with file.open(encoding='utf-8', errors='replace', newline='\n') as opened:
            yield from (line for line in opened if line.strip())


def read(lines: Iterable[str]) -> tuple[list[Entry], Counter[str]]:
    """Return the entries, and of the lines that were skipped how many there are of each kind."""
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
    wall = _value(float, line.get('wall'))
    node, topic = (
        printable(name) if isinstance(name, str) else '' for name in map(line.get, _ABOUT)
    )
    return Entry(event, wall, node, topic)


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def _object(kind: type[Any], values: dict[str, Any]) -> Any:
    """Return an object of a data class; a field that is not there must have a default."""
    hints = _hints(kind)
    given = {
        field.name: _value(hints[field.name], values.get(field.name))
        for field in fields(kind)
        if field.name in values or field.default is MISSING
    }
    return kind(**given)


def _value(kind: Any, value: Any) -> Any:
    """Return a JSON value as what a field's type says, ValueError where it is something else."""
    if isinstance(kind, UnionType):  # there is none but with None
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
