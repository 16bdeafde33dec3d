# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The supervisor of the process: systemd, or another that speaks its protocol, sd_notify(3).

A notification is one datagram to the socket that ``NOTIFY_SOCKET`` names. A bridge that hangs
sends none, and its supervisor ends it and starts it anew. Meanwhile its machine sessions lapse,
and viam-server stops the bases (R12).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
import socket
from typing import TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock_type import ClockType

if TYPE_CHECKING:
    from viam_session_bridge.ros.node import BridgeNode

READY = 'READY=1'  # the start is over
LIVES = 'WATCHDOG=1'  # the bridge does its work
ENDS = 'STOPPING=1'  # the end has begun

_SEND_TIMEOUT = 1.0  # s, for a supervisor whose socket is full
# Notifications within the time that the supervisor allows. systemd expects one in each half of it,
# and it may take two checks until the lapse clock has come round.
_NOTIFICATIONS = 4


class Supervisor:
    """Who is notified that the bridge is ready, alive, or about to end; there may be nobody."""

    def __init__(
        self, environment: MutableMapping[str, str], pid: int, warn: Callable[[str], object]
    ) -> None:
        """
        Take the supervisor's variables out of the environment: they are for no child process.

        :param pid: this process's
        :param warn: called with a line about each notification that was lost
        """
        address = environment.pop('NOTIFY_SOCKET', '')
        watchdog = environment.pop('WATCHDOG_USEC', '')
        watched = environment.pop('WATCHDOG_PID', str(pid))
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = '\0' + address[1:] if address.startswith('@') else address
        self._warn = warn
        self.watchdog: float | None = None
        """s without ``LIVES`` after which it ends the process; None: it does not watch."""
        if address and watchdog.isdecimal() and int(watchdog) > 0 and watched == str(pid):
            self.watchdog = int(watchdog) * 1e-6

    def notify(self, state: str) -> None:
        """Notify it that the bridge is ``READY``, ``LIVES`` or ``ENDS``."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
                notifications.settimeout(_SEND_TIMEOUT)
                notifications.sendto(state.encode(), self._address)
        except OSError as error:
            self._warn(f'NOTIFY_SOCKET: {state} was lost: {error}')


def watch(node: BridgeNode, supervisor: Supervisor) -> None:
    """
    Notify the supervisor that the bridge lives: its executor, its lapse clock and its reporter.

    If one of them hangs or has died, no further notification is sent.
    """
    if supervisor.watchdog is None:
        return

    def check() -> None:
        if node.came_round():
            supervisor.notify(LIVES)

    # The node's own clock may be simulated, and stand still.
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(supervisor.watchdog / _NOTIFICATIONS, check, clock=steady)
