# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a transport to a machine is, and that by gRPC; ``webrtc.py`` has the one by WebRTC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
import os
import threading
import time

import grpc

from viam_session_bridge.configuration.address import parse_address
from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.viam import name_lookup
from viam_session_bridge.viam.connection_check import diagnose
from viam_session_bridge.viam.grpc_internals import connectivity_of

LARGEST_ANSWER = 1024 * 1024  # bytes: a thousand sessions take a tenth of it
CLOSE_CHECK_INTERVAL = 2.0  # s, at most, after which a connection that nobody wants is noticed
CONNECTED_CHECK_INTERVAL = 1.0  # s, after which a loss is noticed where no call notices it
LOOKUP_CHECK_INTERVAL = 0.2  # s, while not connected
RECONNECT_PAUSE = 1.0  # s after the last connection was made, at least
RECONNECT_PAUSE_FOR_STOP = 0.2  # s
GRPCS_OWN_RESOLVER = 'GRPC_DNS_RESOLVER'

CHANNEL_LIMITS = [
    ('grpc.max_receive_message_length', LARGEST_ANSWER),
    # Answers are small: a window that grows only lets a faulty machine fill the memory.
    ('grpc.http2.bdp_probe', 0),
    # Whether a call is sent again is decided in core, never below: a command that comes late is
    # worse than none, and at a machine that sends GOAWAY gRPC would try for ever without a pause.
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
    *CHANNEL_LIMITS,
]


class MachineTransport(ABC):
    """Has a gRPC channel, reports whether the machine is connected, and reconnects by itself."""

    def __init__(
        self,
        machine: MachineConfiguration,
        changed: Callable[[bool], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Prepare; nothing happens before :meth:`start`.

        :param changed: called with whether the machine is connected, on the transport's thread
        :param failed: called with an exception that ends that thread
        """
        self.channel: grpc.Channel | None = None
        self._machine = machine
        self._changed = changed
        self._failed = failed

    def start(self) -> None:
        """Begin to connect."""
        name = f'connection to {self._machine.name}'
        target, channel = self._run, self.channel
        self._thread = threading.Thread(target=target, args=(channel,), name=name, daemon=True)
        self._thread.start()

    @abstractmethod
    def doubt(self) -> None:
        """Look whether the connection is still there; a call ended as if it were not."""

    @abstractmethod
    def redial(self) -> None:
        """Connect anew, whatever the state of the present connection, reported as a loss."""

    @abstractmethod
    def is_resting(self, stop: bool) -> bool:
        """Return whether a connection was lost a moment ago, and calls are to be spared."""

    @abstractmethod
    def diagnose(self) -> str:
        """Return why there is no connection; may take seconds."""

    @abstractmethod
    def close(self) -> None:
        """Report no more, and disconnect within a few seconds."""

    @abstractmethod
    def _follow(self, channel: grpc.Channel | None) -> None:
        """Connect and report, until closed."""

    def _run(self, channel: grpc.Channel | None) -> None:
        try:
            self._follow(channel)
        except BaseException as error:
            self._failed(error)
            raise


class DirectTransport(MachineTransport):
    """
    The connection by gRPC.

    While there is none, the machine's name is looked up, and gRPC connects to the addresses found
    last. An address that is no name is given to gRPC as it is, and so is everything where
    ``GRPC_DNS_RESOLVER`` in the environment names a resolver of gRPC's own.
    """

    def __init__(
        self,
        machine: MachineConfiguration,
        changed: Callable[[bool], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(machine, changed, failed)
        self._address = parse_address(machine.address)
        self._lookup: name_lookup.NameLookup | None = None
        self._dialled: list[name_lookup.Found] = []
        self._dialling = threading.Lock()  # so that a channel has one thread, and its addresses
        if name_lookup.is_name(self._address) and not os.environ.get(GRPCS_OWN_RESOLVER):
            self._lookup = name_lookup.NameLookup(self._address, machine.name)
        else:
            self.channel = self._open_channel()
        self._closed = False
        self._connected = False
        self._doubted = threading.Event()
        self._ready_at = float('-inf')

    def doubt(self) -> None:
        self._doubted.set()

    def redial(self) -> None:
        # The present connection ends as at `close`, once its calls have ended.
        self._connected, self._ready_at = False, float('-inf')
        with self._dialling:
            if self.channel is not None:
                self._dial()

    def is_resting(self, stop: bool) -> bool:
        # gRPC would connect again for each call, without pause to a machine that always hangs up.
        pause = RECONNECT_PAUSE_FOR_STOP if stop else RECONNECT_PAUSE
        return not self._connected and time.monotonic() < self._ready_at + pause

    def diagnose(self) -> str:
        return diagnose(self._machine)

    def close(self) -> None:
        # gRPC disconnects when its channel has gone, with the answer or deadline of the last call.
        # Its own `close` would cut those calls.
        self._closed = True

    def _follow(self, channel: grpc.Channel | None) -> None:
        if channel is not None:
            self._watch(channel)
        elif self._lookup is not None:
            while not self._closed and not self._lookup.found:
                self._lookup.begin()
                self._lookup.wait(LOOKUP_CHECK_INTERVAL)
        with self._dialling:
            if not self._closed and self.channel is channel:
                self._dial()

    def _dial(self) -> None:
        """Take a new channel, and a thread for it: this one's frames would keep the old one."""
        self.channel = self._open_channel()
        self.start()

    def _watch(self, channel: grpc.Channel) -> None:
        """Connect and report, until closed or another channel is to take its place."""
        seen = None
        with closing(connectivity_of(channel)) as connectivity:
            while not self._closed and self.channel is channel:
                # gRPC waits after a disconnect until somebody calls; the robot's machine is wanted
                # back before that.
                rest = self._ready_at + RECONNECT_PAUSE - time.monotonic()
                state = connectivity.state(connect=rest <= 0.0)
                if state is not seen:
                    seen = state
                    self._connected = state is grpc.ChannelConnectivity.READY
                    if self._connected:
                        self._ready_at = time.monotonic()
                    self._changed(self._connected)
                idle = state is grpc.ChannelConnectivity.IDLE
                wait = rest if idle and rest > 0.0 else CLOSE_CHECK_INTERVAL
                if self._lookup is not None and not self._connected:
                    if self._found_others():
                        return
                    self._lookup.begin()
                    wait = min(wait, LOOKUP_CHECK_INTERVAL)
                # gRPC's wait wakes five times a second: a good connection is spared that.
                if not self._connected or self._doubted.wait(CONNECTED_CHECK_INTERVAL):
                    self._doubted.clear()
                    connectivity.wait(state, wait)

    def _found_others(self) -> bool:
        """Return whether the name has addresses that gRPC does not try."""
        found = self._lookup.found if self._lookup is not None else []
        return any(one not in self._dialled for one in found)

    def _open_channel(self) -> grpc.Channel:
        machine, address = self._machine, self._address
        options: list[tuple[str, int | str]] = [*_OPTIONS]
        target, server_name = machine.address, machine.server_name
        if self._lookup is not None:
            self._dialled = self._lookup.found
            target = name_lookup.target(self._dialled)
            # What gRPC itself makes of a name.
            authority = server_name or f'{address.host}:{address.port}'
            options.append(('grpc.default_authority', authority))
            server_name = server_name or address.host
        if machine.insecure:
            return grpc.insecure_channel(target, options=options)
        if server_name:
            options.append(('grpc.ssl_target_name_override', server_name))
        tls = grpc.ssl_channel_credentials(root_certificates=machine.trusted)
        return grpc.secure_channel(target, tls, options=options)
