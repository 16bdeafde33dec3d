# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Read an event log into lanes: a machine's connection, a base's last users, a client's sessions.

All times in lanes are s since the epoch. A line that is no event (cut off, of a newer bridge, not
ours at all) is counted, never fatal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, MISSING
from enum import Enum
from functools import cache
from itertools import pairwise
import json
import math
from pathlib import Path
from statistics import median
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, Literal

from viam_session_bridge.core import actions, events
from viam_session_bridge.core.actions import Cause, SessionEnded, Stop
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.reporting.event_log import EVENT_NAMES, LogClosed, Logged, LogOpened
from viam_session_bridge.reporting.log_text import log_line
from viam_session_bridge.text import printable

KINDS = {name: kind for kind, name in EVENT_NAMES.items()}
LaneKind = Literal['machine', 'base', '']  # '': a client's
_LATEST = 1e10  # s; no clock shows a later time


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


def read(lines: Iterable[str]) -> tuple[list[Entry], int]:
    """Return the entries, and how many lines were skipped."""
    entries: list[Entry] = []
    skipped = 0
    for text in lines:
        try:
            line = json.loads(text)
            event = _value(KINDS[line['event']], line)
            about = (printable(str(line.get(name, ''))) for name in ('node', 'topic'))
            entries.append(Entry(event, _value(float, line['wall']), *about))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            skipped += 1
    return entries, skipped


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def _value(hint: Any, value: Any) -> Any:
    """Return a JSON value as a field of this type has it; an exception where it is no such."""
    if isinstance(hint, UnionType):  # each is of something and None
        return None if value is None else _value(get_args(hint)[0], value)
    if is_dataclass(hint):
        return hint(**{  # type: ignore[operator]
            field.name: _value(_hints(hint)[field.name], value[field.name])
            for field in fields(hint)
            if field.name in value or field.default is MISSING
        })  # fmt: skip
    if hint is float and not abs(value) < _LATEST:
        raise ValueError(f'{value} is no time')
    if hint is str:
        return printable(str(value))
    if get_origin(hint) is tuple:
        return tuple(_value(str, inner) for inner in value)
    return (get_origin(hint) or hint)(value)


class SpanKind(Enum):
    """What a span of time was; the value is for the legend."""

    CONNECTED = 'connected'  # a machine
    DISCONNECTED = 'not connected'
    LAST_USER = 'last user'  # of a base
    STOPPING = 'stop not acknowledged yet'
    ALIVE = 'session'  # up to its last sign of life
    SILENT = 'silent: from its last sign of life'


class Sign(Enum):
    """What a mark stands for; the value is for the legend, completed with the mark's cause."""

    STOP = 'stopped: {}'
    UNANSWERED = 'stopped: {}; not acknowledged'
    ENDED = 'session ended: {}'
    TAKEN_OVER = 'taken over'
    LEFT_TO_MACHINE = 'left to its machine to stop'
    REFUSED = 'command refused'
    WARNING = 'warning'
    BRIDGE_STARTED = 'bridge started'
    BRIDGE_ENDED = 'bridge ended'
    BRIDGE_KILLED = 'bridge killed or crashed'


@dataclass(frozen=True)
class Span:
    """A span of time; ``user`` is the client whose colour it has, '' for nobody's."""

    kind: SpanKind
    begin: float
    end: float
    user: str = ''


@dataclass(frozen=True)
class Mark:
    """A moment, with its cause where it is a stop or the end of a session."""

    sign: Sign
    at: float
    cause: Cause | None = None


@dataclass
class Lane:
    """One line of the picture."""

    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


