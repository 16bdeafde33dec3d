# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A publisher that is told what to do by JSON lines on stdin, and answers each with one on stdout.

Run as a program; `publisher_process.py` speaks to it. Every publish leaves two lines in the log
file, one right before it and one right after it, so that the log of a killed publisher tells what
may have left and what has.
"""

from __future__ import annotations

import json
import math
import os
import select
import sys
import time
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
import rclpy
from rclpy.node import Node
from std_msgs.msg import Bool, String

HEARTBEATS = '/viam_session_bridge/heartbeat'
MARK = 1e-6  # m/s that each message of a marked stream adds to the speed forward
_MATCHING = 20.0  # s


class Stream:
    """One publisher of the node, what it publishes, and when next (never: only once)."""

    def __init__(self, node: Node, key: str, topic: str, kind: type, log: int) -> None:
        self._node = node
        self._kind = kind
        self._key = key
        self._topic = topic
        self._publisher: Any = node.create_publisher(kind, topic, 10)
        self._log = log
        self._number = 0
        self._what: dict[str, Any] = {}
        self._period = math.inf
        self.next_at = math.inf

    def await_match(self) -> None:
        deadline = time.monotonic() + _MATCHING
        while self._publisher.get_subscription_count() == 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f'nobody hears {self._topic}')
            time.sleep(0.005)

    def set(self, what: dict[str, Any]) -> float:
        """Publish this now and from now on; return when that was."""
        self._period = 1.0 / what['rate']
        self.next_at = time.monotonic() + self._period
        return self.once(what)

    def silence(self) -> None:
        self.next_at = math.inf

    def once(self, what: dict[str, Any]) -> float:
        self._what = what
        return self._publish()

    def publish_due(self, now: float) -> None:
        if now >= self.next_at:
            self._publish()
            # A rate, not a burst after a pause.
            self.next_at = max(self.next_at + self._period, now)

    def _publish(self) -> float:
        self._number += 1
        message = self._message()
        before = time.monotonic()
        self._note({'n': self._number, 'before': before})
        self._publisher.publish(message)
        self._note({'n': self._number, 'after': time.monotonic()})
        return before

    def _message(self) -> Any:
        what = self._what
        if self._kind in (Bool, String):
            return self._kind(data=what['data'])
        twist = Twist()
        twist.linear.x, twist.linear.y = what['forward'], what['left']
        twist.angular.z = what['turn']
        if what['marked']:
            twist.linear.x += MARK * self._number
        if self._kind is Twist:
            return twist
        stamped = TwistStamped(twist=twist)
        stamp = self._node.get_clock().now().nanoseconds - int(what['age'] * 1e9)
        stamped.header.stamp.sec, stamped.header.stamp.nanosec = divmod(stamp, 10**9)
        return stamped

    def _note(self, line: dict[str, Any]) -> None:
        line = {'key': self._key, 'topic': self._topic, **line}
        os.write(self._log, json.dumps(line).encode() + b'\n')


class Publisher:
    """The node with its streams."""

    def __init__(self, name: str, log: int) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node(name)
        self._streams: dict[str, Stream] = {}
        self._log = log

    def run(self) -> None:
        """Do what stdin says until it says `exit`, or ends."""
        waiting = b''
        while True:
            next_at = min((s.next_at for s in self._streams.values()), default=math.inf)
            timeout = None if next_at == math.inf else max(next_at - time.monotonic(), 0.0)
            if select.select([0], [], [], timeout)[0]:
                read = os.read(0, 65536)
                *lines, waiting = (waiting + read).split(b'\n')
                if not read or not all(map(self._obey, lines)):
                    break
            now = time.monotonic()
            for stream in self._streams.values():
                stream.publish_due(now)
        self._node.destroy_node()
        rclpy.shutdown()

    def _obey(self, line: bytes) -> bool:
        """Do one thing, answer, and tell whether to go on."""
        order = json.loads(line)
        at = 0.0
        match order['do']:
            case 'stream':
                at = self._stream(order).set(order)
            case 'once':
                at = self._stream(order).once(order)
            case 'silence':
                self._streams[order['key']].silence()
            case 'exit':
                return False
        print(json.dumps({'done': order['do'], 'at': at}), flush=True)
        return True

    def _stream(self, order: dict[str, Any]) -> Stream:
        key = order['key']
        if key not in self._streams:
            kinds = (Twist, TwistStamped, String, Bool)
            kind = {kind.__name__: kind for kind in kinds}[order['type']]
            self._streams[key] = Stream(self._node, key, order['topic'], kind, self._log)
            self._streams[key].await_match()
        return self._streams[key]


if __name__ == '__main__':
    Publisher(sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)).run()
