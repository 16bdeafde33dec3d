# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A node with a `SessionClient` that does what JSON lines on stdin tell, in its own executor.

Run as a program; `client_process.py` speaks to it. Every publish is noted, as `publisher.py` does
it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from geometry_msgs.msg import Twist
import rclpy
from rclpy.publisher import Publisher

from viam_session_bridge.client import Heartbeats, SessionClient


def note_publishes(log: int) -> None:
    """Have every publisher of this process note what it sends, right before and after."""
    publish, number = Publisher.publish, 0

    def noted(publisher: Any, message: Any) -> None:
        nonlocal number
        number += 1
        about = {'key': publisher.topic_name, 'topic': publisher.topic_name, 'n': number}
        os.write(log, json.dumps({**about, 'before': time.monotonic()}).encode() + b'\n')
        publish(publisher, message)
        os.write(log, json.dumps({**about, 'after': time.monotonic()}).encode() + b'\n')

    Publisher.publish = noted  # type: ignore[method-assign, assignment]


class ClientNode:
    """The node; orders are carried out by its executor, one after the other."""

    def __init__(self, name: str) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node(name)
        self._client = SessionClient(self._node)
        self._heartbeats: Heartbeats | None = None
        self._publishers: dict[str, Any] = {}
        self._orders: list[dict[str, Any]] = []
        self._ordered = self._node.create_guard_condition(self._obey)

    def run(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        rclpy.spin(self._node)

    def _read(self) -> None:
        for line in sys.stdin:
            self._orders.append(json.loads(line))
            self._ordered.trigger()

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.pop(0)
            at = time.monotonic()
            getattr(self, order.pop('do'))(**order)
            print(json.dumps({'at': at}), flush=True)

    def publish(self, topic: str, forward: float) -> None:
        if topic not in self._publishers:
            publisher: Any = self._node.create_publisher(Twist, topic, 1)
            self._publishers[topic] = publisher
            while not publisher.get_subscription_count():
                time.sleep(0.005)
        twist = Twist()
        twist.linear.x = forward
        self._publishers[topic].publish(twist)

    def session(self, topic: str) -> None:
        self._heartbeats = self._client.session(topic)
        self._heartbeats.start()

    def permission(self, node: str) -> None:
        self._heartbeats = self._client.permission(node)
        self._heartbeats.start()

    def stop(self) -> None:
        assert self._heartbeats is not None
        self._heartbeats.stop()

    def hang(self) -> None:
        print(json.dumps({'at': time.monotonic()}), flush=True)
        while True:
            time.sleep(1.0)


if __name__ == '__main__':
    note_publishes(os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    ClientNode(sys.argv[1]).run()
