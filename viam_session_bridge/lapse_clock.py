# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The lapse clock: a thread that ticks the bridge when the next deadline has come (R4, R12)."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time


class LapseClock:
    """One timer, re-armed after each tick and whenever an earlier deadline turns up."""

    def __init__(
        self, tick: Callable[[], float | None], failed: Callable[[BaseException], None]
    ) -> None:
        """
        Prepare a clock that does not run yet.

        :param tick: does what is due and returns when to be called next (s, steady), None: when
            armed
        :param failed: is told of an exception out of ``tick``, which ends the clock
        """
        self._tick = tick
        self._failed = failed
        self._changed = threading.Condition()
        self._armed: float | None = None
        self._ended = False
        self._came_round = False
        self._thread = threading.Thread(target=self._run, name='lapse clock')

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def arm(self, at: float | None) -> None:
        """Tick at ``at`` at the latest."""
        if at is None:
            return
        with self._changed:
            if self._armed is None or at < self._armed:
                self._armed = at
                self._changed.notify()

    def came_round(self) -> bool:
        """
        Tell whether a tick ended since this was last asked, and have the thread tick anew.

        For one watchdog: a thread that died, or that hangs in its tick, comes round no more.
        """
        came, self._came_round = self._came_round, False
        self.arm(time.monotonic())
        return came

    def end(self) -> None:
        """End the thread and wait for it, unless called from it."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait():
                self.arm(self._tick())
                self._came_round = True
        except BaseException as error:  # the last line of defence: nothing may die unheard here
            self._failed(error)

    def _wait(self) -> bool:
        """Wait for the deadline; return False when the clock was ended."""
        with self._changed:
            while not self._ended:
                if self._armed is None:
                    self._changed.wait()
                    continue
                remaining = self._armed - time.monotonic()
                if remaining <= 0.0:
                    self._armed = None
                    return True
                self._changed.wait(remaining)
        return False
