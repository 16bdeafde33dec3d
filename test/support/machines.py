# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Both machines: the real viam-server, in two versions, and the simulated one, as processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from support.simulated import SimulatedMachineProcess
from support.viam_server import ViamServer

Machine = ViamServer | SimulatedMachineProcess

KINDS: dict[str, Callable[..., Machine]] = {
    'viam_server': ViamServer,
    'newest_viam_server': partial(ViamServer, newest=True),
    'simulated': SimulatedMachineProcess,
}
"""What makes a machine in a directory, with the names of its bases and its window in s."""
