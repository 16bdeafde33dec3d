# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m viam_session_bridge.tools.timeline``."""

from viam_session_bridge.executables import timeline

if __name__ == '__main__':
    timeline()
