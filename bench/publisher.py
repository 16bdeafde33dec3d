# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A publisher of Twist in a process of its own, told on stdin what to do.

Arguments: node name, topics, file of the send times, how many publishers (1), spread over the
topics (separated by commas). It prints `ready` once a subscription has matched each, and `done`
after each line of stdin was obeyed: `drive RATE FIRST COUNT BURST` sends COUNT commands (0: until
killed) at RATE Hz, numbered from FIRST, BURST of each publisher in turn; `beat RATE 0 COUNT 1`
sends heartbeats, each of which is one for all publishers here. It ends with stdin.

The number is in the command, a millionth of a m/s each, so that it can be read off at the base.
Number and time.monotonic() right before publish() are written to the file first, in one write
each, so that SIGKILL loses nothing that was sent.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import struct
import sys
import time
from typing import Any

HEARTBEATS = '/viam_session_bridge/heartbeat'
SPEED_PER_NUMBER = 1e-6  # m/s
_SENT = struct.Struct('<qd')
_POLL = 0.02  # s
_MATCHED_SINCE = 0.2  # s, for the other side to have matched as well


def number_of(forward: float) -> int:
    """Return a command's number from the forward speed at the base, mm/s."""
    return round(forward * 1e-3 / SPEED_PER_NUMBER)


def read_sent(path: Path) -> dict[int, float]:
    """Return the send time of each number so far."""
    data = path.read_bytes()
    return dict(_SENT.iter_unpack(data[: len(data) // _SENT.size * _SENT.size]))


def main(name: str, topics: str, path: str, count: str = '1') -> None:
    """Run the process."""
    # Here, for the functions above are used by processes that are no ROS nodes.
    from geometry_msgs.msg import Twist
    import rclpy
    from std_msgs.msg import String

    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    file = os.open(path, flags, 0o644)
    rclpy.init(args=[])
    node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
    names = topics.split(',')
    publishers = [
        node.create_publisher(Twist, names[index % len(names)], 10) for index in range(int(count))
    ]
    hearts: list[Any] = []

    def beat(number: int, index: int) -> None:
        hearts[0].publish(String())

    def drive(number: int, index: int) -> None:
        message.linear.x = number * SPEED_PER_NUMBER
        os.write(file, _SENT.pack(number, time.monotonic()))
        publishers[index % len(publishers)].publish(message)

    _await_match(publishers)
    message = Twist()
    print('ready', flush=True)
    for line in sys.stdin:
        what, *numbers = line.split()
        if what == 'beat' and not hearts:
            hearts.append(node.create_publisher(String, HEARTBEATS, 10))
            _await_match(hearts)
        rate, first, many, burst = map(float, numbers)
        _send(rate, int(first), int(many), int(burst),
              drive if what == 'drive' else beat)  # fmt: skip
        print('done', flush=True)
    rclpy.shutdown()


def _send(
    rate: float, first: int, count: int, burst: int, send: Callable[[int, int], None]
) -> None:
    period = 1.0 / rate
    number, end = first, first + count
    due = time.monotonic()
    while number != end or not count:
        time.sleep(max(due - time.monotonic(), 0.0))
        send(number, (number - first) // burst)
        number += 1
        # A late command moves those after it: commands in bursts are another measurement.
        due = max(due + period, time.monotonic())


def _await_match(publishers: list[Any]) -> None:
    while not all(publisher.get_subscription_count() for publisher in publishers):
        time.sleep(_POLL)
    time.sleep(_MATCHED_SINCE)


if __name__ == '__main__':
    main(*sys.argv[1:])
