# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Several parts together, without the whole bridge: real servers, links and processes."""
