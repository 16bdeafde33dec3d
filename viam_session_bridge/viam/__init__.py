# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The way to one Viam machine and back: messages, channel, transports and credentials."""

import os

# grpc reads it when it is imported. It would write a line for each failed try to connect, several
# a second; the bridge reports the reason once a minute, see connection_check.py.
os.environ.setdefault('GRPC_VERBOSITY', 'NONE')
