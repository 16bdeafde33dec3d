# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""One dial in a process of its own, and the connection that it became."""

from __future__ import annotations

from contextlib import suppress
import json
import os
from pathlib import Path
import select
import subprocess
import sys
import time
from typing import IO

from viam_session_bridge.viam import webrtc_helper
from viam_session_bridge.viam.credentials import Credentials

STARTS = 30.0  # s for the program to start on a busy computer, on top of the dial's own time
ENDS = 1.0  # s
_LOOKS = 0.1  # s


class DialError(Exception):
    """There is no connection; the text says why."""


class DialProcess:
    """A running :mod:`viam_session_bridge.viam.webrtc_helper`."""

    def __init__(
        self, address: str, timeout: float, credentials: Credentials | None, trusted: bytes | None
    ) -> None:
        """
        Begin to dial.

        :raises DialError: where no process can be started
        """
        self._timeout = timeout
        self._path: Path | None = None
        self._hung_up = False
        request = {
            'address': address,
            'timeout': timeout,
            'key_id': credentials.key_id if credentials else '',
            'key': credentials.key if credentials else '',
        }
        try:
            self._process = _start(trusted)
        except OSError as error:
            raise DialError(f'cannot start a process: {error.strerror}') from None
        with suppress(BrokenPipeError):
            self._stdin.write(json.dumps(request).encode() + b'\n')

    def socket_path(self) -> str:
        """
        Wait for the connection and return the path of its socket.

        :raises DialError: where there is none in time, or :meth:`hang_up` was called
        """
        answer = json.loads(self._read_line(time.monotonic() + self._timeout + STARTS))
        if 'failed' in answer:
            raise DialError(answer['failed'])
        self._path = Path(answer['socket'])
        return str(self._path)

    def hang_up(self) -> None:
        """Let the process end, the connection and a dial under way with it; any thread may."""
        self._hung_up = True
        self._stdin.close()

    def end(self) -> None:
        """Hang up, and return when process and socket are gone; for the thread that waits here."""
        self.hang_up()
        try:
            self._process.wait(ENDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _read_line(self, deadline: float) -> bytes:
        line = b''
        readable = select.poll()
        readable.register(self._stdout, select.POLLIN)
        while not line.endswith(b'\n'):
            if self._hung_up or time.monotonic() > deadline:
                raise DialError('the process that dials hangs')
            if readable.poll(_LOOKS * 1000):
                some = self._stdout.read(4096)
                if not some:
                    raise DialError('the process that dials ended')
                line += some
        return line

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


def _start(trusted: bytes | None) -> subprocess.Popen[bytes]:
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
