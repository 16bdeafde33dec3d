#!/usr/bin/env python3
# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A dead-man's switch: another node may drive while a button is held, with `sessions: manual`.

    python3 dead_mans_switch.py --ros-args -p drives:=/teleop

`/button` (std_msgs/Bool) comes again and again while it is held, as a joystick's messages do: each
is a heartbeat. There is no timer here: a button, cable or driver that falls silent lets go.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool

from viam_session_bridge.client import SessionClient


class DeadMansSwitch(Node):
    def __init__(self) -> None:
        super().__init__('dead_mans_switch')
        drives = str(self.declare_parameter('drives', '/teleop').value)
        self._permission = SessionClient(self).permission(drives)
        # The newest alone: an old message that waited says nothing of the button now.
        self.create_subscription(Bool, 'button', self._on_button, 1)

    def _on_button(self, button: Bool) -> None:
        if button.data:
            self._permission.send()


def main() -> None:
    rclpy.init()
    try:
        rclpy.spin(DeadMansSwitch())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # so rclpy ends where the signal comes between two rounds of spinning
        if rclpy.ok():
            raise


if __name__ == '__main__':
    main()
