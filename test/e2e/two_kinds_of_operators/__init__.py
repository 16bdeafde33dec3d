# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""ROS publishers and a Viam SDK program on the bases of one machine."""
