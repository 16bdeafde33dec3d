# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How gRPC is to connect to a machine: options, TLS, plaintext."""

from __future__ import annotations

import grpc

from viam_session_bridge.configuration import MachineConfiguration

LARGEST_ANSWER = 1024 * 1024  # bytes: a thousand sessions take a tenth of it

_OPTIONS = [
    # Reconnect quickly: a machine that comes back is driven again within a second or so.
    ('grpc.initial_reconnect_backoff_ms', 100),
    ('grpc.min_reconnect_backoff_ms', 1000),
    ('grpc.max_reconnect_backoff_ms', 1000),
    # Bases of one robot may share an address with other programs' channels; never their sockets.
    ('grpc.use_local_subchannel_pool', 1),
    # A proxy from the environment is no way to a robot's own machine.
    ('grpc.enable_http_proxy', 0),
    ('grpc.max_receive_message_length', LARGEST_ANSWER),
]


def link(machine: MachineConfiguration) -> grpc.Channel:
    """Return a gRPC channel to a machine that is reached directly."""
    if machine.insecure:
        return grpc.insecure_channel(machine.address, options=_OPTIONS)
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if machine.server_name:
        options.append(('grpc.ssl_target_name_override', machine.server_name))
    tls = grpc.ssl_channel_credentials(root_certificates=machine.trusted)
    return grpc.secure_channel(machine.address, tls, options=options)
