# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Watches a transport by WebRTC: what it reports, the processes it starts and their sockets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import json
import os
from pathlib import Path
import queue
import time

from support.bounds import PATIENCE
from viam_session_bridge.configuration.model import MachineConfiguration, Transport
from viam_session_bridge.viam.credentials import Credentials
from viam_session_bridge.viam.webrtc import WebRtcTransport

DIAL_TIMEOUT = 3.0  # s; now and then viam-sdk's dial hangs though the machine answers
DIALS = 3 * PATIENCE  # s for some dials, each in a process that has to start


def write_key(path: Path, key: Credentials) -> str:
    """Write a credentials file, atomically, and return its path."""
    new = path.with_suffix('.new')
    new.touch(0o600)
    new.write_text(json.dumps({'api_key_id': key.key_id, 'api_key': key.key}))
    new.replace(path)
    return str(path)


class Dialed:
    """A transport that is started and closed by ``with``, and what it reported."""

    def __init__(
        self,
        address: str,
        credentials_file: str = '',
        trusted: bytes | None = None,
        timeout: float = DIAL_TIMEOUT,
    ) -> None:
        self.reports: queue.Queue[tuple[str, str, float]] = queue.Queue()
        machine = MachineConfiguration(
            'main', address, False, 0.25, 256, False, transport=Transport.WEBRTC,
            credentials_file=credentials_file, trusted=trusted,
        )  # fmt: skip
        self.failures: list[BaseException] = []
        self.transport = WebRtcTransport(machine, self._changed, self.failures.append, timeout)

    def __enter__(self) -> Dialed:
        self.transport.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport and wait until its thread has hung up."""
        self.transport.close()
        self.transport._thread.join()

    def reached(self, timeout: float = DIALS) -> tuple[str, float]:
        """Return the next target, whatever failed before, and when it was reported."""
        return self._next('reached', timeout)

    def failed(self, timeout: float = DIALS) -> tuple[str, float]:
        """Return why the next dial failed or the connection was lost, and when it was reported."""
        return self._next('failed', timeout)

    def _changed(self, connected: bool) -> None:
        kind = 'reached' if connected else 'failed'
        text = self.transport.target if connected else self.transport.diagnose()
        print(f'{time.monotonic():.2f} {kind}: {text}')
        self.reports.put((kind, text, time.monotonic()))

    def _next(self, wanted: str, timeout: float) -> tuple[str, float]:
        deadline = time.monotonic() + timeout
        others: list[tuple[str, str]] = []
        while True:
            try:
                kind, text, when = self.reports.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f'not {wanted} within {timeout} s, but {others}') from None
            if kind == wanted:
                return text, when
            others.append((kind, text))


def children(parent: int) -> list[int]:
    """Return the ids of the processes that a process started and that have not ended."""
    found = []
    for task in Path(f'/proc/{parent}/task').iterdir():
        with suppress(OSError):  # a thread that ended meanwhile
            found += [int(child) for child in (task / 'children').read_text().split()]
    return found


def ended(pid: int) -> bool:
    """Return whether a process ended, even if nobody took notice yet."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


def sockets_of(pid: int) -> list[Path]:
    """Return the paths of the Unix sockets that a process has, listening or connected."""
    inodes = set()
    for descriptor in Path(f'/proc/{pid}/fd').iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            link = os.readlink(descriptor)
            if link.startswith('socket:['):
                inodes.add(link[len('socket:[') : -1])
    with open('/proc/net/unix', encoding='ascii') as table:
        rows = [line.split() for line in table]
    return [Path(row[7]) for row in rows if len(row) > 7 and row[6] in inodes]


def wait_for(condition: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f'not within {timeout} s'
        time.sleep(0.01)
