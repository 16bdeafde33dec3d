# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The fault campaign: `make chaos ARGS='--seed 7 --seeds 20 --faults 50'`.

Real processes on two hosts with a link between them: on the robot's the bridge and publishers, on
the machine's two viam-servers. Faults are drawn from a seed. What the bases recorded and what the
publishers noted decides afterwards whether a rule was broken; the bridge itself is not asked.
"""
