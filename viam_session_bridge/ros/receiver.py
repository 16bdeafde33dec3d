# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The receiving loop: commands, heartbeats and the publishers behind them (R1, R2).

A thread of its own takes the messages, so that a busy executor delays none. Where several of one
publisher wait, the newest replaces the older, as it would at the machine (R14): a publisher that
is too fast costs others next to nothing.

What waited while the loop was stalled (SIGSTOP, a debugger, a starved machine) for longer than R2
allows is discarded, and so is what is older than the window when it comes. Discarded commands are
handed on as discarded; where many wait, only the newest of each publisher. The time between a
message being handed on and the bridge acting on it is not judged here: the runtime looks at the
clock itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
import threading
from time import monotonic, time
from typing import Any, TYPE_CHECKING

from rclpy.exceptions import InvalidHandle
from std_msgs.msg import String

from viam_session_bridge.bounds import Throttle
from viam_session_bridge.core.old_messages import MessageAge, StallDetector
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.ros.clients import Clients
from viam_session_bridge.ros.command_messages import HEADER
from viam_session_bridge.ros.publishers import Looks, Publisher
from viam_session_bridge.ros.subscription import DEPTH, subscribe, Subscription, Taken, WaitSet

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.topic_endpoint_info import TopicEndpointInfo

SETTLE = 0.1
"""Seconds after a stall in which all messages are discarded: the middleware's threads were frozen
too, and only now hand over what waits in their sockets. Later ones are recognised by their age."""

UNNOTICED = 0.15
"""
Seconds for which a publisher's coming or going may go unnoticed, plus one wake-up.

Fast DDS wakes the loop for it; another middleware need not.
"""

ALIVE_EVERY = 1.0
"""Seconds after which the loop sees that the process did not forget it."""

EMPTYING = 1.0
"""Seconds after which emptying the subscriptions gives up against a faster publisher."""

GONE = 'the node was destroyed or its ROS context shut down while commands were received'

REPORT_EVERY = 5.0
"""Seconds between two reports of one kind."""


