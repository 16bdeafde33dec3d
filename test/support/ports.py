# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Free ports on the loopback."""

import random
import socket

# Below the ports the kernel gives to outgoing connections, so that a port stays free while the
# server that had it restarts. An own generator, as tests seed the common one.
_PORTS = range(18000, 32000)
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, never one twice."""
    for port in _random.sample(_PORTS, 200):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError('no free port found')


def own_address() -> str:
    """Return an IPv4 address of this computer that is no loopback one as far as one can read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))  # sends nothing
        except OSError:
            return '0.0.0.0'  # no network: this leads to the computer itself, too
        address: str = probe.getsockname()[0]
        return address
