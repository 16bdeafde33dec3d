# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How the process is told to end."""

from __future__ import annotations

import contextlib
import os
import select
import signal

from viam_session_bridge.signals import ending


class ShutdownRequest:
    """
    The end of the process, by a signal that asks for it or one of its own threads.

    A signal is written to a pipe by Python's C handler on whichever thread it hits. A handler in
    Python would not do: it runs when the main thread comes by, and one asleep in a lock need not.
    """

    def __init__(self) -> None:
        """Take the signals over; only on the main thread."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in ending():
            signal.signal(number, lambda *_: None)

    def come(self) -> None:
        """Let the end come; from any thread."""
        with contextlib.suppress(BlockingIOError):  # it is full of reasons already
            os.write(self._write, b'.')

    @property
    def has_come(self) -> bool:
        """Whether :meth:`wait` would return at once."""
        return bool(select.select([self._read], [], [], 0.0)[0])

    def wait(self) -> None:
        """Wait for the end. More signals are the same wish: launch repeats a terminal's Ctrl-C."""
        os.read(self._read, 1)
