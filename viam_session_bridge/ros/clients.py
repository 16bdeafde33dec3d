# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
From messages to clients: who sent a command, and whom a heartbeat means (R1, R3).

Runs on the receiving loop's thread. What a hostile publisher can have reported is bounded: a few
lines of each kind, and none of them long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from viam_session_bridge.bounds import BoundedDict, Throttle
from viam_session_bridge.reporting.active_problems import ActiveProblems, BRIDGE
from viam_session_bridge.ros.command_messages import age_of, CommandMessage
from viam_session_bridge.ros.publishers import node_of, Publisher, Publishers, same_node
from viam_session_bridge.text import counted, safe_name, shorten

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo

    from viam_session_bridge.runtime import Runtime

NAMES_KEPT = 1024  # of publishers that left, too: logs and the overview name them
LINES_KEPT = 1024  # of those that are reported once
SHOWN_FOR = 10.0
"""Seconds for which a look shows an incompatible publisher: longer than from one look to the next,
also under thousands of publishers."""
REPORTED_ONCE = {
    'old_messages': 'messages come too late and are discarded (R2), older than the window: the '
    'network, or this computer, holds them back',
    'lost_messages': 'messages are lost on their way: its publishers are too fast for this '
    'computer, or the network loses them',
}
"""What is reported once for each topic, by what diagnostics call it."""


