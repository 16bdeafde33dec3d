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

from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.viam.connection_check import diagnose
from viam_session_bridge.viam.connectivity import Connectivity, connectivity_of
from viam_session_bridge.viam.credentials import Credentials, load
from viam_session_bridge.viam.webrtc import Dialer, SOCKET_OPTIONS

LARGEST_ANSWER = 1024 * 1024  # bytes: a thousand sessions take a tenth of it
LOOKS = 2.0  # s, between two looks whether a connection is wanted still, at most
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
Failed = Callable[[BaseException], None]


class DirectLink:
    """By gRPC, with TLS or without. ``changed`` is called on a thread of the link's."""

    def __init__(self, machine: MachineConfiguration, changed: Changed, failed: Failed) -> None:
        """Prepare to connect; ``failed`` is told of an exception that ends the thread."""
        self._machine = machine
        self._changed = changed
        self._failed = failed
        self._closed = False
        self._connected = False
        self._ready_at = float('-inf')
        self.channel: grpc.Channel | None = _direct_channel(machine)

    def start(self) -> None:
        """Begin to connect."""
        name = f'connection to {self._machine.name}'
        channel = self.channel
        threading.Thread(target=self._run, args=(channel,), name=name, daemon=True).start()

    def redial(self) -> None:
        """
        Connect anew, whatever became of the present connection, and say so as at a loss.

        That one ends as at `close`, once its calls have ended.
        """
        self._connected, self._ready_at = False, float('-inf')
        self.channel = _direct_channel(self._machine)
        self.start()

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
        Say no more, and let go of the channel within `LOOKS`.

        gRPC disconnects when its channel has gone, with the answer or deadline of the last call.
        Its own ``close`` would cut those calls.
        """
        self._closed = True

    def _run(self, channel: grpc.Channel) -> None:
        connectivity = connectivity_of(channel)
        try:
            self._follow(channel, connectivity)
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            connectivity.leave()

    def _follow(self, channel: grpc.Channel, connectivity: Connectivity) -> None:
        seen = None
        while not self._closed and self.channel is channel:
            # gRPC waits after a disconnect until somebody calls; the robot's machine is wanted
            # back before that.
            rest = self._ready_at + RECONNECTS - time.monotonic()
            state = connectivity.state(connect=rest <= 0.0)
            if state is not seen:
                seen = state
                self._note(state)
            idle = state is grpc.ChannelConnectivity.IDLE
            connectivity.wait(state, rest if idle and rest > 0.0 else LOOKS)

    def _note(self, state: grpc.ChannelConnectivity) -> None:
        self._connected = state is grpc.ChannelConnectivity.READY
        if self._connected:
            self._ready_at = time.monotonic()
        self._changed(self._connected)


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

    def redial(self) -> None:
        """Hang up and dial anew, and say so as at a loss; a dial under way goes on."""
        self._dialer.redial()

    def rests(self, stop: bool) -> bool:
        """Whether calls are to be spared; the dialer makes its own pauses."""
        return False

    def why(self) -> str:
        """Return why there is no connection."""
        return self._why

    def close(self) -> None:
        """Say no more, and hang up; that may take a second or two, on a thread of its own."""
        name = f'hang up {self._machine.name}'
        threading.Thread(target=self._dialer.close, name=name, daemon=True).start()

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
