# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The receiving loop: commands, heartbeats and the publishers behind them (R1, R2).

A thread of its own takes the messages, so that a busy executor delays none. Where several of one
publisher wait, the newest replaces the older, as it would at the machine (R14): a publisher that
is too fast costs others next to nothing.

Guaranteed: what waited while the loop was frozen (SIGSTOP, a debugger, a starved machine) for
longer than R2 allows is discarded, never handed on, and so is what is older than the window when
it comes. The sink is told of discarded commands, of the newest of each publisher where many wait.
Not guaranteed: anything about the time that the sink takes; a sink frozen between being called
and acting has to look at the clock itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
import threading
from time import monotonic, time
from typing import Any, TYPE_CHECKING

from rclpy.exceptions import InvalidHandle
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import String

from viam_session_bridge.bounds import Throttle
from viam_session_bridge.core.message_age import MessageAge
from viam_session_bridge.ros.message_loss import MessageLoss
from viam_session_bridge.ros.publishers import gid_of, Looks, Publisher, Publishers
from viam_session_bridge.ros.sink import Sink
from viam_session_bridge.ros.stall_detector import StallDetector
from viam_session_bridge.ros.subscription import DEPTH, Inlet, subscribe, WaitSet

if TYPE_CHECKING:
    from rclpy.node import Node

SETTLE = 0.1
"""Seconds after a freeze in which all messages are discarded: the middleware's threads were frozen
too, and only now hand over what waits in their sockets. Later ones are told by their age."""

UNNOTICED = 0.15
"""
Seconds for which a silent publisher's coming or going, or the context's end, goes unnoticed.

More than a publisher of 10 Hz pauses, so that what watches costs nothing beside it.
"""

EMPTYING = 1.0
"""Seconds after which emptying the subscriptions gives up against a faster publisher."""

Taken = tuple[bytes, Mapping[str, Any], 'str | None']
"""A serialized message, its info and its publisher's GID."""

GONE = 'the node was destroyed or its ROS context shut down while commands were received'

