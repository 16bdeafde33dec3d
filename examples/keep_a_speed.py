#!/usr/bin/env python3
# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Keeps a speed without repeating it: one command, then heartbeats as long as this node works.

    python3 keep_a_speed.py --ros-args -r cmd_vel:=/my_base/cmd_vel

For `sessions: auto`.
"""

from __future__ import annotations

import sys
import time

from geometry_msgs.msg import Twist
import rclpy
from rclpy.executors import ExternalShutdownException

from viam_session_bridge.client import SessionClient

SPEED = 0.2  # m/s
FOUND_WITHIN = 10.0  # s


def main() -> int:
    rclpy.init()
    node = rclpy.create_node('keep_a_speed')
    publisher = node.create_publisher(Twist, 'cmd_vel', 1)
    client = SessionClient(node)
    if not client.wait_for_bridge(FOUND_WITHIN):
        print('no bridge is there', file=sys.stderr)
        return 1
    while not publisher.get_subscription_count():
        time.sleep(0.05)

    command = Twist()
    command.linear.x = SPEED
    publisher.publish(command)
    # Ctrl-C: the publisher leaves, and the bridge stops the base.
    try:
        with client.session('cmd_vel'):
            rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # so rclpy ends where the signal comes between two rounds of spinning
        if rclpy.ok():
            raise
    return 0


if __name__ == '__main__':
    sys.exit(main())
