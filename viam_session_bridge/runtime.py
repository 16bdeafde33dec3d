# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The shell around the bridge: feed, drain, re-arm.

One lock guards the bridge's state; nothing under it does I/O. Whoever feeds (the receiving loop,
the lapse clock, gRPC's threads, the node) hands over the calls that follow, after the lock was
released. Calls of two threads may so reach gRPC in another order than they were decided in; the
protocol assumes no order between a stop and a command in flight, so nothing depends on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from random import random
import threading
import time
from typing import TypeVar

from viam_session_bridge.configuration.model import Configuration
from viam_session_bridge.core.bridge import Bridge, Event
from viam_session_bridge.core.requests import Answer, Call, Outcome
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.lapse_clock import LapseClock
from viam_session_bridge.viam.channel import Channel

T = TypeVar('T')

ANSWERED_WITHIN = 0.1  # s past its deadline, gRPC has told that a call timed out
EVENTS_KEPT = 10_000  # should the node be too busy to take them; the oldest go first


class Runtime:
    """The running bridge."""

    def __init__(
        self,
        configuration: Configuration,
        wake: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Prepare; nothing runs before :meth:`start`.

        :param wake: called, on whichever thread, when :meth:`events` has something; must be quick
        :param failed: is told of an unexpected exception on any thread; the bridge is then not
            to be trusted any more
        """
        self._configuration = configuration
        self._wake = wake
        self._failed = failed
        self._lock = threading.Lock()
        self._closed = threading.Condition(self._lock)
        self._bridge = Bridge(configuration, random)
        self._channels: dict[str, Channel] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._clock = LapseClock(self._tick, failed)

    def start(self) -> None:
        """Start the lapse clock."""
        self._clock.start()

    def activate(self) -> None:
        """Connect and accept commands."""
        self._feed(self._bridge.activate)

    def deactivate(self) -> None:
        """
        End all sessions and stop their bases (R19).

        The stops go on until they are final; then the machines are disconnected (R18).
        """
        self._feed(self._bridge.deactivate)

    def command(
        self,
        client: str,
        topic: str,
        velocity: Velocity,
        stamp_age: float | None = None,
        taken_at: float | None = None,
    ) -> None:
        """Take a command; see :meth:`Bridge.command`."""
        command = self._bridge.command
        self._feed(lambda now: command(client, topic, velocity, stamp_age, now, taken_at))

    def discard(self, client: str, topic: str, velocity: Velocity | None) -> None:
        """Take that a command was discarded; see :meth:`Bridge.discard`."""
        self._feed(lambda now: self._bridge.discard(client, topic, velocity, now))

    def heartbeat(
        self, client: str, topic: str, own: bool, taken_at: float | None = None
    ) -> None:
        """Take a heartbeat; see :meth:`Bridge.heartbeat`."""
        heartbeat = self._bridge.heartbeat
        self._feed(lambda now: heartbeat(client, topic, own, now, taken_at))

    def left(self, client: str) -> None:
        """Take that a client's publisher left the graph."""
        self._feed(lambda now: self._bridge.left(client, now))

    def seen(self, client: str) -> None:
        """Take that the graph shows a client's publisher."""
        self._feed(lambda now: self._bridge.seen(client))

    def look(self, at: Callable[[Bridge, float], T]) -> T:
        """Return what ``at`` makes of the bridge's state; it must be quick and change nothing."""
        with self._lock:
            return at(self._bridge, time.monotonic())

    def events(self) -> Iterator[Event]:
        """Take what happened since the last call, in order."""
        while self._events:
            yield self._events.popleft()

    def wait_closed(self, timeout: float) -> dict[str, bool]:
        """
        Wait after :meth:`deactivate` until every machine has closed, at most ``timeout`` seconds.

        A Stop that nothing else stands in for is waited for to its own deadline (R19).

        :return: the bases whose stop is not final, and whether one was acknowledged
        """
        exit_at = time.monotonic() + timeout
        self._feed(lambda now: self._bridge.exits(exit_at))
        with self._closed:
            wait_until = exit_at
            while not self._bridge.closed:
                if (now := time.monotonic()) >= wait_until:
                    wait_until = self._bridge.exit_waits_until(now) + ANSWERED_WITHIN
                    if wait_until <= now:
                        break
                self._closed.wait(wait_until - now)
            return self._bridge.not_final() | dict.fromkeys(self._bridge.given_up(), False)

    def came_round(self) -> bool:
        """Tell whether the lapse clock lives; see :meth:`LapseClock.came_round`."""
        return self._clock.came_round()

    def close(self) -> None:
        """End the lapse clock and the channels."""
        self._clock.end()
        with self._lock:
            channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _tick(self) -> float | None:
        return self._feed(self._bridge.tick)

    def _open(self, name: str) -> None:
        machine = next(m for m in self._configuration.machines if m.name == name)
        bases = {b.name: b for b in self._configuration.bases if b.machine == name}
        channel = Channel(machine, bases, partial(self._channel_changed, name), self._failed)
        with self._lock:
            self._channels[name] = channel
        channel.start()  # only now: once it is connected there are calls for it

    def _channel_changed(self, machine: str, ready: bool) -> None:
        self._feed(lambda now: self._bridge.channel(machine, ready, now))

    def _answered(self, call: Call, answer: Answer) -> None:
        self._feed(lambda now: self._bridge.answered(call, answer, now))

    def _feed(self, feed: Callable[[float], None]) -> float | None:
        try:
            with self._lock:
                now = time.monotonic()
                feed(now)
                out = self._bridge.drain(now)
                self._events.extend(out.events)
                closed = [self._channels.pop(machine, None) for machine in out.closed]
                if out.closed:
                    self._closed.notify_all()
        except BaseException as error:
            # Whatever thread this is, and whether or not it would say so: a bridge whose state
            # is half changed is not to be trusted with a moving base.
            self._failed(error)
            raise
        for call in out.calls:
            channel = self._channels.get(call.machine)
            if channel is not None:
                channel.hand_over(call, self._answered)
            else:
                self._answered(call, Answer(Outcome.CUT, 'the channel is closed'))
        for channel in closed:
            if channel is not None:
                channel.close()
        for machine in out.opened:
            self._open(machine)
        with self._lock:  # only now: a call is not to wait for what can wait
            wake_at = self._bridge.next_deadline()
        self._clock.arm(wake_at)
        if out.events:
            self._wake()
        return wake_at
