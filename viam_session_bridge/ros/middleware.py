# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the bridge asks of the middleware, before it joins a ROS domain.

Fast DDS exchanges messages within a computer through shared memory, with locks in it. A publisher
that is killed takes such a lock with it now and then: the bridge then hears nobody for a third of
a second, or crashes when it ends. Datagrams have no locks, and are as quick for small messages.
"""

from __future__ import annotations

from collections.abc import MutableMapping

TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'


def avoid_shared_memory(environment: MutableMapping[str, str]) -> None:
    """Have Fast DDS use UDP alone for this process, where its user chose nothing else."""
    environment.setdefault(TRANSPORTS, 'UDPv4')
