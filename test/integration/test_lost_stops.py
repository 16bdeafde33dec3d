# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Stops that could get lost on a real viam-server act in time (R7 to R10, R13, R15, R20).

`python -m bench.hard_cases` measures them, with more repetitions.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.bounds import EARLY, Load
from support.hard_cases import CASES

BASES = 2


# That zeros work while stops fail 20 times is shown in test/e2e/test_lost_stops.py.
@pytest.mark.parametrize('case', [case for case in CASES if case != 'stop fails 20 times'])
def test_stop_acts_in_time_and_nothing_moves_unattended(case: str, tmp_path: Path) -> None:
    provoke, bound = CASES[case]
    with Load() as load:
        load.watch(os.getpid)
        seen = provoke(tmp_path, BASES)
        assert len(seen) == BASES
        for stop in seen:
            assert stop.late >= -EARLY
            assert stop.late <= bound + load.between(stop.due, stop.at), seen
