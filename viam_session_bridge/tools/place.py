# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Where the demo runs: a port, a ROS domain and a directory that nobody else uses."""

from __future__ import annotations

from collections.abc import Iterable
import os
from pathlib import Path
import random
import socket

VIAM_PORT = 8080
# Below those that Linux gives to outgoing connections.
_PORTS = range(18000, 32000)
_DOMAINS = range(1, 102)
_DDS_PORTS, _DDS_PORTS_A_DOMAIN, _DDS_FIRST_UNICAST = 7400, 250, 10


def port(preferred: int | None = None) -> int:
    """Return a free TCP port of the loopback, the preferred one if it is."""
    first = () if preferred is None else (preferred,)
    return _free((*first, *random.sample(_PORTS, 100)), socket.SOCK_STREAM)


def alone(environment: dict[str, str]) -> None:
    """Change an environment so that ROS in it meets nobody else's."""
    ports = {
        _DDS_PORTS + _DDS_PORTS_A_DOMAIN * domain + _DDS_FIRST_UNICAST: domain
        for domain in random.sample(_DOMAINS, len(_DOMAINS))
    }
    # The port that the first process of a domain listens on.
    environment['ROS_DOMAIN_ID'] = str(ports[_free(ports, socket.SOCK_DGRAM)])
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    environment.pop('ROS_STATIC_PEERS', None)
    # The middleware that was tried. The wheels have no other, and need not be told.
    installed = 'share/ament_index/resource_index/packages/rmw_fastrtps_cpp'
    prefixes = environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if any(Path(prefix, installed).exists() for prefix in prefixes if prefix):
        environment['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'


def _free(ports: Iterable[int], kind: socket.SocketKind) -> int:
    for number in ports:
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(('127.0.0.1', number))
            except OSError:
                continue
        return number
    raise OSError('no free port of the loopback was found')
