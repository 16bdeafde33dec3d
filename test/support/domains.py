# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""ROS domains that no other suite on this computer uses, as long as one holds them."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import random
import tempfile

DOMAINS = range(1, 90)  # the demo and the benchmarks have those up to 101, DDS's last
FAST_DDS = 'rmw_fastrtps_cpp'
ZENOH = os.environ.get('RMW_IMPLEMENTATION') == 'rmw_zenoh_cpp'
"""
Whether the tests run over Zenoh, whose router has to be started before them.

There a killed publisher leaves the graph at once, and a GID does not tell its process.
"""
_DIRECTORY = Path(__file__).parent
FIRST_PORT, PORTS = 7400, 250  # of DDS: domain 0's multicast port, and how many a domain has


@contextlib.contextmanager
def own_domain() -> Iterator[int]:
    """
    Hold a domain that no process of this computer is in.

    It is held by a locked file, which the kernel lets go should this process crash.
    """
    directory = Path(tempfile.gettempdir()) / f'viam_session_bridge_domains.{os.getuid()}'
    directory.mkdir(exist_ok=True)
    # An own generator, as tests seed the common one.
    for domain in random.SystemRandom().sample(DOMAINS, len(DOMAINS)):
        with (directory / str(domain)).open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if domain in _busy():
                continue
            yield domain
            return
    raise RuntimeError(f'all ROS domains are taken, see {directory}')


def _busy() -> set[int]:
    """Return the domains that somebody is in who knows nothing of these locks."""
    return {(port - FIRST_PORT) // PORTS for port in udp_ports()}


def udp_ports() -> set[int]:
    """Return the ports of this computer to which somebody listens."""
    ports = set()
    for table in (Path('/proc/net/udp'), Path('/proc/net/udp6')):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            ports.add(int(line.split()[1].rpartition(':')[2], 16))
    return ports


def ros_environment(domain: int) -> dict[str, str]:
    """
    Return the variables that keep a ROS process in that domain of this computer.

    Without shared memory, as the bridge does it.
    """
    return _environment(domain, 'SYSTEM_DEFAULT', 'fastdds_udp.xml')


def publishers_environment(domain: int) -> dict[str, str]:
    """Return the same for other people's nodes, which have shared memory."""
    return _environment(domain, 'LOCALHOST', 'fastdds.xml')


def _environment(domain: int, discovery: str, profiles: str) -> dict[str, str]:
    rmw = os.environ.get('RMW_IMPLEMENTATION', FAST_DDS)
    return {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': discovery if rmw == FAST_DDS else 'LOCALHOST',
        'RMW_IMPLEMENTATION': rmw,
        'FASTDDS_DEFAULT_PROFILES_FILE': str(_DIRECTORY / profiles),
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(_DIRECTORY / profiles),  # its name with Jazzy
        'RUST_LOG': 'error',  # Zenoh's log goes to stdout, by which some processes answer
    }
