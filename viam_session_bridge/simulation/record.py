# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
A record of all calls that reached a base, as JSON Lines.

A line has `t` (time.monotonic(), s), `base`, `call` (set_velocity, set_power, stop,
move_straight, spin or is_moving), `phase` (`begin`, or `end`: it took effect or failed) and, where
there is one, `linear` and `angular` ([x, y, z] as received), `session` (its id) and `error` (of an
end that failed). A stop because a session ended has `"cause": "session"`. Lines are in the order
of time. Calls that are refused for their session or their base's name reach no base.
"""

from collections import deque
import json
import logging
import os
import threading
from typing import Any

_log = logging.getLogger(__name__)


class CallRecord:
    """
    Appends to a file, each line in one unbuffered write.

    `add` does no I/O, so that it can be called under the lock that decides the order of calls;
    `flush` is called after that, and has written every line that was added before when it
    returns. `path` None: keeps nothing. OSError if the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | None):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = None if path is None else os.open(path, flags, 0o644)
        self._path = path
        self._lines: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()

    def add(self, now: float, base: str, call: str, phase: str, **what: Any) -> None:
        """Note a line; fields that are None are left out."""
        if self._file is not None:
            line = {'t': now, 'base': base, 'call': call, 'phase': phase}
            self._lines.append(line | {k: v for k, v in what.items() if v is not None})

    def flush(self) -> None:
        """Write what was added; a file that takes no more is given up, with an error logged."""
        with self._lock:
            while self._lines and self._file is not None:
                line = json.dumps(self._lines.popleft(), separators=(',', ':'))
                try:
                    os.write(self._file, line.encode() + b'\n')
                except OSError as error:
                    _log.error('the record %s ends here: %s', self._path, error)
                    self._close()

    def close(self) -> None:
        """Write what was added, and close the file."""
        self.flush()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
