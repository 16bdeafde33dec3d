# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a bridge for its overview, over its service ``~/get_sessions``."""

from __future__ import annotations

import os
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from viam_session_bridge.reporting.overview import Overview, overview_of

_POLL = 0.05  # s


class Asking:
    """
    A node of its own, in a context of its own, that asks one bridge.

    The topic ``~/sessions`` says at each change, and else once a second, what the times to lapse
    are; those of a publisher that streams are another within a tenth of that, so a live table
    asks.
    """

    def __init__(self, node: str) -> None:
        """
        Start to look for the bridge.

        :param node: the bridge's node, fully qualified
        """
        self.node = node if node.startswith('/') else f'/{node}'
        self._context = Context()
        # Ctrl-C is for the tool, not for rclpy, to take.
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        # The underscore hides it from lists of nodes.
        self._own = rclpy.create_node(
            f'_sessions_{os.getpid()}', context=self._context, start_parameter_services=False
        )
        self._client: Any = self._own.create_client(Trigger, f'{self.node}/get_sessions')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._own)

    def ask(self, timeout: float) -> Overview | None:
        """Return the overview, None where no bridge answers within so many s."""
        until = time.monotonic() + timeout
        while not self._client.service_is_ready():
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL)
        future = self._client.call_async(Trigger.Request())
        try:
            self._executor.spin_until_future_complete(future, max(until - time.monotonic(), 0.01))
            if not future.done():
                return None
            response = future.result()
        finally:
            self._client.remove_pending_request(future)
        return overview_of(response.success, response.message)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._own.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
