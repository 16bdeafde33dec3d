# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The reporter: log lines, the event log, ``~/sessions`` and ``/diagnostics``.

It runs on the executor's thread, off the hot path; a busy executor delays nothing but reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable
from dataclasses import replace
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from viam_session_bridge.bounds import DutyCycle, Throttle
from viam_session_bridge.configuration.model import Configuration
from viam_session_bridge.core.actions import SessionEnded, SessionStarted, TakenOver
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import StopAcknowledged
from viam_session_bridge.reporting.detectors import Detectors, status_name_of
from viam_session_bridge.reporting.diagnostics import (
    diagnostic_statuses,
    message_warning,
    session_statuses,
    StopLatency,
)
from viam_session_bridge.reporting.event_log import EventLog
from viam_session_bridge.reporting.log_text import log_line
from viam_session_bridge.reporting.overview import (
    ENDED_KEPT,
    ended_row,
    NOTHING,
    Overview,
    SessionRow,
    snapshot,
)
from viam_session_bridge.ros.clients import Clients
from viam_session_bridge.runtime import Runtime

PERIOD = 1.0  # s
EVENTS_EVERY = 0.05  # s: each time costs the executor a millisecond, as much as a command in all
COUNTED = ('lost_messages', 'replaced_messages', 'old_messages', 'discarded_times')
REPLACED = 10  # messages a second of one topic from which on that is worth a warning

PUBLISHING_SHARE = 0.05
"""
Share of the time that publishing ``~/sessions`` may take, which is due at each change.

Some hundred sessions take milliseconds, in which Python runs nothing else. Where publishers of
one base alternate every command is a change: the overview must not cost the commands their time.
"""


