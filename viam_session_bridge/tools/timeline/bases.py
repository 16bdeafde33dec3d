# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A base's lane: who was its last user when, and its stops: pure."""

from __future__ import annotations

from dataclasses import dataclass

from viam_session_bridge.core.actions import Refused, SessionEnded, Stop, TakenOver
from viam_session_bridge.core.events import StopAcknowledged, StopFinal
from viam_session_bridge.reporting.event_log import Logged
from viam_session_bridge.tools.timeline.lanes import Lane, Mark, Over, Sign, Span
from viam_session_bridge.tools.timeline.runs import Names, Run
from viam_session_bridge.tools.timeline.words import clock, lasted, NOTED, short, told, why


@dataclass
class _Stop:
    """One stop and what became of it."""

    stop: Stop
    acknowledged: float | None = None
    final: float | None = None
    tries: int = 0
    taken_over: float | None = None

    def take(self, event: StopAcknowledged | StopFinal) -> None:
        """Take that it was acknowledged, or final."""
        self.tries = event.tries
        if self.acknowledged is None:
            self.acknowledged = event.at
        if isinstance(event, StopFinal):
            self.final = event.at

    @property
    def latency(self) -> float | None:
        """From the decision to the acknowledgement, in s."""
        return None if self.acknowledged is None else self.acknowledged - self.stop.at


class BaseRun:
    """Fills a base's lane with what one run of the bridge did to it."""

    def __init__(self, lane: Lane, run: Run, number: int, names: Names) -> None:
        """
        Begin without a user.

        :param number: of the run
        """
        self._lane = lane
        self._run = run
        self._number = number
        self._names = names
        self._user = 0  # the session; 0 for none, or for one that the log does not know
        self._since: float | None = None  # None where nobody was seen to use it yet
        self._stops: list[_Stop] = []

    def take(self, event: Logged) -> None:
        """Take an event about this base."""
        at = self._run.time(event.at)
        if isinstance(event, TakenOver):
            self._taken_over(event, at)
        elif isinstance(event, SessionEnded):
            self._used(event.session, max(self._run.time(event.started), self._run.begin), at)
            self._user, self._since = 0, at
        elif isinstance(event, (Stop, StopAcknowledged, StopFinal)):
            self._stopped(event)
        elif isinstance(event, Refused):
            self._mark(Sign.REFUSED, at, told(event, at, self._names.of), event.reason.value)
        elif type(event) in NOTED:
            sign, label = NOTED[type(event)]
            # Not one of those that only say how a log was written.
            self._mark(sign, at, told(event, at, self._names.of), label)  # type: ignore[arg-type]

    def close(self) -> None:
        """Take that the run is over, or the log."""
        if self._user:
            self._used(self._user, self._run.begin, self._run.end)
        for stop in self._stops:
            self._tell_stop(stop)

    def _taken_over(self, event: TakenOver, at: float) -> None:
        name = self._names.of(event.client)
        if event.previous:
            self._used(event.previous, self._run.begin, at)
            before = self._name(event.previous)
            title = f'{clock(at)} {name} took {event.base} over from {before}'
            self._mark(Sign.TAKEN_OVER, at, title, user=name)
        self._user, self._since = event.session, at
        for stop in self._stops:
            if stop.acknowledged is None and stop.taken_over is None:
                stop.taken_over = at

    def _used(self, session: int, begin: float, end: float) -> None:
        """Add a span of use; where the log does not say since when, it began at ``begin``."""
        if self._since is not None and session == self._user:
            begin = self._since
        name = self._name(session)
        title = (
            f'{self._lane.name}: {name} (session {session}) was the last user for '
            f'{lasted(end - begin)}, {clock(begin)} to {clock(end)}'
        )
        self._lane.spans.append(Span(Over.USED, begin, max(begin, end), title, name, name))

    def _stopped(self, event: Stop | StopAcknowledged | StopFinal) -> None:
        told_of = event if isinstance(event, Stop) else event.stop
        stop = next((s for s in self._stops if s.stop == told_of), None)
        if stop is None:
            stop = _Stop(told_of)
            self._stops.append(stop)
        if isinstance(event, Stop):
            return
        # What stopped the base for one reason did so for all there were by then.
        decided = [one for one in self._stops if one.stop.at <= event.at]
        for one in decided:
            if one is stop or one.taken_over is None:
                one.take(event)
        if isinstance(event, StopFinal):
            self._stops = [one for one in self._stops if one not in decided]
            for one in decided:
                self._tell_stop(one)

    def _tell_stop(self, told_of: _Stop) -> None:
        stop, latency = told_of.stop, told_of.latency
        at = self._run.time(stop.at)
        name = self._names.of(stop.client)
        lines = [f'{clock(at)} {stop.base} is stopped: {why(stop, name)}']
        if stop.sign is not None:
            sign = self._run.time(stop.sign)
            lines.append(f'last sign of life {clock(sign)}, {lasted(at - sign)} before')
        label, sign_of = short(stop.cause), Sign.STOP
        if latency is not None:
            tries = f', tries: {told_of.tries}' if told_of.tries > 1 else ''
            lines.append(f'acknowledged {lasted(latency)} after the decision{tries}')
            if told_of.final is not None:
                lines.append(f'final {lasted(told_of.final - stop.at)} after the decision')
            label = f'{label} {lasted(latency)}'
            title = f'{stop.base}: the stop was on its way for {lasted(latency)}'
            end = self._run.time(stop.at + latency)
            self._lane.spans.append(Span(Over.STOPPING, at, max(at, end), title))
        elif told_of.taken_over is not None:
            after = lasted(told_of.taken_over - at)
            lines.append(f'not acknowledged: a new command took the base over {after} later')
            label, sign_of = f'{label}, taken over', Sign.UNANSWERED
        else:
            lines.append('not acknowledged, as far as this log goes')
            label, sign_of = f'{label}, no answer', Sign.UNANSWERED
        self._mark(sign_of, at, '\n'.join(lines), label, name if stop.session else '')

    def _mark(self, sign: Sign, at: float, title: str, label: str = '', user: str = '') -> None:
        self._lane.marks.append(Mark(sign, at, title, label, user))

    def _name(self, session: int) -> str:
        return self._names.of(self._names.client(self._number, session))
