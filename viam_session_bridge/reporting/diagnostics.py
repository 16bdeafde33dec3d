# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The overview as ``diagnostic_msgs``: ``~/sessions`` and ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.reporting.active_problems import (
    ActiveProblems,
    at_base,
    at_machine,
    BRIDGE,
)
from viam_session_bridge.reporting.overview import BaseRow, MachineRow, Overview, SessionRow

TOPICS_NAMED = 3


@dataclass
class StopLatency:
    """How long stops took from the decision to the acknowledgement, s."""

    count: int = 0
    last: float = 0.0
    worst: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one more."""
        self.count += 1
        self.last = seconds
        self.worst = max(self.worst, seconds)


def message_warning(
    lost: Sequence[str] = (), late: Sequence[str] = (), replaced: Sequence[str] = ()
) -> str:
    """
    Return the message about topics whose messages do not get through; '' where there are none.

    :param lost: topics that lose messages now
    :param late: those whose messages are older than the window when they come (R2)
    :param replaced: those whose commands come faster than they are handled
    """
    if lost:
        return f'messages are lost on their way: {_some(lost)}'
    if late:
        return f'messages come too late and are discarded: {_some(late)}'
    return f'commands come faster than they are handled: {_some(replaced)}' if replaced else ''


def session_statuses(node: str, rows: Iterable[SessionRow]) -> list[DiagnosticStatus]:
    """Return one status a session, for ``~/sessions``."""
    return [
        _status(
            DiagnosticStatus.OK,
            f'{node}: session {row.id}',
            row.state,
            row.client,
            {
                'id': row.id,
                'node': row.node,
                'gid': row.client,
                'topic': row.topic,
                'state': row.state,
                'machine_sessions': _pairs(row.machine_sessions),
                'last_user_of': ', '.join(row.bases),
                'age': f'{row.age:.3f}',
                'time_to_lapse': f'{row.to_lapse:.3f}',
                'commands': row.commands,
                'refusals': _pairs(row.refusals),
            },
        )
        for row in rows
    ]


def diagnostic_statuses(
    node: str,
    overview: Overview,
    configuration: Configuration,
    latencies: Mapping[str, StopLatency],
    counts: Mapping[str, int | str],
    warning: str = '',
    problems: Sequence[ActiveProblems] = (),
    now: float = 0.0,
) -> list[DiagnosticStatus]:
    """
    Return the statuses of ``/diagnostics``: the node, each machine and each base.

    :param counts: of the node: discarded and lost messages, refused heartbeats by reason
    :param warning: see :func:`message_warning`
    :param problems: read at ``now``, s, steady
    """
    bases = {base.name: base for base in configuration.bases}
    machines = {machine.name: machine for machine in configuration.machines}
    statuses = [
        _bridge_status(node, overview, counts, warning),
        *(_machine_status(node, row, machines[row.machine]) for row in overview.machines),
        *(
            _base_status(node, row, bases[row.base], latencies.get(row.base, StopLatency()))
            for row in overview.bases
        ),
    ]
    for status in statuses:
        place = status.name.removeprefix(f'{node}: ')
        if lines := [line for some in problems for line in some.lines(place, now)]:
            error = any(some.has_error(place, now) for some in problems)
            level = DiagnosticStatus.ERROR if error else DiagnosticStatus.WARN
            status.level = max(status.level, level)
            status.message = '; '.join([*lines, status.message])
    return statuses


def _bridge_status(
    node: str, overview: Overview, counts: Mapping[str, int | str], warning: str
) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, 'active' if overview.active else 'inactive'
    if warning:
        level, message = DiagnosticStatus.WARN, warning
    elif counts.get('discarded_messages'):
        level, message = DiagnosticStatus.WARN, 'messages were discarded after a late wake-up'
    values = {'sessions': len(overview.sessions), **counts}
    return _status(level, f'{node}: {BRIDGE}', message, node, values)


def _machine_status(
    node: str, row: MachineRow, machine: MachineConfiguration
) -> DiagnosticStatus:
    plaintext = machine.is_plaintext_to_network
    level, message = DiagnosticStatus.OK, 'connected'
    if not row.ready:
        level, message = DiagnosticStatus.ERROR, 'not connected'
    elif not row.supervised:
        level, message = DiagnosticStatus.WARN, 'UNSUPERVISED: the machine has no sessions'
    elif plaintext:
        level, message = DiagnosticStatus.WARN, 'PLAINTEXT: anyone on its network can drive it'
    values = {'ready': row.ready, 'machine_window': row.window, 'plaintext': plaintext}
    return _status(level, f'{node}: {at_machine(row.machine)}', message, row.machine, values)


def _base_status(
    node: str, row: BaseRow, base: BaseConfiguration, latency: StopLatency
) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, f'last user: session {row.session}'
    if row.stopping:
        level, message = DiagnosticStatus.WARN, 'stopping'
    elif base.sessions is SessionsMode.DISABLED:
        level, message = DiagnosticStatus.WARN, 'sessions are disabled: no lapse stops this base'
    elif not row.session:
        message = 'nobody drives'
    values = {
        'machine': row.machine,
        'resource': base.resource,
        'last_user': row.session,
        'refusals': _pairs(row.refusals),
        'stops': latency.count,
        'stop_latency_last': f'{latency.last:.4f}',
        'stop_latency_worst': f'{latency.worst:.4f}',
    }
    return _status(level, f'{node}: {at_base(row.base)}', message, row.base, values)


def _status(
    level: bytes, name: str, message: str, hardware_id: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _some(names: Sequence[str]) -> str:
    more = f' and {len(names) - TOPICS_NAMED} more' if len(names) > TOPICS_NAMED else ''
    return ', '.join(names[:TOPICS_NAMED]) + more


def _pairs(mapping: Mapping[str, object]) -> str:
    return ', '.join(f'{key}: {value}' for key, value in sorted(mapping.items()))
