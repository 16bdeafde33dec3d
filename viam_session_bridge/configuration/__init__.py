# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration: the table of parameters, their values, and what is wrong with them."""
