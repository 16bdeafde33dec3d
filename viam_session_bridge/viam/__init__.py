# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The way to one Viam machine and back: messages, channel, transports and credentials."""

import os

# Read when grpc is imported: it would write a line of its own for each failed try to connect,
# several a second. What they mean is said once a minute, see connection_check.py.
os.environ.setdefault('GRPC_VERBOSITY', 'NONE')
