# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Random scripts of clients, run against every implementation of the session rules (R2 to R6, R10).

A script says who commands, heartbeats, falls silent, resumes and leaves when. It is run against
the real viam-server and the simulated machine, each spoken to directly, against the bridge in
front of either, and against the core alone with handed-in time. `docs/differences.md` lists where
they are meant to differ. `make fuzz ARGS=--help` tells more.
"""
