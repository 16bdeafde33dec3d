# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that makes a machine's commands, one at a time (R14).

A call that waits for its answer on a thread of its own costs less than one that is handed over and
answered on another: where no other is under way, grpcio starts a thread for each of those. More
such threads cost more than they save: they queue up for grpcio's lock, and a stop behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
import threading

from viam_session_bridge.machine.calls import Answer

Work = Callable[[], Answer]
Done = Callable[[Answer], None]


class Mover:
    """Makes one call at a time, until it is closed."""

    def __init__(self, machine: str) -> None:
        """Start the thread. A daemon: a call may outlive the bridge by its deadline."""
        self._taken = threading.Lock()  # while a call is on its way or under way
        self._work: SimpleQueue[tuple[Work, Done] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f'mover of {machine}', daemon=True).start()

    def take(self, work: Work, done: Done) -> bool:
        """
        Have a call made, and `done` told; False where one is under way, or after `close`.

        From any thread; the next call may be handed over out of `done`.
        """
        if not self._taken.acquire(blocking=False):
            return False
        self._work.put((work, done))
        return True

    def close(self) -> None:
        """Take nothing more, and end the thread with the call that is under way."""
        self._work.put(None)

    def _run(self) -> None:
        while True:
            taken = self._work.get()
            if taken is not None:
                work, done = taken
                answer = work()
                self._taken.release()
                done(answer)
            elif self._taken.acquire(blocking=False):
                return  # and it stays taken
            else:
                self._work.put(None)  # a call is on its way, and is made before the end
