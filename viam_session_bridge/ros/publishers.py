# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Who publishes on the bridge's topics (R1, R3), who is not heard, and when to look at the graph.

Pure: what the graph shows comes in as rclpy's ``TopicEndpointInfo``, and time as an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from viam_session_bridge.bounds import DutyCycle
from viam_session_bridge.core.timing import Backoff
from viam_session_bridge.text import safe_name

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo

DDS_IMPLEMENTATIONS = ('rmw_fastrtps', 'rmw_cyclonedds', 'rmw_connextdds', 'rmw_gurumdds')
"""Beginnings of the names of rmw implementations whose GIDs are DDS GUIDs."""

PARTICIPANT = slice(0, 24)
"""Of a hexadecimal DDS GUID, the participant (RTPS specification, 8.2.4.1)."""

FAST_DDS = '010f'
"""
The vendor with which Fast DDS begins the GUIDs that it makes up itself (``guid_prefix_create``).

The next two bytes are one value a host: a hash of its network addresses when the process
started, the same in all processes of a computer unless its addresses changed in between. Other
DDS implementations, and Zenoh, do not tell the host.
"""

HOST = slice(4, 8)
"""Of a hexadecimal GID of Fast DDS, the host."""

UNKNOWN = '_NODE_NAME_UNKNOWN_'
"""What rmw_dds_common calls the node of a publisher whose participant is not announced yet."""

STAMPED = {
    'geometry_msgs/msg/TwistStamped': 'stamped_command_topics',
    'geometry_msgs/msg/Twist': 'command_topics',
}
"""The parameter for topics of each type."""

SETTINGS = {
    'best effort': 'reliability',
    'volatile': 'durability',
    'deadline': 'deadline',
    'lease': 'liveliness_lease_duration',
    'liveliness': 'liveliness',
}
"""The QoS policy that rclpy's words for an incompatibility are about; the first found counts."""


@dataclass(frozen=True)
class Publisher:
    """One publisher as the graph shows it, one client of the bridge (R1)."""

    gid: str
    """The publisher's GID, hexadecimal."""
    topic: str
    """The fully resolved topic."""
    node: str
    """The fully qualified node, '/ns/name'; empty where not known (yet)."""
    participant: str
    """What tells two nodes of one name apart, one value a process; empty: cannot tell."""


def same_node(one: Publisher, other: Publisher) -> bool:
    """
    Tell whether two publishers belong to one node (R3).

    Two nodes of one name in two processes are two nodes; where the rmw implementation does not
    tell processes apart, the name decides. A publisher without a known node is only itself.
    """
    if one.gid == other.gid:
        return True
    if not one.node or one.node != other.node:
        return False
    return one.participant == other.participant or not (one.participant and other.participant)


def node_of(info: TopicEndpointInfo) -> str:
    """Return the fully qualified node of a publisher; empty where it is not known (yet)."""
    if info.node_name in ('', UNKNOWN):
        return ''
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'