@dataclass
class Timeline:
    """
    A log, or a part of it: lanes, ``names`` of clients, and the lines of the bridge's own log.

    The key of a lane is its kind with the name of the machine or base, or the client.
    """

    names: dict[str, str]
    begin: float = math.inf
    end: float = -math.inf
    lanes: defaultdict[tuple[LaneKind, str], Lane] = field(
        default_factory=lambda: defaultdict(Lane)
    )
    bridge: list[Mark] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def part(self, begin: float, end: float) -> Timeline:
        """Return what lies between two times, without the lanes that have nothing there."""
        part = Timeline(self.names, begin, end)
        part.bridge = [mark for mark in self.bridge if begin <= mark.at <= end]
        part.lines = [line for line in self.lines if begin <= line[0] <= end]
        for key, lane in self.lanes.items():
            spans = [
                Span(span.kind, max(span.begin, begin), min(span.end, end), span.user)
                for span in lane.spans
                if span.begin <= end and span.end >= begin
            ]
            marks = [mark for mark in lane.marks if begin <= mark.at <= end]
            if spans or marks:
                part.lanes[key] = Lane(spans, marks)
        return part


def compose(entries: Sequence[Entry]) -> Timeline:
    """Return the timeline of a log that has at least one entry; each start begins a new run."""
    timeline = Timeline(_names(entries))
    starts = [i for i, entry in enumerate(entries) if isinstance(entry.event, LogOpened)]
    for first, last in pairwise(sorted({0, *starts, len(entries)})):
        _Run(timeline, entries[first:last]).add(is_last=last == len(entries))
    timeline.lines.sort(key=lambda line: line[0])
    return timeline


def _names(entries: Iterable[Entry]) -> dict[str, str]:
    """Name each client by its node, with the topic where that node has several."""
    about: dict[str, tuple[str, str]] = {}
    for entry in entries:
        if client := getattr(entry.event, 'client', ''):
            # A node's name is often known only after its start.
            node, topic = about.get(client, ('', ''))
            about[client] = entry.node or node, entry.topic or topic
    topics = Counter(node for node, _ in {*about.values()})
    names = {'': 'nobody'}
    for client, (node, topic) in about.items():
        name = f'{node} ({topic})' if topics[node] > 1 else node
        names[client] = name if node else topic or f'publisher {client}'
    return names


