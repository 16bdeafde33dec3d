# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers at work, and what arrived of it at a base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import Process, Workbench
from bench.publisher import number_of, read_sent


class Driver:
    """A publisher in its own process, which waits to be told to drive."""

    def __init__(
        self, bench: Workbench, name: str, *topics: str, publishers: int = 1
    ) -> None:
        """Start the process, with so many publishers; :meth:`ready` waits for it."""
        self.sent_path: Path = bench.path / f'{name}.sent'
        self._process: Process = bench.start(
            name, 'bench.publisher', name, ','.join(topics), str(self.sent_path), str(publishers)
        )

    def ready(self) -> None:
        """Wait until a subscription has matched."""
        self._process.hear('ready')

    def drive(self, rate: float, first: int, count: int = 0, burst: int = 1) -> None:
        """
        Begin to send commands numbered from `first`, `count` of them, 0: until killed.

        :param burst: how many of each publisher before it is the next one's turn
        """
        self._process.say(f'drive {rate} {first} {count} {burst}')

    def beat(self, rate: float, count: int) -> None:
        """Begin to send so many heartbeats, each for all publishers here."""
        self._process.say(f'beat {rate} 0 {count} 1')

    def done(self) -> None:
        """Wait until all that was told last was sent."""
        self._process.hear('done')

    def leave(self) -> None:
        """End the process in an orderly way, as publishers do that say goodbye."""
        self._process.leave()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def sent(self) -> dict[int, float]:
        """Return when each command was sent, also after the process was killed."""
        return read_sent(self.sent_path)


@dataclass(frozen=True)
class Arrived:
    """A command that began at a base."""

    number: int
    at: float


def is_begin(line: dict[str, Any], base: str, call: str) -> bool:
    """Return whether a line of a record is the begin of such a call."""
    return bool(line['phase'] == 'begin' and line['base'] == base and line['call'] == call)


def arrivals(lines: list[dict[str, Any]], base: str) -> list[Arrived]:
    """Return the commands of a publisher here that began at the base."""
    return [
        Arrived(number_of(line['linear'][1]), line['t'])
        for line in lines
        if is_begin(line, base, 'set_velocity')
    ]
