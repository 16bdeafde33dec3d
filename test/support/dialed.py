# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Watches a dialer of WebRTC: what it said, the processes it started and their sockets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import os
from pathlib import Path
import queue
import time

from support.bounds import PATIENCE
from viam_session_bridge.viam.credentials import Credentials
from viam_session_bridge.viam.webrtc import Dialer

DIAL_TIMEOUT = 3.0  # s; now and then viam-sdk's dial hangs though the machine answers
DIALS = 3 * PATIENCE  # s for some dials, each in a process that has to start


class Dialed:
    """A dialer that is started and closed by `with`, and what it said."""

    def __init__(
        self,
        address: str,
        credentials: Callable[[], Credentials | None] = lambda: None,
        trusted: bytes | None = None,
        timeout: float = DIAL_TIMEOUT,
    ) -> None:
        self.reports: queue.Queue[tuple[str, str, float]] = queue.Queue()
        self.dialer = Dialer(
            'main', address, timeout, credentials, trusted,
            reached=lambda target: self._says('reached', target),
            failed=lambda why: self._says('failed', why),
        )  # fmt: skip

    def __enter__(self) -> Dialed:
        self.dialer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.dialer.close()

    def reached(self, timeout: float = DIALS) -> tuple[str, float]:
        """Return the next target, whatever failed before, and when it was said."""
        return self._next('reached', timeout)

    def failed(self, timeout: float = DIALS) -> tuple[str, float]:
        """Return why the next dial failed or the connection was lost, and when that was said."""
        return self._next('failed', timeout)

    def _says(self, what: str, words: str) -> None:
        print(f'{time.monotonic():.2f} {what}: {words}')
        self.reports.put((what, words, time.monotonic()))

    def _next(self, wanted: str, timeout: float) -> tuple[str, float]:
        deadline = time.monotonic() + timeout
        heard: list[tuple[str, str]] = []
        while True:
            try:
                what, words, when = self.reports.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f'not {wanted} within {timeout} s, but {heard}') from None
            if what == wanted:
                return words, when
            heard.append((what, words))


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