class Receiver:
    """Command and heartbeat subscriptions of a node, and the thread that takes from them."""

    def __init__(
        self,
        node: Node,
        topics: Mapping[str, type],
        heartbeat_topic: str,
        window: float,
        clients: Clients,
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Subscribe; nothing is received before ``start``, and what came before it is dropped.

        :param node: stays the owner of the subscriptions; its executor never sees them
        :param topics: message type of each command topic; those that resolve to one are one
        :param window: heartbeat window, s
        :param clients: handed all that is received, on the receiving thread; its exceptions are
            reported and end nothing
        :param failed: called where the loop ends without ``stop``: nothing is received any more
        :raises ValueError: two message types for one topic
        :raises RCLError: a topic that another subscription of this process has with another type
        :raises UnknownPublisherError: who publishes a message cannot be told
        """
        self._clients = clients
        self._failed = failed
        self._throttle = Throttle(burst=1, every=REPORT_EVERY)
        self._window = window
        self._stopping = False
        self._discarded, self._late, self._settled_at = 0, 0.0, NEVER
        # The heartbeat first, so that in each round it is taken before the commands.
        self._subscriptions = subscribe(node, [(heartbeat_topic, String), *topics.items()])
        self._wait_set = WaitSet(node, self._subscriptions)
        self._heartbeats = self._subscriptions[0]
        host_of = clients.publishers.host_of
        clock_set = partial(self._call, clients.clock_set)
        self._ages = MessageAge(window, host_of, host_of(self._heartbeats.own_gid()), clock_set)
        self._thread = threading.Thread(target=self._run, name='receiver')

    def start(self) -> None:
        """Start receiving; once. After ``stop`` a new Receiver is needed."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> bool:
        """
        End the thread and unsubscribe; not on the receiving thread, and again without effect.

        :param timeout: seconds to wait for a thread that is busy
        :return: False where the thread still runs then; it ends as soon as it has handed on the
            message at hand
        """
        self._stopping = True
        self._wait_set.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        # While the thread runs rclpy keeps these alive, and destroys them when it leaves them.
        for subscription in self._subscriptions:
            subscription.destroy()
        self._wait_set.destroy()
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._wait_set:
                self._loop()
        except BaseException as error:
            if not self._stopping:
                # ``rclpy.shutdown()`` destroys the nodes first (Kilted).
                self._failed(RuntimeError(GONE) if isinstance(error, InvalidHandle) else error)

    def _loop(self) -> None:
        self._empty()
        self._discarded = 0  # nobody commands yet
        now = monotonic()
        self._looks = {subscription: Looks(now) for subscription in self._subscriptions}
        self._stalls = StallDetector(self._window, now)
        period = min(self._stalls.period, UNNOTICED)
        self._look_at = self._watch_at = alive_at = now
        while not self._stopping:
            wake_at = min(now + period, self._look_at, self._settled_at)
            ready = self._wait_set.wait(wake_at - monotonic())
            now = monotonic()
            late = self._stalls.late(now)  # before anything is taken: R2 counts all that waited
            if late or now >= self._settled_at:
                self._settle(late, now)
            # None is ready: maybe woken by an event, which wakes again until it is taken.
            if now >= self._watch_at or not ready:
                self._watch(now)
            self._receive(ready)
            if self._wait_set.woken or now >= alive_at:
                self._check_alive()
                alive_at = now + ALIVE_EVERY

    def _check_alive(self) -> None:
        if not self._wait_set.alive():
            raise RuntimeError(GONE)
        # A forgotten thread would keep the interpreter, and the base, going for ever.
        if not threading.main_thread().is_alive():
            raise RuntimeError('the main thread ended while commands were received')

    # Messages

    def _receive(self, ready: Iterable[Subscription]) -> None:
        for subscription in ready:
            if self._stopping:
                return
            for serialized, gid, sent in self._newest(subscription):
                message = self._read(subscription, serialized)
                # A stall can end right here: the clock is read after the take, not before.
                now = monotonic()
                late = self._stalls.late(now)
                if late or now >= self._settled_at:
                    self._settle(late, now)
                try:
                    self._hand_on(subscription, gid, sent, message, now)
                except Exception as error:
                    is_heartbeat = subscription is self._heartbeats
                    self._internal_error('heartbeat' if is_heartbeat else 'command', error)

    def _newest(self, subscription: Subscription) -> Iterable[Taken]:
        """Take what waits; return each publisher's newest command, or all different heartbeats."""
        newest: dict[object, Taken] = {}
        count = 0
        # At most what its queue holds; then it is the next subscription's turn.
        while count < DEPTH and (taken := subscription.take()) is not None:
            serialized, gid, _ = taken
            about = (gid, serialized) if subscription is self._heartbeats else gid
            newest.pop(about, None)  # in the order of what counts
            newest[about] = taken
            count += 1
        if count > len(newest):
            replaced = count - len(newest)
            self._call(self._clients.count, 'replaced_messages', subscription.topic, replaced)
        if subscription.lost:
            self._report_lost(subscription)
        return newest.values()

    def _hand_on(
        self, subscription: Subscription, gid: str, sent: float, message: Any, now: float
    ) -> None:
        """
        Hand on a message, or that it is discarded.

        :param message: None where it could not be read
        """
        topic = subscription.topic
        if self._clients.publishers.by_gid(gid) is None:
            # Only one that was seen in the graph can be noticed to leave it (R2).
            self._look_at = self._watch_at = now
        too_old = self._ages.too_old(gid, sent, now, time())
        settling = self._settled_at < NEVER
        if message is None or too_old or settling:
            self._discard(subscription, gid, message)
            if settling:
                self._discarded += 1
            elif too_old:
                self._clients.count('old_messages', topic)
        elif subscription is self._heartbeats:
            self._clients.heartbeat(gid, message.data, now)
        else:
            self._clients.command(topic, gid, message, now)

    def _read(self, subscription: Subscription, serialized: bytes) -> Any:
        """Return what a message says; None where it cannot be read, which is reported."""
        try:
            if len(serialized) < HEADER:  # which Cyclone DDS reads without a look at the length
                raise ValueError(f'{len(serialized)} bytes')
            return subscription.read(serialized)
        except Exception as error:
            topic = subscription.topic
            self._say(f'read {topic}', f'{topic}: unreadable message: {error!r}')
            return None

    def _discard(self, subscription: Subscription, gid: str, message: Any) -> None:
        """Hand on that a client's command is discarded; a discarded heartbeat is nothing (R2)."""
        if gid and subscription is not self._heartbeats:
            self._call(self._clients.discard, subscription.topic, gid, message)

    # Stalls (R2)

    def _settle(self, late: float, now: float) -> None:
        """Begin to discard after a stall, ``late`` seconds long, or end it when it is time."""
        if late:
            self._late = max(self._late, late)
            self._settled_at = now + SETTLE
            self._ages.thawed(now)
            for subscription, (serialized, gid, _) in self._empty():
                self._discard(subscription, gid, self._read(subscription, serialized))
        elif now >= self._settled_at:
            self._call(self._clients.discarded, self._discarded, self._late)
            self._discarded, self._late, self._settled_at = 0, 0.0, NEVER

    def _empty(self) -> list[tuple[Subscription, Taken]]:
        """Take all that waits; return the newest of each publisher."""
        newest: dict[tuple[Subscription, str], Taken] = {}
        end = monotonic() + EMPTYING
        for subscription in self._subscriptions:
            while monotonic() < end and (taken := subscription.take()) is not None:
                newest[subscription, taken[1]] = taken
                self._discarded += 1
            self._report_lost(subscription)
        return [(subscription, taken) for (subscription, _), taken in newest.items()]

    def _report_lost(self, subscription: Subscription) -> None:
        lost, subscription.lost = subscription.lost, 0
        if lost:
            self._call(self._clients.count, 'lost_messages', subscription.topic, lost)

    # The graph

    def _watch(self, now: float) -> None:
        """Look at the graph where publishers came or went, or where it is time."""
        self._look_at = NEVER
        for subscription, looks in self._looks.items():
            if subscription.matched():
                looks.changed(now)
            if now >= looks.next_at:
                self._look(subscription, looks, now)
            self._look_at = min(self._look_at, looks.next_at)
        self._watch_at = min(now + UNNOTICED, self._look_at)

    def _look(self, subscription: Subscription, looks: Looks, now: float) -> None:
        """Look at a topic's publishers in the graph, and hand on what changed."""
        topic = subscription.topic
        began = monotonic()
        appeared: list[Publisher] = []
        left: list[Publisher] = []
        try:
            infos = [i for i in subscription.publishers() if self._compatible(subscription, i)]
            appeared, left = self._clients.publishers.update(topic, infos)
        except Exception as error:
            self._say(f'graph {topic}', f'{topic}: its publishers are not known: {error!r}')
        looks.looked(began, monotonic())
        self._ages.changed([seen.gid for seen in appeared], [gone.gid for gone in left], now)
        if appeared or left:
            self._call(self._clients.publishers_changed, topic, appeared, left)

    def _compatible(self, subscription: Subscription, info: TopicEndpointInfo) -> bool:
        why = subscription.incompatibility(info)
        if why:
            self._call(self._clients.incompatible, subscription.topic, info, why, monotonic())
        return not why

    def _call(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call one of the clients' methods that is called rarely."""
        try:
            method(*arguments)
        except Exception as error:
            self._internal_error(method.__name__, error)

    def _internal_error(self, where: str, error: Exception) -> None:
        """Report an exception of the clients, which ends nothing: receiving goes on."""
        self._say(where, f'internal error in {where}: {error!r}')

    def _say(self, kind: str, text: str) -> None:
        """Report, but not the same kind over and over."""
        if self._throttle.let_through(kind, monotonic()) is not None:
            # Receiving goes on, for the robot's sake, even where the log is broken.
            with suppress(Exception):
                self._clients.report(text)
