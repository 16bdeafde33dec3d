# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What deciding costs, without any I/O.

Microseconds of the session table's ``command`` (of one client's, and of clients in turn, so that
each takes over) and of ``expire`` with nothing due, at 1 to 1,000 sessions; of a command's whole
way through the bridge (command, drain, answer, drain) at 1 to 50 bases; and how many machine
heartbeats a session that is live but silent leads to in a machine's window, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from statistics import median
import time
from timeit import timeit
from typing import Any

from bench.stage import Run
from bench.summary import Check, table
from support.pure import base, forward, machine, Rig
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.requests import Answer, Move, Outcome, SendHeartbeat
from viam_session_bridge.core.sessions import SessionTable

SESSIONS = (1, 10, 100, 1000)
BASES = (1, 10, 50)
TIMES, QUICK_TIMES = 20_000, 2_000
SILENT = 200
WINDOW, MACHINE_WINDOW = 0.5, 2.0  # s
FLAT = 1.1  # times the smallest case, at most
BEATS_PER_WINDOW = 5
_WINDOWS = 4  # of the machine, over which heartbeats are counted

Step = Callable[[], object]


def table_with(sessions: int) -> SessionTable:
    """Return a session table with so many live sessions, on one base."""
    there = SessionTable(WINDOW, {'base': SessionsMode.AUTO})
    for number in range(sessions):
        there.command(f'client{number}', 'base', forward(0.1), 0.0)
    return there


def same_client(sessions: int) -> Step:
    """Return what commands a base by its last user."""
    there, velocity, last = table_with(sessions), forward(0.1), f'client{sessions - 1}'
    return lambda: there.command(last, 'base', velocity, 0.1)


def in_turn(sessions: int) -> Step:
    """Return what commands a base by each client in turn."""
    there, velocity = table_with(sessions), forward(0.1)
    names = cycle([f'client{number}' for number in range(sessions)])
    return lambda: there.command(next(names), 'base', velocity, 0.1)


def nothing_due(sessions: int) -> Step:
    """Return what looks for sessions that are due."""
    there = table_with(sessions)
    return lambda: there.expire(0.1)


def through_bridge(bases: int) -> Step:
    """Return what sends one command through the bridge to one of so many bases, and its answer."""
    rig = Rig(*(base(f'base{number}') for number in range(bases)))
    for number in range(bases):
        rig.drive('client', 0.1, f'/base{number}')
    bridge, velocity, now = rig.bridge, forward(0.1), rig.now + 0.1
    answer = Answer(Outcome.OK)

    def step() -> None:
        bridge.command('client', '/base0', velocity, None, now)
        (call,) = bridge.drain(now).calls
        assert isinstance(call.request, Move)
        bridge.answered(call, answer, now)
        bridge.drain(now)

    return step


MEASURES: dict[str, tuple[Callable[[int], Step], tuple[int, ...], str]] = {
    'command, last user': (same_client, SESSIONS, 'sessions'),
    'command, takeover': (in_turn, SESSIONS[1:], 'sessions'),
    'expire, none due': (nothing_due, SESSIONS, 'sessions'),
    'bridge, there and back': (through_bridge, BASES, 'bases'),
}


def heartbeats_of_silent_sessions() -> float:
    """Return the machine heartbeats of a silent session in a machine's window, by handed time."""
    rig = Rig(base(), machines=[machine(max_sessions=SILENT)])
    rig.machine_window = MACHINE_WINDOW
    clients = [f'client{number}' for number in range(SILENT)]
    for client in clients:
        rig.drive(client)
    counted = 0
    end = rig.now + _WINDOWS * MACHINE_WINDOW
    while rig.now < end:
        sent = rig.until(rig.now + WINDOW / 4, times_out=False)
        counted += sum(isinstance(request, SendHeartbeat) for _, request in sent)
        while rig.pending(SendHeartbeat):
            rig.answer(SendHeartbeat)
        for client in clients:
            rig.heartbeat(client)
    assert all(rig.bridge.table.active.get(client) for client in clients)
    return counted / SILENT / _WINDOWS


def measure(run: Run) -> list[Check]:
    """Let the sizes take turns; the least of all rounds is judged, nothing makes code faster."""
    times = QUICK_TIMES if run.quick else TIMES
    steps = {(what, size): make(size) for what, (make, sizes, _) in MEASURES.items()
             for size in sizes}  # fmt: skip
    took: dict[tuple[str, int], list[float]] = {key: [] for key in steps}
    for _ in run.rounds(7, 3):
        for key, step in steps.items():
            seconds = timeit(step, timer=time.thread_time, number=times)
            took[key].append(seconds / times * 1e6)
    rows: list[list[Any]] = []
    checks: list[Check] = []
    for what, (_, sizes, unit) in MEASURES.items():
        least = {size: min(took[what, size]) for size in sizes}
        rows += [[what, f'{size} {unit}', least[size], median(took[what, size]),
                  least[size] / least[sizes[0]]] for size in sizes]  # fmt: skip
        flattest = max(least.values()) / least[sizes[0]]
        checks.append(Check.most(f'{what}, by {unit}', flattest, FLAT, ' x the smallest case'))
    beats = heartbeats_of_silent_sessions()
    print(table(['us', 'at', 'min', 'median', 'ratio of min'], rows))
    run.results |= {'rows': rows, 'heartbeats': beats}
    what = 'machine heartbeats of a silent session in a window'
    return [*checks, Check.most(what, beats, BEATS_PER_WINDOW)]
