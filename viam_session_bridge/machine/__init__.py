# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""One Viam machine: its messages, channel, machine sessions and per-base senders."""
