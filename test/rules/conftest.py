# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of most rules begin with."""

from __future__ import annotations

import pytest

from support.pure import Rig
from support.session_table import MODES, WINDOW
from viam_session_bridge.core.sessions import SessionTable


@pytest.fixture
def table() -> SessionTable:
    return SessionTable(WINDOW, MODES)


@pytest.fixture
def rig() -> Rig:
    """Let A drive a base; all calls are answered."""
    rig = Rig()
    rig.drive('A')
    return rig
