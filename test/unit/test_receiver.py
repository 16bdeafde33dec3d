# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The receiving loop, over real DDS and with publishers in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from contextlib import suppress
from itertools import pairwise
import json
import os
from pathlib import Path
import signal
from statistics import median
import subprocess
import sys
import threading
import time
from types import MappingProxyType
from typing import Any, cast

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from geometry_msgs.msg import Twist, TwistStamped  # noqa: E402
from rclpy.event_handler import UnsupportedEventTypeError  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.impl.implementation_singleton import rclpy_implementation  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from rclpy.topic_endpoint_info import TopicEndpointInfo  # noqa: E402
from rclpy.utilities import get_rmw_implementation_identifier  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from support.bounds import within  # noqa: E402
from support.domains import publishers_environment, ZENOH  # noqa: E402
from viam_session_bridge.core.old_messages import MessageAge, StallDetector  # noqa: E402
from viam_session_bridge.ros import publisher_gids, subscription  # noqa: E402
from viam_session_bridge.ros.clients import Clients  # noqa: E402
from viam_session_bridge.ros.command_messages import CommandMessage  # noqa: E402
from viam_session_bridge.ros.publisher_gids import (  # noqa: E402
    RclTaker,
    Received,
    Take,
    UnknownPublisherError,
)
from viam_session_bridge.ros.publishers import Looks, Publisher, Publishers  # noqa: E402
from viam_session_bridge.ros.receiver import Receiver  # noqa: E402
from viam_session_bridge.ros.subscription import Subscription, WaitSet  # noqa: E402
from viam_session_bridge.runtime import Runtime  # noqa: E402

FAST_DDS = get_rmw_implementation_identifier().startswith('rmw_fastrtps')
CYCLONE_DDS = get_rmw_implementation_identifier() == 'rmw_cyclonedds_cpp'
ROOT = Path(__file__).resolve().parents[2]
BOUND = 30.0
"""Seconds that anything may take on a busy machine."""
OWN: Mapping[str, str] = MappingProxyType({})
"""The environment of the tests' own process, with nothing changed."""
PROMPT = 0.05
"""Seconds within which a message that nothing delays arrives, usually."""

# Publishes time.monotonic(), which all processes of a machine share, as the command.
PUBLISHER = """
import json, sys, threading, time
import rclpy
from geometry_msgs.msg import Twist
from rclpy.qos import QoSProfile, ReliabilityPolicy
rclpy.init()
node = rclpy.create_node(sys.argv[1])
qos = QoSProfile(depth=10, reliability=ReliabilityPolicy[sys.argv[4]])
publishers = [node.create_publisher(Twist, topic, qos) for topic in sys.argv[2].split(',')]
going = True
def publish():
    due, message = time.monotonic(), Twist()
    while going:
        for publisher in publishers:
            message.linear.x = time.monotonic()
            publisher.publish(message)
        due = max(due + 1 / float(sys.argv[3]), time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))
thread = threading.Thread(target=publish)
thread.start()
sys.stdin.readline()
going = False
thread.join()
for publisher in publishers:
    print(time.monotonic(), flush=True)
    node.destroy_publisher(publisher)
    sys.stdin.readline()
node.destroy_node()
rclpy.shutdown()
"""

# Receives until a line comes on its standard input; writes what to its standard output.
RECEIVER = """
import json, sys, time
import rclpy
from geometry_msgs.msg import Twist
from viam_session_bridge.ros.publishers import Publishers
from viam_session_bridge.ros.receiver import Receiver
def write(*what): print(json.dumps(what), flush=True)
class Clients:
    publishers = Publishers(['/cmd_vel'], 'rmw_fastrtps_cpp')
    report = print
    def command(self, topic, gid, message, now): write('command', message.x)
    def heartbeat(self, gid, data, now): write('heartbeat', data)
    def publishers_changed(self, topic, appeared, left): pass
    def discarded(self, count, late): write('discarded', count, late)
    def discard(self, topic, gid, message): write('discard', message.x)
    def clock_set(self, publisher, by, now): pass
    def count(self, what, topic, number=1): pass
    def incompatible(self, topic, info, why, now): pass
def failed(error): write('failed', str(error))
rclpy.init()
node = rclpy.create_node('bridge')
receiver = Receiver(node, {'cmd_vel': Twist}, '~/heartbeat', 0.2, Clients(), failed)
receiver.start()
if sys.argv[1] == 'forget':
    sys.exit()
sys.stdin.readline()
receiver.stop()
rclpy.shutdown()
"""


