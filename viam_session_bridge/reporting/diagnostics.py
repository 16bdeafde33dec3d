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
from viam_session_bridge.reporting.overview import (
    BaseRow,
    join_pairs,
    MachineRow,
    Overview,
    session_values,
    SessionRow,
)
from viam_session_bridge.text import some

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
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
    """Return what is wrong with the messages of these topics; '' where there are none."""
    if lost:
        return f'messages are lost on their way: {some(lost, TOPICS_NAMED)}'
    if late:
        return f'messages come too late and are discarded: {some(late, TOPICS_NAMED)}'
    if replaced:
        return f'commands come faster than they are handled: {some(replaced, TOPICS_NAMED)}'
    return ''


def session_statuses(node: str, rows: Iterable[SessionRow]) -> list[DiagnosticStatus]:
    """Return one status a session, for ``~/sessions``."""
    return [
        _status(OK, f'{node}: session {row.id}', row.state, row.client, session_values(row))
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
        *(
            _machine_status(row, machines[row.machine], overview.active)
            for row in overview.machines
        ),
        *(
            _base_status(row, bases[row.base], latencies.get(row.base, StopLatency()))
            for row in overview.bases
        ),
    ]
    for status in statuses:
        status_name = status.name
        status.name = f'{node}: {status_name}'
        if lines := [line for some in problems for line in some.lines(status_name, now)]:
            level = ERROR if any(some.has_error(status_name, now) for some in problems) else WARN
            status.level = max(status.level, level)
            status.message = '; '.join([*lines, status.message])
    return statuses


def _bridge_status(
    node: str, overview: Overview, counts: Mapping[str, int | str], warning: str
) -> DiagnosticStatus:
    if not warning and counts.get('discarded_messages'):
        warning = 'messages were discarded after a late wake-up'
    message = warning or ('active' if overview.active else 'inactive')
    values = {'sessions': len(overview.sessions), **counts}
    return _status(WARN if warning else OK, BRIDGE, message, node, values)


def _machine_status(
    row: MachineRow, machine: MachineConfiguration, active: bool
) -> DiagnosticStatus:
    plaintext = machine.is_plaintext_to_network
    level, message = OK, 'connected'
    if not row.ready and not active:
        message = 'not connected, as the bridge is inactive'
    elif not row.ready:
        level, message = ERROR, 'not connected'
    elif not row.supervised:
        level, message = WARN, 'UNSUPERVISED: the machine has no sessions'
    elif plaintext:
        level, message = WARN, 'PLAINTEXT: anyone on its network can drive it'
    values = {'ready': row.ready, 'machine_window': row.window, 'plaintext': plaintext}
    return _status(level, at_machine(row.machine), message, row.machine, values)


def _base_status(
    row: BaseRow, base: BaseConfiguration, latency: StopLatency
) -> DiagnosticStatus:
    level, message = OK, f'last user: session {row.session}' if row.session else 'nobody drives'
    if row.stopping:
        level, message = WARN, 'stopping'
    elif base.sessions is SessionsMode.DISABLED:
        level, message = WARN, 'sessions are disabled: no lapse stops this base'
    values = {
        'machine': row.machine,
        'resource': base.resource,
        'last_user': row.session,
        'refusals': join_pairs(row.refusals),
        'stops': latency.count,
        'stop_latency_last': f'{latency.last:.4f}',
        'stop_latency_worst': f'{latency.worst:.4f}',
    }
    return _status(level, at_base(row.base), message, row.base, values)


def _status(
    level: bytes, name: str, message: str, hardware_id: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=hardware_id, values=pairs
    )
