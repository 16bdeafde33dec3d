# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What is reported, and the time that reporting takes from commands and stops."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.lifecycle import LifecycleNode  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402

from support import pure  # noqa: E402
from support.drive import wait_for  # noqa: E402
from viam_session_bridge.configuration.model import Configuration  # noqa: E402
from viam_session_bridge.core.actions import (  # noqa: E402
    Cause,
    SessionEnded,
    SessionStarted,
    TakenOver,
)
from viam_session_bridge.reporting.active_problems import ActiveProblems  # noqa: E402
from viam_session_bridge.reporting.overview import Overview, SessionRow  # noqa: E402
from viam_session_bridge.ros.reporter import (  # noqa: E402
    CLOSES_WITHIN,
    EVENTS_EVERY,
    NAMED_WITHIN,
    PERIOD,
    PUBLISHING_SHARE,
    Reporter,
)

BOUND = 30.0  # s
FLOOD = 500


class FakeRuntime:
    """Events that wait to be taken; it notes how many are taken each time."""

    def __init__(self, look_takes: float = 0.0) -> None:
        self.changes = 0  # so far: the number of the one session that the overview has
        self.looks = 0
        self._look_takes = look_takes  # s
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
        self.looks += 1
        time.sleep(self._look_takes)
        row = SessionRow(self.changes, 'a', '/a', '/a', 'active', {}, [], 0.0, 0.5, 0, {})
        return Overview(True, 0.5, 0, [row], [], [])


class FakeClients:
    """Clients on one topic, whose nodes the graph shows some time later."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}
        self.problems = ActiveProblems()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.publishers = SimpleNamespace(number_messages=True)

    def describe(self, client: str) -> tuple[str, str]:
        return self.nodes.get(client, ''), '/cmd_vel'


MakeReporter = Callable[..., Reporter]


class Log:
    """What the node's log says."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self._text = ''

    def lines(self) -> list[str]:
        """Return all lines so far, without their heads."""
        self._text += self._capfd.readouterr().err
        return [line.partition('[bridge]: ')[2] for line in self._text.splitlines()]


def observe(reporter: Reporter, runtime: Any, clients: Any) -> None:
    """Observe, and wait until the reporter reports."""
    reporter.observe(runtime, clients)
    wait_for(lambda: runtime.looks, 'the reporter reports')


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Log:
    return Log(capfd)


@pytest.fixture
def node(own_ros_domain: int) -> Iterator[LifecycleNode]:
    """Return a node on an executor that runs."""
    rclpy.init()
    node = LifecycleNode('bridge')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    yield node
    executor.shutdown()
    spinning.join(BOUND)
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def make_reporter(node: LifecycleNode) -> Iterator[MakeReporter]:
    """Return what makes a reporter, of one base unless told otherwise; they are closed."""
    with ExitStack() as reporters:

        def make(
            configuration: Configuration | None = None,
            failed: Callable[[BaseException], None] = print,
        ) -> Reporter:
            reporter = Reporter(node, configuration or pure.configuration(), failed)
            reporters.callback(reporter.close)
            return reporter

        yield make


@pytest.fixture
def reporter(make_reporter: MakeReporter) -> Reporter:
    return make_reporter()


def test_a_flood_of_events_is_taken_twenty_times_a_second(reporter: Reporter) -> None:
    runtime: Any = FakeRuntime()
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


def test_events_during_a_rest_are_taken_after_it(reporter: Reporter) -> None:
    runtime: Any = FakeRuntime()
    clients: Any = None
    reporter.observe(runtime, clients)
    for number in range(FLOOD):
        runtime.waiting.append(TakenOver('base', 'a', number + 1, number, 0.0))
        reporter.wake()
        assert runtime.some_taken.wait(BOUND)  # the others come during the rest after the first
    assert runtime.all_taken.wait(BOUND)


def test_a_session_is_called_by_its_node_from_its_first_line_on(
    reporter: Reporter, log: Log
) -> None:
    runtime: Any = FakeRuntime()
    clients: Any = FakeClients()
    observe(reporter, runtime, clients)
    # As it has just begun, however long it takes this thread to go on.
    runtime.waiting.append(SessionStarted('a', 1, time.monotonic() + BOUND))
    reporter.wake()
    assert runtime.some_taken.wait(BOUND)
    clients.nodes['a'] = '/teleop'  # as the graph has it 20 to 100 ms after the first message
    wait_for(log.lines, 'the session is told')
    assert log.lines() == ['session 1 of /teleop started']


