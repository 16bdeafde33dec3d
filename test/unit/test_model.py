# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The model of the stop protocol passes, and its checker catches what breaks it (R7, R9, R10)."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

CHECK = Path(__file__).resolve().parents[2] / 'docs' / 'model' / 'check'
MISSING = [program for program in ('spin', 'gcc') if shutil.which(program) is None]


@pytest.mark.skipif(
    bool(MISSING) and os.environ.get('CI') != 'true',
    reason=f'not installed: {", ".join(MISSING)}',
)
@pytest.mark.timeout(600)  # half a minute on an idle core
def test_the_model_passes_and_mutations_are_caught() -> None:
    done = subprocess.run(
        [sys.executable, str(CHECK), '--quick'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
