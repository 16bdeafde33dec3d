# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How the process is told to end."""

from __future__ import annotations

import contextlib
import os
import signal


class Ending:
    """
    The end of the process, by SIGINT, SIGTERM or one of its own threads.

    A signal is written to a pipe by Python's C handler on whichever thread it hits. A handler in
    Python would not do: it runs when the main thread comes by, and one asleep in a lock need not.
    """

    def __init__(self) -> None:
        """Take the signals over; only on the main thread."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)

    def come(self) -> None:
        """Let the end come; from any thread."""
        with contextlib.suppress(BlockingIOError):  # it is full of reasons already
            os.write(self._write, b'.')

    def wait(self) -> None:
        """Wait for the end. More signals are the same wish: launch repeats a terminal's Ctrl-C."""
        os.read(self._read, 1)
