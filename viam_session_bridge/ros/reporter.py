# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The reporter: log lines, the event log, ``~/sessions`` and ``/diagnostics``.

It has a thread of its own, off the hot path: rclpy's executor takes a millisecond each time it is
woken, as much as a command in all. A disk that hangs delays nothing but reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import replace
from math import inf
import threading
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
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
EVENTS_EVERY = 0.05  # s, so that a flood of them costs no more than twenty reports
CLOSES_WITHIN = 1.0  # s, after which a thread that hangs is given up
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

    def __init__(
        self, node: Node, configuration: Configuration, failed: Callable[[BaseException], None]
    ) -> None:
        """
        Open the event log (OSError where that cannot be done) and the publishers.

        :param failed: called with an exception that ends its thread
        """
        path = configuration.event_log
        self._log = EventLog(path, self._describe) if path else None
        self._node = node
        self._configuration = configuration
        self._runtime: Runtime | None = None
        self._clients: Clients | None = None
        self._failed = failed
        self._ended: tuple[SessionRow, ...] = ()  # never changed: any thread may read it
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
        self._publishing = DutyCycle(PUBLISHING_SHARE)
        self._changed = False  # since the sessions were published
        self._counted: Counter[tuple[str, str]] = Counter()  # as of the last time
        self._wanted, self._closing = threading.Event(), threading.Event()
        self._look_at = inf  # when events that had to wait are looked at again
        self._came_round = False
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name='reporter', daemon=True)

    def observe(self, runtime: Runtime, clients: Clients) -> None:
        """Begin to report; once."""
        self._runtime, self._clients = runtime, clients
        self._thread.start()

    def wake(self) -> None:
        """Have the bridge's events taken, now or after a rest; from any thread."""
        self._wanted.set()

    def came_round(self) -> bool:
        """Return whether its thread came round since this was last asked, and ask it again."""
        came, self._came_round = self._came_round, False
        self._wanted.set()
        return came

    def overview(self) -> Overview:
        """Return the overview, with the sessions that ended last."""
        if self._runtime is None:
            return NOTHING
        overview = self._runtime.look(lambda bridge, now: snapshot(bridge, now, self._describe))
        self._detectors.window = overview.window
        return replace(overview, sessions=[*overview.sessions, *self._ended])

    def close(self) -> None:
        """Report what is left, and let go of everything; not if its thread hangs."""
        self._closing.set()
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSES_WITHIN)
            if self._thread.is_alive():
                return
        self._take_events()
        self._tell(inf)
        self._publish_all()
        self._node.destroy_publisher(self._sessions)
        self._node.destroy_publisher(self._diagnostics)
        if self._log is not None:
            self._log.close()

    def _run(self) -> None:
        try:
            publish_at = monotonic() + PERIOD
            while not self._closing.is_set():
                self._wanted.wait(max(min(publish_at, self._look_at) - monotonic(), 0.0))
                self._wanted.clear()
                self._look_at = inf
                took = self._take_events()
                if (now := monotonic()) >= publish_at:
                    publish_at = now + PERIOD
                    self._publish_all()
                self._came_round = True
                if took:
                    self._closing.wait(EVENTS_EVERY)
        except BaseException as error:
            self._failed(error)

    def _take_events(self) -> bool:
        """Take the bridge's events, and return whether there were any."""
        if self._runtime is None:
            return False
        taken = list(self._runtime.events())
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
                row = ended_row(event, *self._describe(event.client))
                self._ended = (*self._ended, row)[-ENDED_KEPT:]
            if isinstance(event, (SessionStarted, SessionEnded, TakenOver)):
                self._changed = True
        self._untold.extend(events)
        self._tell(monotonic() - NAMED_WITHIN)
        if self._changed and self._sessions.get_subscription_count():
            # Once a second will do for who comes later.
            if self._publishing.wait(monotonic()):
                self._look_again()
            else:
                self._publish_sessions()
        return bool(taken)

    def _look_again(self) -> None:
        self._look_at = monotonic() + EVENTS_EVERY

    def _tell(self, named_by: float) -> None:
        """Tell events in order; one of a client without a name waits if it came after that."""
        while self._untold:
            client = getattr(self._untold[0], 'client', '')
            if client and self._untold[0].at > named_by and not self._describe(client)[0]:
                self._look_again()
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
