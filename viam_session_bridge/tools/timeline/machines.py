# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A machine's lane, connected or not, and the bridge's own: pure."""

from __future__ import annotations

from viam_session_bridge.core.events import ChannelChanged, MachineClosed
from viam_session_bridge.reporting.event_log import Logged
from viam_session_bridge.tools.timeline.lanes import Lane, Mark, Over, Sign, Span
from viam_session_bridge.tools.timeline.runs import Names, Run
from viam_session_bridge.tools.timeline.words import clock, lasted, NOTED, told


class MachineRun:
    """Fills a machine's lane with what one run of the bridge saw of it."""

    def __init__(self, lane: Lane, run: Run, names: Names) -> None:
        """Begin, not knowing whether it is connected."""
        self._lane = lane
        self._run = run
        self._names = names
        self._since = run.begin
        # None: not known; what it was before the first change is known from that.
        self._ready: bool | None = False if run.opened else None
        self._closed = False

    def take(self, event: Logged) -> None:
        """Take an event about this machine."""
        at = self._run.time(event.at)
        if isinstance(event, ChannelChanged):
            self._span(not event.ready if self._ready is None else self._ready, at)
            self._ready, self._since, self._closed = event.ready, at, False
            return
        if type(event) in NOTED:
            sign, label = NOTED[type(event)]
            # Not one of those that only say how a log was written.
            title = told(event, at, self._names.of)  # type: ignore[arg-type]
            self._lane.marks.append(Mark(sign, at, title, label))
        if isinstance(event, MachineClosed):
            self._span(self._ready, at)
            self._closed = True

    def close(self) -> None:
        """Take that the run is over, or the log."""
        if not self._closed:
            self._span(self._ready, self._run.end)

    def _span(self, ready: bool | None, end: float) -> None:
        if ready is None or end <= self._since:
            return
        over = Over.CONNECTED if ready else Over.ABSENT
        title = (
            f'{self._lane.name}: {over.value} for {lasted(end - self._since)}, '
            f'{clock(self._since)} to {clock(end)}'
        )
        self._lane.spans.append(Span(over, self._since, end, title, '' if ready else over.value))


def tell_run(lane: Lane, run: Run, last: bool) -> None:
    """Add a run of the bridge to its lane; ``last``: the log has no later one."""
    begun = 'began' if run.opened else 'the log begins'
    if run.closed:
        ended, label = 'ended in order', 'ended'
    elif last:
        ended, label = 'the log ends: it runs on, or was killed', ''
    else:
        ended, label = 'ended without a word: killed, or crashed', 'killed or crashed'
    title = f'the bridge: {begun} {clock(run.begin)}; {clock(run.end)} {ended}'
    lane.spans.append(Span(Over.RUNNING, run.begin, run.end, title))
    if label:
        sign = Sign.NOTE if run.closed else Sign.FAILED
        lane.marks.append(Mark(sign, run.end, f'{clock(run.end)} the bridge {ended}', label))
