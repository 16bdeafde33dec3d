# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Random scripts and faults; a few of them run in every `make test`."""