class Publishers:
    """
    The publishers of all topics, as last seen in the graph.

    One thread updates, any thread may read: the dictionary is replaced, never changed.
    """

    def __init__(self, command_topics: Collection[str], rmw: str) -> None:
        """
        Start with nobody known.

        :param command_topics: fully resolved topics whose publishers are clients
        :param rmw: the rmw implementation's identifier, such as 'rmw_fastrtps_cpp'
        """
        self.command_topics = frozenset(command_topics)
        self._has_participants = rmw.startswith(DDS_IMPLEMENTATIONS)
        self._has_hosts = rmw.startswith('rmw_fastrtps')
        self.number_messages = not rmw.startswith('rmw_cyclonedds')
        """Whether messages have numbers, so that lost ones can be counted."""
        self._by_gid: dict[str, Publisher] = {}

    def update(
        self, topic: str, infos: Iterable[TopicEndpointInfo]
    ) -> tuple[list[Publisher], list[Publisher]]:
        """
        Take over what the graph says of a topic and return (appeared, left).

        A publisher whose node becomes known only later (Fast DDS announces it 20 to 100 ms after
        the publisher) appears a second time, with its node, without having left.
        """
        before = {seen.gid: seen for seen in self.on(topic)}
        there = {seen.gid: seen for seen in (self._seen(topic, info) for info in infos)}
        # A node is not renamed; a name that was known can only be hidden by a lagging graph.
        for gid, seen in there.items():
            if not seen.node and gid in before:
                there[gid] = before[gid]
        appeared = [seen for gid, seen in there.items() if before.get(gid) != seen]
        left = [gone for gid, gone in before.items() if gid not in there]
        if appeared or left:
            others = {gid: seen for gid, seen in self._by_gid.items() if gid not in before}
            self._by_gid = others | there
        return appeared, left

    def by_gid(self, gid: str) -> Publisher | None:
        """Return the publisher with that GID on any topic, None where the graph has none."""
        return self._by_gid.get(gid)

    def host_of(self, gid: str) -> str:
        """Return what tells the hosts of publishers and subscriptions apart; '': not known."""
        return gid[HOST] if self._has_hosts and gid.startswith(FAST_DDS) else ''

    def on(self, topic: str) -> list[Publisher]:
        """Return the publishers of one fully resolved topic."""
        return [seen for seen in self._by_gid.values() if seen.topic == topic]

    def named(self, node: str) -> list[Publisher]:
        """Return the publishers on command topics of every node with that qualified name."""
        return [
            seen for seen in self._by_gid.values()
            if node and seen.node == node and seen.topic in self.command_topics
        ]

    def _seen(self, topic: str, info: TopicEndpointInfo) -> Publisher:
        gid = bytes(info.endpoint_gid).hex()
        participant = gid[PARTICIPANT] if self._has_participants else ''
        return Publisher(gid, topic, node_of(info), participant)


class Looks:
    """
    When to look at a topic's publishers: at once after a change, and then again and again.

    A look costs some 25 us a publisher. The graph lags behind the event that announces a change,
    and a node's name comes later still. So a change is followed by looks after 20, 40, 80, ... ms,
    and then by one every 2 s.
    """

    PAUSE = 0.02
    """Seconds between two looks, at least."""
    SHARE = 0.1
    """Share of the time that looks may take, which spaces them under thousands of publishers."""
    BURST, EVERY = 5, 0.1
    """Looks that may follow each other so soon, and s for each further one, where publishers come
    and go without end."""
    SLOWEST = 2.0
    """Seconds between two looks, at most (but for ``SHARE``)."""

    def __init__(self, now: float) -> None:
        self.next_at = now
        """When the next look is due, on the caller's clock."""
        self._looking = DutyCycle(self.SHARE, self.PAUSE)
        self._due_at = now  # the next look, if they came evenly; a burst runs ahead of that
        self._backoff = Backoff(self.PAUSE, self.SLOWEST)

    def changed(self, now: float) -> None:
        """Note that publishers came or went: look as soon as the pause allows."""
        self.next_at = max(now, self._free_at)
        self._backoff.reset()

    def looked(self, began: float, now: float) -> None:
        """Note a look that lasted from ``began`` to ``now``."""
        self._looking.worked(began, now)
        self._due_at = max(self._due_at, now) + self.EVERY
        self.next_at = max(self._free_at, now + self._backoff.take())

    @property
    def _free_at(self) -> float:
        return max(self._looking.free_at, self._due_at - self.BURST * self.EVERY)


def wrong_type(there: str, wanted: str) -> str:
    """Say why a publisher of another message type is not heard, and what to do about it."""
    what = f'it publishes {safe_name(there)}, the bridge expects {wanted}'
    if there in STAMPED and wanted in STAMPED:
        return f'{what}: move the topic to {STAMPED[there]}, or have it publish {wanted}'
    return f'{what}: let it publish that, or on another topic'


def wrong_qos(topic: str, why: str) -> str:
    """
    Say what to do about a publisher whose QoS does not fit the subscription's.

    :param why: in rclpy's words
    """
    reason = why.replace('ERROR: ', '').rstrip('; ').replace(';', ', ')
    setting = next((name for word, name in SETTINGS.items() if word in why.lower()), 'qos')
    if setting == 'reliability':  # the one that the bridge's qos_overrides can make so
        remedy = (
            f'set qos_overrides.{topic}.subscription.reliability to best_effort, or let it '
            'publish as reliable'
        )
    else:
        remedy = 'let it offer what the bridge requests'
    return f'incompatible QoS, {setting} ({reason}): {remedy}'
