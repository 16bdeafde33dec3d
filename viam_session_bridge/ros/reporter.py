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
from math import inf
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from viam_session_bridge.bounds import BoundedDict, DutyCycle, Throttle
from viam_session_bridge.configuration.model import Configuration
from viam_session_bridge.core.actions import (
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    TakenOver,
)
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import StopAcknowledged
from viam_session_bridge.reporting.active_problems import BRIDGE
from viam_session_bridge.reporting.detectors import Detectors, EmptySessions, status_name_of
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
from viam_session_bridge.ros.clients import Clients, NAMES_KEPT
from viam_session_bridge.runtime import Runtime

PERIOD = 1.0  # s
NAMED_WITHIN = 0.25  # s, which a line waits for the graph to name a client
SELDOM = 60.0  # s: commands to an inactive bridge go on for as long as their publisher likes
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
        self._untold: deque[Event] = deque()  # their lines wait for a client's name
        topics = {topic for base in configuration.bases for topic in base.topics}
        self._has_topics = len(topics) > 1
        self._called: BoundedDict[str, str] = BoundedDict(NAMES_KEPT)  # clients with a session
        self._throttle = Throttle()
        self._seldom = Throttle(burst=1, every=SELDOM)
        self._empty_sessions = EmptySessions()
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
        self._tell(inf)
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
        taken = list(self._runtime.events())
        if taken:
            self._rest()
        events = list(self._empty_sessions.without_repeats(taken))
        if self._log is not None:
            failure = self._log.write(*events)
            if failure:
                path = self._configuration.event_log
                lost = f'event_log {path}: {failure}: events are lost until it can be written'
                self._write(True, lost, 'event log', monotonic())
        for event in events:
            if isinstance(event, StopAcknowledged):
                self._latencies[event.stop.base].add(event.at - event.stop.at)
            elif isinstance(event, SessionEnded):
                self._ended.append(ended_row(event, *self._describe(event.client)))
            if isinstance(event, (SessionStarted, SessionEnded, TakenOver)):
                self._changed = True
        self._untold.extend(events)
        self._tell(monotonic() - NAMED_WITHIN)
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

    def _tell(self, named_by: float) -> None:
        """Tell events in order; one of a client without a name waits if it came after that."""
        while self._untold:
            client = getattr(self._untold[0], 'client', '')
            if client and self._untold[0].at > named_by and not self._describe(client)[0]:
                self._rest()  # and look again after it
                return
            self._note(self._untold.popleft())

    def _note(self, event: Event) -> None:
        if isinstance(event, SessionStarted):
            self._called[event.client] = self._name(event.client)
        warning, line = False, None
        if not self._detectors.covers(event):
            warning, line = log_line(event, self._name, self._configuration) or (False, None)
        if line is not None:
            kind = type(event), status_name_of(event)
            if isinstance(event, Refused) and event.reason is Refusal.INACTIVE:
                line = self._seldom.line(kind, line, event.at)
        if line is not None:
            self._write(warning, line, kind, event.at)
        found = self._detectors.note(event, line if warning else None)
        if found is not None:
            self._write(True, found, ('found', type(event)), event.at)
        if isinstance(event, SessionEnded):
            self._called.pop(event.client, None)

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
        self._look_for_namesakes(now)
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

    def _look_for_namesakes(self, now: float) -> None:
        """Report once, and in diagnostics, that the graph has the node's name twice."""
        own, problems = self._node.get_fully_qualified_name(), self._detectors.problems
        name = self._node.get_name(), self._node.get_namespace()
        if self._node.get_node_names_and_namespaces().count(name) < 2:
            problems.resolve(BRIDGE, 'namesake')
            return
        line = (
            f'another node is called {own} too: a second bridge, or one that was killed less than '
            'half a minute ago. Two bridges forward each command twice: end one, or give it '
            'another name or namespace'
        )
        is_new = not problems.is_active(BRIDGE, 'namesake', now)
        problems.report(BRIDGE, 'namesake', line, now)
        if is_new:
            self._write(True, line, 'namesake', now)

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
        """Return a client's name in the log; during a session it is that of the beginning."""
        if client in self._called:
            return self._called[client]
        node, topic = self._describe(client)
        if node:
            return f'{node} on {topic}' if self._has_topics else node
        return f'a publisher on {topic}' if topic else client or 'nobody'


def _topics(counts: Counter[tuple[str, str]], what: str, least: int = 1) -> list[str]:
    """Return, sorted, the topics with at least so many messages counted as ``what``."""
    return sorted(topic for (one, topic), n in counts.items() if one == what and n >= least)
