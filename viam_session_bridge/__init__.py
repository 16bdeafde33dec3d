# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""Every ROS 2 velocity publisher as a session client of a Viam base."""
