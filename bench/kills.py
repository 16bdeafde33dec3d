# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers that die or fall silent while they drive a base, and what becomes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
import random
import time
from typing import Any

from bench.driving import arrivals, Driver, is_begin
from bench.summary import Check, Summary
from bench.tail import Tail

RATE = 50.0  # Hz
DRIVE = 0.5  # s, at least, from the first command at the base to the kill
WAIT = 0.4  # s that a stop may be late; before the machine's own one
P99, WORST, EARLIEST = 10.0, 50.0, -5.0  # ms that the Stop may begin after the window

STEPS = {
    'total': 'last publish -> Stop at base, less the window',
    'accept': '  publish -> accepted',
    'lapse': '  deadline -> lapse decided',
    'stop': '  lapse decided -> Stop at base',
    'deadline': 'deadline -> Stop at base',
}


@dataclass(frozen=True)
class Kill:
    """
    What became of one publisher, all in ms.

    `total` is from the last command's publish to the Stop, less the window. It is the sum of
    `accept`, from the publish to the sign of life in the bridge; `lapse`, from the deadline to
    the decision; and `stop`, from there to the begin of the Stop at the base. Where no session's
    end was the cause the first two are not known; where the event log has none, no step is.
    """

    total: float
    accept: float | None
    lapse: float | None
    stop: float | None
    cause: str

    @property
    def deadline(self) -> float | None:
        """From the session's deadline, its last sign of life and the window, to the Stop."""
        return None if self.lapse is None or self.stop is None else self.lapse + self.stop


class Target:
    """A base, the record of its machine, and how its publishers ended."""

    def __init__(self, base: str, record: Path) -> None:
        """Take the base of that name."""
        self.base = base
        self.kills: list[Kill | None] = []
        self._record = Tail(record)

    def kill(self, driver: Driver, first: int, window: float, events: Tail) -> None:
        """Have a publisher drive, kill it, and see what becomes of the base."""
        lines = self._drive(driver, first)
        time.sleep(DRIVE + random.random() / RATE)
        driver.kill()
        self._watch(lines, driver, window, events)

    def silence(self, driver: Driver, first: int, count: int, window: float, events: Tail) -> None:
        """Have a publisher send so many commands and no more, and see what becomes of the base."""
        lines = self._drive(driver, first, count)
        driver.done()
        self._watch(lines, driver, window, events)

    def _drive(self, driver: Driver, first: int, count: int = 0) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        self._record.new()
        driver.drive(RATE, first, count)
        moving = self._record.collect(
            lines, lambda line: is_begin(line, self.base, 'set_velocity'), time.monotonic() + 5.0
        )
        if not moving:
            raise RuntimeError(f'{self.base}: no command arrives within 5 s')
        return lines

    def _watch(
        self, lines: list[dict[str, Any]], driver: Driver, window: float, events: Tail
    ) -> None:
        # Nothing is to run beside the bridge now.
        time.sleep(window + 0.05)
        self._record.collect(
            lines,
            lambda line: is_begin(line, self.base, 'stop'),
            time.monotonic() + WAIT,
        )
        self.kills.append(self._judge(lines, driver.sent(), window, events))

    def _judge(
        self, lines: list[dict[str, Any]], sent: dict[int, float], window: float, events: Tail
    ) -> Kill | None:
        last = max(
            (one for one in arrivals(lines, self.base) if one.number in sent),
            key=lambda one: one.at,
        )
        # One before the last command would not have stopped the base.
        stops = [
            line['t']
            for line in lines
            if is_begin(line, self.base, 'stop') and line['t'] > last.at
        ]
        if not stops:
            return None
        decided: list[dict[str, Any]] = []
        first, published = arrivals(lines, self.base)[0], sent[last.number]
        total = (stops[0] - published - window) * 1e3

        def decides(event: dict[str, Any]) -> bool:
            # On a busy machine a command may begin after the stop was decided: it is sent anew.
            is_stop = event['event'] == 'stop' and event['base'] == self.base
            return bool(is_stop and first.at < event['at'] < stops[0])

        if not events.collect(decided, decides, time.monotonic() + 5.0):
            return Kill(total, None, None, None, 'not in the event log')
        event = [one for one in decided if decides(one)][-1]
        sign = event['sign']
        return Kill(
            total=total,
            accept=None if sign is None else (sign - published) * 1e3,
            lapse=None if sign is None else (event['at'] - sign - window) * 1e3,
            stop=(stops[0] - event['at']) * 1e3,
            cause=event['cause'],
        )

    def checks(self) -> list[Check]:
        """Return what must hold."""
        seen = [kill.total for kill in self.kills if kill is not None]
        total = Summary.of(seen)
        return [
            Check(f'{self.base}: every kill is followed by a stop', len(seen) == len(self.kills),
                  f'{len(seen)} of {len(self.kills)}'),
            Check(f'{self.base}: p99 is at most the window + {P99:g} ms', total.p99 <= P99,
                  f'{total.p99:+.2f} ms'),
            Check(f'{self.base}: the worst is at most the window + {WORST:g} ms',
                  total.max <= WORST, f'{total.max:+.2f} ms'),
            Check(f'{self.base}: none is before the window - {-EARLIEST:g} ms',
                  total.min >= EARLIEST, f'{total.min:+.2f} ms'),
        ]  # fmt: skip

    def rows(self) -> list[list[Any]]:
        """Return the table's rows."""
        seen = [kill for kill in self.kills if kill is not None]
        rows: list[list[Any]] = []
        for name, text in STEPS.items():
            values = [getattr(kill, name) for kill in seen]
            summary = Summary.of([value for value in values if value is not None])
            rows.append([self.base, text, *asdict(summary).values()])
        return rows
