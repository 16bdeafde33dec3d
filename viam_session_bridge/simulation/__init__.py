# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated Viam machine: real gRPC, real session rules, no hardware."""
