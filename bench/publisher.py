# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers of Twist in a process of their own that takes orders from stdin.

Arguments: node name, topics, file of the send times, how many publishers (1), spread over the
topics (separated by commas). It prints `ready` and the publishers' GIDs once a subscription has
matched each, and `done` after each line of stdin was obeyed:

``drive RATE FIRST COUNT BURST`` sends COUNT commands (0: until killed) at RATE Hz, numbered from
FIRST, BURST of each publisher in turn. ``beat RATE 0 COUNT 1`` sends heartbeats, each of which is
one for all publishers here. ``probe RATE FIRST 0 1`` has each publisher drive for a while, fall
silent until its session has lapsed, and drive again, in a phase of its own, until killed. It ends
with stdin.

The number is in the command, a millionth of a m/s each, so that it can be read off at the base.
Publisher, number and time.monotonic() right before publish() are written to the file first, in one
write each, so that SIGKILL loses nothing that was sent.
"""

from __future__ import annotations

import os
from pathlib import Path
import random
import struct
import sys
import time
from typing import Any

HEARTBEATS = '/viam_session_bridge/heartbeat'
SPEED_PER_NUMBER = 1e-6  # m/s
DRIVES, SILENT = (0.3, 0.7), 0.8  # s of a probe; the silence is longer than the window
_SENT = struct.Struct('<iqd')
_POLL = 0.02  # s
_MATCHED_SINCE = 0.3  # s, for the other side to have matched as well, and the graph to know


def number_of(forward: float) -> int:
    """Return a command's number from the forward speed at the base, mm/s."""
    return round(forward * 1e-3 / SPEED_PER_NUMBER)


def read_sent(path: Path) -> list[tuple[int, int, float]]:
    """Return the publisher, the number and the time of each command so far."""
    data = path.read_bytes()
    return list(_SENT.iter_unpack(data[: len(data) // _SENT.size * _SENT.size]))


class Publishers:
    """The publishers of this process."""

    def __init__(self, name: str, topics: list[str], path: str, count: int) -> None:
        """Wait until each is heard."""
        # Here, for the functions above are used by processes that are no ROS nodes.
        from geometry_msgs.msg import Twist
        import rclpy

        rclpy.init(args=[])
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
        self._message = Twist()
        self._publishers = [
            self._node.create_publisher(Twist, topics[index % len(topics)], 10)
            for index in range(count)
        ]
        self._heart: Any = None
        _await_match(self._publishers)
        self.gids = [
            bytes(info.endpoint_gid).hex()
            for topic in dict.fromkeys(topics)
            for info in self._node.get_publishers_info_by_topic(topic)
            if info.node_name == name
        ]

    def drive(self, rate: float, first: int, count: int, burst: int) -> None:
        """Send commands of each publisher in turn."""
        due, number = time.monotonic(), first
        while number != first + count or not count:
            time.sleep(max(due - time.monotonic(), 0.0))
            self._command((number - first) // burst % len(self._publishers), number)
            number += 1
            # A late command moves those after it: commands in bursts are another measurement.
            due = max(due + 1.0 / rate, time.monotonic())

    def beat(self, rate: float, first: int, count: int, burst: int) -> None:
        """Send heartbeats."""
        from std_msgs.msg import String

        if self._heart is None:
            self._heart = self._node.create_publisher(String, HEARTBEATS, 10)
            _await_match([self._heart])
        for _ in range(count):
            self._heart.publish(String())
            time.sleep(1.0 / rate)

    def probe(self, rate: float, first: int, count: int, burst: int) -> None:
        """Drive and fall silent, until this process is killed."""
        numbers = [first] * len(self._publishers)
        due = [time.monotonic() + random.uniform(0.0, SILENT) for _ in numbers]
        ends = [at + random.uniform(*DRIVES) for at in due]
        while True:
            index = min(range(len(due)), key=due.__getitem__)
            time.sleep(max(due[index] - time.monotonic(), 0.0))
            now = time.monotonic()
            self._command(index, numbers[index])
            numbers[index] += 1
            due[index] = max(due[index] + 1.0 / rate, now)
            if now >= ends[index]:
                due[index] = now + SILENT
                ends[index] = due[index] + random.uniform(*DRIVES)

    def _command(self, index: int, number: int) -> None:
        self._message.linear.x = number * SPEED_PER_NUMBER
        os.write(self._file, _SENT.pack(index, number, time.monotonic()))
        self._publishers[index].publish(self._message)


def main(name: str, topics: str, path: str, count: str = '1') -> None:
    """Run the process."""
    publishers = Publishers(name, topics.split(','), path, int(count))
    print('ready', *publishers.gids, flush=True)
    does = {'drive': publishers.drive, 'beat': publishers.beat, 'probe': publishers.probe}
    for line in sys.stdin:
        what, rate, *numbers = line.split()
        does[what](float(rate), *map(int, numbers))
        print('done', flush=True)


def _await_match(publishers: list[Any]) -> None:
    while not all(publisher.get_subscription_count() for publisher in publishers):
        time.sleep(_POLL)
    time.sleep(_MATCHED_SINCE)


if __name__ == '__main__':
    main(*sys.argv[1:])
