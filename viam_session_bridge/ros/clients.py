# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
From messages to clients: who sent this command, and whom does this heartbeat mean (R1, R3).

Runs on the receiving loop's thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any, Protocol

from viam_session_bridge.bounds import BoundedDict, Throttle
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.reporting.active_problems import ActiveProblems
from viam_session_bridge.ros.incompatible_publishers import IncompatiblePublishers
from viam_session_bridge.ros.message_loss import MessageLosses
from viam_session_bridge.ros.messages import Reading
from viam_session_bridge.ros.publishers import Publisher, Publishers, same_node
from viam_session_bridge.ros.subscription import gids_available
from viam_session_bridge.text import shorten

NAMES_KEPT = 1024  # of publishers that left, too: logs and the overview name them
REFUSED_KEPT = 1024  # names in refused heartbeats, each is reported once


class Feed(Protocol):
    """What is fed: the shell."""

    def command(
        self,
        client: str,
        topic: str,
        velocity: Velocity,
        stamp_age: float | None,
        taken_at: float,
    ) -> None: ...

    def discard(self, client: str, topic: str, velocity: Velocity | None) -> None: ...

    def heartbeat(self, client: str, topic: str, own: bool, taken_at: float) -> None: ...

    def left(self, client: str) -> None: ...

    def seen(self, client: str) -> None: ...


@dataclass(frozen=True)
class Client:
    """What is known of a client: its topic, and its node ('' where not known)."""

    topic: str
    node: str