class Recorder(Clients):
    """Clients that keep what the loop hands on, for tests to wait for."""

    def __init__(self, topics: Collection[str]) -> None:
        publishers = Publishers(topics, get_rmw_implementation_identifier())
        super().__init__(cast(Runtime, None), publishers, lambda: 0.0, list, self.note_report)
        self.changed = threading.Condition()
        self.commands: list[tuple[str, str, float, float]] = []
        self.heartbeats: list[tuple[str, str, float]] = []
        self.appeared: list[Publisher] = []
        self.left: list[tuple[Publisher, float]] = []
        self.stalls: list[tuple[int, float]] = []
        self.discarded_commands: list[tuple[str, str, float | None]] = []
        self.clocks_set: list[tuple[str, float]] = []
        self.failures: list[BaseException] = []
        self.reports: list[str] = []
        self.incompatibles: list[tuple[str, str, str]] = []  # topic, type there, why
        self.on_command: Callable[[], None] = lambda: None

    def command(self, topic: str, gid: str, command: CommandMessage, now: float) -> None:
        with self.changed:
            self.commands.append((topic, gid, command.x, now))
            self.changed.notify_all()
        self.on_command()

    def heartbeat(self, gid: str, data: str, now: float) -> None:
        with self.changed:
            self.heartbeats.append((gid, data, now))
            self.changed.notify_all()

    def publishers_changed(
        self, topic: str, appeared: list[Publisher], left: list[Publisher]
    ) -> None:
        with self.changed:
            self.appeared += appeared
            self.left += [(gone, time.monotonic()) for gone in left]
            self.changed.notify_all()

    def discarded(self, count: int, late: float) -> None:
        with self.changed:
            self.stalls.append((count, late))
            self.changed.notify_all()

    def discard(self, topic: str, gid: str, command: CommandMessage | None) -> None:
        with self.changed:
            self.discarded_commands.append((topic, gid, command.x if command else None))
            self.changed.notify_all()

    def count(self, what: str, topic: str, number: int = 1) -> None:
        with self.changed:
            self.counts[what, topic] += number
            self.changed.notify_all()

    def clock_set(self, publisher: str, by: float, now: float) -> None:
        with self.changed:
            self.clocks_set.append((publisher, by))
            self.changed.notify_all()

    def incompatible(self, topic: str, info: TopicEndpointInfo, why: str, now: float) -> None:
        with self.changed:
            self.incompatibles.append((topic, info.topic_type, why))
            self.changed.notify_all()

    def failed(self, exception: BaseException) -> None:
        with self.changed:
            self.failures.append(exception)
            self.changed.notify_all()

    def note_report(self, text: str) -> None:
        with self.changed:
            self.reports.append(text)
            self.changed.notify_all()

    def wait(self, condition: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, BOUND), vars(self)

    def wait_for(self, kept: Sized, count: int) -> None:
        self.wait(lambda: len(kept) >= count)

    def delays(self, topic: str) -> list[float]:
        """Return the seconds from publishing to handing on, a message each."""
        return [now - sent for on, _, sent, now in self.commands if on == topic]


