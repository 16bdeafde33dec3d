# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a bridge told of its sessions is read back as it was."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs ROS 2')

from viam_session_bridge.reporting.diagnostics import session_statuses
from viam_session_bridge.reporting.overview import Overview, overview_of, session_row, SessionRow

PUBLISHER = SessionRow(
    id=7, client='01' * 16, node='/robot/teleop', topic='/robot/cmd_vel', state='active',
    machine_sessions={'main': '1a2b3c4d', 'arm': '5e6f7a8b'}, bases=['front', 'rear'], age=12.345,
    to_lapse=0.25, commands=42, refusals={'stamp': 2, 'not_ready': 1},
)  # fmt: skip
# Whose node the graph does not name, and ended.
UNNAMED = SessionRow(
    id=8, client='0102', node='', topic='/cmd_vel', state='lapse', machine_sessions={},
    bases=[], age=1.0, to_lapse=0.0, commands=1, refusals={},
)  # fmt: skip


def values_of(row: SessionRow) -> dict[str, str]:
    (status,) = session_statuses('/viam_session_bridge', [row])
    return {pair.key: pair.value for pair in status.values}


@pytest.mark.parametrize('row', [PUBLISHER, UNNAMED], ids=['named', 'unnamed'])
def test_session_is_read_from_its_status(row: SessionRow) -> None:
    assert session_row(values_of(row)) == row


@pytest.mark.parametrize('wrong', [{'id': ''}, {'age': 'long'}, {'refusals': 'stamp: many'}])
def test_status_of_something_else_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match='not a session'):
        session_row({**values_of(PUBLISHER), **wrong})


def test_status_that_lacks_something_is_refused() -> None:
    with pytest.raises(ValueError, match="not a session of a bridge: KeyError\\('gid'\\)"):
        session_row({name: value for name, value in values_of(UNNAMED).items() if name != 'gid'})


def test_bridge_that_is_not_configured_has_nothing() -> None:
    nothing = Overview(False, 0.0, 0, [], [], [])
    assert overview_of(False, 'the node is not configured') == nothing


@pytest.mark.parametrize(
    'message', ['', '[]', '{}', '{"sessions": 1, "bases": [], "machines": []}',
                json.dumps({'sessions': [{}], 'bases': [], 'machines': []})]
)  # fmt: skip
def test_answer_of_something_else_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match='not an overview'):
        overview_of(True, message)
