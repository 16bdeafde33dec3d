# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Heartbeats from a node of your own, and the overview: what a Viam SDK does for its programs.

    client = SessionClient(node)
    with client.session('/cmd_vel'):
        rclpy.spin(node)
"""

from __future__ import annotations

from viam_session_bridge.client.session_client import Heartbeats, SessionClient

__all__ = ['Heartbeats', 'SessionClient']
