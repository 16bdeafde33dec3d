# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The watchdog: a bridge that is wedged is to be ended and started anew by its supervisor.

Meanwhile its machine sessions lapse, and viam-server stops the bases (R12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock_type import ClockType

if TYPE_CHECKING:
    from viam_session_bridge.ros.node import BridgeNode
    from viam_session_bridge.ros.systemd import Supervisor

# Two looks may be needed until the lapse clock has come round, in the half of the time in which
# systemd wants to hear something.
_LOOKS = 4


def watch(node: BridgeNode, supervisor: Supervisor) -> None:
    """
    Tell the supervisor that the bridge lives, as long as its executor and its lapse clock do.

    The executor's timer looks whether the lapse clock came round since it looked last. Whichever
    of the two hangs or died, nothing is told any more.
    """
    if supervisor.watchdog is None:
        return

    def look() -> None:
        if node.came_round():
            supervisor.lives()

    # The node's own clock may be simulated, and stand still.
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(supervisor.watchdog / _LOOKS, look, clock=steady)
