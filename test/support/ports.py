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
