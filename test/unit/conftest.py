# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What several tests of units use."""

from __future__ import annotations

from collections.abc import Iterator
import os

import pytest

from support.bounds import Load


@pytest.fixture
def load() -> Iterator[Load]:
    """Return what measures how busy the computer is while a test runs; all is one process."""
    with Load() as load:
        load.watch(os.getpid)
        yield load