class Reporter:
    """Reports on a running bridge, from :meth:`observe` to :meth:`close`."""

    def __init__(self, node: Node, configuration: Configuration) -> None:
        """Open the event log (OSError where that cannot be done) and the publishers."""
        path = configuration.event_log
        self._log = EventLog(path, self._describe) if path else None
        self._node = node
        self._configuration = configuration
        self._runtime: Runtime | None = None
        self._clients: Clients | None = None
        self._ended: deque[SessionRow] = deque(maxlen=ENDED_KEPT)
        self._throttle = Throttle()
        self._detectors = Detectors(configuration, self._describe)
        self._latencies: defaultdict[str, StopLatency] = defaultdict(StopLatency)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._sessions = node.create_publisher(DiagnosticArray, '~/sessions', latched)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._woken = node.create_guard_condition(self._take_events)
        self._resting = False
        # The node's own clock may be simulated, and stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD, self._publish_all, clock=steady)
        self._publishing = DutyCycle(PUBLISHING_SHARE)
        self._changed = False  # since the sessions were published
        self._counted: Counter[tuple[str, str]] = Counter()  # as of the last time
        self._rested = node.create_timer(EVENTS_EVERY, self._end_rest, clock=steady)
        self._rested.cancel()

    def observe(self, runtime: Runtime, clients: Clients) -> None:
        """Begin to report."""
        self._runtime, self._clients = runtime, clients
        self._counted.clear()

    def wake(self) -> None:
        """Have the executor take the bridge's events, now or after its rest; from any thread."""
        if not self._resting:
            self._woken.trigger()

    def overview(self) -> Overview:
        """Return the overview, with the sessions that ended last."""
        if self._runtime is None:
            return NOTHING
        overview = self._runtime.look(lambda bridge, now: snapshot(bridge, now, self._describe))
        self._detectors.window = overview.window
        return replace(overview, sessions=[*overview.sessions, *self._ended])

    def close(self) -> None:
        """Report what is left, and let go of everything."""
        self._take_events()
        self._publish_all()
        self._node.destroy_timer(self._timer)
        self._node.destroy_timer(self._rested)
        self._node.destroy_guard_condition(self._woken)
        self._node.destroy_publisher(self._sessions)
        self._node.destroy_publisher(self._diagnostics)
        if self._log is not None:
            self._log.close()

    def _end_rest(self) -> None:
        """Take the events that woke nobody, and publish changes that had to wait."""
        self._rested.cancel()
        self._resting = False
        self._take_events()

    def _take_events(self) -> None:
        if self._runtime is None:
            return
        events = list(self._runtime.events())
        if events:
            self._rest()
        if self._log is not None:
            failure = self._log.write(*events)
            if failure:
                path = self._configuration.event_log
                lost = f'event_log {path}: {failure}: events are lost until it can be written'
                self._write(True, lost, 'event log', monotonic())
        for event in events:
            self._note(event)
            if isinstance(event, (SessionStarted, SessionEnded, TakenOver)):
                self._changed = True
        if not self._changed or not self._sessions.get_subscription_count():
            return  # once a second will do for who comes later
        if self._publishing.wait(monotonic()):
            self._rest()
        else:
            self._publish_sessions()

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self._rested.reset()

    def _note(self, event: Event) -> None:
        if isinstance(event, StopAcknowledged):
            self._latencies[event.stop.base].add(event.at - event.stop.at)
        elif isinstance(event, SessionEnded):
            self._ended.append(ended_row(event, *self._describe(event.client)))
        warning, line = False, None
        if not self._detectors.covers(event):
            warning, line = log_line(event, self._name, self._configuration) or (False, None)
        if line is not None:
            self._write(warning, line, (type(event), status_name_of(event)), event.at)
        found = self._detectors.note(event, line if warning else None)
        if found is not None:
            self._write(True, found, ('found', type(event)), event.at)

    def _write(self, warning: bool, text: str, kind: Hashable, now: float) -> None:
        """Write a line to the log, but not many of a kind at once."""
        line = self._throttle.line(kind, text, now)
        if line is None:
            return
        if warning:
            self._node.get_logger().warning(line)
        else:
            self._node.get_logger().info(line)

    def _publish_all(self) -> None:
        now = monotonic()
        wanted = self._sessions.get_subscription_count() or self._changed
        overview = self._publish_sessions() if wanted else self.overview()
        for line in self._detectors.unnamed_clients.find(overview.sessions, now):
            self._write(True, line, 'unnamed client', now)
        problems = [self._detectors.problems]
        counts = {'discarded_messages': overview.discarded}
        warning = ''
        if self._clients is not None:
            problems.append(self._clients.problems)
            counts |= dict.fromkeys(COUNTED, 0)
            counted = Counter(self._clients.counts)
            for (what, _), count in counted.items():
                counts[what] = counts.get(what, 0) + count
            # At each turn, read or not: it is about what came since the last.
            since, self._counted = counted - self._counted, counted
            warning = message_warning(
                _topics(since, 'lost_messages'),
                _topics(since, 'old_messages'),
                _topics(since, 'replaced_messages', REPLACED),
            )
        if not self._diagnostics.get_subscription_count():
            return  # messages of this size are what an idle bridge costs most
        shown: dict[str, int | str] = {**counts}
        if self._log is not None and self._log.unwritten:
            shown['unwritten_events'] = self._log.unwritten
        if self._clients is not None and not self._clients.publishers.number_messages:
            shown['lost_messages'] = 'not counted'
        self._diagnostics.publish(
            self._array(
                diagnostic_statuses(
                    self._node.get_fully_qualified_name(), overview, self._configuration,
                    self._latencies, shown, warning, problems, now,
                )
            )
        )  # fmt: skip

    def _publish_sessions(self) -> Overview:
        began, overview = monotonic(), self.overview()
        name = self._node.get_fully_qualified_name()
        self._sessions.publish(self._array(session_statuses(name, overview.sessions)))
        self._changed = False
        self._publishing.worked(began, monotonic())
        return overview

    def _array(self, statuses: list[object]) -> DiagnosticArray:
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self._node.get_clock().now().to_msg()
        return array

    def _describe(self, client: str) -> tuple[str, str]:
        return self._clients.describe(client) if self._clients is not None else ('', '')

    def _name(self, client: str) -> str:
        node, topic = self._describe(client)
        return node or topic or client or 'nobody'


def _topics(counts: Counter[tuple[str, str]], what: str, least: int = 1) -> list[str]:
    """Return the topics of which at least so many messages are counted as that, sorted."""
    return sorted(topic for (one, topic), n in counts.items() if one == what and n >= least)