class _Run:
    """
    One run of the bridge: the numbers of sessions and the steady clock are its own.

    The log may lack its beginning (rotated away), and its end (killed, or running still).
    """

    def __init__(self, timeline: Timeline, entries: Sequence[Entry]) -> None:
        self._timeline = timeline
        self._events = [entry.event for entry in entries]
        # On many robots the clock is set some time after the start: what most agree with.
        self._offset = median(entry.wall - entry.event.at for entry in entries)
        self._begin = self._time(min(event.at for event in self._events))
        self._end = self._time(max(event.at for event in self._events))
        timeline.begin = min(timeline.begin, self._begin)
        timeline.end = max(timeline.end, self._end)
        self._sessions: dict[int, tuple[str, float]] = {}  # client, since when
        self._users: dict[str, tuple[str, float]] = {}  # of bases: client, since when
        self._ready: dict[str, tuple[bool, float]] = {}  # machines: whether, since when
        self._stops: dict[Stop, float | None] = {}  # when acknowledged
        self._waiting: defaultdict[str, set[Stop]] = defaultdict(set)  # by base

    def add(self, is_last: bool) -> None:
        """Add this run to the timeline."""
        for event in self._events:
            if isinstance(event, LogOpened):
                self._add_bridge(Sign.BRIDGE_STARTED, self._time(event.at))
            elif isinstance(event, LogClosed):
                self._add_bridge(Sign.BRIDGE_ENDED, self._time(event.at))
            else:
                self._add_event(event, self._time(event.at))
        for client, begin in self._sessions.values():
            self._add_span('', client, SpanKind.ALIVE, begin, self._end, client)
        for base in [*self._users]:
            self._end_use(base, self._end)
        for machine in [*self._ready]:
            self._end_state(machine, self._end)
        for stop, acknowledged in self._stops.items():
            self._add_stop(stop, acknowledged)
        if not is_last and not isinstance(self._events[-1], LogClosed):
            self._add_bridge(Sign.BRIDGE_KILLED, self._end)

    def _time(self, at: float) -> float:
        return at + self._offset

    def _add_bridge(self, sign: Sign, at: float) -> None:
        self._timeline.bridge.append(Mark(sign, at))
        self._timeline.lines.append((at, sign.value))

    def _add_span(
        self, lane: LaneKind, name: str, kind: SpanKind, begin: float, end: float, user: str = ''
    ) -> None:
        spans = self._timeline.lanes[lane, name].spans
        spans.append(Span(kind, max(begin, self._begin), max(begin, self._begin, end), user))

    def _add_event(self, event: Event, at: float) -> None:
        warning, text = log_line(event, self._timeline.names.__getitem__, None) or (False, '')
        if text:
            self._timeline.lines.append((at, text))
        base: str = getattr(getattr(event, 'stop', event), 'base', '')
        sign = Sign.WARNING if warning else None
        match event:
            case actions.SessionStarted():
                self._sessions[event.session] = event.client, at
                self._timeline.lanes['', event.client]  # in the order of their appearance
            case SessionEnded():
                self._end_session(event, at)
            case actions.TakenOver():
                self._end_use(base, at)
                self._waiting[base].clear()  # the command came before the Stop
                if event.session:
                    self._users[base] = event.client, at
                    sign = Sign.TAKEN_OVER if event.previous else None
            case Stop():
                self._stops[event] = None
                self._waiting[base].add(event)
            case events.StopAcknowledged() | events.StopFinal():
                # What stopped the base for one reason did so for all there were by then.
                for stop in (event.stop, *self._waiting.pop(base, ())):
                    if self._stops.setdefault(stop, None) is None:
                        self._stops[stop] = event.at
            case events.ChannelChanged():
                self._ready.setdefault(event.machine, (not event.ready, self._begin))
                self._end_state(event.machine, at)
                self._ready[event.machine] = event.ready, at
                sign = None
            case events.MachineClosed():
                self._end_state(event.machine, at)
            case events.MachineAbsent():
                self._ready.setdefault(event.machine, (False, self._begin))
            case actions.Refused():
                sign = Sign.REFUSED
            case events.LeftToMachine():
                sign = Sign.LEFT_TO_MACHINE
        if sign is not None:
            machine = getattr(event, 'machine', '')
            key: tuple[LaneKind, str] = ('base', base) if base else ('machine', machine)
            self._timeline.lanes[key].marks.append(Mark(sign, at))

    def _end_session(self, event: SessionEnded, at: float) -> None:
        begin, sign = self._time(event.started), self._time(event.sign)
        self._sessions.pop(event.session, None)
        self._add_span('', event.client, SpanKind.ALIVE, begin, sign, event.client)
        self._add_span('', event.client, SpanKind.SILENT, sign, at, event.client)
        self._timeline.lanes['', event.client].marks.append(Mark(Sign.ENDED, at, event.cause))
        for base in event.bases:
            self._users.setdefault(base, (event.client, begin))  # the log may begin under it
            self._end_use(base, at)

    def _end_use(self, base: str, at: float) -> None:
        if base in self._users:
            client, since = self._users.pop(base)
            self._add_span('base', base, SpanKind.LAST_USER, since, at, client)

    def _end_state(self, machine: str, at: float) -> None:
        if machine in self._ready:
            ready, since = self._ready.pop(machine)
            kind = SpanKind.CONNECTED if ready else SpanKind.DISCONNECTED
            self._add_span('machine', machine, kind, since, at)

    def _add_stop(self, stop: Stop, acknowledged: float | None) -> None:
        at, sign = self._time(stop.at), Sign.STOP
        if acknowledged is None:
            sign = Sign.UNANSWERED
            text = f'{stop.base}: stopped ({stop.cause.value}), not acknowledged'
            self._timeline.lines.append((at, text))
        else:
            end = self._time(acknowledged)
            self._add_span('base', stop.base, SpanKind.STOPPING, at, end)
        self._timeline.lanes['base', stop.base].marks.append(Mark(sign, at, stop.cause))
