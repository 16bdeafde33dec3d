# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A publisher for trying things out: drives at one speed until it is ended.

    python -m viam_session_bridge.tools.scripted_publisher teleop --x 0.3 --rate 20
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import sys
import time
from typing import Any, TextIO

from geometry_msgs.msg import Twist
import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_msgs.msg import String

from viam_session_bridge import signals

SUBSCRIBED_WITHIN = 10.0  # s


def publish(arguments: argparse.Namespace, sent: TextIO) -> None:
    """Publish until interrupted, and note each message in ``sent``: when, on the steady clock."""

    def send(publisher: Any, message: Any) -> None:
        at = time.monotonic()
        publisher.publish(message)
        # One write a line, after the sending, with the time before it: a line that is there stands
        # for a message that went out, and whatever kills this process cuts no line.
        sent.write(json.dumps({'t': at}) + '\n')

    node = rclpy.create_node(arguments.name)
    commands = node.create_publisher(Twist, arguments.topic, 10)
    heartbeats = [
        node.create_publisher(String, f'{bridge}/heartbeat', 10) for bridge in arguments.heartbeat
    ]
    twist = Twist()
    twist.linear.x, twist.angular.z = arguments.x, arguments.z
    until = time.monotonic() + SUBSCRIBED_WITHIN
    while not all(publisher.get_subscription_count() for publisher in (commands, *heartbeats)):
        if time.monotonic() > until:
            print(f'nobody subscribes to {commands.topic_name} yet; publishing', flush=True)
            break
        time.sleep(0.02)
    print('ready', flush=True)
    lines, due = 0 if arguments.by_line else 1, time.monotonic()
    while True:
        if arguments.by_line and select.select([sys.stdin], [], [], 0.0)[0]:
            read = os.read(sys.stdin.fileno(), 80)
            if not read:
                # Whoever wrote them may have been killed: this publisher must not drive on alone.
                break
            lines += read.count(b'\n')
        if lines == 1:
            send(commands, twist)
        for publisher in heartbeats if lines else ():
            send(publisher, String())
        due = max(due + 1.0 / arguments.rate, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='scripted_publisher', description='Publishes one Twist again and again.'
    )
    add = parser.add_argument
    add('name', help='of its node')
    add('--topic', default='cmd_vel', help='(default: %(default)s)')
    add('--x', type=float, default=0.0, help='forward, m/s')
    add('--z', type=float, default=0.0, help='counter-clockwise, rad/s')
    add('--rate', type=float, default=20.0, help='1/s (default: %(default)s)')
    add('--heartbeat', metavar='NODE', action='append', default=[],
        help='send heartbeats to this bridge as well')  # fmt: skip
    add(
        '--by-line', action='store_true',
        help='begin at the first line on stdin, only send heartbeats from the second on',
    )  # fmt: skip
    add('--sends', metavar='FILE', help='append the time of each message, as JSON Lines')
    return parser


def run() -> int:
    """Publish as the arguments say; a signal ends it as Ctrl-C does, and the status is 0."""
    # It leaves the graph at its end, and so does its session at once.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signals.interrupt_once()
    with contextlib.suppress(KeyboardInterrupt):
        arguments = _parser().parse_args(remove_ros_args(sys.argv[1:]))
        with open(arguments.sends or os.devnull, 'a', buffering=1) as sent:
            publish(arguments, sent)
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    signals.run(run)
