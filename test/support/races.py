# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Commands that race the end of a session, provoked again and again.

The bridge's shell drives bases of a real viam-server. On each base every command comes at the end
of the session of the command before: its own client's (R2, R6), or that of the client whose base
it takes over (R9). What the base did is judged by its own record (:mod:`support.invariant`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import heapq
from itertools import chain
from pathlib import Path
import sys
import threading
import time
from typing import Any

from support.invariant import Event, pending, Violation, violations
from support.race_kinds import HOLD, Kind, KINDS, RacingShell, WINDOW
from support.record import Entry, Record
from support.shell_run import settings, ShellRun
from support.viam_server import ViamServer
from viam_session_bridge.core.bridge import Bridge

CALL_TIMEOUT = 0.25  # s
MACHINE_WINDOW = 60.0  # s, so that the machine stops nothing
SWITCH = 1e-4  # s after which the interpreter lets another thread run
_GOLDEN = 0.6180339887498949
_AHEAD = 0.002  # s that a command waits at the barrier for the lapse clock


@dataclass
class Outcome:
    """What became of the races of one kind."""

    sides: Counter[str]
    violations: list[Violation]


class RecentRecord(Record):
    """A record that can be read piece by piece."""

    def forget(self) -> list[Entry]:
        """Return the entries since the last time."""
        entries = self.calls()
        self._entries = []
        return entries


class Field:
    """Bases of one kind, with a bridge of their own and a thread that commands them."""

    def __init__(self, server: ViamServer, kind: Kind, bases: list[str], outcome: Outcome) -> None:
        self.kind = kind
        self.bases = bases
        self.outcome = outcome
        self._server = server
        self._number = 0
        self._turns: dict[str, int] = {}
        self._shift = 0.0  # s, see `_balance`
        configuration = settings(
            dict.fromkeys(bases, 'main'), {'main': server.address}, WINDOW, CALL_TIMEOUT
        )
        self.run = ShellRun(configuration, RacingShell)
        runtime = self.run.runtime
        assert isinstance(runtime, RacingShell)
        self._runtime = runtime

    def feed(self, seconds: float) -> None:
        """Command the bases for so long."""
        end = time.monotonic() + seconds
        self._fault(dict(self.kind.faults))
        if self.kind.holds_stop:
            self._runtime.held = {base: threading.Event() for base in self.bases}
        due = [(time.monotonic() + 0.01 * number, base) for number, base in enumerate(self.bases)]
        while due[0][0] < end:
            at, base = heapq.heappop(due)
            deadline = self._command(base, at)
            ahead = -_AHEAD if self.kind.meets else self._swept()
            heapq.heappush(due, (deadline + ahead, base))
        held, self._runtime.held = self._runtime.held, {}
        for stop in held.values():
            stop.set()
        self._fault({name: type(value)(0) for name, value in self.kind.faults})

    def judge(self, entries: list[Entry]) -> None:
        """Judge what the bases did since the last time; they have come to rest."""
        outcome, seen = self.outcome, Counter[str]()
        events = self.run.forget()
        for base in self.bases:
            outcome.violations += violations(entries, events, base, CALL_TIMEOUT)
            outcome.violations += revived(events, base)
            effects = [e for e in entries if e.base == base and e.takes_effect]
            if pending(events, base) or (effects and effects[-1].is_motion):
                outcome.violations.append(Violation(base, effects[-1].t, 'it does not rest'))
            seen.update(sides(events, base))
        outcome.sides += seen
        # Move the sweep to where both sides win, however busy the computer is.
        if self.kind.early and seen:
            share = seen[self.kind.early] / sum(seen.values())
            self._shift += (share - 0.5) * (self.kind.latest - self.kind.soonest)

    def rest(self) -> None:
        """Wait until all sessions have ended and all stops are final."""

        def rests(bridge: Bridge) -> bool:
            return not (list(bridge.table.active) or bridge.not_final())

        self.run.wait(lambda: self.run.look(rests), f'all stops are final: {self.kind.name}')

    def _fault(self, faults: dict[str, Any]) -> None:
        for base in self.bases if faults else ():
            self._server.control(base, **faults)

    def _swept(self) -> float:
        """Return how much later than the deadline the next command comes."""
        share = (self._number * _GOLDEN) % 1.0
        return self.kind.soonest + share * (self.kind.latest - self.kind.soonest) + self._shift

    def _command(self, base: str, at: float) -> float:
        """Command at a time; return the deadline of the session that this leaves."""
        time.sleep(max(at - time.monotonic(), 0.0))
        self._number += 1
        turn = self._turns[base] = self._turns.get(base, 0) + 1
        client = f'{self.kind.clients[turn % len(self.kind.clients)]} of {base}'
        if self.kind.meets and turn > 1:
            self._meet(base, at + _AHEAD, self._swept())
        if self.kind.leaves and turn % 2:
            self._runtime.leaving[base] = client
        self.run.command(client, base)
        if base in self._runtime.held:
            stop, self._runtime.held[base] = self._runtime.held[base], threading.Event()
            stop.set()
        session = self.run.look(lambda bridge: bridge.table.active.get(client))
        return time.monotonic() if session is None else float(session.deadline(WINDOW))

    def _meet(self, base: str, deadline: float, offset: float) -> None:
        barrier = threading.Barrier(2)
        self._runtime.meetings[base] = deadline, barrier, offset
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(HOLD)
        time.sleep(max(offset, 0.0))


class Races:
    """All kinds on one viam-server."""

    def __init__(self, server: ViamServer, bases: dict[Kind, list[str]]) -> None:
        """Take a server that has just these bases."""
        self.outcomes = {kind.name: Outcome(Counter(), []) for kind in bases}
        self._fields = [
            Field(server, kind, names, self.outcomes[kind.name])
            for kind, together in bases.items()
            # A clock that waits at a barrier would be late for another base.
            for names in ([[base] for base in together] if kind.meets else [together])
        ]
        self._record = RecentRecord(server.record.path)

    @property
    def count(self) -> int:
        """How many races there were."""
        return sum(sum(outcome.sides.values()) for outcome in self.outcomes.values())

    def __enter__(self) -> Races:
        self._stack = contextlib.ExitStack()
        for field in self._fields:
            self._stack.enter_context(field.run)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def round(self, seconds: float) -> None:
        """Let all bases be commanded for so long, come to rest, and judge what they did."""
        threads = [
            threading.Thread(target=field.feed, args=(seconds,), name=field.kind.name)
            for field in self._fields
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for field in self._fields:
            field.rest()
        entries = self._record.forget()
        for field in self._fields:
            field.judge(entries)


@contextlib.contextmanager
def races(directory: Path, bases: int) -> Iterator[Races]:
    """Return so many bases of each kind, on a server of their own."""
    names = {
        kind: [f'{kind.name.replace(" ", "_")}_{number}' for number in range(bases)]
        for kind in KINDS
    }
    with (
        eager_threads(),
        ViamServer(directory, list(chain(*names.values())), MACHINE_WINDOW) as server,
        Races(server, names) as running,
    ):
        yield running


def sides(events: list[Event], base: str) -> Iterator[str]:
    """Return for each command but the first where it fell, by the decisions' order."""
    ended: float | None = None
    first = True
    for event in events:
        if event['event'] == 'stop' and event['base'] == base:
            ended = event['at']
        elif event['event'] == 'forward' and event['base'] == base:
            if not first:
                at_once = ended == event['at']
                yield 'before' if ended is None else 'at once' if at_once else 'after'
            first, ended = False, None


def revived(events: list[Event], base: str) -> Iterator[Violation]:
    """Find sessions that a command kept alive after their deadline (R2, R4)."""
    signs: dict[int, float] = {}
    for event in events:
        if event['event'] == 'forward' and event['base'] == base:
            sign = signs.get(event['session'], event['at'])
            if event['at'] - sign >= WINDOW:
                yield Violation(base, event['at'], 'a command revived a session that was due')
            signs[event['session']] = event['at']


@contextlib.contextmanager
def eager_threads() -> Iterator[None]:
    """Let threads interrupt each other more often, so that more orders come up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
