# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that takes the answers to a machine's calls.

grpcio starts such a thread with the first of the calls under way and ends it with the last, which
is with nearly every call; who hands one over, a stop among others, waits for the start. Here it
stays. Threads that make a call each and wait are no way either: they queue up for grpcio's lock.

It leans on grpcio's private parts, the same from 1.51 to 1.85, as `connectivity` does: what holds
a channel's lock and counts its calls under way. Where they are others, all goes as grpcio has it.
"""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

import grpc

_NOTHING = '/viam_session_bridge/Nothing'  # is never sent: its deadline has passed


class Answers:
    """Takes the answers to all calls of a channel, from the beginning to `close`."""

    def __init__(
        self, channel: grpc.Channel, machine: str, failed: Callable[[BaseException], None]
    ) -> None:
        """
        Start the thread. A daemon: a call may outlive the bridge by its deadline.

        :param channel: one without a call under way
        :param failed: is told of an exception of grpcio's that ends the thread
        """
        self._failed = failed
        self._closed = False
        self._nothing = channel.unary_unary(_NOTHING)
        state: Any = getattr(channel, '_call_state', None)
        if not _is_known(state):
            return
        with state.lock:
            if state.managed_calls:
                return
            state.managed_calls = 1  # so that grpcio starts no thread
        name = f'answers of {machine}'
        threading.Thread(target=self._run, args=(state,), name=name, daemon=True).start()

    def close(self) -> None:
        """End the thread with the last call under way; those that follow have grpcio's own."""
        self._closed = True
        self._nothing.future(b'', timeout=0)  # its end is what the thread may be waiting for

    def _run(self, state: Any) -> None:
        try:
            self._take(state)
        except BaseException as error:
            self._failed(error)
            raise

    def _take(self, state: Any) -> None:
        while True:
            event = state.channel.next_call_event()
            # There is none where grpcio only looked up; True is the end of a call.
            if event.tag is None or not event.tag(event):
                continue
            with state.lock:
                state.managed_calls -= 1
                if self._closed and state.managed_calls == 1:
                    state.managed_calls = 0
                    return


def _is_known(state: Any) -> bool:
    return (
        isinstance(getattr(state, 'managed_calls', None), int)
        and hasattr(state, 'lock')
        and hasattr(getattr(state, 'channel', None), 'next_call_event')
    )
