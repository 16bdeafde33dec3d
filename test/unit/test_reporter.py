# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What reporting takes from the executor, and so from commands and stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import threading
import time
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.lifecycle import LifecycleNode  # noqa: E402

from support import pure  # noqa: E402
from viam_session_bridge.core.actions import TakenOver  # noqa: E402
from viam_session_bridge.reporting.overview import Overview  # noqa: E402
from viam_session_bridge.ros.reporter import EVENTS_EVERY, Reporter  # noqa: E402

BOUND = 30.0  # s
FLOOD = 500


class Happening:
    """A shell in which things happen; it notes how many are taken each time."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()
        self.taken: list[int] = []
        self.some_taken, self.all_taken = threading.Event(), threading.Event()

    def events(self) -> Iterator[Any]:
        self.taken.append(0)
        while self.waiting:
            self.taken[-1] += 1
            yield self.waiting.popleft()
        if any(self.taken):
            self.some_taken.set()
        if sum(self.taken) == FLOOD:
            self.all_taken.set()

    def look(self, at: object) -> Overview:
        return Overview(True, 0.5, 0, [], [], [])


@pytest.fixture
def reporter(own_ros_domain: int) -> Iterator[Reporter]:
    """Let a reporter report, on an executor that runs."""
    rclpy.init()
    node = LifecycleNode('bridge')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    reporter = Reporter(node, pure.configuration())

    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    yield reporter
    executor.shutdown()
    spinning.join(BOUND)
    node.destroy_node()
    rclpy.shutdown()


def test_a_flood_of_events_is_taken_twenty_times_a_second(reporter: Reporter) -> None:
    runtime: Any = Happening()
    clients: Any = None
    reporter.observe(runtime, clients)
    began = time.monotonic()
    for number in range(FLOOD):
        runtime.waiting.append(TakenOver('base', 'ab'[number % 2], number + 1, number, began))
        reporter.wake()
        time.sleep(0.001)
    assert runtime.all_taken.wait(BOUND)
    lasted = time.monotonic() - began
    assert len([taken for taken in runtime.taken if taken]) <= lasted / EVENTS_EVERY + 2


def test_what_happens_during_a_rest_is_taken_after_it(reporter: Reporter) -> None:
    runtime: Any = Happening()
    clients: Any = None
    reporter.observe(runtime, clients)
    for number in range(FLOOD):
        runtime.waiting.append(TakenOver('base', 'a', number + 1, number, 0.0))
        reporter.wake()
        assert runtime.some_taken.wait(BOUND)  # the others come during the rest after the first
    assert runtime.all_taken.wait(BOUND)
