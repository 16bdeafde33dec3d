# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What deciding costs, without any I/O: `python -m bench.core_cost`.

Microseconds of `core.command` (of one client's, and of clients in turn, so that each takes over)
and of `core.expire` with nothing due, at 1 to 1,000 sessions; of a command's whole way through
the bridge (command, drain, answer, drain) at 1 to 50 bases; and how many machine heartbeats a
session that is live but silent leads to in a machine's window, exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
import sys
import time
from timeit import repeat
from typing import Any

from bench.summary import Check, conditions, finish, Summary, table
from support.pure import base, forward, machine, Rig
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.requests import Answer, Call, Move, Outcome, SendHeartbeat
from viam_session_bridge.core.sessions import SessionTable

SESSIONS = (1, 10, 100, 1000)
BASES = (1, 10, 50)
SILENT = 200
WINDOW = 0.5  # s
FLAT = 1.1  # times the smallest case, at most
BEATS_PER_WINDOW = 5
_WINDOWS = 4  # of the machine, over which heartbeats are counted


def core_with(sessions: int) -> SessionTable:
    """Return a core with so many live sessions, on one base."""
    core = SessionTable(WINDOW, {'base': SessionsMode.AUTO})
    for number in range(sessions):
        core.command(f'client{number}', 'base', forward(0.1), 0.0)
    return core


def same_client(sessions: int) -> Callable[[], None]:
    """Return what commands a base by its last user."""
    core, velocity, last = core_with(sessions), forward(0.1), f'client{sessions - 1}'
    return lambda: _ignore(core.command(last, 'base', velocity, 0.1))


def in_turn(sessions: int) -> Callable[[], None]:
    """Return what commands a base by each client in turn."""
    core, velocity, at = core_with(sessions), forward(0.1), 0
    names = [f'client{number}' for number in range(sessions)]

    def step() -> None:
        nonlocal at
        at = at + 1 if at + 1 < sessions else 0
        core.command(names[at], 'base', velocity, 0.1)

    return step


def nothing_due(sessions: int) -> Callable[[], None]:
    """Return what looks for sessions that are due."""
    core = core_with(sessions)
    return lambda: _ignore(core.expire(0.1))


def through_bridge(bases: int) -> Callable[[], None]:
    """Return what sends one command through the bridge to one of so many bases, and its answer."""
    rig = Rig(*(base(f'base{number}') for number in range(bases)))
    for number in range(bases):
        rig.drive('client', 0.1, f'/base{number}')
    bridge, velocity, now = rig.bridge, forward(0.1), rig.now + 0.1
    answer = Answer(Outcome.OK)

    def step() -> None:
        bridge.command('client', '/base0', velocity, None, now)
        calls: list[Call] = bridge.drain(now).calls
        assert len(calls) == 1 and isinstance(calls[0].request, Move)
        bridge.answered(calls[0], answer, now)
        bridge.drain(now)

    return step


def heartbeats_of_silent_sessions() -> float:
    """Return the machine heartbeats of a silent session in a machine's window, by handed time."""
    rig = Rig(base(), machines=[machine(max_sessions=SILENT)])
    rig.machine_window = 2.0
    clients = [f'client{number}' for number in range(SILENT)]
    for client in clients:
        rig.drive(client)
    counted = 0
    end = rig.now + _WINDOWS * rig.machine_window
    while rig.now < end:
        sent = rig.until(rig.now + WINDOW / 4, times_out=False)
        counted += sum(isinstance(request, SendHeartbeat) for _, request in sent)
        while rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
        for client in clients:
            rig.heartbeat(client)
    assert all(rig.bridge.table.active.get(client) for client in clients)
    return counted / SILENT / _WINDOWS


MEASURES: dict[str, tuple[Callable[[int], Callable[[], None]], tuple[int, ...], str]] = {
    'core.command, last user': (same_client, SESSIONS, 'sessions'),
    'core.command, takeover': (in_turn, SESSIONS[1:], 'sessions'),
    'core.expire, none due': (nothing_due, SESSIONS, 'sessions'),
    'bridge, there and back': (through_bridge, BASES, 'bases'),
}


def main() -> int:
    """Run the measurement; exit status 1 where something did not hold."""
    options = _options()
    results: dict[str, Any] = conditions()
    rows: list[list[Any]] = []
    checks: list[Check] = []
    for what, (make, sizes, unit) in MEASURES.items():
        steps = {size: make(size) for size in sizes}
        took: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(options.rounds):
            for size, step in steps.items():
                took[size] += [one / options.times * 1e6 for one in
                               repeat(step, timer=time.thread_time, number=options.times,
                                      repeat=1)]  # fmt: skip
        least = {size: min(values) for size, values in took.items()}
        for size, values in took.items():
            summary = Summary.of(values)
            rows.append([what, f'{size} {unit}', summary.min, median(values), summary.max,
                         least[size] / least[sizes[0]]])  # fmt: skip
        told = ', '.join(f'{size}: {value:.2f}' for size, value in least.items())
        checks.append(
            Check(f'{what}: flat, within {FLAT:g} x',
                  max(least.values()) <= FLAT * least[sizes[0]], f'us by {unit} {told}')
        )  # fmt: skip
    beats = heartbeats_of_silent_sessions()
    print(table(['us', 'at', 'min', 'median', 'max', 'ratio of min'], rows))
    print(f'\nmachine heartbeats of a silent session in a window: {beats:.2f}')
    checks.append(Check('machine heartbeats of a silent session in a window: at most '
                        f'{BEATS_PER_WINDOW}', beats <= BEATS_PER_WINDOW, f'{beats:.2f}'))
    results |= {'rows': rows, 'heartbeats': beats}
    return finish(checks, results, options.json)


def _ignore(_: object) -> None:
    pass


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='What deciding costs, without any I/O.')
    parser.add_argument('--rounds', type=int, default=7, help='(default: 7)')
    parser.add_argument('--times', type=int, default=20_000, help='each (default: 20000)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
