# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A publisher of Twist in a process of its own, told on stdin what to do.

Arguments: node name, topic, file of the send times. It prints `ready` once a subscription has
matched, and `done` after each line `drive RATE FIRST COUNT` of stdin was driven: COUNT commands
(0: until killed) at RATE Hz, numbered from FIRST. It ends with stdin.

The number is in the command, a millionth of a m/s each, so that it can be read off at the base.
Number and time.monotonic() right before publish() are written to the file first, in one write
each, so that SIGKILL loses nothing that was sent.
"""

from __future__ import annotations

import os
from pathlib import Path
import struct
import sys
import time

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


def main(name: str, topic: str, path: str) -> None:
    """Run the process."""
    # Here, for the functions above are used by processes that are no ROS nodes.
    from geometry_msgs.msg import Twist
    import rclpy

    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    file = os.open(path, flags, 0o644)
    rclpy.init(args=[])
    node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
    publisher = node.create_publisher(Twist, topic, 10)
    while not publisher.get_subscription_count():
        time.sleep(_POLL)
    time.sleep(_MATCHED_SINCE)
    message = Twist()
    print('ready', flush=True)
    for line in sys.stdin:
        _, rate, first, count = line.split()
        period = 1.0 / float(rate)
        number, end = int(first), int(first) + int(count)
        due = time.monotonic()
        while number != end or not int(count):
            time.sleep(max(due - time.monotonic(), 0.0))
            message.linear.x = number * SPEED_PER_NUMBER
            os.write(file, _SENT.pack(number, time.monotonic()))
            publisher.publish(message)
            number += 1
            # A late command moves those after it: commands in bursts are another measurement.
            due = max(due + period, time.monotonic())
        print('done', flush=True)
    rclpy.shutdown()


if __name__ == '__main__':
    main(*sys.argv[1:])
