# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the tests' own, in a ROS context of its own, that asks the bridge's services."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import threading
from typing import Any, TYPE_CHECKING

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from support.bounds import PATIENCE

if TYPE_CHECKING:
    from typing_extensions import Self

NODE = '/viam_session_bridge'


def answer_of(ask: Callable[[], Any], who: str, times: int) -> Any:
    """Return the answer to a question, a future, that is asked so many times at most."""
    for _ in range(times):
        answered = threading.Event()
        future = ask()
        future.add_done_callback(lambda _, answered=answered: answered.set())
        if answered.wait(PATIENCE / times):
            return future.result()
    raise AssertionError(f'{who} does not answer')


class OwnNode:
    """A node with a thread that spins it; for `with`."""

    def __init__(self, domain: int, name: str) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self._node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _find(self, name: str, kind: Any) -> None:
        """Begin to look for a service of the bridge."""
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, f'{NODE}/{name}')

    def _wait_service(self, name: str) -> None:
        """Wait until a service is there, which may take DDS a second."""
        assert self._clients[name].wait_for_service(PATIENCE), f'no service {name}'

    def _call(self, name: str, request: Any, times: int = 1) -> Any:
        """
        Return the answer of a service that was looked for.

        :param times: how often to ask; a service whose end of the way back DDS has not found yet
            takes a request and its answer is lost
        """
        self._wait_service(name)
        return answer_of(lambda: self._clients[name].call_async(request), name, times)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
