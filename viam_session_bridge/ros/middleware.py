# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the bridge asks of the middleware, before it joins a ROS domain.

Fast DDS exchanges messages within a computer through shared memory, with locks in it. A process
that is killed takes such a lock with it now and then: then the bridge hears nobody for a third of
a second, or crashes when it ends, and one that is started anew hears nobody at all. Datagrams have
no locks, and are as quick for messages as small as these.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
PEERS = 'ROS_STATIC_PEERS'
PROFILES, JAZZYS_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
LOCALHOST = Path(__file__).with_name('localhost.xml')


def avoid_shared_memory(
    middleware: str, environment: MutableMapping[str, str], jazzy: bool = False
) -> None:
    """
    Have Fast DDS use UDP alone for this process, where its user chose nothing else.

    For LOCALHOST the rmw layer brings shared memory of its own, so that its other settings are
    made by a profile instead, unless the user has one.

    :param middleware: the name of the rmw implementation
    :param jazzy: it is ROS 2 Jazzy's; later ones warn of the name that Jazzy knows
    """
    if not middleware.startswith('rmw_fastrtps') or TRANSPORTS in environment:
        return
    environment[TRANSPORTS] = 'UDPv4'
    chosen = any(environment.get(name) for name in (PROFILES, JAZZYS_PROFILES, PEERS))
    if environment.get(RANGE) == 'LOCALHOST' and not chosen:
        environment[RANGE] = 'SYSTEM_DEFAULT'
        environment[JAZZYS_PROFILES if jazzy else PROFILES] = str(LOCALHOST)