class Clients:
    """Finds the client of each message that was received, and feeds the runtime."""

    def __init__(
        self,
        runtime: Runtime,
        publishers: Publishers,
        ros_time: Callable[[], float],
        node_names: Callable[[], Iterable[tuple[str, str]]],
        report: Callable[[str], object],
    ) -> None:
        """
        Prepare.

        :param publishers: as the receiving loop sees them in the graph
        :param ros_time: s, the clock that message stamps are held against
        :param node_names: returns what the graph shows now of all nodes: name and namespace
        :param report: takes a warning for the user's log
        """
        self._runtime = runtime
        self.publishers = publishers
        self._topics = publishers.command_topics
        self._ros_time = ros_time
        self.report = report
        self._node_names = node_names
        self._names: BoundedDict[str, tuple[str, str]] = BoundedDict(NAMES_KEPT)
        self._reported: BoundedDict[str, None] = BoundedDict(LINES_KEPT)
        self._throttle = Throttle()
        self.counts: Counter[tuple[str, str]] = Counter()
        """Messages that led to nothing, by what diagnostics call that, and by topic."""
        self.problems = ActiveProblems()

    def describe(self, client: str) -> tuple[str, str]:
        """Return a client's node and topic, each '' where it is not known; from any thread."""
        there = self.publishers.by_gid(client)
        if there is not None:  # never forgotten, however many come and go
            return there.node, there.topic
        return self._names.get(client) or ('', '')

    # From the receiving loop

    def command(self, topic: str, gid: str, command: CommandMessage, now: float) -> None:
        """Feed a command of the publisher with that GID."""
        if gid not in self._names:
            self._names[gid] = '', topic
        age = None if command.stamp is None else age_of(command.stamp, self._ros_time())
        self._runtime.command(gid, topic, command.velocity, age, now)
        if command.z or command.roll or command.pitch:
            self._report_unused_axes(topic, command)

    def discard(self, topic: str, gid: str, command: CommandMessage | None) -> None:
        """Feed a command that was discarded (R2); None is one that could not be read."""
        if gid not in self._names:
            self._names[gid] = '', topic
        self._runtime.discard(gid, topic, None if command is None else command.velocity)

    def heartbeat(self, gid: str, data: str, now: float) -> None:
        """Feed a heartbeat to the clients it names; its sender may not be in the graph yet."""
        sender = self.publishers.by_gid(gid)
        own = data == ''
        name = (sender.node if sender else '') if own else f'/{data.lstrip("/")}'
        named = self.publishers.named(name) if name else []
        if own and sender is not None:
            named = [publisher for publisher in named if same_node(publisher, sender)]
        if not named:
            self._refuse_heartbeat('unknown', name, now, 'no publisher of that node is on a '
                                   'command topic; heartbeats name a node as `ros2 node list` '
                                   'does' if name else
                                   'the graph does not show its node yet; the next ones count')
        elif any(not same_node(named[0], other) for other in named):
            self._refuse_heartbeat('ambiguous', name, now, 'several nodes have that name; '
                                   'give each its own, or let each send its own heartbeats')
        elif self._is_shared(named[0]):
            self._refuse_heartbeat('ambiguous', name, now, 'several nodes have that name, and '
                                   'this middleware does not tell them apart; give each its own')
        else:
            for publisher in named:
                self._runtime.heartbeat(
                    publisher.gid,
                    publisher.topic,
                    sender is not None and same_node(sender, publisher),
                    now,
                )

    def publishers_changed(
        self, topic: str, appeared: list[Publisher], left: list[Publisher]
    ) -> None:
        """Feed who came and who left; the heartbeat topic's publishers are no clients."""
        if topic not in self._topics:
            return
        for publisher in appeared:
            self._names[publisher.gid] = publisher.node, topic
            self._runtime.seen(publisher.gid)
        for publisher in left:
            self._runtime.left(publisher.gid)

    def discarded(self, count: int, late: float) -> None:
        """Count the messages that a late wake-up cost, and report it where there were any (R2)."""
        self.counts['discarded_messages', ''] += count
        self.counts['discarded_times', ''] += 1
        if count:
            self.report(
                f'the receiving loop was {late:.3f} s late and discarded what waited, '
                f'{counted(count, "message")} (R2): was the process stopped, or is this computer '
                'overloaded?'
            )

    def count(self, what: str, topic: str, number: int = 1) -> None:
        """Count messages that led to nothing; diagnostics show if that goes on."""
        self.counts[what, topic] += number
        if what in REPORTED_ONCE:
            self._report_once(f'{topic}: {REPORTED_ONCE[what]}')

    def clock_set(self, publisher: str, by: float, now: float) -> None:
        """Report that the clock of the publisher with that GID was set back by so many s (R2)."""
        node, topic = self.describe(publisher)
        name = f'{node or publisher} on {topic}' if topic else publisher
        self._report_some(
            'clock set',
            f'{name}: the clock of its computer was set back by {by:.1f} s, or its messages take '
            'that much longer; they were discarded until that was certain (R2). Let that computer '
            'set its clock before it drives',
            now,
        )

    def incompatible(self, topic: str, info: TopicEndpointInfo, why: str, now: float) -> None:
        """
        Report a publisher whose messages do not come through, but not many at once.

        It gets no error either: without a line here nobody would know.

        :param why: with what to do about it
        """
        node = safe_name(node_of(info))
        if not node:
            return  # its name comes a moment later
        line = f'{topic}: {node} is not heard: {why}'
        subject = f'{topic} {node} {safe_name(info.topic_type)}'
        if self.problems.report(
            BRIDGE, 'incompatible', line, now, subject=subject, lasts=SHOWN_FOR
        ):
            self._report_some('incompatible', line, now)

    def _is_shared(self, publisher: Publisher) -> bool:
        """Return whether several nodes may be a publisher's: only its name is known (R3)."""
        if publisher.participant:
            return False
        names = [f'{space.rstrip("/")}/{name}' for name, space in self._node_names()]
        return names.count(publisher.node) > 1

    def _refuse_heartbeat(self, reason: str, name: str, now: float, remedy: str) -> None:
        """Count a heartbeat and report it, once for each name and not many names at once."""
        self.counts[f'refused_heartbeats_{reason}', ''] += 1
        shown = shorten(name)  # it may have any length
        self._report_once(f'~/heartbeat for {shown!r} refused ({reason}): {remedy}', reason, now)

    def _report_some(self, kind: str, text: str, now: float) -> bool:
        """Report, but not many of a kind at once; return whether it was."""
        line = self._throttle.line(kind, text, now)
        if line is not None:
            self.report(line)
        return line is not None

    def _report_once(self, text: str, kind: str = '', now: float = 0.0) -> None:
        """Report, if this very text was not; not many of a kind at once, if it is of one."""
        if text not in self._reported and self._report_some(kind or text, text, now):
            self._reported[text] = None

    def _report_unused_axes(self, topic: str, command: CommandMessage) -> None:
        axes = {'linear.z': command.z, 'angular.x': command.roll, 'angular.y': command.pitch}
        for axis, number in axes.items():
            if number:
                self._report_once(
                    f'{topic}: {axis} is not forwarded, no base on the ground follows it; '
                    'publish linear.x, linear.y and angular.z'
                )
