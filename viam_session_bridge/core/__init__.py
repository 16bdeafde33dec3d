# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Sessions, signs of life and last users: the rules, without I/O.

Guaranteed, whatever the shell around it does: a session is active exactly while its deadline
lies ahead of the ``now`` that was handed in (R4); when it ends, every base that it was the last
to use is named in a :class:`~viam_session_bridge.core.actions.Stop`, and no other (R6); a refused
command neither keeps a session alive nor lets the command before it live on (R3, R10).

Not guaranteed here: that a stop arrives. :mod:`viam_session_bridge.core.base_control` says what is
done about that.

Assumed: ``now`` is in seconds and never runs backwards. Nothing in this package reads a clock,
starts a thread, or imports rclpy or grpc; a test holds it to that.
"""
