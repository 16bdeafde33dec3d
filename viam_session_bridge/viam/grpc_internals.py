# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Two uses of grpcio's private parts, the same from 1.51 to 1.85, and the public ways behind them.

- *Answers*: grpcio starts a thread to take them with the first call under way and ends it with the
  last, so nearly once for each call. Whoever hands a call over, a stop included, waits for that
  start. An :class:`AnswerThread` stays; without it a command takes 10 % more CPU at 50 Hz and 26 %
  more at 200 Hz. (Threads that make one call each and wait queue up for grpcio's lock.)
- *Connectivity*: the thread of ``grpc.Channel.subscribe`` wakes five times a second, so that an
  idle bridge takes 27 % more CPU. Here a thread looks once a second while connected,
  and waits for a change otherwise.

Both are tried once, on a channel that never connects. If grpcio's private parts are different, the
public ways are used: its own threads, and ``subscribe``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import threading
import time
from typing import Any

import grpc

_NOTHING = '/viam_session_bridge/Nothing'  # is never sent: its deadline has passed
_TRIAL_TIMEOUT = 2.0  # s
_SUBSCRIPTION_POLL = 0.2  # s, grpcio's
_BY_NUMBER = {connectivity.value[0]: connectivity for connectivity in grpc.ChannelConnectivity}


class AnswerThread:
    """Takes the answers to all calls of a channel, from the beginning to :meth:`close`."""

    def __init__(
        self, channel: grpc.Channel, machine: str, failed: Callable[[BaseException], None]
    ) -> None:
        """
        Start the thread. A daemon: a call may outlive the bridge by its deadline.

        :param channel: one without a call under way
        :param failed: called with an exception of grpcio's, which ends the thread
        """
        self._failed = failed
        self._closed = False
        self._nothing = channel.unary_unary(_NOTHING)
        self._state: Any = channel._call_state
        self._next_event = self._state.channel.next_call_event
        with self._state.lock:
            self._state.managed_calls += 1  # so that grpcio starts no thread
        name = f'answers of {machine}'
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End the thread with the last call under way; those that follow have grpcio's own."""
        self._closed = True
        self._nothing.future(b'', timeout=0)  # its end is what the thread may be waiting for

    def _run(self) -> None:
        state = self._state
        try:
            while True:
                event = self._next_event()
                # There is no tag where grpcio only looked up; True is the end of a call.
                if event.tag is None or not event.tag(event):
                    continue
                with state.lock:
                    state.managed_calls -= 1
                    if self._closed and state.managed_calls == 1:
                        state.managed_calls = 0
                        return
        except BaseException as error:
            self._failed(error)
            raise


class InnerConnectivity:
    """The connectivity of a channel, from the channel inside of it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._inner: Any = channel._channel

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        """Return the present state; ``connect``: have the channel connect where it is idle."""
        return _BY_NUMBER[self._inner.check_connectivity_state(connect)]

    def wait(self, seen: grpc.ChannelConnectivity, seconds: float) -> None:
        """Wait until the state is another than ``seen``, for ``seconds`` at most."""
        self._inner.watch_connectivity_state(seen.value[0], time.time() + seconds)

    def close(self) -> None:
        """Let go of the channel."""
        self._inner = None


class SubscribedConnectivity:
    """The connectivity of a channel, from its subscription; as :class:`InnerConnectivity`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._state = grpc.ChannelConnectivity.IDLE
        self._changed = threading.Condition()
        channel.subscribe(self._take)

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        if connect and self._state is grpc.ChannelConnectivity.IDLE:
            # A new subscription is the public way to have it connect.
            self._channel.unsubscribe(self._take)
            self._channel.subscribe(self._take, try_to_connect=True)
        return self._state

    def wait(self, seen: grpc.ChannelConnectivity, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._state is not seen, seconds)

    def close(self) -> None:
        # grpcio's thread notices only at its next poll, and raises where the channel has gone by
        # then.
        self._channel.unsubscribe(self._take)
        time.sleep(2 * _SUBSCRIPTION_POLL)

    def _take(self, state: grpc.ChannelConnectivity) -> None:
        with self._changed:
            self._state = state
            self._changed.notify()


def connectivity_of(channel: grpc.Channel) -> InnerConnectivity | SubscribedConnectivity:
    """Return the channel's connectivity, for one thread, which closes it in the end."""
    return InnerConnectivity(channel) if are_known() else SubscribedConnectivity(channel)


def answer_thread(
    channel: grpc.Channel, machine: str, failed: Callable[[BaseException], None]
) -> AnswerThread | None:
    """Return an :class:`AnswerThread`; None where grpcio's own threads take the answers."""
    return AnswerThread(channel, machine, failed) if are_known() else None


@cache
def are_known() -> bool:
    """Return whether the private parts are those that this module knows, by using them once."""
    failures: list[BaseException] = []
    # Let go of and never closed: `close` waits for answers, should nobody take them.
    channel = grpc.insecure_channel('unix:/dev/null')
    try:
        connectivity = InnerConnectivity(channel)
        idle = connectivity.state(connect=False) is grpc.ChannelConnectivity.IDLE
        connectivity.wait(grpc.ChannelConnectivity.IDLE, 0.0)
        answers = AnswerThread(channel, 'none', failures.append)
        # Raises where nobody takes the answer, an error, in time.
        channel.unary_unary(_NOTHING).future(b'', timeout=0).exception(_TRIAL_TIMEOUT)
        answers.close()
        answers.thread.join(_TRIAL_TIMEOUT)
        return idle and not answers.thread.is_alive() and not failures
    except Exception:  # of whatever is there instead
        return False
