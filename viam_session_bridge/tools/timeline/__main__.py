# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m viam_session_bridge.tools.timeline``."""

import sys

from viam_session_bridge.tools.timeline.main import main

if __name__ == '__main__':
    sys.exit(main())
