# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS side: parameters, publishers and their identity, the node and its overview."""
