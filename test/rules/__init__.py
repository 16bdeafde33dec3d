# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that the core keeps, one file each: no I/O, time handed in."""
