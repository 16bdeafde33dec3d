# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The two ways to connect to a machine: directly by gRPC, and by WebRTC.

A link has a gRPC channel and tells when the machine is connected; it connects anew by itself.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import threading
import time

import grpc

from viam_session_bridge.configuration import MachineConfiguration
from viam_session_bridge.machine.credentials import Credentials, load
from viam_session_bridge.machine.diagnosis import diagnose
from viam_session_bridge.machine.dialing import Dialer, SOCKET_OPTIONS

LARGEST_ANSWER = 1024 * 1024  # bytes: a thousand sessions take a tenth of it
LINGERS = 1.0  # s
RECONNECTS = 1.0  # s after the last connection was made, at the earliest
RECONNECTS_FOR_STOP = 0.2  # s
DIAL_TIMEOUT = 10.0  # s; at its own 20 s the library falls back to direct gRPC

_BOUNDED = [
    ('grpc.max_receive_message_length', LARGEST_ANSWER),
    # Answers are small: a window that grows only lets a mad machine fill the memory.
    ('grpc.http2.bdp_probe', 0),
    # Whether a call is sent again is decided here, never below: a command that comes late is worse
    # than none, and at a machine that sends GOAWAY gRPC would try without end and without a pause.
    ('grpc.enable_retries', 0),
]
_OPTIONS = [
    # Reconnect quickly: a machine that comes back is driven again within a second or so.
    ('grpc.initial_reconnect_backoff_ms', 100),
    # Despite its name the time a connection may take, TLS and all, and slow links take a while.
    ('grpc.min_reconnect_backoff_ms', 5000),
    ('grpc.max_reconnect_backoff_ms', 1000),
    # Bases of one robot may share an address with other programs' channels; never their sockets.
    ('grpc.use_local_subchannel_pool', 1),
    # A proxy from the environment is no way to a robot's own machine.
    ('grpc.enable_http_proxy', 0),
    *_BOUNDED,
]

Changed = Callable[[bool], None]


class DirectLink:
    """By gRPC, with TLS or without. ``changed`` is called on a thread of gRPC's."""

    def __init__(self, machine: MachineConfiguration, changed: Changed) -> None:
        """Prepare to connect."""
        self._machine = machine
        self._changed = changed
        self._closed = False
        self._connected = False
        self._ready_at = float('-inf')
        self._reconnecting = False
        self.channel: grpc.Channel | None = _direct_channel(machine)

    def start(self) -> None:
        """Begin to connect."""
        assert self.channel is not None
        self.channel.subscribe(self._connectivity_changed, try_to_connect=True)

    def rests(self, stop: bool) -> bool:
        """
        Whether a connection was lost soon after it was made, and calls are to be spared.

        gRPC would connect again for each call, without pause to a machine that always hangs up.
        A stop waits less.
        """
        pause = RECONNECTS_FOR_STOP if stop else RECONNECTS
        return not self._connected and time.monotonic() < self._ready_at + pause

    def why(self) -> str:
        """Find out why there is no connection; takes seconds."""
        return diagnose(self._machine)

    def close(self) -> None:
        """
        Say no more, and let go of the channel in a second.

        gRPC disconnects when its channel has gone, with the answer or deadline of the last call.
        Its own ``close`` would cut those calls. Its thread that watches connectivity looks every
        0.2 s whether it is still wanted, and trips over a channel that has gone by then.
        """
        assert self.channel is not None
        self._closed = True
        self.channel.unsubscribe(self._connectivity_changed)
        _after(LINGERS, lambda channel: None, self.channel, name='closed channel')

    def _connectivity_changed(self, connectivity: grpc.ChannelConnectivity) -> None:
        if self._closed:
            return
        now = time.monotonic()
        self._connected = connectivity is grpc.ChannelConnectivity.READY
        if self._connected:
            self._ready_at = now
        self._changed(self._connected)
        if connectivity is grpc.ChannelConnectivity.IDLE and not self._reconnecting:
            # gRPC waits after a disconnect until somebody calls; the robot's machine is wanted
            # back before that.
            self._reconnecting = True
            pause = max(self._ready_at + RECONNECTS - now, 0.0)
            _after(pause, self._reconnect, name='reconnecting')

    def _reconnect(self) -> None:
        """Have gRPC connect; subscribing anew is the public way to say so."""
        self._reconnecting = False
        assert self.channel is not None
        self.channel.unsubscribe(self._connectivity_changed)
        if not self._closed:
            self.channel.subscribe(self._connectivity_changed, try_to_connect=True)
        if self._closed:  # meanwhile
            self.channel.unsubscribe(self._connectivity_changed)


class DialedLink:
    """By WebRTC. ``changed`` is called on the thread that dials."""

    def __init__(self, machine: MachineConfiguration, changed: Changed) -> None:
        """Prepare to dial."""
        self.channel: grpc.Channel | None = None
        self._machine = machine
        self._changed = changed
        self._why = 'its first dial is under way'
        self._dialer = Dialer(
            machine.name,
            machine.address,
            DIAL_TIMEOUT,
            self._credentials,
            machine.trusted,
            self._reached,
            self._failed,
        )

    def start(self) -> None:
        """Begin to dial."""
        self._dialer.start()

    def rests(self, stop: bool) -> bool:
        """Whether calls are to be spared; the dialer makes its own pauses."""
        return False

    def why(self) -> str:
        """Return why there is no connection."""
        return self._why

    def close(self) -> None:
        """Say no more, and hang up; that may take a second or two, on a thread of its own."""
        _after(0.0, self._dialer.close, name=f'hang up {self._machine.name}')

    def _credentials(self) -> Credentials | None:
        if not self._machine.has_credentials:
            return None
        return load(self._machine.credentials_file, os.environ)

    def _reached(self, target: str) -> None:
        self.channel = grpc.insecure_channel(target, options=[*SOCKET_OPTIONS, *_BOUNDED])
        self._changed(True)

    def _failed(self, why: str) -> None:
        self._why, self.channel = why, None
        self._changed(False)


def _direct_channel(machine: MachineConfiguration) -> grpc.Channel:
    if machine.insecure:
        return grpc.insecure_channel(machine.address, options=_OPTIONS)
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if machine.server_name:
        options.append(('grpc.ssl_target_name_override', machine.server_name))
    tls = grpc.ssl_channel_credentials(root_certificates=machine.trusted)
    return grpc.secure_channel(machine.address, tls, options=options)


def _after(seconds: float, then: Callable[..., None], *arguments: object, name: str) -> None:
    """Do something later, on a daemon thread of its own, which ends with that."""
    later = threading.Timer(seconds, then, arguments)
    later.name, later.daemon = name, True
    later.start()
