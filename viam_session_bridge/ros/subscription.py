# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Subscriptions and a wait set for a thread of one's own, outside the executor.

This module and ``publisher_gids`` lean on rclpy's less public parts: the wait set, a
subscription's ``handle.take_message`` and its events, which ``rclpy.wait_for_message`` and the
executors use as well. They work with rclpy 7.1 (Jazzy) and 9.1 (Kilted).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, cast, TYPE_CHECKING

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import (
    QoSSubscriptionEventType,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.exceptions import InvalidHandle
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    qos_check_compatible,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.utilities import get_rmw_implementation_identifier

from viam_session_bridge.bounds import BoundedDict
from viam_session_bridge.ros.command_messages import reader
from viam_session_bridge.ros.publisher_gids import cyclone_gids, Received, Take, taker
from viam_session_bridge.ros.publishers import wrong_qos, wrong_type

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.topic_endpoint_info import TopicEndpointInfo

DEPTH = 500
"""
Messages that wait in a subscription, where ``qos_overrides`` say nothing else.

DDS has one queue for all publishers of a topic, and drops the oldest first. A publisher of 5 kHz
fills this in 100 ms: the receiving loop may be without a core, or without Python's lock, for that
long before a message is lost.
"""

PUBLISHERS_KEPT = 1024  # they come and go as often as they like

Taken = tuple[bytes, str, float]
"""
A serialized message, its publisher's GID, and when it was sent (s by its publisher's clock).

The GID of an empty one may be ''.
"""


def name_of(message_type: type) -> str:
    """Return a message type's name as the graph writes it, 'geometry_msgs/msg/Twist'."""
    return '/'.join([*message_type.__module__.split('.')[:2], message_type.__name__])


class OutsideExecutor(CallbackGroup):
    """A group whose entities no executor waits for, though they belong to its node."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


class MessageLoss:
    """
    Finds gaps between the numbers that the middleware gives to each publisher's messages.

    The network lost them, or the queue of a subscription that is emptied too slowly. Either way a
    session has fewer signs of life than its publisher sent: it can only lapse sooner.
    """

    def __init__(self) -> None:
        self._last: BoundedDict[str, int] = BoundedDict(PUBLISHERS_KEPT)

    def before(self, publisher: str, number: int) -> int:
        """Return how many of the publisher's messages were lost between its last and this one."""
        last = self._last.get(publisher, number - 1)
        self._last[publisher] = max(last, number)  # and it is the one that was heard last
        return max(number - last - 1, 0)


class Subscription:
    """A subscription whose messages are taken by hand."""

    def __init__(self, node: Node, message_type: type, topic: str) -> None:
        """
        Subscribe, with ``qos_overrides`` parameters for the QoS.

        :param topic: as configured; relative names and remappings are resolved here
        :raises RCLError: among others where the topic has another type (Fast DDS)
        :raises UnknownPublisherError: who publishes a message cannot be told
        """
        self.given_topic = topic
        self.topic = node.resolve_topic_name(topic)
        self.message_type = message_type
        self.type_name = name_of(message_type)
        self.read = reader(message_type)
        """Return what a message says that was taken; raises as :func:`reader` says."""
        self.lost = 0
        """Messages that were lost since the caller last set this to 0."""
        self._loss = MessageLoss()
        self._node = node

        # Best effort hears every publisher; a reliable subscription misses best-effort ones.
        # rclpy writes the overrides into the profile.
        self._qos = qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH,
            reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)

        self._subscription = node.create_subscription(
            message_type, topic, _never, qos, callback_group=OutsideExecutor(),
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._handle = self._subscription.handle
        self._matches: Any = None
        with self._handle, suppress(UnsupportedEventTypeError):
            self._matches = _rclpy.EventHandle(
                self._handle, QoSSubscriptionEventType.RCL_SUBSCRIPTION_MATCHED)
        try:
            self._take = taker(self._handle, self._own_gids)
            middleware = get_rmw_implementation_identifier()
            if middleware == 'rmw_zenoh_cpp':
                self._take = partial(take_from_zenoh, self._take)
            elif middleware == 'rmw_cyclonedds_cpp':
                gids = cyclone_gids(node.context.get_domain_id(), self._own_gids)
                self._take = gids.translated(self._take)
        except BaseException:
            self.destroy()
            raise

    def take(self) -> Taken | None:
        """Take the oldest waiting message and count the lost ones before it; None: none waits."""
        taken = self._take(self._handle, self.message_type)
        if taken is None:
            return None
        serialized, gid_bytes, number, sent = taken
        gid = gid_bytes.hex()
        if number is not None:
            self.lost += self._loss.before(gid, number)
        return serialized, gid, 1e-9 * sent

    def matched(self) -> bool:
        """
        Tell whether publishers came or went since the last call; maybe, where rmw does not say.

        Polled, in 0.5 us, not waited for: a wait set with an event for each topic takes six times
        as long for each message.
        """
        if self._matches is None:
            return True
        matches = self._matches.take_event()
        return bool(matches and (matches.total_count_change or matches.current_count_change))

    def publishers(self) -> list[TopicEndpointInfo]:
        """
        Return what the graph shows of all publishers, of other message types too.

        Some 12 us and 25 us a publisher.
        """
        # By the name before remapping: rclpy remaps what it is given, whatever its docs say.
        return list(self._node.get_publishers_info_by_topic(self.given_topic))

    def own_gid(self) -> str:
        """Return the hexadecimal GID of this node's subscription; '' where it is not clear."""
        there = self._own_gids()
        return there.pop().hex() if len(there) == 1 else ''

    def _own_gids(self) -> set[bytes]:
        """Return the GIDs of this node's subscription, and of those of other nodes of its name."""
        node = self._node
        return {
            bytes(info.endpoint_gid)
            for info in node.get_subscriptions_info_by_topic(self.given_topic)
            if (info.node_name, info.node_namespace) == (node.get_name(), node.get_namespace())
        }

    def incompatibility(self, info: TopicEndpointInfo) -> str:
        """Return why no message of a publisher comes through, and the remedy; empty: they do."""
        if info.topic_type != self.type_name:
            return wrong_type(info.topic_type, self.type_name)
        # The default QoS hears every publisher: no need to compare thousands of them.
        if self._qos.reliability == ReliabilityPolicy.BEST_EFFORT:
            return ''
        compatibility, reason = qos_check_compatible(info.qos_profile, self._qos)
        return wrong_qos(self.topic, reason) if compatibility == QoSCompatibility.ERROR else ''

    def destroy(self) -> None:
        """Unsubscribe, once; while a wait set is entered, at the end of that."""
        if self._node.destroy_subscription(self._subscription) and self._matches is not None:
            self._matches.destroy_when_not_in_use()


def take_from_zenoh(take: Take, handle: Any, message_type: type) -> Received | None:
    """Take a message. Zenoh fails at an empty one, whose publisher is then not known."""
    try:
        return take(handle, message_type)
    except _rclpy.RCLError:
        return b'', b'', None, 0


def subscribe(node: Node, wanted: Iterable[tuple[str, type]]) -> list[Subscription]:
    """
    Create a subscription for each (topic, message type), or none at all.

    Names that resolve to one topic share it; the rest is as in ``Subscription``.

    :raises ValueError: two message types for one topic
    """
    subscriptions: dict[str, Subscription] = {}
    try:
        for topic, message_type in wanted:
            resolved = node.resolve_topic_name(topic)
            there = subscriptions.get(resolved)
            if there is None:
                subscriptions[resolved] = Subscription(node, message_type, topic)
            elif there.message_type is not message_type:
                raise ValueError(
                    f'topic {resolved} (from {there.given_topic!r} and {topic!r}) cannot carry '
                    f'both {there.type_name} and {name_of(message_type)}: use two topics')
    except BaseException:
        for subscription in subscriptions.values():
            subscription.destroy()
        raise
    return list(subscriptions.values())


class WaitSet:
    """
    A wait set of one's own that is built once, as a context manager of the waiting thread.

    Entered, it keeps what it waits for from being destroyed under it, even by
    ``rclpy.shutdown()``.
    """

    def __init__(self, node: Node, subscriptions: Sequence[Subscription]) -> None:
        self._node = node
        self._context = cast(Any, node.context)  # its handle is there while it runs
        self._subscriptions = {one._handle.pointer: one for one in subscriptions}
        self._guard = node.create_guard_condition(_never, OutsideExecutor())
        self._wait_set = _rclpy.WaitSet(len(subscriptions), 1, 0, 0, 0, 0, self._context.handle)
        self.woken = False
        """Whether ``wake`` was called; then the end is near, and it stays so."""
        self._context.on_shutdown(self.wake)
        self._in_use = ExitStack()

    def __enter__(self) -> WaitSet:
        use = self._in_use.enter_context
        use(self._context.handle)
        use(self._guard.handle)
        for subscription in self._subscriptions.values():
            use(subscription._handle)
            if subscription._matches is not None:
                use(subscription._matches)
        return self

    def __exit__(self, *_: object) -> None:
        self._in_use.close()

    def wait(self, timeout: float) -> list[Subscription]:
        """
        Wait for a message or ``wake``, ``timeout`` seconds (0 or more) at most.

        A ROS context that shuts down wakes as well.

        :return: those in which a message waits, in the order given
        """
        # rcl removes from the set what was not ready: it is filled anew, but not built anew.
        wait_set = self._wait_set
        wait_set.clear_entities()
        wait_set.add_guard_condition(self._guard.handle)
        for subscription in self._subscriptions.values():
            wait_set.add_subscription(subscription._handle)
        wait_set.wait(int(max(timeout, 0.0) * 1e9))
        ready = wait_set.get_ready_entities('subscription')
        return list(map(self._subscriptions.__getitem__, ready))

    def wake(self) -> None:
        """End the current or next ``wait``; from any thread, without effect after ``destroy``."""
        self.woken = True
        with suppress(InvalidHandle):
            self._guard.trigger()

    def alive(self) -> bool:
        """Return whether the ROS context still runs."""
        return bool(self._context.ok())

    def destroy(self) -> None:
        """Destroy the guard condition; while entered, at the end of that."""
        self._node.destroy_guard_condition(self._guard)


def _never(*_: object) -> None:
    """Stand in for a callback that the executor never gets to call."""
