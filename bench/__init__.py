# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Measurements against the real viam-server.

Run them on an idle machine, from the project's directory: `python -m bench` runs those that have
goals, `python -m bench command_latency` one of them; docs/benchmarks.md says what the figures
mean. All times are of CLOCK_MONOTONIC, which every process of a host shares.
"""

from pathlib import Path
import sys

# The real viam-server and its record are the tests'.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test'))
