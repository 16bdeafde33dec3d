# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A viam-server and a bridge for its bases, on which the hard cases are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from support.bounds import BoundMissedError, PATIENCE
from support.invariant import Event, pending, violations
from support.link import TwoHosts
from support.record import Entry
from support.shell_run import settings, ShellRun
from support.viam_server import ViamServer
from viam_session_bridge.core.bridge import Bridge

WINDOW = 0.4  # s
CALL_TIMEOUT = 0.25  # s
LONG = 60.0  # s, a machine window that stops nothing
STILL = 0.3  # s that a base is watched after its stop


@dataclass(frozen=True)
class Seen:
    """A stop: when it was due, and when it took effect at the base."""

    due: float
    at: float

    @property
    def late(self) -> float:
        """By how many seconds."""
        return self.at - self.due


class Stage:
    """A viam-server, and a bridge for its bases."""

    def __init__(
        self,
        server: ViamServer,
        run: ShellRun,
        bases: Sequence[str],
        window: float,
        call_timeout: float,
    ) -> None:
        self.server, self.run, self.bases = server, run, bases
        self._window, self._call_timeout = window, call_timeout
        self._since: dict[str, float] = {}  # of clients and bases: when they last began

    def moved(self, client: str, base: str) -> float:
        """Command until the base moves, and return when it began to."""
        while True:
            # On a busy computer a command may fail. What was before is of no interest.
            self._since[client] = self._since[base] = time.monotonic()
            speed = self.run.command(client, base)
            motion = (0.0, speed, 0.0)

            def arrived(motion: tuple[float, ...] = motion) -> list[Entry]:
                entries = self.server.record.calls(base, phase='end')
                return [entry for entry in entries if entry.linear == motion]

            def over() -> bool:
                ended = self.run.events('session_ended', client=client)
                return any(event['at'] >= self._since[client] for event in ended)

            self.run.wait(
                lambda: arrived() or over() or self._failures(base), f'{base} is commanded'
            )
            if arrived() and not self._failures(base):
                return arrived()[0].t
            self.run.wait(lambda: base not in self.run.look(Bridge.not_final), f'{base} rests')

    def effect(self, base: str, fits: Callable[[Entry], bool], since: float = 0.0) -> Entry:
        """Wait for the first effect at a base that fits."""
        found: list[Entry] = []

        def there(_: object) -> bool:
            entries = self.server.record.calls(base, phase='end')
            found[:] = [e for e in entries if e.t >= since and e.takes_effect and fits(e)]
            return bool(found)

        self.server.record.wait_for(there, PATIENCE * 2, f'{base} since {since}')
        return found[0]

    def stopped(self, base: str, due: float) -> Seen:
        """Wait for what ends the motion of a base once that is due."""
        return Seen(due, self.effect(base, lambda entry: not entry.is_motion, due).t)

    def lapsed(self, client: str) -> float:
        """Wait for a lapse, and return when it was due."""
        ended = self.run.wait_event('session_ended', self._since[client], client=client)
        assert ended['cause'] == 'lapse'
        return float(ended['sign']) + self._window

    def failed(self, base: str) -> float:
        """Wait until the bridge learns of a command's failure, and return when."""
        self.run.wait(lambda: self._failures(base), f'a command to {base} fails')
        return float(self._failures(base)[0]['at'])

    def _failures(self, base: str) -> list[Event]:
        failed = self.run.events('command_failed', base=base)
        return [event for event in failed if event['at'] >= self._since[base]]

    def lapsed_under_open_stops(self, **fault: Any) -> None:
        """
        Drive all bases, let them lapse together, and wait until all their Stops are open.

        :param fault: what keeps a Stop open; before, a busy computer may stop the bases as well
        """
        for base in self.bases:
            self.moved(base, base)
            self.run.stream(base, base, heartbeats=True)
        for base in self.bases:
            self.server.control(base, **fault)
        silent = [self.run.silence(base) for base in self.bases][-1]
        for base in self.bases:

            def begun(_: object, base: str = base) -> bool:
                stops = self.server.record.calls(base, 'stop', 'begin')
                return bool(stops) and stops[-1].t >= silent

            self.server.record.wait_for(begun, PATIENCE, f'a Stop of {base} is open')
        if not all(self.server.record.moving(base) for base in self.bases):
            raise BoundMissedError('a Stop ended before all of them were open')

    def final_after_a_timeout(self, base: str) -> float:
        """Wait until a base whose command timed out is stopped for good, and return when."""

        def final() -> list[Event]:
            arrived = self.run.events('stop_final', timed_out=True)
            return [event for event in arrived if event['stop']['base'] == base]

        self.run.wait(final, f'{base} is stopped for good')
        return float(final()[0]['at'])

    def hang(self, base: str) -> None:
        """Let the client of the base's name drive it, and its next command hang."""
        self.moved(base, base)
        self.server.control(base, set_velocity_hang=True, ignore_cancel=True)
        self._since[base] = time.monotonic()  # an earlier failure is of no interest
        self.run.command(base, base)

    def stands_still(self, base: str, seconds: float) -> None:
        """Watch that a base does not move."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert not self.server.record.moving(base)
            time.sleep(0.01)

    def rest(self, judge: bool = True) -> None:
        """Wait until all stops are final, watch for a while, and judge the record."""
        run = self.run
        run.wait(
            lambda: not run.look(lambda bridge: [*bridge.table.active] or bridge.not_final()),
            'all stops are final',
            PATIENCE * 2,
        )
        time.sleep(STILL)
        entries, events = self.server.record.calls(), run.events()
        for base in self.bases:
            found = violations(entries, events, base, self._call_timeout)
            assert bool(found) != judge, found
            assert not pending(events, base)
            assert not self.server.record.moving(base), base


@contextlib.contextmanager
def stage(
    directory: Path,
    count: int,
    *,
    window: float = WINDOW,
    machine_window: float = LONG,
    call_timeout: float = CALL_TIMEOUT,
    beside: str = '',
    other: str = '',
    others: Sequence[str] = (),
    hosts: TwoHosts | None = None,
) -> Iterator[Stage]:
    """
    Return a stage of so many bases.

    :param beside: a base on the same machine that is none of the bridge's
    :param other: the address of another machine, whose bases are `others`
    :param hosts: with a link between the bridge and the machine; the latter is on the robot's host
    """
    bases = [f'base{number}' for number in range(count)]
    machines = {**dict.fromkeys(bases, 'main'), **dict.fromkeys(others, 'other')}
    where: dict[str, Any] = (
        {'host': hosts.robot_address, 'inside': hosts.robot} if hosts else {}
    )
    names = [*bases, *([beside] if beside else [])]
    with ViamServer(directory, names, machine_window, **where) as server:
        addresses = {'main': server.address, **({'other': other} if other else {})}
        with ShellRun(settings(machines, addresses, window, call_timeout)) as run:
            yield Stage(server, run, bases, window, call_timeout)
