# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What people write today: an rclpy node that drives a Viam base through viam-sdk.

The SDK wants an asyncio loop, which gets a thread of its own; the callback hands each command
over to it and does not wait for the answer, as a callback is not to block. The session and its
heartbeats are the SDK's own, by default: one for the node, which lives for as long as the
process does. Arguments: the machine's address, the base, the topic. It prints `ready`.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading

from geometry_msgs.msg import Twist
import rclpy
from rclpy.executors import ExternalShutdownException
from viam.components.base import Base, Vector3
from viam.robot.client import RobotClient
from viam.rpc.dial import DialOptions


async def connect(address: str, base: str) -> Base:
    """Return the base of a machine in plaintext, without WebRTC."""
    options = RobotClient.Options(dial_options=DialOptions(insecure=True, disable_webrtc=True))
    return Base.from_robot(await RobotClient.at_address(address, options), base)


def main(address: str, name: str, topic: str) -> None:
    """Forward until killed."""
    # The SDK logs to stdout, which nobody reads to the end.
    stdout = os.dup(1)
    os.dup2(2, 1)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    base = asyncio.run_coroutine_threadsafe(connect(address, name), loop).result(10.0)

    def forward(twist: Twist) -> None:
        linear = Vector3(x=-twist.linear.y * 1e3, y=twist.linear.x * 1e3, z=0.0)
        angular = Vector3(x=0.0, y=0.0, z=math.degrees(twist.angular.z))
        asyncio.run_coroutine_threadsafe(base.set_velocity(linear, angular), loop)

    rclpy.init(args=[])
    node = rclpy.create_node('sdk_node')
    node.create_subscription(Twist, topic, forward, 10)
    os.write(stdout, b'ready\n')
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return


if __name__ == '__main__':
    main(*sys.argv[1:])
