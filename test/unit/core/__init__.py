# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The classes of the core, one by one: no I/O, time handed in."""
