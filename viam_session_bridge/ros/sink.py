# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the receiving loop tells, and whom."""

from __future__ import annotations

from typing import Any, Protocol

from viam_session_bridge.ros.messages import Reading
from viam_session_bridge.ros.publishers import Publisher


class Sink(Protocol):
    """
    What the loop tells, always on its own thread; `now` is `time.monotonic()` in seconds.

    Exceptions are reported and end nothing. Topics are fully resolved.
    """

    def command(self, topic: str, gid: str | None, reading: Reading, now: float) -> None:
        """Handle a command; `gid` is None where rclpy gives none (Jazzy, R1)."""

    def heartbeat(self, gid: str | None, data: str, now: float) -> None:
        """Handle a heartbeat; `gid` is its sender's, who may not be in the graph yet."""

    def publishers_changed(
        self, topic: str, appeared: list[Publisher], left: list[Publisher], now: float
    ) -> None:
        """Handle what `Publishers.update` returned for a command or the heartbeat topic."""

    def discarded(self, count: int, late: float) -> None:
        """Note that the loop was `late` seconds late and discarded `count` messages (R2)."""

    def discarded_command(self, topic: str, gid: str | None, reading: Reading | None) -> None:
        """
        Handle that a command is not handed on, for its age or after a freeze (R2).

        Where many waited, it is the newest of its publisher. `reading` is None for an unreadable.
        """

    def old(self, topic: str) -> None:
        """Note that a message was discarded that was older than the window when it came (R2)."""

    def clock_set(self, publisher: str, by: float, now: float) -> None:
        """
        Note that a publisher's clock was taken to be set back by `by` seconds (R2).

        :param publisher: its GID, or the topic where rclpy gives none
        """

    def lost(self, topic: str, count: int) -> None:
        """Note that `count` messages of a publisher never came: more than the queue holds."""

    def replaced(self, topic: str, count: int) -> None:
        """Note that `count` messages were replaced by newer ones of their publishers."""

    def unheard(self, topic: str, info: Any, wanted: str, why: str, now: float) -> None:
        """Note that the publisher of a `TopicEndpointInfo` is not heard, at each look."""

    def failed(self, exception: BaseException) -> None:
        """Handle the end of the loop without `stop`: nothing will be received any more."""
