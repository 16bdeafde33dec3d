# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""python -m viam_session_bridge.simulation."""

from viam_session_bridge.executables import simulated_machine

simulated_machine()
