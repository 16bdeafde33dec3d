# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The clients' lanes: their sessions, from the first command to the last sign of life: pure."""

from __future__ import annotations

from collections.abc import Iterable

from viam_session_bridge.core.actions import Cause, SessionEnded, SessionStarted
from viam_session_bridge.tools.timeline.lanes import Lane, Mark, Over, Sign, Span
from viam_session_bridge.tools.timeline.runs import Names, Run
from viam_session_bridge.tools.timeline.words import clock, lasted, short

_Key = tuple[str, str]  # name and topic

HOW = {
    Cause.LAPSE: 'lapsed',
    Cause.LEFT: 'ended, for its publisher left the ROS graph',
    Cause.DEACTIVATED: 'was ended by the bridge',
}


class Clients:
    """All clients' lanes; sessions of one name that overlap are in lanes of their own."""

    def __init__(self, names: Names) -> None:
        """Have none yet."""
        self._names = names
        self._lanes: dict[_Key, list[Lane]] = {}
        self._ends: dict[int, float] = {}  # by the lane's id: when its last session ended

    def tell_run(self, run: Run) -> None:
        """Add the sessions of a run."""
        ended = {
            entry.event.session: entry.event
            for entry in run.entries
            if isinstance(entry.event, SessionEnded)
        }
        started = {
            entry.event.session: entry.event
            for entry in run.entries
            if isinstance(entry.event, SessionStarted)
        }
        # A client has one session at a time: where the log lost an end, the next one was later.
        numbers = sorted({*ended, *started})
        latest: dict[str, float] = {}
        until: dict[int, float] = {}
        for number in reversed(numbers):
            begun = ended.get(number) or started[number]
            until[number] = latest.get(begun.client, run.end)
            latest[begun.client] = run.time(begun.at)
            if isinstance(begun, SessionEnded):
                latest[begun.client] = run.time(begun.started)
        for number in numbers:
            if number in ended:
                self._ended(ended[number], run)
            else:
                self._goes_on(started[number], run, until[number])

    def lanes(self) -> list[Lane]:
        """Return all lanes, in the order in which the clients appeared."""
        topics: dict[str, set[str]] = {}
        for name, topic in self._lanes:
            topics.setdefault(name, set()).add(topic)
        for (name, topic), lanes in self._lanes.items():
            for lane in lanes:
                lane.name = f'{name} ({topic})' if len(topics[name]) > 1 and topic else name
        return [lane for lanes in self._lanes.values() for lane in lanes]

    def _ended(self, event: SessionEnded, run: Run) -> None:
        name = self._names.of(event.client)
        started, sign, end = map(run.time, (event.started, event.sign, event.at))
        begin = max(started, run.begin)
        sign, end = max(sign, begin), max(end, begin)
        lane = self._lane(event.client, begin, end)
        commands = f'{event.commands} commands'
        if event.commands > 1 and sign > started:
            commands += f', {(event.commands - 1) / (sign - started):.0f} a second'
        refusals = ', '.join(f'{count} {reason}' for reason, count in event.refusals.items())
        lines = [
            f'{name}, session {event.session} on {self._names.topic(event.client) or "its topic"}:'
            f' {clock(started)} to {clock(end)}',
            f'{commands}{f"; refused: {refusals}" if refusals else ""}',
            *([f'publisher {event.client}'] if event.client else []),
        ]
        label = f'session {event.session}'
        lane.spans.append(Span(Over.ALIVE, begin, sign, '\n'.join(lines), label, name))
        silent = (
            f'{name}: silent for {lasted(end - sign)} after its last sign of life {clock(sign)}'
        )
        lane.spans.append(Span(Over.SILENT, sign, end, silent, lasted(end - sign), name))
        bases = ', '.join(event.bases)
        effect = f'stopping {bases}' if bases else 'it was no last user, so nothing is stopped'
        title = (
            f'{clock(end)} session {event.session} of {name} '
            f'{HOW.get(event.cause, event.cause.value)}, {lasted(end - sign)} after its last sign '
            f'of life: {effect}'
        )
        label = f'{short(event.cause)}: {effect if bases else "stops nothing"}'
        lane.marks.append(Mark(Sign.ENDED, end, title, label, name))

    def _goes_on(self, event: SessionStarted, run: Run, end: float) -> None:
        name, begin = self._names.of(event.client), run.time(event.at)
        title = (
            f'{name}, session {event.session}: from {clock(begin)}; its end is not in this log'
            f'\npublisher {event.client}'
        )
        end = max(begin, end)
        lane = self._lane(event.client, begin, end)
        lane.spans.append(Span(Over.ALIVE, begin, end, title, f'session {event.session}', name))

    def _lane(self, client: str, begin: float, end: float) -> Lane:
        name = self._names.of(client)
        lanes = self._lanes.setdefault((name, self._names.topic(client)), [])
        lane = next((lane for lane in lanes if self._ends[id(lane)] <= begin), None)
        if lane is None:
            lane = Lane(name)
            lanes.append(lane)
        self._ends[id(lane)] = end
        return lane


def users_of(lanes: Iterable[Lane]) -> list[str]:
    """Return whose spans there are, in the order of their first."""
    spans = sorted(
        (span for lane in lanes for span in lane.spans if span.user), key=lambda span: span.begin
    )
    return list(dict.fromkeys(span.user for span in spans))
