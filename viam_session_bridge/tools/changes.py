# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What changed between two overviews, in lines, for where a table cannot be redrawn: pure."""

from __future__ import annotations

from collections.abc import Iterator

from viam_session_bridge.reporting.overview import Overview
from viam_session_bridge.tools.table import ACTIVE, publisher


def changes(before: Overview | None, after: Overview) -> Iterator[str]:
    """Yield a line for each change; all there is where there was nothing before."""
    if before is None or before.active != after.active:
        yield f'the bridge is {"active" if after.active else "INACTIVE"}'
    machines = {} if before is None else {row.machine: row.ready for row in before.machines}
    for machine in after.machines:
        if machines.get(machine.machine) != machine.ready:
            yield f'machine {machine.machine}: {"connected" if machine.ready else "NOT CONNECTED"}'
    names = {row.id: publisher(row) for row in after.sessions}
    known = {} if before is None else {row.id: row.state for row in before.sessions}
    for row in sorted(after.sessions, key=lambda row: row.id):
        # One may have come and gone in between; one that was gone from the start is history.
        if row.state == ACTIVE and row.id not in known:
            yield f'session {row.id} of {names[row.id]} started'
        elif row.state != ACTIVE and before is not None and known.get(row.id) != row.state:
            stopped = f'stopping {", ".join(row.bases)}' if row.bases else 'it stops no base'
            yield f'session {row.id} of {names[row.id]} ended ({row.state}): {stopped}'
    users = {} if before is None else {row.base: row.session for row in before.bases}
    for base in after.bases:
        if users.get(base.base, 0) != base.session:
            user = f'{names.get(base.session, "")} (session {base.session})'
            yield f'base {base.base}: last user {user if base.session else "nobody"}'
