# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The socket of a supervisor, as systemd's NOTIFY_SOCKET, and what came there when."""

from __future__ import annotations

from pathlib import Path
import socket
import threading
import time
from typing import TYPE_CHECKING

from support.bounds import PATIENCE

if TYPE_CHECKING:
    from typing_extensions import Self

READY, LIVES, ENDS = 'READY=1', 'WATCHDOG=1', 'STOPPING=1'
_LOOKS, _POLL = 0.02, 0.005  # s


class Notifications:
    """Notifications with their times (s, steady), taken by a thread; for `with`."""

    def __init__(self, directory: Path, *, abstract: bool = False) -> None:
        path = str(directory / 'notify')
        self.address = f'@{path}' if abstract else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f'\0{path}' if abstract else path)
        self._socket.settimeout(_LOOKS)
        self._came: list[tuple[float, str]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._take, name='notifications')

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def texts(self) -> list[str]:
        """Return what was sent so far."""
        return [text for _, text in list(self._came)]

    def times(self, text: str, since: float = 0.0) -> list[float]:
        """Return when a text was sent, since a time."""
        return [t for t, sent in list(self._came) if sent == text and t >= since]

    def wait(self, text: str, since: float = 0.0, times: int = 1) -> list[float]:
        """Wait until a text was sent so many times since a time; return when."""
        end = time.monotonic() + PATIENCE
        while len(self.times(text, since)) < times:
            assert time.monotonic() < end, f'{text} did not come: {self._came}'
            time.sleep(_POLL)
        return self.times(text, since)

    def wait_end_of_life(self, since: float, watchdog: float) -> None:
        """
        Wait until a supervisor that waits `watchdog` s for a sign of life would act.

        :param since: when what is watched came to hang (s, steady); one sign more may follow
        """
        while time.monotonic() - (last := max(self.times(LIVES))) <= watchdog:
            assert last < since + watchdog, f'it still tells that it lives: {self._came}'
            time.sleep(_POLL)

    def _take(self) -> None:
        while not self._ended.is_set():
            try:
                text = self._socket.recv(1024).decode()
            except TimeoutError:
                continue
            self._came.append((time.monotonic(), text))
