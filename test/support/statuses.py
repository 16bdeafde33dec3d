# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of status that the node publishes, in every state, made by its own functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from support.pure import base, configuration, machine
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.reporting.diagnostics import (
    diagnostic_statuses,
    message_warning,
    session_statuses,
)
from viam_session_bridge.reporting.overview import BaseRow, MachineRow, Overview, SessionRow

LEVELS = {
    DiagnosticStatus.OK: 'OK', DiagnosticStatus.WARN: 'WARN', DiagnosticStatus.ERROR: 'ERROR',
}  # fmt: skip
# As the reporter counts; the names are put together there.
COUNTS = {
    'lost_messages': 0, 'old_messages': 0, 'replaced_messages': 0, 'discarded_messages': 0,
    'discarded_times': 0, 'unwritten_events': 0,
    'refused_heartbeats_unknown': 0, 'refused_heartbeats_ambiguous': 0,
}  # fmt: skip
SESSION = SessionRow(7, '01', '/teleop', '/cmd_vel', 'active', {}, ['base'], 1.0, 0.4, 9, {})
IDLE = BaseRow('base', 'main', 0, False, {})
CONNECTED = MachineRow('main', True, True, 2.0)


class Statuses(NamedTuple):
    """Of the bridge, machines and bases: levels with messages; of these and sessions: keys."""

    levels: list[set[tuple[str, str]]]
    keys: list[list[str]]


def every_status(node: str) -> Statuses:
    """Return what the statuses of that node can look like."""
    bases = [IDLE, replace(IDLE, session=7), replace(IDLE, stopping=True)]
    machines = [CONNECTED, replace(CONNECTED, ready=False), replace(CONNECTED, supervised=False)]
    made: list[DiagnosticStatus] = []
    for active in (True, False):
        overview = Overview(active, 0.5, 0, [SESSION], bases, machines)
        made += diagnostic_statuses(node, overview, configuration(), {}, COUNTS)
    one = Overview(True, 0.5, 0, [], [IDLE], [CONNECTED])
    unsafe = configuration(
        base(sessions=SessionsMode.DISABLED),
        machines=[replace(machine(), address='10.0.0.1:8080', allow_plaintext=True)],
    )
    made += diagnostic_statuses(node, one, unsafe, {}, COUNTS)
    late = {**COUNTS, 'discarded_messages': 3}
    made += diagnostic_statuses(node, one, configuration(), {}, late)
    topics = ['/cmd_vel']
    for warning in (
        message_warning(lost=topics),
        message_warning(late=topics),
        message_warning(replaced=topics),
    ):
        made += diagnostic_statuses(node, one, configuration(), {}, COUNTS, warning)
    kinds = [
        [status for status in made if status.name.startswith(f'{node}: {kind}')]
        for kind in ('bridge', 'machine', 'base')
    ]
    levels = [{(LEVELS[status.level], status.message) for status in kind} for kind in kinds]
    return Statuses(levels, [_keys(kind) for kind in [*kinds, session_statuses(node, [SESSION])]])


def _keys(statuses: Iterable[DiagnosticStatus]) -> list[str]:
    return sorted({value.key for status in statuses for value in status.values})
