# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Tools beside the bridge: a table of its sessions, and a demo of what it is for."""
