# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Three uses of grpcio's private parts, tested from 1.51 to 1.85, and the public ways behind them.

- *Answers*: grpcio starts a thread to take them with the first call under way and ends it with the
  last, so nearly once for each call. Whoever hands a call over, a stop included, waits for that
  start. An :class:`AnswerThread` stays; without it a command takes 10 % more CPU at 50 Hz and 26 %
  more at 200 Hz. (Threads that make one call each and wait queue up for grpcio's lock.)
- *Calls*: a future of grpcio's runs forty Python functions more for each call than an
  :class:`InnerCall`. With futures a command takes 8 % more CPU at 50 Hz and 10 % more at 200 Hz.
- *Connectivity*: the thread of ``grpc.Channel.subscribe`` wakes five times a second, so that an
  idle bridge takes 27 % more CPU. Here a thread looks once a second while connected,
  and waits for a change otherwise.

They are tried once, on a channel that never connects. If grpcio's private parts are different, the
public ways are used: its own threads, futures, and ``subscribe``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
import threading
import time
from typing import Any

import grpc

Ended = Callable[[grpc.StatusCode, str, bytes], None]
"""Takes the end of a call: its status, that in words, and the answer; empty where it failed."""

Metadata = tuple[tuple[str, str], ...]

cygrpc: Any = getattr(getattr(grpc, '_cython', None), 'cygrpc', None)

_NOTHING = '/viam_session_bridge/Nothing'  # is never sent: its deadline has passed
_TRIAL_TIMEOUT = 2.0  # s
_SUBSCRIPTION_POLL = 0.2  # s, grpcio's
_CONNECTIVITIES = {one.value[0]: one for one in grpc.ChannelConnectivity}  # by number
_STATUSES = {one.value[0]: one for one in grpc.StatusCode}  # by number
_UNREACHED = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
_NO_FLAGS = 0


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
                # There is no tag where grpcio only looked up.
                if event.tag is None or not self._hand_on(event):
                    continue
                with state.lock:
                    state.managed_calls -= 1
                    if self._closed and state.managed_calls == 1:
                        state.managed_calls = 0
                        return
        except BaseException as error:
            self._failed(error)
            raise

    def _hand_on(self, event: Any) -> bool:
        """Hand an event on to its call, and return whether it is the end of that."""
        try:
            return bool(event.tag(event))
        except Exception as error:  # whoever made the call; others still wait for their answers
            self._failed(error)
            return True


class InnerCall:
    """A unary call on a channel that has an :class:`AnswerThread`."""

    def __init__(self, method: Any, ended: Ended) -> None:
        """
        Prepare; :meth:`start` hands the call over, once.

        :param method: of ``grpc.Channel.unary_unary``, without serializers
        :param ended: called once, on the thread for answers
        """
        self._method, self._ended = method, ended
        self._call: Any = None
        self._answer = cygrpc.ReceiveMessageOperation(_NO_FLAGS)
        self._status = cygrpc.ReceiveStatusOnClientOperation(_NO_FLAGS)

    def start(self, request: bytes, timeout: float, metadata: Metadata) -> None:
        """Hand the call over, with its deadline in so many s."""
        method = self._method
        operations = (
            cygrpc.SendInitialMetadataOperation(metadata, _NO_FLAGS),
            cygrpc.SendMessageOperation(request, _NO_FLAGS),
            cygrpc.SendCloseFromClientOperation(_NO_FLAGS),
            cygrpc.ReceiveInitialMetadataOperation(_NO_FLAGS),
            self._answer,
            self._status,
        )
        handle: tuple[Any, ...] = ()
        if hasattr(method, '_registered_call_handle'):  # not yet in 1.59
            handle = (method._registered_call_handle,)
        self._call = method._managed_call(
            cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS, method._method, None,
            time.time() + timeout, metadata, None, (operations,), self._take, method._context,
            *handle,
        )  # fmt: skip

    def cancel(self) -> None:
        """End the call as CANCELLED, unless it ended already or was not started."""
        if self._call is not None:
            self._call.cancel(cygrpc.StatusCode.cancelled, 'cancelled')

    def _take(self, _: Any) -> bool:
        """Take the call's only event, its end."""
        code = _STATUSES.get(self._status.code(), grpc.StatusCode.UNKNOWN)
        self._ended(code, self._status.details(), self._answer.message() or b'')
        return True


class FutureCall:
    """A unary call by a future of grpcio's; as :class:`InnerCall`."""

    def __init__(self, method: Any, ended: Ended) -> None:
        self._method, self._ended = method, ended
        self._future: Any = None

    def start(self, request: bytes, timeout: float, metadata: Metadata) -> None:
        self._future = self._method.future(request, timeout=timeout, metadata=metadata)
        self._future.add_done_callback(self._take)

    def cancel(self) -> None:
        if self._future is not None:
            self._future.cancel()

    def _take(self, future: Any) -> None:
        code = future.code()
        answer = future.result() if code is grpc.StatusCode.OK else b''
        self._ended(code, future.details(), answer)


class InnerConnectivity:
    """The connectivity of a channel, from the channel inside of it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._inner: Any = channel._channel

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        """Return the present state; ``connect``: have the channel connect where it is idle."""
        return _CONNECTIVITIES[self._inner.check_connectivity_state(connect)]

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
        ended: SimpleQueue[grpc.StatusCode] = SimpleQueue()
        call = InnerCall(channel.unary_unary(_NOTHING), lambda code, *_: ended.put(code))
        call.start(b'', 0.0, ())
        # Raises where nobody takes the answer, an error, in time.
        as_meant = ended.get(timeout=_TRIAL_TIMEOUT) in _UNREACHED
        call.cancel()  # nothing, as it has ended
        answers.close()
        answers.thread.join(_TRIAL_TIMEOUT)
        return idle and as_meant and not answers.thread.is_alive() and not failures
    except Exception:  # of whatever is there instead
        return False
