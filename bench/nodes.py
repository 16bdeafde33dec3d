# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The nodes that the bridge is compared with: `python -m bench.nodes NODE ADDRESS BASE TOPIC`.

``floor``: what a node does at least that forwards Twist to a Viam base: an rclpy node as tutorials
write it, whose callback blocks on one unary call of grpcio. It has no sessions, so nothing stops
the base when its publisher dies.

``sdk``: what people write on viam-sdk. The SDK wants an asyncio loop, which gets a thread of its
own; the callback hands each command over to it and does not wait for the answer, as a callback is
not to block. The session and its heartbeats are the SDK's own, by default: one for the node, which
lives for as long as the process does.

Each prints `ready` and forwards until it is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import math
import os
import sys

from geometry_msgs.msg import Twist
import rclpy
from rclpy.executors import ExternalShutdownException

Forward = Callable[[Twist], None]


def floor(address: str, name: str) -> Forward:
    """Connect, and return what forwards a command."""
    import grpc

    from viam_session_bridge.viam import messages as wire

    channel = grpc.insecure_channel(address)
    set_velocity = wire.SET_VELOCITY.on(channel)
    grpc.channel_ready_future(channel).result(10.0)

    def forward(twist: Twist) -> None:
        linear = wire.Vector3(x=-twist.linear.y * 1e3, y=twist.linear.x * 1e3)
        angular = wire.Vector3(z=math.degrees(twist.angular.z))
        set_velocity(
            wire.SET_VELOCITY.request(name=name, linear=linear, angular=angular), timeout=0.25
        )

    return forward


def sdk(address: str, name: str) -> Forward:
    """Connect in plaintext, without WebRTC, and return what forwards a command."""
    import asyncio
    import threading

    from viam.components.base import Base, Vector3
    from viam.robot.client import RobotClient
    from viam.rpc.dial import DialOptions

    async def connect() -> Base:
        options = RobotClient.Options(dial_options=DialOptions(insecure=True, disable_webrtc=True))
        return Base.from_robot(await RobotClient.at_address(address, options), name)

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    base = asyncio.run_coroutine_threadsafe(connect(), loop).result(10.0)

    def forward(twist: Twist) -> None:
        linear = Vector3(x=-twist.linear.y * 1e3, y=twist.linear.x * 1e3, z=0.0)
        angular = Vector3(x=0.0, y=0.0, z=math.degrees(twist.angular.z))
        asyncio.run_coroutine_threadsafe(base.set_velocity(linear, angular), loop)

    return forward


def main(kind: str, address: str, base: str, topic: str) -> None:
    """Forward until killed."""
    stdout = os.dup(1)
    os.dup2(2, 1)  # the SDK logs to stdout, which nobody reads to the end
    forward = {'floor': floor, 'sdk': sdk}[kind](address, base)
    rclpy.init(args=[])
    node = rclpy.create_node(f'{kind}_node')
    node.create_subscription(Twist, topic, forward, 10)
    os.write(stdout, b'ready\n')
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    main(*sys.argv[1:])
