# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m viam_session_bridge`` is the executable ``bridge``."""

from viam_session_bridge.executables import bridge

if __name__ == '__main__':
    bridge()
