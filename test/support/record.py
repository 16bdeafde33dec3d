# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The record of what reached a base, as the real viam-server and the simulated machine write it.

JSON Lines, appended, one write a line. A call leaves two lines:

=========  =========================================================================
`t`        seconds of CLOCK_MONOTONIC: `time.monotonic()` of the same host
`base`     the name of the base (or motor) on its machine
`call`     set_velocity, set_power, stop, move_straight, spin or is_moving
`phase`    `begin` when the handler starts; `end` when it has taken effect or failed
`linear`   [x, y, z] as received, mm/s or fractions of the power; motions only
`angular`  [x, y, z] as received, deg/s or fractions of the power; motions only
`power`    -1 to 1, at the `end` of a motor's set_power
`rpm`      at the `end` of a motor's set_rpm
`error`    at the `end`, why the call failed; a failed call changes no motion
`session`  the id of the machine session that the call came with, if with any
`cause`    `session`: the machine itself stopped the base, for a session of its own had lapsed
=========  =========================================================================

Fields without a value are left out. A base takes up a motion right before the `end` of its
set_velocity or set_power, and ends it right before the `end` of a stop; move_straight and spin
are over at once. A motor's call leaves its `end` alone. The lines of one base are in the order in
which its calls took effect. As the wheels of a real base would, the record knows nothing of a
machine that restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from support.tail import Tail

Vector = tuple[float, float, float]

COMMANDS = ('set_velocity', 'set_power', 'move_straight', 'spin')
_POLL = 0.002  # s


@dataclass(frozen=True)
class Entry:
    """One line of a record."""

    t: float
    base: str
    call: str
    phase: str
    linear: Vector | None = None
    angular: Vector | None = None
    power: float | None = None
    rpm: float | None = None
    error: str | None = None
    session: str | None = None
    cause: str | None = None

    @property
    def takes_effect(self) -> bool:
        """Whether this is the end of a call that did not fail, and no question."""
        return self.phase == 'end' and self.error is None and self.call != 'is_moving'

    @property
    def is_motion(self) -> bool:
        """Whether it commands a velocity or a power other than zero."""
        return self.call in ('set_velocity', 'set_power', 'set_rpm') and any(
            (*(self.linear or ()), *(self.angular or ()), self.power, self.rpm)
        )


class Record:
    """Reads a record, also while it is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail = Tail(path)
        self._entries: list[Entry] = []

    def calls(
        self, base: str | None = None, call: str | None = None, phase: str | None = None
    ) -> list[Entry]:
        """Return the entries so far, oldest first, narrowed to those that fit."""
        self._entries += map(entry_of, self._tail.new())
        return [
            entry
            for entry in self._entries
            if base in (None, entry.base)
            and call in (None, entry.call)
            and phase in (None, entry.phase)
        ]

    def commands(self, base: str | None = None) -> list[Entry]:
        """Return the calls that command a motion, zero ones too, as they began."""
        return [entry for entry in self.calls(base, phase='begin') if entry.call in COMMANDS]

    def stops(self, base: str | None = None) -> list[Entry]:
        """Return the Stop calls that took effect."""
        return [entry for entry in self.calls(base, 'stop') if entry.takes_effect]

    def moving(self, base: str) -> bool:
        """Return whether the base moves at the end of the record."""
        effects = [entry for entry in self.calls(base) if entry.takes_effect]
        return bool(effects) and effects[-1].is_motion

    def wait_for(
        self, predicate: Callable[[list[Entry]], Any], timeout: float, what: str = ''
    ) -> list[Entry]:
        """
        Wait until `predicate` holds for all entries so far, and return those.

        Raise AssertionError with the last entries when it does not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            late = time.monotonic() >= deadline
            entries = self.calls()
            if predicate(entries):
                return entries
            if late:
                raise AssertionError(
                    f'not within {timeout} s{": " * bool(what)}{what}; the record of '
                    f'{len(entries)} entries ends with\n{lines_of(entries[-20:])}'
                )
            time.sleep(_POLL)


def entry_of(fields: dict[str, Any]) -> Entry:
    """Return a line of a record as what it is."""
    for name in ('linear', 'angular'):
        if fields.get(name) is not None:
            x, y, z = fields[name]
            fields[name] = (float(x), float(y), float(z))
    return Entry(**fields)


def lines_of(entries: Sequence[Entry]) -> str:
    """Return entries as a message shows them, one a line."""
    return '\n'.join(f'  {entry}' for entry in entries) or '  nothing'
