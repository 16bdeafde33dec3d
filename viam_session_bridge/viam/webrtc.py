# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The transport to a machine by WebRTC: it dials, watches the connection and dials anew.

viam-sdk's native library makes the connection, in a process of its own, and offers a local socket
that speaks gRPC, authenticated already. When the machine dies, the socket does not show it: socket
and process stay, gRPC stays connected to them, and every call runs into its deadline, for ever. So
the machine is asked for its resources once a second, which waits for none of the locks of its
sessions (``GetSessions`` does). After two in a row without an answer the connection is given up,
with all that it would repeat: over WebRTC a call is not taken back at its deadline, and runs when
the machine thaws.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import json
import os
from pathlib import Path
import select
import subprocess
import sys
import threading
import time
from typing import IO, NoReturn

import grpc

from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.core.timing import Backoff
from viam_session_bridge.viam import messages, webrtc_helper
from viam_session_bridge.viam.credentials import Credentials, CredentialsError, load
from viam_session_bridge.viam.transport import CHANNEL_LIMITS, MachineTransport

SOCKET_OPTIONS = [
    # The library refuses calls to the authority that gRPC derives from a socket's path.
    ('grpc.default_authority', 'localhost'),
    ('grpc.use_local_subchannel_pool', 1),
    ('grpc.enable_http_proxy', 0),
]
"""Channel options that a channel to the socket needs."""

DIAL_TIMEOUT = 10.0  # s; at its own 20 s the library falls back to direct gRPC
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # s, between two dials
PROBE_INTERVAL = 1.0  # s
PROBE_TIMEOUT = 1.0  # s, no longer than the interval
PROBES_FAILED = 2  # in a row, after which the connection is given up
START_TIMEOUT = 30.0  # s for a process to start on a busy computer, besides the dial's own time
END_TIMEOUT = 1.0  # s
_POLL_INTERVAL = 0.1  # s


class DialError(Exception):
    """There is no connection; the text says why."""


class WebRtcTransport(MachineTransport):
    """
    The connection by WebRTC, always with TLS.

    The machine's address is ``NAME.viam.cloud``, or ``HOST:PORT`` of a viam-server that does its
    own signalling.
    """

    def __init__(
        self,
        machine: MachineConfiguration,
        changed: Callable[[bool], None],
        failed: Callable[[BaseException], None],
        timeout: float = DIAL_TIMEOUT,
    ) -> None:
        """
        Prepare; see :class:`MachineTransport`.

        :param timeout: s, of one dial
        """
        super().__init__(machine, changed, failed)
        self.target = ''  # gRPC's, of the connection that there is
        self._timeout = timeout
        self._problem = 'its first dial is under way'
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: DialProcess | None = None

    def doubt(self) -> None:
        pass  # it watches the connection all the time

    def redial(self) -> None:
        # A dial under way goes on.
        with self._lock:
            process = self._process if self.channel is not None else None
        if process is not None:
            process.hang_up()

    def is_resting(self, stop: bool) -> bool:
        return False  # dials have pauses of their own

    def diagnose(self) -> str:
        return self._problem

    def close(self) -> None:
        with self._lock:
            self._closing.set()
            process = self._process
        if process is not None:
            process.hang_up()

    def _follow(self, _: grpc.Channel | None) -> None:
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
        answered = False
        process = None
        try:
            process = self._dial()
            target = f'unix:{process.socket_path()}'
            with grpc.insecure_channel(target, options=SOCKET_OPTIONS) as probing:
                _probe(probing)
                answered = True
                self._connected(target)
                _watch(probing, process.hung_up)
        except (DialError, CredentialsError) as error:
            self._disconnected(str(error))
        finally:
            with self._lock:
                self._process = None
            if process is not None:
                process.end()
        return answered

    def _dial(self) -> DialProcess:
        machine = self._machine
        key = None
        if machine.has_credentials:
            key = load(machine.credentials_file, os.environ)
        process = DialProcess(machine.address, self._timeout, key, machine.trusted)
        with self._lock:
            self._process = process
            closing = self._closing.is_set()
        if closing:
            process.hang_up()
        return process

    def _connected(self, target: str) -> None:
        options = [*SOCKET_OPTIONS, *CHANNEL_LIMITS]
        self.target, self.channel = target, grpc.insecure_channel(target, options=options)
        self._changed(True)

    def _disconnected(self, problem: str) -> None:
        if not self._closing.is_set():
            self._problem, self.channel = problem, None
            self._changed(False)


