# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The shell around the core: feed, hand over, re-arm.

One lock guards the bridge's state; nothing under it does I/O. Whoever feeds (the receiving loop,
the lapse clock, gRPC's threads, the node) hands over the calls that follow, once the lock is
released. So calls of two threads may reach gRPC in another order than they were decided in. The
protocol assumes no order between a stop and a command in flight, so nothing depends on it.

The lapse clock is the thread that ticks the bridge when its next deadline has come (R4, R12).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from math import inf
from random import random
import threading
import time
from types import MappingProxyType
from typing import Any, TypeVar

from viam_session_bridge.configuration.model import Configuration
from viam_session_bridge.core.bridge import Bridge, Event, Out
from viam_session_bridge.core.requests import Answer, Call, Outcome
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.viam.channel import Channel

T = TypeVar('T')

ANSWERED_WITHIN = 0.1  # s: gRPC ends a call this long after its deadline at the latest
EVENTS_KEPT = 10_000  # should the node be too busy to take them; the oldest go first


class Runtime:
    """The running bridge."""

    def __init__(
        self,
        configuration: Configuration,
        wake: Callable[[], None],
        failed: Callable[[BaseException], None],
        earlier: Mapping[str, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        """
        Prepare; nothing runs before :meth:`start`.

        :param wake: called, on whichever thread, when :meth:`events` has something; must be quick
        :param failed: called with an unexpected exception, on any thread; the bridge is then
            not to be trusted any more
        :param earlier: machine sessions of the runtimes before, see :meth:`Bridge.remember`
        """
        self._configuration = configuration
        self._wake = wake
        self._failed = failed
        self._lock = threading.Lock()
        self._closed = threading.Condition(self._lock)
        self._bridge = Bridge(configuration, random)
        self._bridge.remember(earlier)
        self._channels: dict[str, Channel] = {}
        self._answers: deque[tuple[Call, Answer]] = deque()
        self._this_thread = _ThisThread()
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
        """Feed a command; see :meth:`Bridge.command`."""
        feed = self._bridge.command
        self._feed(feed, client, topic, velocity, stamp_age, taken_at=taken_at)

    def discard(self, client: str, topic: str, velocity: Velocity | None) -> None:
        """Feed a command that was discarded; see :meth:`Bridge.discard`."""
        self._feed(self._bridge.discard, client, topic, velocity)

    def heartbeat(
        self, client: str, topic: str, own: bool, taken_at: float | None = None
    ) -> None:
        """Feed a heartbeat; see :meth:`Bridge.heartbeat`."""
        self._feed(self._bridge.heartbeat, client, topic, own, taken_at=taken_at)

    def left(self, client: str) -> None:
        """Feed that a client's publisher left the graph."""
        self._feed(self._bridge.left, client)

    def seen(self, client: str) -> None:
        """Feed that the graph shows a client's publisher."""
        self._feed(self._bridge.seen, client)

    def look(self, at: Callable[[Bridge, float], T]) -> T:
        """Return what ``at`` makes of the bridge's state; it must be quick and change nothing."""
        with self._lock:
            return at(self._bridge, time.monotonic())

    def events(self) -> Iterator[Event]:
        """Return what happened since the last call, in order."""
        while self._events:
            yield self._events.popleft()

    def wait_closed(self, timeout: float) -> dict[str, bool]:
        """
        Wait after :meth:`deactivate` until every machine has closed, at most ``timeout`` seconds.

        A Stop that alone would stop its base is waited for until its own deadline (R19).

        :return: the bases whose stop is not final, and whether one was acknowledged
        """
        exit_at = time.monotonic() + timeout
        self._feed(self._bridge.exits, exit_at)
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
        """Return whether the lapse clock lives; see :meth:`LapseClock.came_round`."""
        return self._clock.came_round()

    def close(self) -> None:
        """End the lapse clock and the channels."""
        self._clock.end()
        with self._lock:
            channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _tick(self) -> None:
        self._feed(self._bridge.tick)

    def _open(self, name: str) -> None:
        machine = next(m for m in self._configuration.machines if m.name == name)
        bases = {b.name: b for b in self._configuration.bases if b.machine == name}
        channel = Channel(machine, bases, partial(self._channel_changed, name), self._failed)
        with self._lock:  # it may have been deactivated meanwhile, and activated again
            wanted = self._bridge.is_open(name) and name not in self._channels
            if wanted:
                self._channels[name] = channel
        if wanted:
            channel.start()  # only now: once it is connected there are calls for it
        else:
            channel.close()

    def _channel_changed(self, machine: str, ready: bool) -> None:
        self._feed(self._bridge.channel, machine, ready)

    def _answered(self, call: Call, answer: Answer) -> None:
        """Queue the answer of a call, and feed it unless this thread is about to."""
        self._answers.append((call, answer))
        if not self._this_thread.hands_over:
            self._feed(_nothing)

    def _feed(self, feed: Callable[..., None], *what: Any, **options: Any) -> None:
        """Feed, hand over what follows, feed the answers that came at once, and re-arm."""
        out, let_go = self._decide(feed, what, options)
        wakes = bool(out.events)
        outermost = not self._this_thread.hands_over
        while out.calls or out.closed or out.opened:
            self._this_thread.hands_over = True
            try:
                self._hand_over(out, let_go)
            finally:
                self._this_thread.hands_over = not outermost
            if not self._answers:
                break
            out, let_go = self._decide(_nothing, (), {})
            wakes |= bool(out.events)
        self._clock.arm(out.wake_at)
        if wakes:
            self._wake()

    def _decide(
        self, feed: Callable[..., None], what: Any, options: Any
    ) -> tuple[Out, list[Channel]]:
        """Return what follows, and the channels to let go of."""
        try:
            with self._lock:
                now = time.monotonic()
                feed(*what, now=now, **options)
                while self._answers:
                    self._bridge.answered(*self._answers.popleft(), now)
                out = self._bridge.drain(now)
                self._events.extend(out.events)
                if not out.closed:
                    return out, []
                self._closed.notify_all()
                let_go = [self._channels.pop(name, None) for name in out.closed]
                return out, [channel for channel in let_go if channel is not None]
        except BaseException as error:
            # Whatever thread this is, and whether or not it would say so: a bridge whose state
            # is half changed is not to be trusted with a moving base.
            self._failed(error)
            raise

    def _hand_over(self, out: Out, let_go: list[Channel]) -> None:
        for call in out.calls:
            channel = self._channels.get(call.machine)
            if channel is not None:
                channel.hand_over(call, self._answered)
            else:
                self._answers.append((call, Answer(Outcome.CUT, 'the channel is closed')))
        for channel in let_go:
            channel.close()
        for name in out.opened:
            self._open(name)


class _ThisThread(threading.local):
    """Whether the running thread hands over calls: it feeds their answers itself then."""

    hands_over = False


def _nothing(now: float) -> None:
    """Feed nothing new: handle only what is due, and the answers that are queued."""


class LapseClock:
    """One timer, re-armed after each tick and whenever an earlier deadline turns up."""

    def __init__(
        self, tick: Callable[[], None], failed: Callable[[BaseException], None]
    ) -> None:
        """
        Prepare a clock that does not run yet.

        :param tick: does what is due, and arms the clock anew
        :param failed: called with an exception out of ``tick``, which ends the clock
        """
        self._tick = tick
        self._failed = failed
        self._changed = threading.Condition()
        self._armed = inf  # s, steady
        self._ended = False
        self._came_round = False
        self._thread = threading.Thread(target=self._run, name='lapse clock')

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def arm(self, at: float) -> None:
        """Tick at ``at`` at the latest."""
        # Read without the lock: should the clock go off just now, its tick arms it anew.
        if at >= self._armed:
            return
        with self._changed:
            if at < self._armed:
                self._armed = at
                self._changed.notify()

    def came_round(self) -> bool:
        """
        Return whether a tick ended since this was last asked, and have the thread tick anew.

        For one watchdog: a thread that died, or that hangs in its tick, comes round no more.
        """
        came, self._came_round = self._came_round, False
        self.arm(time.monotonic())
        return came

    def end(self) -> None:
        """End the thread and wait for it, unless called from it."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait():
                self._tick()
                self._came_round = True
        except BaseException as error:  # the last line of defence: nothing may die unheard here
            self._failed(error)

    def _wait(self) -> bool:
        """Wait for the deadline; return False when the clock was ended."""
        with self._changed:
            while not self._ended:
                remaining = self._armed - time.monotonic()
                if remaining <= 0.0:
                    self._armed = inf
                    return True
                self._changed.wait(None if remaining == inf else remaining)
        return False