def test_one_whose_node_is_named_late_keeps_the_name_that_it_was_told_by(
    reporter: Reporter, log: Log
) -> None:
    runtime: Any = FakeRuntime()
    clients: Any = FakeClients()
    observe(reporter, runtime, clients)
    began = time.monotonic()
    runtime.waiting.append(SessionStarted('a', 1, began))
    reporter.wake()
    wait_for(log.lines, 'the session is told')
    assert time.monotonic() >= began + NAMED_WITHIN
    clients.nodes['a'] = '/teleop'
    for session, end in ((1, Cause.LAPSE), (2, Cause.LEFT)):
        if session == 2:
            runtime.waiting.append(SessionStarted('a', 2, began + 1.0))
        runtime.waiting.append(
            SessionEnded('a', session, end, (), began, began, 1, {}, began + 0.5)
        )
    reporter.wake()
    wait_for(lambda: len(log.lines()) == 4, 'the rest is told')
    assert [line.partition(' 0.5')[0] for line in log.lines()] == [
        'session 1 of a publisher on /cmd_vel started',
        'session 1 of a publisher on /cmd_vel ended (lapse)',
        'session 2 of /teleop started',
        'session 2 of /teleop ended (left)',
    ]


def test_where_there_are_several_topics_a_client_is_called_by_its_topic_too(
    make_reporter: MakeReporter, log: Log
) -> None:
    runtime: Any = FakeRuntime()
    clients: Any = FakeClients()
    clients.nodes['a'] = '/teleop'
    settings = pure.configuration(pure.base('base', '/cmd_vel', '/cmd_vel_slow'))
    reporter = make_reporter(settings)
    observe(reporter, runtime, clients)
    runtime.waiting.append(SessionStarted('a', 1, 0.0))
    reporter.wake()
    wait_for(log.lines, 'the session is told')
    assert log.lines() == ['session 1 of /teleop on /cmd_vel started']


def test_a_second_node_of_the_same_name_is_told_once_and_is_a_problem_while_it_is_there(
    node: LifecycleNode, reporter: Reporter, log: Log
) -> None:
    runtime: Any = FakeRuntime()
    clients: Any = FakeClients()
    statuses: list[str] = []
    node.create_subscription(
        DiagnosticArray, '/diagnostics', lambda array: statuses.append(array.status[0].message), 10
    )
    reporter.observe(runtime, clients)
    wait_for(lambda: 'active' in statuses, 'it is alone')
    other = rclpy.create_node('bridge')
    wait_for(lambda: 'another node is called /bridge too' in statuses[-1], 'it is told')
    seen = len(statuses)
    wait_for(lambda: len(statuses) > seen + 1, 'it goes on')
    other.destroy_node()
    wait_for(lambda: statuses[-1] == 'active', 'it is alone again')
    assert len([line for line in log.lines() if 'another node is called' in line]) == 1


def test_changes_without_end_leave_the_time_to_the_commands(
    node: LifecycleNode, reporter: Reporter
) -> None:
    runtime: Any = FakeRuntime(look_takes=0.02)  # as with some hundred sessions
    clients: Any = None
    published: list[int] = []
    node.create_subscription(
        DiagnosticArray,
        '~/sessions',
        lambda array: published.append(int(array.status[0].name.split()[-1])),
        QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    reporter.observe(runtime, clients)
    wait_for(lambda: published, 'the sessions are published')
    began, looks = time.monotonic(), runtime.looks
    while time.monotonic() < began + 3.0:
        runtime.changes += 1
        runtime.waiting.append(TakenOver('base', 'a', runtime.changes + 1, runtime.changes, 0.0))
        reporter.wake()
        time.sleep(0.005)
    lasted, looks = time.monotonic() - began, runtime.looks - looks
    # At changes, once a second, and the one that was due at the beginning.
    assert looks * 0.02 <= lasted * (PUBLISHING_SHARE + 0.02 / PERIOD) + 2 * 0.02
    wait_for(lambda: published[-1] == runtime.changes, 'the last change is published')


def test_an_exception_of_its_thread_is_handed_on(make_reporter: MakeReporter) -> None:
    failures: list[BaseException] = []
    runtime: Any = FakeRuntime()
    clients: Any = None
    runtime.events = lambda: 1 / 0
    reporter = make_reporter(failed=failures.append)
    reporter.observe(runtime, clients)
    reporter.wake()
    wait_for(lambda: failures, 'it is handed on')
    assert isinstance(failures[0], ZeroDivisionError)
    runtime.events = list


def test_one_that_hangs_comes_round_no_more_and_is_not_waited_for(
    make_reporter: MakeReporter,
) -> None:
    hangs, go_on = threading.Event(), threading.Event()
    runtime: Any = FakeRuntime()
    clients: Any = None

    def hang() -> list[Any]:
        hangs.set()
        assert go_on.wait(BOUND)
        return []

    reporter = make_reporter()
    reporter.observe(runtime, clients)
    wait_for(reporter.came_round, 'it comes round')
    runtime.events = hang
    reporter.wake()
    assert hangs.wait(BOUND)
    reporter.came_round()
    assert not reporter.came_round()
    began = time.monotonic()
    reporter.close()
    assert time.monotonic() - began < CLOSES_WITHIN + 0.5
    go_on.set()