def _watch(channel: grpc.Channel, hung_up: threading.Event) -> NoReturn:
    """Watch a connection until it is to end; DialError says why."""
    failed = 0
    probed_at = time.monotonic()
    while not hung_up.wait(max(probed_at + PROBE_INTERVAL - time.monotonic(), 0.0)):
        probed_at = time.monotonic()
        try:
            _probe(channel)
            failed = 0
        except DialError:
            failed += 1
            if failed == PROBES_FAILED:
                raise
    raise DialError('it is dialled anew, for a call on it hung')


def _probe(channel: grpc.Channel) -> None:
    """Ask the machine for its resources, as every Viam client does first."""
    method = messages.RESOURCE_NAMES
    try:
        method.on(channel)(method.request(), timeout=PROBE_TIMEOUT)
    except grpc.RpcError as error:
        raise DialError(f'the machine does not answer over WebRTC ({error.code().name})') from None


class DialProcess:
    """
    A running :mod:`viam_session_bridge.viam.webrtc_helper`: one dial, and what it connected.

    Its socket exists from :meth:`socket_path` to :meth:`end`.
    """

    def __init__(
        self, address: str, timeout: float, key: Credentials | None, trusted: bytes | None
    ) -> None:
        """
        Begin to dial.

        :param timeout: s, of the dial
        :param trusted: PEM; None for the certificates that the library knows
        :raises DialError: where no process can be started
        """
        self.hung_up = threading.Event()
        self._timeout = timeout
        self._path: Path | None = None
        request = {
            'address': address,
            'timeout': timeout,
            'key_id': key.key_id if key else '',
            'key': key.key if key else '',
        }
        try:
            self._process = _start_helper(trusted)
        except OSError as error:
            raise DialError(f'cannot start a process: {error.strerror}') from None
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        with suppress(BrokenPipeError):
            self._stdin.write(json.dumps(request).encode() + b'\n')

    def socket_path(self) -> str:
        """
        Wait for the connection and return the path of its socket.

        :raises DialError: where there is none in time, or :meth:`hang_up` was called
        """
        readable = select.poll()
        readable.register(self._stdout, select.POLLIN)
        deadline = time.monotonic() + self._timeout + START_TIMEOUT
        while not readable.poll(_POLL_INTERVAL * 1000):
            if self.hung_up.is_set() or time.monotonic() > deadline:
                raise DialError('the process that dials hangs')
        line = self._stdout.readline()
        if not line:
            raise DialError('the process that dials ended')
        answer = json.loads(line)
        if 'failed' in answer:
            raise DialError(answer['failed'])
        self._path = Path(answer['socket'])
        return str(self._path)

    def hang_up(self) -> None:
        """Let the process end, and the connection or the dial under way; on any thread."""
        self.hung_up.set()
        self._stdin.close()

    def end(self) -> None:
        """Hang up, and return when process and socket are gone; on the thread that waits here."""
        self.hang_up()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _start_helper(trusted: bytes | None) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
        # The library would log each call, headers and all, where a user asks for that.
        'RUST_LOG': 'error',
        'RUST_BACKTRACE': '0',
    }
    with os.fdopen(os.memfd_create('trusted'), 'wb', buffering=0) as certificates:
        if trusted is not None:
            certificates.write(trusted)
            environment['SSL_CERT_FILE'] = f'/proc/self/fd/{certificates.fileno()}'
        return subprocess.Popen(
            [sys.executable, '-m', webrtc_helper.__name__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=[certificates.fileno()],
            start_new_session=True,  # a terminal's signals are for the bridge
        )
