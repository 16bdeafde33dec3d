# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The fault campaign in short: other faults each time, on slow bases where the seed is odd."""

from __future__ import annotations

import os
from pathlib import Path
import random
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.link import refusal
from support.process import ROOT

FAULTS = 12
SLOW = 0.4  # s that a call takes
BOUND = 180.0  # s


@pytest.mark.skipif(bool(refusal()), reason=f'there can be no two hosts: {refusal()}')
def test_no_rule_is_broken_whatever_fails(tmp_path: Path) -> None:
    seed = os.environ.get('CHAOS_SEED') or str(random.SystemRandom().randrange(10**6))
    takes = SLOW if int(seed) % 2 else 0.0
    command = [sys.executable, '-m', 'campaigns.chaos', '--seed', seed, '--faults', str(FAULTS)]
    command += ['--base-takes', str(takes)]
    path = os.pathsep.join([str(ROOT), str(ROOT / 'test'), os.environ.get('PYTHONPATH', '')])
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BOUND,
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    assert f'{FAULTS} faults of 1 seeds' in ended.stdout
