# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the bridge reports: log, overview, diagnostics and event log."""
