# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a timeline shows: a lane for the bridge, each machine, each base and each client.

Lanes hold spans and marks. All times in them are s since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from viam_session_bridge.core.actions import (
    Cause,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.events import (
    ChannelChanged,
    MachineClosed,
    StopAcknowledged,
    StopFinal,
)
from viam_session_bridge.reporting.event_log import EVENT_NAMES, LogClosed, Logged, LogOpened
from viam_session_bridge.reporting.log_text import log_line
from viam_session_bridge.tools.timeline_reading import Entry, Names, Run, split

CAUSES = {  # of stops: the label, and the sentence
    Cause.LAPSE: ('lapse', '{name}, its last user, fell silent for the heartbeat window'),
    Cause.LEFT: ('left', '{name}, its last user, left the ROS graph'),
    Cause.DEACTIVATED: ('deactivated', 'the bridge was deactivated or shut down'),
    Cause.REFUSED: ('refused', 'a command of {name}, which drove it, was refused'),
    Cause.ZERO: ('zero', 'a zero of {name} could not be forwarded'),
    Cause.FAILED: ('failed', 'a command of {name} failed, timed out or waited a whole window'),
    Cause.NO_MACHINE_SESSION: ('no session', 'the machine started no session for {name}'),
    Cause.EXPIRED: ('expired', 'the machine no longer knew the session of {name}'),
    Cause.OLDER: ('older command', 'an older command may have run late'),
    Cause.STILL_MOVING: ('still moving', 'it still moved after its stop'),
    Cause.STANDING: ('standing zero', 'the zeros of {name} did not bring it to rest'),
}


class SpanKind(str, Enum):
    """What a span of time was."""

    RUNNING = 'running'  # the bridge
    CONNECTED = 'connected'  # a machine
    DISCONNECTED = 'not connected'
    LAST_USER = 'last user'  # of a base
    STOPPING = 'stop not acknowledged yet'
    ALIVE = 'session'  # up to its last sign of life
    SILENT = 'silent'  # from there to its end


class Sign(str, Enum):
    """What a mark stands for."""

    STOP = 'stop: its cause, and the time to its answer'
    UNANSWERED = 'stop without an answer'
    TAKEN_OVER = 'taken over'
    ENDED = 'session ended'
    REFUSED = 'command refused'
    WARNING = 'warning'
    NOTE = 'note'


@dataclass(frozen=True)
class Span:
    """A span of time with a short label; the colour is that of ``user``, '' for nobody's."""

    kind: SpanKind
    begin: float
    end: float
    label: str = ''
    user: str = ''


@dataclass(frozen=True)
class Mark:
    """A moment: a short label for the picture, and a sentence for the list of marks."""

    sign: Sign
    at: float
    label: str
    text: str


@dataclass(eq=False)
class Lane:
    """One line of the picture."""

    name: str
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def part(self, begin: float, end: float) -> Lane:
        """Return what lies between two times."""
        spans = [
            replace(span, begin=max(span.begin, begin), end=min(span.end, end))
            for span in self.spans
            if span.begin <= end and span.end >= begin
        ]
        return Lane(self.name, spans, [mark for mark in self.marks if begin <= mark.at <= end])


@dataclass(frozen=True)
class Timeline:
    """All lanes; ``users`` in the order of their appearance, which gives them their colours."""

    begin: float
    end: float
    bridge: Lane
    machines: Sequence[Lane]
    bases: Sequence[Lane]
    clients: Sequence[Lane]
    users: Sequence[str]

    @property
    def marks(self) -> list[Mark]:
        """All marks, in the order of time."""
        lanes = (self.bridge, *self.machines, *self.bases, *self.clients)
        return sorted((mark for lane in lanes for mark in lane.marks), key=lambda mark: mark.at)

    def part(self, begin: float, end: float) -> Timeline:
        """Return what lies between two times, without the clients that have nothing there."""
        machines, bases, clients = (
            [lane.part(begin, end) for lane in lanes]
            for lanes in (self.machines, self.bases, self.clients)
        )
        clients = [lane for lane in clients if lane.spans or lane.marks]
        bridge = self.bridge.part(begin, end)
        return Timeline(begin, end, bridge, machines, bases, clients, self.users)


def clock(time: float) -> str:
    """Return a time (s since the epoch) as the local clock showed it, in ms."""
    return datetime.fromtimestamp(time).strftime('%H:%M:%S.%f')[:-3]


def duration(seconds: float) -> str:
    """Return a duration, a short one in ms."""
    if seconds < 1.0:
        return f'{1e3 * seconds:.1f} ms'
    return f'{seconds:.2f} s' if seconds < 100 else f'{seconds:.0f} s'


def compose(entries: Sequence[Entry]) -> Timeline:
    """Return the timeline of a log that has at least one entry."""
    runs, names = split(entries), Names(entries)
    bridge, clients = Lane('bridge'), _Clients(names)
    machines: dict[str, Lane] = {}
    bases: dict[str, Lane] = {}
    for run in runs:
        _add_run(bridge, run, last=run is runs[-1])
        clients.add(run)
        of_machines: dict[str, list[Logged]] = {}
        of_bases: dict[str, list[Logged]] = {}
        for event in (entry.event for entry in run.entries):
            if machine := getattr(event, 'machine', ''):
                of_machines.setdefault(machine, []).append(event)
            for base in _bases_of(event):
                of_bases.setdefault(base, []).append(event)
        for name, events in of_machines.items():
            _add_machine(machines.setdefault(name, Lane(name)), run, events, names)
        for name, events in of_bases.items():
            lane = bases.setdefault(name, Lane(name))
            _add_users(lane, run, events, names)
            _add_stops(lane, run, events, names)
    lanes = [*bases.values(), *clients.lanes()]
    spans = sorted((span for lane in lanes for span in lane.spans), key=lambda span: span.begin)
    return Timeline(
        begin=min(run.begin for run in runs),
        end=max(run.end for run in runs),
        bridge=bridge,
        machines=[machines[name] for name in sorted(machines)],
        bases=[bases[name] for name in sorted(bases)],
        clients=clients.lanes(),
        users=list(dict.fromkeys(span.user for span in spans if span.user)),
    )


def _bases_of(event: Logged) -> Sequence[str]:
    if isinstance(event, SessionEnded):
        return event.bases
    base: str = getattr(getattr(event, 'stop', event), 'base', '')
    return (base,) if base else ()


def _mark(event: Logged, run: Run, names: Names) -> Iterator[Mark]:
    """Yield the mark of an event, with the words of the bridge's own log; none without words."""
    if isinstance(event, (LogOpened, LogClosed)) or not (line := log_line(event, names.of, None)):
        return
    warning, text = line
    label = EVENT_NAMES[type(event)].replace('_', ' ')
    sign = Sign.WARNING if warning else Sign.NOTE
    if isinstance(event, Refused):
        label, sign = event.reason.value, Sign.REFUSED
    elif isinstance(event, TakenOver):
        label, sign = '', Sign.TAKEN_OVER
        text = f'{text} from {names.of(run.clients.get(event.previous, ""))}'
    elif isinstance(event, SessionEnded):
        bases = ', '.join(event.bases)
        sign = Sign.ENDED
        label = f'{CAUSES[event.cause][0]}: {f"stopping {bases}" if bases else "stops nothing"}'
        refused = ', '.join(f'{count} {reason}' for reason, count in event.refusals.items())
        text += f'; {event.commands} commands{f", refused: {refused}" if refused else ""}'
        text += f'; publisher {event.client}' if event.client else ''
    yield Mark(sign, run.time(event.at), label, text)


def _add_run(lane: Lane, run: Run, last: bool) -> None:
    """Add a run to the bridge's lane; ``last``: the log has no later one."""
    lane.spans.append(Span(SpanKind.RUNNING, run.begin, run.end))
    if run.closed:
        lane.marks.append(Mark(Sign.NOTE, run.end, 'ended', 'the bridge ended in order'))
    elif not last:
        text = 'the bridge was killed or crashed: the log has no end of it'
        lane.marks.append(Mark(Sign.WARNING, run.end, 'killed or crashed', text))


def _add_machine(lane: Lane, run: Run, events: Sequence[Logged], names: Names) -> None:
    """Add what one run of the bridge saw of a machine: connected or not, and marks."""
    since = run.begin
    # None: not known; what it was before the first change is known from that.
    ready: bool | None = False if run.opened else None

    def add_span(end: float) -> None:
        if ready is not None and end > since:
            kind = SpanKind.CONNECTED if ready else SpanKind.DISCONNECTED
            lane.spans.append(Span(kind, since, end, '' if ready else kind.value))

    for event in events:
        at = run.time(event.at)
        if isinstance(event, ChannelChanged):
            ready = not event.ready if ready is None else ready
            add_span(at)
            ready, since = event.ready, at
        else:
            lane.marks += _mark(event, run, names)
        if isinstance(event, MachineClosed):
            add_span(at)
            ready, since = None, at
    add_span(run.end)


def _add_users(lane: Lane, run: Run, events: Sequence[Logged], names: Names) -> None:
    """Add who was last user of a base in one run, and marks of all but the stops."""
    user = 0  # the session; 0 for none, or for one that the log does not know
    since = run.begin

    def add_span(session: int, begin: float, end: float) -> None:
        name = names.of(run.clients.get(session, ''))
        lane.spans.append(Span(SpanKind.LAST_USER, begin, max(begin, end), name, name))

    for event in events:
        at = run.time(event.at)
        if isinstance(event, SessionEnded):
            # A log that begins under this user has no takeover of it.
            add_span(event.session, since if user else max(run.time(event.started), since), at)
            user, since = 0, at
        elif not isinstance(event, (Stop, StopAcknowledged, StopFinal)):
            lane.marks += _mark(event, run, names)
        if isinstance(event, TakenOver):
            if event.previous:
                add_span(event.previous, since, at)
            user, since = event.session, at
    if user:
        add_span(user, since, run.end)


@dataclass
class _Stop:
    """One stop and what became of it, in s on the steady clock."""

    stop: Stop
    acknowledged: float | None = None
    final: float | None = None
    tries: int = 0
    taken_over: float | None = None


def _add_stops(lane: Lane, run: Run, events: Sequence[Logged], names: Names) -> None:
    """Add the stops of a base in one run, with what became of each."""
    stops: list[_Stop] = []
    finished: list[_Stop] = []
    for event in events:
        if isinstance(event, TakenOver):
            for one in stops:
                if one.acknowledged is None and one.taken_over is None:
                    one.taken_over = event.at
        if not isinstance(event, (Stop, StopAcknowledged, StopFinal)):
            continue
        stop = event if isinstance(event, Stop) else event.stop
        found = next((one for one in stops if one.stop == stop), None)
        if found is None:
            found = _Stop(stop)
            stops.append(found)
        if isinstance(event, Stop):
            continue
        # What stopped the base for one reason did so for all there were by then.
        covered = [one for one in stops if one.stop.at <= event.at]
        for one in covered:
            if one is found or one.taken_over is None:
                one.tries = event.tries
                one.acknowledged = event.at if one.acknowledged is None else one.acknowledged
                one.final = event.at if isinstance(event, StopFinal) else None
        if isinstance(event, StopFinal):
            finished += covered
            stops = [one for one in stops if one not in covered]
    for one in (*finished, *stops):
        _add_stop(lane, run, one, names)


def _add_stop(lane: Lane, run: Run, one: _Stop, names: Names) -> None:
    stop, at = one.stop, run.time(one.stop.at)
    (label, why), sign = CAUSES[stop.cause], Sign.UNANSWERED
    text = f'{stop.base}: stopped, for {why.format(name=names.of(stop.client))}'
    if stop.sign is not None:
        text += f'; last sign of life {duration(stop.at - stop.sign)} before'
    if one.acknowledged is not None:
        latency = one.acknowledged - stop.at
        tries = f', tries: {one.tries}' if one.tries > 1 else ''
        text += f'; acknowledged {duration(latency)} later{tries}'
        if one.final is not None:
            text += f', final after {duration(one.final - stop.at)}'
        label, sign = f'{label} {duration(latency)}', Sign.STOP
        lane.spans.append(Span(SpanKind.STOPPING, at, max(at, at + latency)))
    elif one.taken_over is not None:
        after = duration(one.taken_over - stop.at)
        text += f'; not acknowledged: a new command took the base over {after} later'
        label = f'{label}, taken over'
    else:
        text += '; not acknowledged, as far as this log goes'
        label = f'{label}, no answer'
    lane.marks.append(Mark(sign, at, label, text))


class _Clients:
    """The clients' lanes; sessions of one name that overlap are in lanes of their own."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._lanes: dict[tuple[str, str], list[Lane]] = {}  # by name and topic

    def add(self, run: Run) -> None:
        """Add the sessions of a run."""
        sessions: dict[int, SessionStarted | SessionEnded] = {
            entry.event.session: entry.event
            for entry in run.entries
            if isinstance(entry.event, (SessionStarted, SessionEnded))
        }
        # A client has one session at a time: where the log lost an end, the next one was later.
        ends: dict[int, float] = {}
        following: dict[str, float] = {}
        for number, event in sorted(sessions.items(), reverse=True):
            ends[number] = following.get(event.client, run.end)
            following[event.client] = run.time(_start(event))
        for number, event in sorted(sessions.items()):
            name, label = self._names.of(event.client), f'session {number}'
            begin = max(run.time(_start(event)), run.begin)
            lane = self._lane(event.client, begin)
            if isinstance(event, SessionStarted):
                end = max(ends[number], begin)
                lane.spans.append(Span(SpanKind.ALIVE, begin, end, label, name))
                continue
            sign = max(run.time(event.sign), begin)
            end = max(run.time(event.at), sign)
            lane.spans.append(Span(SpanKind.ALIVE, begin, sign, label, name))
            lane.spans.append(Span(SpanKind.SILENT, sign, end, duration(end - sign), name))
            lane.marks += _mark(event, run, self._names)

    def lanes(self) -> list[Lane]:
        """Return all lanes, in the order in which the clients appeared."""
        names = [name for name, _ in self._lanes]
        for (name, topic), lanes in self._lanes.items():
            for lane in lanes:
                lane.name = f'{name} ({topic})' if names.count(name) > 1 and topic else name
        return [lane for lanes in self._lanes.values() for lane in lanes]

    def _lane(self, client: str, begin: float) -> Lane:
        """Return a lane of the client that is free from then on."""
        name = self._names.of(client)
        lanes = self._lanes.setdefault((name, self._names.topic(client)), [])
        lane = next((lane for lane in lanes if lane.spans[-1].end <= begin), None)
        if lane is None:
            lane = Lane(name)
            lanes.append(lane)
        return lane


def _start(event: SessionStarted | SessionEnded) -> float:
    return event.started if isinstance(event, SessionEnded) else event.at
