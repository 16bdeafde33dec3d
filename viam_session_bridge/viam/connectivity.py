# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The connectivity of a channel, for a thread that waits until it changes.

`grpc.Channel.subscribe` has a thread wait as well, but one that wakes gRPC's timers five times a
second, which on an idle robot is a quarter of what the bridge takes; the wait here is as long as
asked for. It leans on grpcio's private parts, the same from 1.51 to 1.85: the channel inside the
channel. Where that is another, it is `subscribe`.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import grpc

_BY_NUMBER = {connectivity.value[0]: connectivity for connectivity in grpc.ChannelConnectivity}


class Connectivity(Protocol):
    """What both ways have."""

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        """Return what it is now; ``connect``: have the channel connect where it is idle."""

    def wait(self, seen: grpc.ChannelConnectivity, seconds: float) -> None:
        """Wait until it is something else than was seen, or so long."""

    def leave(self) -> None:
        """Let go of the channel."""


def connectivity_of(channel: grpc.Channel) -> Connectivity:
    """Return what knows the channel's connectivity, for one thread that calls `leave` at last."""
    core: Any = getattr(channel, '_channel', None)
    if hasattr(core, 'check_connectivity_state') and hasattr(core, 'watch_connectivity_state'):
        return _Core(core)
    return _Subscribed(channel)


class _Core:
    def __init__(self, core: Any) -> None:
        self._core = core

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        return _BY_NUMBER[self._core.check_connectivity_state(connect)]

    def wait(self, seen: grpc.ChannelConnectivity, seconds: float) -> None:
        self._core.watch_connectivity_state(seen.value[0], time.time() + seconds)

    def leave(self) -> None:
        self._core = None


class _Subscribed:
    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._state = grpc.ChannelConnectivity.IDLE
        self._told = threading.Condition()
        channel.subscribe(self._tell)

    def state(self, connect: bool) -> grpc.ChannelConnectivity:
        if connect and self._state is grpc.ChannelConnectivity.IDLE:
            # Subscribing anew is the public way to say so.
            self._channel.unsubscribe(self._tell)
            self._channel.subscribe(self._tell, try_to_connect=True)
        return self._state

    def wait(self, seen: grpc.ChannelConnectivity, seconds: float) -> None:
        with self._told:
            self._told.wait_for(lambda: self._state is not seen, seconds)

    def leave(self) -> None:
        # Its thread looks every 0.2 s whether it is wanted, and trips over a channel that has
        # gone by then.
        self._channel.unsubscribe(self._tell)
        time.sleep(2 * 0.2)

    def _tell(self, state: grpc.ChannelConnectivity) -> None:
        with self._told:
            self._state = state
            self._told.notify()
