# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whoever started the process and wants to hear of it: systemd, or another that speaks its protocol.

One datagram each, to the socket that ``NOTIFY_SOCKET`` names (see sd_notify(3)).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
import socket

_PATIENCE = 1.0  # s, for a supervisor whose socket is full


class Supervisor:
    """Is told when the bridge is ready, that it lives, and when it ends; there may be none."""

    def __init__(
        self, environment: MutableMapping[str, str], pid: int, warn: Callable[[str], object]
    ) -> None:
        """
        Take from the environment what the supervisor says there: it is for no child process.

        :param pid: this process's
        :param warn: is told of notifications that were lost
        """
        address = environment.pop('NOTIFY_SOCKET', '')
        watchdog = environment.pop('WATCHDOG_USEC', '')
        watched = environment.pop('WATCHDOG_PID', str(pid))
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = '\0' + address[1:] if address.startswith('@') else address
        self._warn = warn
        self.watchdog: float | None = None
        """s without :meth:`lives` after which it ends the process; None: it does not watch."""
        if address and watchdog.isdecimal() and int(watchdog) > 0 and watched == str(pid):
            self.watchdog = int(watchdog) * 1e-6

    def ready(self) -> None:
        """Tell that the start is over."""
        self._tell('READY=1')

    def lives(self) -> None:
        """Tell that the bridge does its work."""
        self._tell('WATCHDOG=1')

    def ends(self) -> None:
        """Tell that the end has begun."""
        self._tell('STOPPING=1')

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
                notifications.settimeout(_PATIENCE)
                notifications.sendto(state.encode(), self._address)
        except OSError as error:
            self._warn(f'NOTIFY_SOCKET: {state} was lost: {error}')