TURN = DEPTH
"""Messages that are taken from a subscription until it is the next one's turn."""

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
        sink: Sink,
        report: Callable[[str], None],
    ) -> None:
        """
        Subscribe; nothing is received before `start`, and what came before it is dropped.

        :param node: stays the owner of the subscriptions; its executor never sees them
        :param topics: message type of each command topic; relative names and remappings are
            resolved here, names that resolve to one topic are one subscription
        :param heartbeat_topic: topic of std_msgs/String
        :param window: heartbeat window, s
        :param report: takes a line of text for the user's log, from the receiving thread
        :raises ValueError: two message types for one topic
        :raises RCLError: a topic that another subscription of this process has with another type
        """
        self._node = node
        self._sink = sink
        self._report = report
        self._throttle = Throttle(burst=1, every=REPORT_EVERY)
        self._window = window
        self._stopping = False
        self._discarded, self._late, self._settled_at = 0, 0.0, 0.0
        self._gaps = MessageLoss()
        # The heartbeat first, so that in each round it is taken before the commands.
        self._inlets = subscribe(node, [(heartbeat_topic, String), *topics.items()])
        self._wait_set = WaitSet(node, self._inlets)
        self._heartbeats = self._inlets[0]
        self.publishers = Publishers(
            [inlet.topic for inlet in self._inlets[1:]], get_rmw_implementation_identifier())
        """Who publishes, as of `Looks.PAUSE` before what the sink is told."""
        host_of = self.publishers.host_of
        clock_set = partial(self._tell, 'clock_set', sink.clock_set)
        self._ages = MessageAge(window, host_of, host_of(self._heartbeats.own_gid()), clock_set)
        self._thread = threading.Thread(target=self._run, name='receiver')

    def start(self) -> None:
        """Start receiving; once. After `stop` a new Receiver is needed."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> bool:
        """
        End the thread and unsubscribe; not from the sink, and again without effect.

        :param timeout: seconds to wait for a sink that is busy
        :return: False where the thread still runs then; it ends as soon as the sink returns
        """
        self._stopping = True
        self._wait_set.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        # While the thread runs rclpy keeps these alive, and destroys them when it leaves them.
        for inlet in self._inlets:
            inlet.destroy()
        self._inlets = []
        self._wait_set.destroy()
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._wait_set:
                self._loop(list(self._inlets))
        except BaseException as error:
            if not self._stopping:
                # `rclpy.shutdown()` destroys the nodes first (Kilted).
                gone = RuntimeError(GONE) if isinstance(error, InvalidHandle) else error
                self._tell('failed', self._sink.failed, gone)

    def _loop(self, inlets: list[Inlet]) -> None:
        self._empty(inlets)
        self._discarded = 0  # nobody commands yet
        now = monotonic()
        self._looks = Looks([inlet.topic for inlet in inlets], now)
        self._matched_at = now
        self._punctuality = StallDetector(self._window, now)
        alive_at = now
        while not self._stopping:
            wake_at = min(now + min(self._punctuality.period, UNNOTICED), self._looks.next_at)
            if self._settled_at:
                wake_at = min(wake_at, self._settled_at)
            woken = self._wait_set.wait(wake_at - monotonic())
            now = monotonic()
            self._check(inlets, now)  # before anything is taken: R2 counts all that waited
            self._look(inlets, now)
            self._receive(inlets)
            if woken or now >= alive_at:
                self._check_alive()
                alive_at = now + UNNOTICED

    def _check_alive(self) -> None:
        if not self._wait_set.alive():
            raise RuntimeError(GONE)
        # A forgotten thread would keep the interpreter, and the base, going for ever.
        if not threading.main_thread().is_alive():
            raise RuntimeError('the main thread ended while commands were received')

    def _check(self, inlets: list[Inlet], now: float) -> bool:
        """Tell whether messages may be handed on now, and discard what waits where not."""
        late = self._punctuality.late(now)
        if late:
            self._late = max(self._late, late)
            self._settled_at = now + SETTLE
            self._ages.thawed(now)
            for inlet, taken in self._empty(inlets):
                self._discard(inlet, taken[2], self._read(inlet, taken[0]))
        elif self._settled_at and now >= self._settled_at:
            self._tell('discarded', self._sink.discarded, self._discarded, self._late)
            self._discarded, self._late, self._settled_at = 0, 0.0, 0.0
        return not self._settled_at

    def _empty(self, inlets: list[Inlet]) -> list[tuple[Inlet, Taken]]:
        """Take all that waits; return the newest of each publisher."""
        newest: dict[tuple[Inlet, str | None], Taken] = {}
        end = monotonic() + EMPTYING
        for inlet in inlets:
            while monotonic() < end and (taken := self._take(inlet)) is not None:
                newest[inlet, taken[2]] = taken
                self._discarded += 1
        return [(inlet, taken) for (inlet, _), taken in newest.items()]

    def _receive(self, inlets: list[Inlet]) -> None:
        for inlet in self._wait_set.ready:
            if not self._stopping:
                for taken in self._newest(inlet):
                    self._hand_on(inlet, taken, inlets)

    def _newest(self, inlet: Inlet) -> Iterable[Taken]:
        """Take what waits; return of each publisher the newest, of heartbeats all that differ."""
        newest: dict[object, Taken] = {}
        count = 0
        while count < TURN and (taken := self._take(inlet)) is not None:
            serialized, _, gid = taken
            about = (gid, serialized) if inlet is self._heartbeats else gid
            newest.pop(about, None)  # in the order of what counts
            newest[about] = taken
            count += 1
        if count > len(newest):
            self._tell('replaced', self._sink.replaced, inlet.topic, count - len(newest))
        return newest.values()

    def _hand_on(self, inlet: Inlet, taken: Taken, inlets: list[Inlet]) -> None:
        serialized, info, gid = taken
        read = self._read(inlet, serialized)
        # A freeze can end right here: the clock is read after the take, not before.
        now = monotonic()
        settled = self._check(inlets, now)
        age = self._ages.too_old(gid or inlet.topic, 1e-9 * info['source_timestamp'], now, time())
        if not settled:
            self._discarded += 1
            self._discard(inlet, gid, read)
        elif age:
            self._tell('old', self._sink.old, inlet.topic)
            self._discard(inlet, gid, read)
        elif read is None:
            pass
        elif inlet is self._heartbeats:
            self._tell('heartbeat', self._sink.heartbeat, gid, read.data, now)
        else:
            self._tell('command', self._sink.command, inlet.topic, gid, read, now)

    def _read(self, inlet: Inlet, serialized: bytes) -> Any:
        """Return what a message says; None where it cannot be read, which is reported."""
        try:
            return inlet.read(serialized)
        except Exception as error:
            self._say(f'read {inlet.topic}', f'{inlet.topic}: unreadable message: {error!r}')
            return None

    def _discard(self, inlet: Inlet, gid: str | None, read: Any) -> None:
        """Tell of a command that is not handed on; a discarded heartbeat is nothing (R2)."""
        if inlet is not self._heartbeats:
            self._tell('discarded_command', self._sink.discarded_command, inlet.topic, gid, read)

    def _take(self, inlet: Inlet) -> Taken | None:
        taken = inlet.take()
        if taken is None:
            return None
        serialized, info = taken
        gid, number = gid_of(info), info.get('publication_sequence_number')
        # Without GIDs the publishers' numbers cannot be told apart (Jazzy).
        if gid and number is not None and (lost := self._gaps.before(gid, number)):
            self._tell('lost', self._sink.lost, inlet.topic, lost)
        return serialized, info, gid

    def _look(self, inlets: list[Inlet], now: float) -> None:
        """Look at the graph where publishers came or went or it is due, and tell what changed."""
        if now >= self._matched_at:
            self._matched_at = now + self._looks.PAUSE
            for inlet in inlets:
                if inlet.matched():
                    self._looks.changed(inlet.topic, now)
        for topic in self._looks.due(now):
            inlet = next(inlet for inlet in inlets if inlet.topic == topic)
            began = monotonic()
            appeared: list[Publisher] = []
            left: list[Publisher] = []
            try:
                appeared, left = self.publishers.update(
                    topic, [info for info in inlet.publishers() if self._heard(inlet, info)])
            except Exception as error:
                self._say(f'graph {topic}', f'{topic}: its publishers are not known: {error!r}')
            self._looks.looked(topic, began, monotonic())
            self._ages.changed([seen.gid for seen in appeared], [gone.gid for gone in left], now)
            if appeared or left:
                self._tell('publishers_changed', self._sink.publishers_changed,
                           topic, appeared, left, now)

    def _heard(self, inlet: Inlet, info: Any) -> bool:
        if why := inlet.unheard(info):
            self._tell('unheard', self._sink.unheard,
                       inlet.topic, info, inlet.type_name, why, monotonic())
        return not why

    def _tell(self, what: str, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            self._say(what, f'internal error in {what}: {error!r}')

    def _say(self, kind: str, text: str) -> None:
        """Report, but not the same kind over and over."""
        if self._throttle.let_through(kind, monotonic()) is not None:
            # Receiving goes on, for the robot's sake, even where the log is broken.
            with suppress(Exception):
                self._report(text)