class Ros:
    """A node in a ROS domain of the test's own, and processes that publish there."""

    def __init__(self, domain: int) -> None:
        self.domain = domain
        self.context = rclpy.Context()
        rclpy.init(context=self.context, args=[], domain_id=domain)
        self.node = rclpy.create_node('bridge', context=self.context)
        self.clients = Recorder([])
        self.processes: list[subprocess.Popen[str]] = []
        self.receivers: list[Receiver] = []

    def override(self, policy: str, value: int | str) -> None:
        """Set a QoS policy of the command subscription, before `receive`."""
        self.node.destroy_node()
        self.node = rclpy.create_node('bridge', context=self.context, parameter_overrides=[
            Parameter(f'qos_overrides./cmd_vel.subscription.{policy}', value=value)])

    def receive(self, topics: dict[str, type] | None = None, window: float = 0.5) -> Receiver:
        topics = topics or {'cmd_vel': Twist}
        self.clients.publishers = Publishers(
            [self.node.resolve_topic_name(topic) for topic in topics],
            get_rmw_implementation_identifier(),
        )
        receiver = Receiver(
            self.node, topics, '~/heartbeat', window, self.clients, self.clients.failed
        )
        self.receivers.append(receiver)
        receiver.start()
        return receiver

    def process(
        self, script: str, *arguments: object, environment: Mapping[str, str] = OWN
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, '-c', script, *map(str, arguments)], text=True, cwd=ROOT,
            env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(process)
        return process

    def publish(
        self, node: str = 'teleop', topics: str = '/cmd_vel', rate: float = 50.0,
        reliability: str = 'RELIABLE',
    ) -> subprocess.Popen[str]:
        environment = publishers_environment(self.domain)
        return self.process(
            PUBLISHER, node, topics, rate, reliability, environment=environment)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for receiver in self.receivers:
            assert receiver.stop(BOUND)
        self.context.try_shutdown()


@pytest.fixture
def ros(own_ros_domain: int) -> Iterator[Ros]:
    ros = Ros(own_ros_domain)
    try:
        yield ros
    finally:
        ros.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def written_by(process: subprocess.Popen[str], what: str) -> list[Any]:
    """Return the next line of that kind that a receiver process wrote."""
    while True:
        written: list[Any] = json.loads(line(process))
        if written[0] == what:
            return written


