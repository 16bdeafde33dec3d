# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""From a log's entries to a picture: pure."""

from __future__ import annotations

from collections.abc import Sequence

from viam_session_bridge.core.actions import SessionEnded
from viam_session_bridge.reporting.event_log import Logged
from viam_session_bridge.tools.timeline.bases import BaseRun
from viam_session_bridge.tools.timeline.clients import Clients, users_of
from viam_session_bridge.tools.timeline.lanes import Lane, Picture
from viam_session_bridge.tools.timeline.machines import MachineRun, tell_run
from viam_session_bridge.tools.timeline.reading import Entry
from viam_session_bridge.tools.timeline.runs import Names, Run, split


def compose(entries: Sequence[Entry]) -> Picture:
    """Return the picture of a log that has at least one entry."""
    runs = split(entries)
    names = Names(runs)
    bridge, clients = Lane('bridge'), Clients(names)
    machines: dict[str, Lane] = {}
    bases: dict[str, Lane] = {}
    for number, run in enumerate(runs):
        tell_run(bridge, run, last=number == len(runs) - 1)
        clients.tell_run(run)
        _tell_machines(machines, run, names)
        _tell_bases(bases, run, number, names)
    lanes = [*bases.values(), *clients.lanes()]
    return Picture(
        begin=min(run.begin for run in runs),
        end=max(run.end for run in runs),
        bridge=bridge,
        machines=[machines[name] for name in sorted(machines)],
        bases=[bases[name] for name in sorted(bases)],
        clients=clients.lanes(),
        users=users_of(lanes),
    )


def _tell_machines(lanes: dict[str, Lane], run: Run, names: Names) -> None:
    told: dict[str, MachineRun] = {}
    for entry in run.entries:
        machine = getattr(entry.event, 'machine', '')
        if machine:
            if machine not in told:
                lane = lanes.setdefault(machine, Lane(machine))
                told[machine] = MachineRun(lane, run, names)
            told[machine].take(entry.event)
    for one in told.values():
        one.close()


def _tell_bases(lanes: dict[str, Lane], run: Run, number: int, names: Names) -> None:
    told: dict[str, BaseRun] = {}
    for entry in run.entries:
        for base in _bases_of(entry.event):
            if base not in told:
                lane = lanes.setdefault(base, Lane(base))
                told[base] = BaseRun(lane, run, number, names)
            told[base].take(entry.event)
    for one in told.values():
        one.close()


def _bases_of(event: Logged) -> Sequence[str]:
    if isinstance(event, SessionEnded):
        return event.bases
    base: str = getattr(getattr(event, 'stop', event), 'base', '')
    return (base,) if base else ()
