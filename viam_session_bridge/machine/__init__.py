# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""One Viam machine: its messages, channel, machine sessions and per-base senders."""

import os

# Read when grpc is imported: it would write a line of its own for each failed try to connect,
# several a second. What they mean is said once a minute, see diagnosis.py.
os.environ.setdefault('GRPC_VERBOSITY', 'NONE')