def enter(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write('\n')
    process.stdin.flush()


def test_commands_carry_the_gid_that_the_graph_shows(ros: Ros) -> None:
    ros.receive()
    ros.publish('teleop', '/cmd_vel,/cmd_vel')
    ros.clients.wait(lambda: len({gid for _, gid, _, _ in ros.clients.commands}) >= 2)
    ros.clients.wait(lambda: len(ros.clients.commands) > 20)
    ros.clients.wait(lambda: len(ros.clients.publishers.named('/teleop')) == 2)
    (one, two) = ros.clients.publishers.named('/teleop')
    infos = ros.node.get_publishers_info_by_topic('/cmd_vel')
    assert {one.gid, two.gid} == {bytes(info.endpoint_gid).hex() for info in infos}
    assert one.participant == two.participant
    assert bool(one.participant) is not ZENOH
    gids = {gid for _, gid, _, _ in ros.clients.commands}
    assert gids == {one.gid, two.gid}
    assert {topic for topic, _, _, _ in ros.clients.commands} == {'/cmd_vel'}


def test_a_heartbeat_is_handed_on_with_its_sender(ros: Ros) -> None:
    ros.receive()
    publisher = ros.node.create_publisher(String, '/bridge/heartbeat', 1)
    ros.clients.wait(lambda: ros.clients.publishers.on('/bridge/heartbeat'))
    publisher.publish(String(data='/teleop'))
    ros.clients.wait(lambda: ros.clients.heartbeats)
    gid, data, _ = ros.clients.heartbeats[0]
    assert data == '/teleop'
    expected = ros.clients.publishers.on('/bridge/heartbeat')[0].gid
    assert gid == expected


def test_a_blocked_executor_delays_nothing(ros: Ros) -> None:
    ros.receive()
    ros.publish(rate=100.0)
    ros.clients.wait(lambda: ros.clients.commands)
    blocked, over = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        over.wait(1.0)

    ros.node.create_timer(0.01, block)
    executor = SingleThreadedExecutor(context=ros.context)
    executor.add_node(ros.node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert blocked.wait(BOUND)
        before = len(ros.clients.commands)
        ros.clients.wait(lambda: len(ros.clients.commands) >= before + 80)
        assert not over.is_set()
    finally:
        over.set()
        executor.shutdown()
        thread.join(BOUND)
    delays = ros.clients.delays('/cmd_vel')[before:before + 80]
    within(median(delays), PROMPT, 'a message')
    within(max(delays), 0.5, 'the slowest message')


def test_a_thawed_receiver_replays_nothing(ros: Ros) -> None:
    publisher = ros.publish(rate=200.0)
    receiver = ros.process(RECEIVER, 'stay')
    for _ in range(10):
        written_by(receiver, 'command')
    receiver.send_signal(signal.SIGSTOP)
    # All its threads have stopped when its parent learns of it, and not before.
    assert os.WIFSTOPPED(os.waitpid(receiver.pid, os.WUNTRACED)[1])
    frozen = time.monotonic()
    # It has to publish on for longer than half a window and a quarter; nothing else tells when.
    with pytest.raises(subprocess.TimeoutExpired):
        publisher.wait(1.0)
    publisher.kill()
    publisher.wait(BOUND)
    receiver.send_signal(signal.SIGCONT)
    thawed = time.monotonic()
    # What it wrote before it was frozen comes first, on a busy machine short freezes as well.
    # The middleware may hand over what waited only after the pause for it: then it is too old.
    waited, late, discarded = 0, 0.0, 0.0
    while late < 0.7 or discarded < frozen:  # until the newest of what waited is discarded
        written = json.loads(line(receiver))
        if written[0] == 'command':
            assert written[1] < frozen
        elif written[0] == 'discard':
            discarded = written[1]
            waited += discarded > frozen and late < 0.7
        else:
            late = max(late, written[2])
            assert written[1] >= waited
    assert late < thawed - frozen + BOUND
    ros.publish('other', rate=20.0)
    assert written_by(receiver, 'command')[1] > thawed


def test_a_freeze_right_after_a_take_is_noticed(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    ros.receive(window=0.2)
    take = Subscription.take
    froze: list[float] = []

    def freeze(subscription: Subscription) -> Any:
        taken = take(subscription)
        if taken is not None and len(ros.clients.commands) >= 5 and not froze:
            froze.append(subscription.read(taken[0]).x)
            time.sleep(0.5)
        return taken

    monkeypatch.setattr(Subscription, 'take', freeze)
    ros.publish(rate=100.0)
    ros.clients.wait(lambda: [late for _, late in ros.clients.stalls if late > 0.4])
    ros.clients.wait(lambda: ros.clients.commands[-1][2] > froze[0] + 0.5)
    sent = [x for _, _, x, _ in ros.clients.commands]
    assert not [x for x in sent if froze[0] <= x < froze[0] + 0.5]
    assert ros.clients.discarded_commands


def test_clients_that_are_busy_count_as_a_stall_and_the_backlog_is_dropped(ros: Ros) -> None:
    ros.receive(window=0.2)
    began: list[float] = []

    def dawdle() -> None:
        if not began:
            began.append(time.monotonic())
            time.sleep(0.5)

    ros.clients.on_command = dawdle
    ros.publish(rate=100.0)
    ros.clients.wait(lambda: ros.clients.stalls)
    ros.clients.wait(lambda: len(ros.clients.commands) > 1)
    assert ros.clients.commands[1][2] > began[0] + 0.5


def test_of_what_waited_in_a_stall_the_newest_of_each_publisher_is_handed_on(ros: Ros) -> None:
    ros.receive(window=0.2)
    began: list[tuple[int, float]] = []

    def dawdle() -> None:
        if len({gid for _, gid, _, _ in ros.clients.commands}) == 2 and not began:
            began.append((len(ros.clients.discarded_commands), time.monotonic()))
            time.sleep(0.5)  # hundreds of messages

    ros.clients.on_command = dawdle
    ros.publish('one', rate=200.0)
    ros.publish('other', rate=200.0)
    ros.clients.wait(lambda: began)
    before, since = began[0]
    ros.clients.wait(lambda: len(ros.clients.discarded_commands) >= before + 2)
    two = ros.clients.discarded_commands[before : before + 2]
    assert {gid for _, gid, _ in two} == {gid for _, gid, _, _ in ros.clients.commands}
    assert all(x is not None and x > since + 0.1 for _, _, x in two)


@pytest.mark.parametrize('what', ['command', 'heartbeat'])
def test_a_message_that_is_too_old_when_it_comes_is_discarded(
    ros: Ros, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ros.receive(window=60.0)
    topic, kind = ('/cmd_vel', Twist) if what == 'command' else ('/bridge/heartbeat', String)
    publisher = ros.node.create_publisher(kind, topic, 10)
    handed_on = ros.clients.commands if what == 'command' else ros.clients.heartbeats
    ros.clients.wait(lambda: ros.clients.publishers.on(topic))
    publisher.publish(kind())
    ros.clients.wait(lambda: handed_on)
    take = Subscription.take

    def as_if_sent_before(subscription: Subscription) -> Any:
        taken = take(subscription)
        if taken is None:
            return None
        return taken[0], taken[1], taken[2] - 100.0

    monkeypatch.setattr(Subscription, 'take', as_if_sent_before)
    publisher.publish(kind())
    ros.clients.wait(lambda: ros.clients.counts)
    monkeypatch.setattr(Subscription, 'take', take)
    publisher.publish(kind())
    ros.clients.wait(lambda: len(handed_on) == 2)
    assert ros.clients.counts == {('old_messages', topic): 1}
    assert len(ros.clients.discarded_commands) == (what == 'command')
    assert ros.clients.stalls == []


def test_a_clock_that_was_set_back_is_reported(ros: Ros, monkeypatch: pytest.MonkeyPatch) -> None:
    ros.receive(window=0.5)
    ros.publish(rate=50.0)
    ros.clients.wait(lambda: ros.clients.commands)
    gid, before = ros.clients.commands[0][1], len(ros.clients.commands)
    take = Subscription.take

    def as_if_set_back(subscription: Subscription) -> Any:
        taken = take(subscription)
        if taken is None:
            return None
        return taken[0], taken[1], taken[2] - 1000.0

    monkeypatch.setattr(Subscription, 'take', as_if_set_back)
    ros.clients.wait(lambda: ros.clients.clocks_set)
    ros.clients.wait(lambda: len(ros.clients.commands) > before + 20)
    ((publisher, by),) = ros.clients.clocks_set
    assert publisher == gid
    assert by == pytest.approx(1000.0, abs=0.5)


def test_a_publisher_that_left_is_remembered_and_forgotten(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: tuple[list[str], list[str]] = [], []

    def note(_: MessageAge, seen: list[str], left: list[str], now: float) -> None:
        written[0].extend(seen)
        written[1].extend(left)

    monkeypatch.setattr(MessageAge, 'changed', note)
    ros.receive()
    publisher = ros.publish()
    ros.clients.wait(lambda: ros.clients.commands and ros.clients.appeared)
    enter(publisher)
    ros.clients.wait(lambda: ros.clients.left)
    gid = ros.clients.commands[0][1]
    assert gid in written[0]
    assert gid in written[1]


@pytest.mark.skipif(not FAST_DDS, reason='this middleware does not tell the host')
def test_the_host_of_a_publisher_on_this_computer_is_our_own(ros: Ros) -> None:
    receiver = ros.receive()
    ros.publish()
    ros.clients.wait(lambda: ros.clients.commands)
    gid = ros.clients.commands[0][1]
    assert receiver._ages._own_host == ros.clients.publishers.host_of(gid) != ''


@pytest.mark.skipif(CYCLONE_DDS, reason='Cyclone DDS does not number messages')
def test_what_the_queue_cannot_hold_is_reported_as_lost(ros: Ros) -> None:
    depth = 100
    ros.override('depth', depth)
    ros.receive(window=4.0)
    began: list[float] = []

    def dawdle() -> None:
        if not began:
            began.append(time.monotonic())
            time.sleep(1.0)  # ten queues full; not yet a freeze

    ros.clients.on_command = dawdle
    ros.publish(rate=1000.0, reliability='BEST_EFFORT')
    ros.clients.wait(lambda: ros.clients.counts['lost_messages', '/cmd_vel'])
    ros.clients.wait(lambda: ros.clients.commands[-1][2] > began[0] + 1.0)
    assert {topic for _, topic in ros.clients.counts} == {'/cmd_vel'}
    # A queue's worth is kept of what came in the meantime, and no more were lost than were sent.
    # A busy computer may keep the publisher from most of it.
    lost = ros.clients.counts['lost_messages', '/cmd_vel']
    assert 0.3 * 1000.0 - depth <= lost <= 1.1 * 1000.0 * (time.monotonic() - began[0])


def test_of_what_waits_the_newest_of_each_publisher_is_handed_on(ros: Ros) -> None:
    ros.receive(window=4.0)
    ros.publish('one', rate=200.0)
    ros.publish('other', rate=200.0)
    ros.clients.wait(lambda: len({gid for _, gid, _, _ in ros.clients.commands}) == 2)
    began: list[tuple[int, float]] = []

    def dawdle() -> None:
        if not began:
            began.append((len(ros.clients.commands), time.monotonic()))
            time.sleep(0.6)  # 240 messages, which the queue holds; not a freeze

    ros.clients.on_command = dawdle
    ros.clients.wait(lambda: began)
    handed_on, since = began[0]

    def sent_meanwhile() -> list[Any]:
        # What the other had sent before may have been taken along with the one that took so long.
        return [command for command in ros.clients.commands[handed_on:] if command[2] > since]

    ros.clients.wait(lambda: len(sent_meanwhile()) > 2)
    first, second = sent_meanwhile()[:2]
    assert first[1] != second[1]
    assert since + 0.1 < first[2] < second[2]  # newest last
    # As soon as they were handed on.
    assert ros.clients.counts['replaced_messages', '/cmd_vel'] >= 40
    assert set(ros.clients.counts) == {('replaced_messages', '/cmd_vel')}


def test_publishers_that_come_and_go_do_not_keep_the_loop_awake(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0
    wait = WaitSet.wait

    def count(wait_set: WaitSet, timeout: float) -> list[Subscription]:
        nonlocal waits
        waits += 1
        return wait(wait_set, timeout)

    monkeypatch.setattr(WaitSet, 'wait', count)
    ros.receive()
    for came in range(1, 31):
        publisher = ros.node.create_publisher(Twist, '/cmd_vel', 1)
        ros.clients.wait_for(ros.clients.appeared, came)
        ros.node.destroy_publisher(publisher)
        ros.clients.wait_for(ros.clients.left, came)
    began = len(ros.clients.appeared) * 2
    assert waits < 10 * began  # a matched event that is not taken wakes it thousands of times


def test_a_message_too_short_for_its_header_is_reported_and_never_read(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    ros.receive()
    publisher = ros.node.create_publisher(Twist, '/cmd_vel', 10)
    ros.clients.wait(lambda: ros.clients.publishers.on('/cmd_vel'))
    take = Subscription.take

    def cut(subscription: Subscription) -> Any:
        taken = take(subscription)
        return taken if taken is None else (taken[0][:3], *taken[1:])

    monkeypatch.setattr(Subscription, 'take', cut)
    publisher.publish(Twist())
    ros.clients.wait(lambda: ros.clients.discarded_commands)
    assert ros.clients.reports == ["/cmd_vel: unreadable message: ValueError('3 bytes')"]
    assert ros.clients.discarded_commands[0][2] is None


def test_an_empty_message_with_which_zenoh_fails_is_nobodys_and_ends_nothing(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = [True]

    def failing_once(*arguments: Any) -> Take:
        take = publisher_gids.taker(*arguments)

        def take_or_fail(handle: Any, message_type: type) -> Received | None:
            taken = take(handle, message_type)
            if taken is not None and fails:
                fails.clear()
                raise rclpy_implementation.RCLError('failed to take raw message')
            return taken

        return take_or_fail

    monkeypatch.setattr(subscription, 'taker', failing_once)
    monkeypatch.setattr(
        subscription, 'get_rmw_implementation_identifier', lambda: 'rmw_zenoh_cpp'
    )
    ros.receive()
    publisher = ros.node.create_publisher(Twist, '/cmd_vel', 10)
    ros.clients.wait(lambda: ros.clients.publishers.on('/cmd_vel'))
    publisher.publish(Twist())
    ros.clients.wait(lambda: ros.clients.reports)
    publisher.publish(Twist())
    ros.clients.wait(lambda: ros.clients.commands)
    assert ros.clients.reports == ["/cmd_vel: unreadable message: ValueError('0 bytes')"]
    assert not ros.clients.discarded_commands
    assert not ros.clients.failures


def test_where_publishers_cannot_be_told_apart_nothing_is_subscribed(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnknownPublisherError('a reason')

    monkeypatch.setattr(publisher_gids, 'rclpy_has_gids', lambda: False)
    monkeypatch.setattr(RclTaker, 'prove_layout', refuse)
    with pytest.raises(UnknownPublisherError, match='a reason; update to ROS 2 Kilted or later'):
        ros.receive()
    assert not list(ros.node.subscriptions)


@pytest.mark.parametrize('notified', [True, False], ids=['rmw notifies', 'rmw does not notify'])
def test_a_silent_publisher_that_leaves_is_noticed_at_once(
    ros: Ros, notified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise UnsupportedEventTypeError('')

    if not notified:
        monkeypatch.setattr('viam_session_bridge.ros.subscription._rclpy.EventHandle', unsupported)
    ros.receive(window=60.0)  # not by the way, four times a window
    publisher = ros.publish('teleop', '/cmd_vel,/cmd_vel,/cmd_vel')
    ros.clients.wait(lambda: len(ros.clients.publishers.named('/teleop')) == 3)
    delays = []
    enter(publisher)
    for number in range(3):
        destroyed = float(line(publisher))
        ros.clients.wait_for(ros.clients.left, number + 1)
        delays.append(ros.clients.left[number][1] - destroyed)
        enter(publisher)
    within(median(delays), 0.2, 'a leave')
    assert ros.clients.publishers.on('/cmd_vel') == []


def test_a_flood_on_one_topic_delays_no_other(ros: Ros) -> None:
    ros.receive({'slow': Twist, 'fast': Twist})
    heartbeats = ros.node.create_publisher(String, '/bridge/heartbeat', 1)
    ros.publish('flood', '/fast', 5000.0, 'BEST_EFFORT')
    ros.clients.wait(lambda: len(ros.clients.delays('/fast')) > 1000)
    ros.publish('teleop', '/slow', 50.0)
    ros.clients.wait(lambda: ros.clients.delays('/slow'))
    for number in range(20):
        heartbeats.publish(String(data=str(time.monotonic())))
        ros.clients.wait_for(ros.clients.heartbeats, number + 1)
    ros.clients.wait(lambda: len(ros.clients.delays('/slow')) > 50)
    within(median(ros.clients.delays('/slow')), PROMPT, 'a command')
    heartbeats_took = [now - float(data) for _, data, now in ros.clients.heartbeats]
    within(median(heartbeats_took), PROMPT, 'a heartbeat')


def test_clients_that_raise_end_nothing(ros: Ros) -> None:
    def fail() -> None:
        raise LookupError('a bug')

    ros.clients.on_command = fail
    ros.receive()
    ros.publish()
    ros.clients.wait(lambda: len(ros.clients.commands) > 20)
    assert ros.clients.reports == ["internal error in command: LookupError('a bug')"]
    assert ros.clients.failures == []


def test_text_that_is_not_utf8_ends_nothing(ros: Ros) -> None:
    ros.receive()
    publisher = ros.node.create_publisher(String, '/bridge/heartbeat', 10)
    ros.clients.wait(lambda: ros.clients.publishers.on('/bridge/heartbeat'))
    publisher.publish(b'\x00\x01\x00\x00\x03\x00\x00\x00\xff\xfe\x00\x00')
    publisher.publish(String(data='good'))
    ros.clients.wait(lambda: [data for _, data, _ in ros.clients.heartbeats if data == 'good'])
    assert ros.clients.failures == []


def test_a_command_that_cannot_be_read_is_discarded(ros: Ros) -> None:
    ros.receive({'cmd_vel': TwistStamped})
    publisher = ros.node.create_publisher(TwistStamped, '/cmd_vel', 10)
    ros.clients.wait(lambda: ros.clients.publishers.on('/cmd_vel'))
    publisher.publish(serialize_message(TwistStamped())[:20])
    ros.clients.wait(lambda: ros.clients.discarded_commands)
    assert ros.clients.discarded_commands[0][2] is None
    (report,) = ros.clients.reports
    assert report.startswith('/cmd_vel: unreadable message: ')
    assert ros.clients.failures == []


def test_stop_ends_the_thread_and_a_new_receiver_may_follow(
    ros: Ros, own_threads: Callable[[], list[str]]
) -> None:
    first = ros.receive(window=60.0)
    publisher = ros.publish()
    ros.clients.wait(lambda: ros.clients.commands)
    assert first.stop(1.0)
    assert first.stop(1.0)
    assert 'receiver' not in own_threads()
    assert list(ros.node.subscriptions) == []
    stopped = time.monotonic()
    ros.receive()
    ros.clients.wait(lambda: ros.clients.commands[-1][2] > stopped + 0.1)
    assert publisher.poll() is None
    assert ros.clients.failures == []


def test_stop_does_not_wait_for_clients_that_hang(ros: Ros) -> None:
    hung, over = threading.Event(), threading.Event()

    def hang() -> None:
        hung.set()
        over.wait(BOUND)

    ros.clients.on_command = hang
    receiver = ros.receive()
    ros.publish()
    assert hung.wait(BOUND)
    assert not receiver.stop(0.1)
    over.set()
    assert receiver.stop(BOUND)


def test_a_shut_down_context_is_reported(ros: Ros) -> None:
    ros.receive(window=60.0)
    ros.publish()
    ros.clients.wait(lambda: ros.clients.commands)
    ros.processes[0].kill()
    shut_down = time.monotonic()
    ros.context.try_shutdown()
    ros.clients.wait(lambda: ros.clients.failures)
    assert time.monotonic() - shut_down < 5.0
    assert 'context' in str(ros.clients.failures[0])


def test_an_unexpected_end_of_the_loop_is_reported(
    ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit('unheard of')

    monkeypatch.setattr(Looks, 'looked', die)
    ros.receive()
    ros.clients.wait(lambda: ros.clients.failures)
    assert isinstance(ros.clients.failures[0], SystemExit)


def test_a_forgotten_receiver_does_not_outlive_the_main_thread(ros: Ros) -> None:
    process = ros.process(RECEIVER, 'forget')
    written, _ = process.communicate(timeout=BOUND)
    assert 'main thread' in written


def test_a_publisher_of_another_type_is_reported(ros: Ros) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, args=[], domain_id=ros.domain)
    try:
        node = rclpy.create_node('nav', context=context)
        node.create_publisher(TwistStamped, '/cmd_vel', 1)
        ros.receive()
        ros.clients.wait(lambda: ros.clients.incompatibles)
        topic, there, why = ros.clients.incompatibles[0]
        assert (topic, there) == ('/cmd_vel', 'geometry_msgs/msg/TwistStamped')
        assert 'the bridge expects geometry_msgs/msg/Twist: move the topic to ' in why
        assert ros.clients.publishers.on('/cmd_vel') == []
    finally:
        context.try_shutdown()


@pytest.mark.skipif(ZENOH, reason='with Zenoh every QoS fits')
def test_qos_can_be_overridden_and_what_does_not_fit_is_reported(ros: Ros) -> None:
    ros.override('reliability', 'reliable')
    ros.receive()
    ros.publish(reliability='BEST_EFFORT')
    ros.clients.wait(lambda: ros.clients.incompatibles)
    topic, there, why = ros.clients.incompatibles[0]
    assert (topic, there) == ('/cmd_vel', 'geometry_msgs/msg/Twist')
    assert 'Best effort publisher and reliable subscription' in why


@pytest.mark.skipif(not ZENOH, reason='with DDS it is not heard')
def test_best_effort_is_heard_by_a_reliable_subscription_over_zenoh(ros: Ros) -> None:
    ros.override('reliability', 'reliable')
    ros.receive()
    ros.publish(reliability='BEST_EFFORT')
    ros.clients.wait_for(ros.clients.commands, 20)
    assert not ros.clients.incompatibles


def test_one_topic_cannot_have_two_types(ros: Ros) -> None:
    with pytest.raises(ValueError, match=r'/cmd_vel .*Twist and .*TwistStamped'):
        ros.receive({'cmd_vel': Twist, '/cmd_vel': TwistStamped})
    assert list(ros.node.subscriptions) == []


def test_the_loop_wakes_every_quarter_window(ros: Ros, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[float] = []
    late = StallDetector.late

    def note(watch: StallDetector, now: float) -> float:
        with ros.clients.changed:
            checks.append(now)
            ros.clients.changed.notify_all()
        return late(watch, now)

    monkeypatch.setattr(StallDetector, 'late', note)
    ros.receive(window=0.2)
    ros.clients.wait(lambda: len(checks) > 30)
    pauses = [after - before for before, after in pairwise(checks[15:])]
    within(median(pauses), 0.065, 'a wake-up')