class Clients:
    """The receiving loop's sink: names the client of each message and feeds the shell."""

    def __init__(
        self,
        feed: Feed,
        publishers: Callable[[], Publishers],
        command_topics: frozenset[str],
        ros_time: Callable[[], float],
        report: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Prepare.

        :param publishers: the receiving loop's view of the graph
        :param command_topics: fully resolved
        :param ros_time: s, the clock that message stamps are held against
        :param report: takes a warning for the user's log, once for each kind; a hostile
            publisher can make neither many lines nor long ones
        """
        self._feed = feed
        self._publishers = publishers
        self._topics = command_topics
        self._ros_time = ros_time
        self._report = report
        self._failed = failed
        self._names: BoundedDict[str, Client] = BoundedDict(NAMES_KEPT)
        self._refused: BoundedDict[tuple[str, str], None] = BoundedDict(REFUSED_KEPT)  # reported
        self._throttle = Throttle()
        self._once = Throttle(burst=1, every=math.inf)
        self.discards: Counter[str] = Counter()
        self.refused_heartbeats: Counter[str] = Counter()
        self.losses = MessageLosses()
        self.old_messages = MessageLosses()
        self.replacements = MessageLosses()
        self.problems = ActiveProblems()
        self._unheard = IncompatiblePublishers(self.problems)

    def describe(self, client: str) -> Client:
        """Return what is known of a client; from any thread."""
        there = self._publishers().by_gid(client)
        if there is not None:  # never forgotten, however many come and go
            return Client(there.topic, there.node)
        return self._names.get(client) or Client(client if client in self._topics else '', '')

    # The receiving loop's sink

    def command(self, topic: str, gid: str | None, reading: Reading, now: float) -> None:
        """Feed a command."""
        stamp_age = None if reading.stamp is None else self._ros_time() - reading.stamp
        client = self._client(topic, gid)
        self._feed.command(client, topic, reading.velocity, stamp_age, now)
        for axis in reading.unused_axes():
            self._report_once(
                f'{topic}: {axis} is not forwarded, no base on the ground follows it; '
                'publish linear.x, linear.y and angular.z'
            )

    def discarded_command(self, topic: str, gid: str | None, reading: Reading | None) -> None:
        """Feed that a command was discarded, which counts as refused (R2)."""
        velocity = None if reading is None else reading.velocity
        self._feed.discard(self._client(topic, gid), topic, velocity)

    def heartbeat(self, gid: str | None, data: str, now: float) -> None:
        """Feed a heartbeat to the clients it names."""
        if gid is None:
            self._heartbeat_for_topic(data, now)
            return
        sender = self._publishers().by_gid(gid)
        own = data == ''
        name = (sender.node if sender else '') if own else f'/{data.lstrip("/")}'
        named = self._publishers().named(name) if name else []
        if own and sender is not None:
            named = [publisher for publisher in named if same_node(publisher, sender)]
        if not named:
            self._refuse_heartbeat('unknown', name, now, 'no publisher of that node is on a '
                                   'command topic; heartbeats name a node as `ros2 node list` '
                                   'does')
        elif any(not same_node(named[0], other) for other in named):
            self._refuse_heartbeat('ambiguous', name, now, 'several nodes have that name; '
                                   'give each its own, or let each send its own heartbeats')
        else:
            for publisher in named:
                self._feed.heartbeat(
                    publisher.gid,
                    publisher.topic,
                    sender is not None and same_node(sender, publisher),
                    now,
                )

    def publishers_changed(
        self, topic: str, appeared: list[Publisher], left: list[Publisher], now: float
    ) -> None:
        """Feed who came and who left; the heartbeat topic's publishers are no clients."""
        if topic not in self._topics:
            return
        for publisher in appeared:
            self._names[publisher.gid] = Client(topic, publisher.node)
            self._feed.seen(publisher.gid)
        for publisher in left:
            self._feed.left(publisher.gid)
        if not gids_available():  # the topic is the client: there while one of them is (R1)
            if self._publishers().on(topic):
                self._feed.seen(topic)
            else:
                self._feed.left(topic)

    def discarded(self, count: int, late: float) -> None:
        """Count what a late wake-up cost (R2)."""
        self.discards['messages'] += count
        self.discards['times'] += 1
        self._report(
            f'the receiving loop was {late:.3f} s late and discarded the {count} messages that '
            'waited (R2): was the process stopped, or is the machine overloaded?'
        )

    def old(self, topic: str) -> None:
        """Count what was too old when it came (R2); diagnostics tell how it goes on."""
        self.old_messages.add(topic, 1)
        self._report_once(
            f'{topic}: messages come too late and are discarded (R2), older than the window: the '
            'network, or this computer, holds them back'
        )

    def clock_set(self, publisher: str, by: float, now: float) -> None:
        """Tell whose messages were discarded though they came on time (R2)."""
        known = self.describe(publisher)
        name = f'{known.node or publisher} on {known.topic}' if known.topic else publisher
        self._report_some(
            'clock set',
            f'{name}: the clock of its computer was set back by {by:.1f} s, or its messages take '
            'so much longer; they were discarded until that was sure (R2). Let that computer set '
            'its clock before it drives',
            now,
        )

    def lost(self, topic: str, count: int) -> None:
        """Count what a publisher sent and the loop never got; diagnostics tell how it goes on."""
        self.losses.add(topic, count)
        self._report_once(
            f'{topic}: messages are lost on their way: its publishers are too fast for this '
            'computer, or the network loses them'
        )

    def replaced(self, topic: str, count: int) -> None:
        """Count what came faster than it was handled; the newest of each publisher counts."""
        self.replacements.add(topic, count)

    def unheard(self, topic: str, info: Any, wanted: str, why: str, now: float) -> None:
        """Tell of a publisher that is not heard, but not of many at once."""
        line = self._unheard.seen(topic, info, wanted, why, now)
        if line is not None:
            self._report_some('unheard', line, now)

    def failed(self, exception: BaseException) -> None:
        """Pass on that nothing will be received any more."""
        self._failed(exception)

    def _heartbeat_for_topic(self, data: str, now: float) -> None:
        topic = f'/{data.lstrip("/")}'
        if topic in self._topics:
            self._feed.heartbeat(topic, topic, False, now)
        else:
            self._refuse_heartbeat('unknown', topic, now, 'this ROS distribution does not tell '
                                   'publishers apart; heartbeats name a command topic here: '
                                   + ', '.join(sorted(self._topics)))

    def _refuse_heartbeat(self, reason: str, name: str, now: float, remedy: str) -> None:
        """Count it, and report it once for each name, but not many names at once."""
        self.refused_heartbeats[reason] += 1
        shown = shorten(name)  # it may have any length
        if (reason, shown) in self._refused:
            return
        text = f'~/heartbeat for {shown!r} refused ({reason}): {remedy}'
        if self._report_some(reason, text, now):
            self._refused[reason, shown] = None

    def _report_some(self, kind: str, text: str, now: float) -> bool:
        """Report, but not many of a kind at once; return whether it was."""
        line = self._throttle.line(kind, text, now)
        if line is None:
            return False
        self._report(line)
        return True

    def _report_once(self, text: str) -> None:
        if self._once.let_through(text, 0.0) is not None:
            self._report(text)

    def _client(self, topic: str, gid: str | None) -> str:
        """Return the publisher, or, where rclpy names none, the topic (R1)."""
        client = gid or topic
        if client not in self._names:
            self._names[client] = Client(topic, '')
        return client
