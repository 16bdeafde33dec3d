# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A node with a `SessionClient` in a process of its own, and what it really sent."""

from __future__ import annotations

from pathlib import Path
import sys

from support.publisher_process import PublisherProcess

_PROGRAM = Path(__file__).with_name('client_node.py')


class ClientProcess(PublisherProcess):
    """Each order is carried out by its executor, and is when the method returns."""

    def command(self) -> list[str]:
        """Return what to run."""
        return [sys.executable, str(_PROGRAM), self._node, str(self._file)]

    def publish(self, topic: str, forward: float) -> None:
        """Publish one speed in m/s, on a topic that someone hears."""
        self._tell(do='publish', topic=topic, forward=forward)

    def session(self, topic: str) -> None:
        """Start heartbeats for itself."""
        self._tell(do='session', topic=topic)

    def permission(self, node: str) -> None:
        """Start heartbeats for another node."""
        self._tell(do='permission', node=node)

    def stop(self) -> None:
        """End them."""
        self._tell(do='stop')

    def hang(self) -> None:
        """Have a callback run for ever."""
        self._tell(do='hang')
