# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The floor: what a node does at least that forwards Twist to a Viam base, and nothing else.

An rclpy node as tutorials write it, whose callback blocks on one unary call of grpcio. It has
no sessions, so nothing stops the base when its publisher dies. Arguments: the machine's address,
the base, the topic. It prints `ready`.
"""

from __future__ import annotations

import math
import sys

from geometry_msgs.msg import Twist
import grpc
import rclpy
from rclpy.executors import ExternalShutdownException

from viam_session_bridge.viam import messages as wire


def main(address: str, base: str, topic: str) -> None:
    """Forward until killed."""
    channel = grpc.insecure_channel(address)
    set_velocity = wire.SET_VELOCITY.on(channel)
    grpc.channel_ready_future(channel).result(10.0)

    def forward(twist: Twist) -> None:
        linear = wire.Vector3(x=-twist.linear.y * 1e3, y=twist.linear.x * 1e3)
        angular = wire.Vector3(z=math.degrees(twist.angular.z))
        set_velocity(
            wire.SET_VELOCITY.request(name=base, linear=linear, angular=angular), timeout=0.25
        )

    rclpy.init(args=[])
    node = rclpy.create_node('bare_node')
    node.create_subscription(Twist, topic, forward, 10)
    print('ready', flush=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return


if __name__ == '__main__':
    main(*sys.argv[1:])
