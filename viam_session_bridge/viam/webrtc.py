# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Reaches one machine over WebRTC: dials, watches the connection, dials anew.

viam-sdk's native library makes the connection, in a process of its own, and gives a local socket
that speaks gRPC, authenticated already. When the machine dies nothing of that shows: socket and
process stay, gRPC stays connected to them, and every call runs into its deadline, for ever. So the
machine is asked for its resources once a second, which waits for none of the locks of its sessions
(`GetSessions` does). Two in a row without an answer, and the connection is given up, with all that
it would repeat: over WebRTC a call that was given up at its deadline is not taken back, and runs
when the machine thaws.
"""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import NoReturn

import grpc

from viam_session_bridge.core.timing import Backoff
from viam_session_bridge.viam import messages
from viam_session_bridge.viam.credentials import Credentials, CredentialsError
from viam_session_bridge.viam.webrtc_process import DialError, DialProcess

SOCKET_OPTIONS = [
    # The library refuses calls to the authority that gRPC derives from a socket's path.
    ('grpc.default_authority', 'localhost'),
    ('grpc.use_local_subchannel_pool', 1),
    ('grpc.enable_http_proxy', 0),
]
"""Channel options that a channel to the socket needs."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # s, between two dials
ASKED_EVERY = 1.0  # s
ANSWERED_WITHIN = 1.0  # s, no longer than ASKED_EVERY
UNANSWERED = 2  # in a row


class Dialer:
    """Keeps a connection to one machine; its callbacks come on its own thread."""

    def __init__(
        self,
        name: str,
        address: str,
        timeout: float,
        credentials: Callable[[], Credentials | None],
        trusted: bytes | None,
        reached: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:
        """
        Prepare; nothing happens before :meth:`start`.

        :param name: the machine's
        :param address: `NAME.viam.cloud`, or `HOST:PORT` of a viam-server that does its own
            signalling; always TLS
        :param timeout: s, of one dial
        :param credentials: read anew for each dial; may raise CredentialsError
        :param trusted: PEM, in addition to the well-known authorities; None for the system's
        :param reached: gets the gRPC target of a connection over which the machine answered
        :param failed: gets why there is no connection, at each failed dial and at each loss;
            the last target is of no use then
        """
        self._address = address
        self._timeout = timeout
        self._credentials = credentials
        self._trusted = trusted
        self._reached = reached
        self._failed = failed
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._hanging_up = threading.Event()  # the connection that there is
        self._process: DialProcess | None = None
        self._connected = False
        self._thread = threading.Thread(target=self._run, name=f'dial {name}', daemon=True)

    def start(self) -> None:
        """Begin to dial."""
        self._thread.start()

    def redial(self) -> None:
        """End the connection and dial anew; where there is none, that is under way already."""
        with self._lock:
            if self._connected and self._process is not None:
                self._hanging_up.set()
                self._process.hang_up()

    def close(self) -> None:
        """End the connection, or the dial under way; no callback comes later, no socket stays."""
        with self._lock:
            self._closing.set()
            self._hanging_up.set()
            if self._process is not None:
                self._process.hang_up()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        wait = 0.0
        while not self._closing.wait(wait):
            if self._connect():
                pause.reset()
                wait = 0.0
            else:
                wait = pause.take()

    def _connect(self) -> bool:
        """Dial once, stay while the machine answers, and return whether it ever did."""
        try:
            process = self._dial()
        except (DialError, CredentialsError) as error:
            self._tell(error)
            return False
        try:
            target = f'unix:{process.socket_path()}'
            with grpc.insecure_channel(target, options=SOCKET_OPTIONS) as channel:
                _ask(channel)
                self._connected = True
                self._reached(target)
                self._watch(channel)
        except DialError as error:
            self._tell(error)
        finally:
            with self._lock:
                self._process = None
                connected, self._connected = self._connected, False
                if not self._closing.is_set():
                    self._hanging_up.clear()
            process.end()
        return connected

    def _dial(self) -> DialProcess:
        credentials = self._credentials()
        with self._lock:
            if self._closing.is_set():
                raise DialError('closed')
            self._process = DialProcess(
                self._address, self._timeout, credentials, self._trusted
            )
            return self._process

    def _watch(self, channel: grpc.Channel) -> NoReturn:
        """Watch a connection until it is to end; DialError says why."""
        unanswered = 0
        asked = time.monotonic()
        while not self._hanging_up.wait(max(asked + ASKED_EVERY - time.monotonic(), 0.0)):
            asked = time.monotonic()
            try:
                _ask(channel)
                unanswered = 0
            except DialError:
                unanswered += 1
                if unanswered == UNANSWERED:
                    raise
        raise DialError('it is dialled anew, for a call on it hung')

    def _tell(self, error: Exception) -> None:
        if not self._closing.is_set():
            self._failed(str(error))


def _ask(channel: grpc.Channel) -> None:
    """Ask the machine for its resources, as every Viam client does first."""
    method = messages.RESOURCE_NAMES
    try:
        method.on(channel)(method.request(), timeout=ANSWERED_WITHIN)
    except grpc.RpcError as error:
        raise DialError(f'the machine does not answer over WebRTC ({error.code().name})') from None
