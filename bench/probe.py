# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers of 50 Hz that fall silent again and again; `python -m bench.probe NODE FILE TOPIC...`.

One publisher a topic. Each drives for a while, is silent until its session has lapsed, and drives
again. It prints `ready` and the GIDs, in the topics' order, once all are heard. What was sent is
noted in FILE right before each publish; a command's number is in its speed, as in
:mod:`bench.publisher`.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
import os
from pathlib import Path
import random
import struct
import sys
import time
from typing import NamedTuple

RATE = 50.0  # Hz
DRIVES = 0.3, 0.7  # s, at least and at most
SILENT = 0.8  # s, more than the window
SPEED_PER_NUMBER = 1e-6  # m/s
_SENT = struct.Struct('<iqd')
_POLL = 0.02  # s
_MATCHED_SINCE = 0.5  # s, for the other side to have matched as well, and the graph to know


class Sent(NamedTuple):
    """One command: which publisher's, its number there, and when it left."""

    probe: int
    number: int
    at: float


def read_sent(path: Path) -> list[Sent]:
    """Return what was sent so far, in order."""
    data = path.read_bytes()
    whole = data[: len(data) // _SENT.size * _SENT.size]
    return [Sent(*fields) for fields in _SENT.iter_unpack(whole)]


def main(name: str, path: str, topics: Iterable[str]) -> None:
    """Run the process until it is killed."""
    # Here, for the functions above are used by processes that are no ROS nodes.
    from geometry_msgs.msg import Twist
    import rclpy

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    rclpy.init(args=[])
    node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
    publishers = [node.create_publisher(Twist, topic, 10) for topic in topics]
    while not all(publisher.get_subscription_count() for publisher in publishers):
        time.sleep(_POLL)
    time.sleep(_MATCHED_SINCE)
    gids = [
        bytes(info.endpoint_gid).hex()
        for topic in topics
        for info in node.get_publishers_info_by_topic(topic)
        if info.node_name == name
    ]
    print('ready', json.dumps(gids), flush=True)
    message = Twist()
    numbers = [0] * len(publishers)
    began = time.monotonic()
    # Each in a phase of its own.
    due = [began + random.uniform(0.0, SILENT) for _ in publishers]
    ends = [at + random.uniform(*DRIVES) for at in due]
    while True:
        index = min(range(len(due)), key=due.__getitem__)
        time.sleep(max(due[index] - time.monotonic(), 0.0))
        numbers[index] += 1
        message.linear.x = numbers[index] * SPEED_PER_NUMBER
        now = time.monotonic()
        os.write(file, _SENT.pack(index, numbers[index], now))
        publishers[index].publish(message)
        if now < ends[index]:
            # A late command moves those after it: commands in bursts are another measurement.
            due[index] = max(due[index] + 1.0 / RATE, now)
        else:
            due[index] = now + SILENT
            ends[index] = due[index] + random.uniform(*DRIVES)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
