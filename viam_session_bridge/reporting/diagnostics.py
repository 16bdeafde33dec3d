# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The overview as ``diagnostic_msgs``: ``~/sessions`` and ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from viam_session_bridge.configuration.model import BaseConfiguration, SessionsMode
from viam_session_bridge.reporting.active_problems import at_base, at_machine, BRIDGE
from viam_session_bridge.reporting.overview import BaseRow, MachineRow, Overview, SessionRow

NAMED = 3  # topics that a message names


@dataclass
class StopLatency:
    """How long stops took from the decision to the acknowledgement, s."""

    count: int = 0
    last: float = 0.0
    worst: float = 0.0

    def add(self, seconds: float) -> None:
        """Take one more."""
        self.count += 1
        self.last = seconds
        self.worst = max(self.worst, seconds)


class Wrong(NamedTuple):
    """What stands at a place, see :mod:`viam_session_bridge.reporting.active_problems`."""

    lines: Sequence[str] = ()
    error: bool = False


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
                'node': row.node if by_gid(row) else f'all publishers of {row.topic}',
                'gid': row.client if by_gid(row) else '',
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


def by_gid(row: SessionRow) -> bool:
    """Whether the client is a publisher; on Jazzy it is a topic, with all its publishers (R1)."""
    return row.client != row.topic


def diagnostic_statuses(
    node: str,
    overview: Overview,
    bases: Mapping[str, BaseConfiguration],
    latencies: Mapping[str, StopLatency],
    counts: Mapping[str, int],
    plaintext: frozenset[str] = frozenset(),
    losing: Sequence[str] = (),
    old: Sequence[str] = (),
    replacing: Sequence[str] = (),
    problems: Callable[[str], Wrong] = lambda place: Wrong(),
) -> list[DiagnosticStatus]:
    """
    Return what ``/diagnostics`` gets: the node, each machine and each base.

    :param counts: of the node: discarded and lost messages, refused heartbeats by reason
    :param plaintext: the machines that are reached over a network without TLS
    :param losing: the topics that lose messages now
    :param old: those whose messages are older than the window when they come (R2)
    :param replacing: those whose commands come faster than they are handled
    :param problems: what stands at a place
    """
    level, message = DiagnosticStatus.OK, 'active' if overview.active else 'inactive'
    if losing:
        level = DiagnosticStatus.WARN
        message = f'messages are lost on their way: {_some(losing)}'
    elif old:
        level = DiagnosticStatus.WARN
        message = f'messages come too late and are discarded: {_some(old)}'
    elif replacing:
        level = DiagnosticStatus.WARN
        message = f'commands come faster than they are handled: {_some(replacing)}'
    elif counts.get('discarded_messages'):
        level, message = DiagnosticStatus.WARN, 'messages were discarded after a late wake-up'
    return [
        with_problems(
            _status(level, f'{node}: bridge', message, node,
                    {'sessions': len(overview.sessions), **counts}),
            problems(BRIDGE),
        ),
        *(
            with_problems(
                _machine_status(node, row, row.machine in plaintext),
                problems(at_machine(row.machine)),
            )
            for row in overview.machines
        ),
        *(
            with_problems(
                _base_status(node, row, bases[row.base], latencies.get(row.base, StopLatency())),
                problems(at_base(row.base)),
            )
            for row in overview.bases
        ),
    ]  # fmt: skip


def with_problems(status: DiagnosticStatus, wrong: Wrong) -> DiagnosticStatus:
    """Have a status tell what is wrong, before what it says else."""
    if wrong.lines:
        level = DiagnosticStatus.ERROR if wrong.error else DiagnosticStatus.WARN
        status.level = max(status.level, level)
        status.message = '; '.join([*wrong.lines, status.message])
    return status


def _machine_status(node: str, row: MachineRow, plaintext: bool) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, 'connected'
    if not row.ready:
        level, message = DiagnosticStatus.ERROR, 'not connected'
    elif not row.supervised:
        level, message = DiagnosticStatus.WARN, 'UNSUPERVISED: the machine has no sessions'
    elif plaintext:
        level, message = DiagnosticStatus.WARN, 'PLAINTEXT: anyone on its network can drive it'
    values = {'ready': row.ready, 'machine_window': row.window, 'plaintext': plaintext}
    return _status(level, f'{node}: machine {row.machine}', message, row.machine, values)


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
    return _status(level, f'{node}: base {row.base}', message, row.base, values)


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
    more = f' and {len(names) - NAMED} more' if len(names) > NAMED else ''
    return ', '.join(names[:NAMED]) + more


def _pairs(mapping: Mapping[str, object]) -> str:
    return ', '.join(f'{key}: {value}' for key, value in sorted(mapping.items()))
