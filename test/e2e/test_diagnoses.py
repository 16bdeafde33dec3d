# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Known trouble is reported in the log and on `/diagnostics`, with names and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
import contextlib
import math
import re
from typing import Any, TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
import grpc
import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy

from e2e.conftest import StartBridge, StartPublisher, wait_named
from support.bridge_process import BridgeProcess, WINDOW
from support.caller import Caller
from support.domains import ZENOH
from support.drive import Drive, wait_for
from support.observer import Observer
from support.ports import free_port
from support.tcp_proxy import TcpProxy
from viam_session_bridge.reporting.detectors import EVEN, FAILS_FOR

if TYPE_CHECKING:
    from e2e.conftest import Machine
    from support.viam_server import ViamServer

BASES: dict[str, dict[str, Any]] = {
    name: {'command_topics': [f'/{name}']} for name in ('wheels', 'tracks')
}
MISTYPED = {'base': {'command_topics': ['/base'], 'resource': 'wheel'}}
SLOW = 0.6  # s, a publisher's period
RATE = 20.0  # Hz
ROUND_TRIP = 0.3  # s, of a link to a machine elsewhere
FINDINGS = ('take turns', 'publishes every', 'is not heard', 'of others', 'has no base')

simulated = pytest.mark.parametrize('machine_kind', ['simulated'], indirect=True)
Drives = Callable[[str], Drive]


def warnings(bridge: BridgeProcess) -> list[str]:
    """Return what the bridge's log has warned of so far."""
    lines = bridge.output().splitlines()
    found = [re.fullmatch(r'\[WARN\] \S+ \[viam_session_bridge\]: (.*)', one) for one in lines]
    return [one[1] for one in found if one]


def wait_logged(bridge: BridgeProcess, line: str) -> None:
    """Wait for a warning in the bridge's log that ends with this line."""
    wait_for(
        lambda: any(one.endswith(line) for one in warnings(bridge)), f'the log warns {line!r}'
    )


def status_of(observer: Observer, status_name: str, line: str) -> DiagnosticStatus:
    """Wait for a line in a status of `/diagnostics`."""
    status, _ = observer.wait_status(
        '/diagnostics',
        lambda status, _: status.name.endswith(f': {status_name}') and line in status.message,
    )
    return status


def wait_warned(bridge: BridgeProcess, observer: Observer, status_name: str, line: str) -> None:
    """Wait for a line in the log, and for the same in a status that warns."""
    wait_logged(bridge, line)
    assert status_of(observer, status_name, line).level >= DiagnosticStatus.WARN


def wait_resolved(observer: Observer, status_name: str, line: str) -> None:
    """Wait until a status no longer has the line."""

    def newest() -> str:
        (status,) = [
            one for one in observer.messages('/diagnostics')[-1].status
            if one.name.endswith(f': {status_name}')
        ]
        return str(status.message)

    wait_for(lambda: line not in newest(), f'{status_name} is well')


@contextlib.contextmanager
def publishing(domain: int, node: str, kind: type, topic: str, qos: QoSProfile) -> Iterator[None]:
    """Have a publisher on a topic that sends nothing, and need not be compatible."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    try:
        there = rclpy.create_node(node, context=context)
        publisher: Any = there.create_publisher(kind, topic, qos)
        yield
        there.destroy_publisher(publisher)
    finally:
        context.try_shutdown()


@simulated
def test_an_address_where_nobody_listens(
    observer: Observer, start_bridge: StartBridge
) -> None:
    observer.listen('/diagnostics')
    address = f'127.0.0.1:{free_port()}'
    bridge = start_bridge(BASES, address=address, ready=False)
    line = (
        f'main: not connected to {address}, commands are refused: Connection refused: '
        'nothing listens there; check machines.main.address and viam-server'
    )
    wait_warned(bridge, observer, 'machine main', line)


def test_a_base_that_the_machine_does_not_have_before_anyone_commands_it(
    observer: Observer, start_bridge: StartBridge
) -> None:
    observer.listen('/diagnostics')
    bridge = start_bridge(MISTYPED)
    line = (
        "base: main has no base 'wheel', its bases are 'tracks', 'wheels': "
        'check bases.base.resource; did you mean wheels?'
    )
    wait_warned(bridge, observer, 'base base', line)
    assert status_of(observer, 'base base', line).level == DiagnosticStatus.ERROR


@simulated
def test_a_way_to_the_machine_that_takes_longer_than_calls_may(
    machine: Machine,
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    observer.listen('/diagnostics')

    def timeouts() -> list[str]:
        return [one for one in warnings(bridge) if 'DEADLINE_EXCEEDED' in one]

    with TcpProxy(machine.address, delay=ROUND_TRIP / 2) as way:
        bridge = start_bridge(BASES, address=way.address)
        start_publisher('teleop').stream('/wheels', forward=0.1, rate=RATE)
        took = bridge.wait_event('calls_take_longer')['round_trip']
        assert took > ROUND_TRIP
        line = (
            f'main: calls take {took:.2f} s, longer than machines.main.call_timeout (0.25 s): '
            f'set it to {math.ceil(15 * took) / 10:g}'
        )
        wait_warned(bridge, observer, 'machine main', line)
        assert status_of(observer, 'machine main', line).level == DiagnosticStatus.ERROR
        logged = len(timeouts())
        failed = len(bridge.events('command_failed'))
        wait_for(lambda: len(bridge.events('command_failed')) > failed + 3, 'it goes on to fail')
        assert len(timeouts()) == logged
        way.delay = 0.0
        drive('wheels').wait_driven()
        wait_resolved(observer, 'machine main', line)


@pytest.mark.parametrize('machine_kind', ['viam_server'], indirect=True)
def test_commands_that_fail_on_and_on(
    machine: ViamServer,
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    observer.listen('/diagnostics')
    bridge = start_bridge(BASES)
    teleop = start_publisher('teleop')
    # A session is called by the name that its publisher had at the beginning, and the graph may
    # tell that later than its messages come.
    teleop.stream('/wheels', forward=0.1, rate=RATE)
    wait_named(observer, '/teleop', 'wheels')
    teleop.silence('/wheels')
    bridge.wait_event('session_ended')
    machine.control('wheels', set_velocity_failures=1_000_000)
    try:
        teleop.stream('/wheels', forward=0.1, rate=RATE)
        line = 'a command of /teleop on /wheels failed, stopping: UNKNOWN: '
        wait_for(
            lambda: status_of(observer, 'base wheels', line).level == DiagnosticStatus.ERROR,
            'it is an error of the base',
        )
        first, *_, last = bridge.events('command_failed')
        assert last['at'] - first['at'] >= FAILS_FOR
    finally:
        machine.control('wheels', set_velocity_failures=0)
    drive('wheels').wait_driven()
    wait_resolved(observer, 'base wheels', line)


@simulated
def test_a_publisher_of_another_type(
    domain: int, observer: Observer, start_bridge: StartBridge
) -> None:
    observer.listen('/diagnostics')
    bridge = start_bridge(BASES)
    line = (
        '/wheels: /controller is not heard: it publishes geometry_msgs/msg/TwistStamped, the '
        'bridge expects geometry_msgs/msg/Twist: move the topic to stamped_command_topics, or '
        'have it publish geometry_msgs/msg/Twist'
    )
    with publishing(domain, 'controller', TwistStamped, '/wheels', QoSProfile(depth=1)):
        wait_warned(bridge, observer, 'bridge', line)


@simulated
@pytest.mark.skipif(ZENOH, reason='with Zenoh no QoS is incompatible')
def test_a_publisher_of_an_incompatible_qos(
    domain: int, observer: Observer, start_bridge: StartBridge
) -> None:
    observer.listen('/diagnostics')
    wanted = {'/wheels': {'subscription': {'reliability': 'reliable'}}}
    bridge = start_bridge(BASES, qos_overrides=wanted)
    line = (
        '/wheels: /joy is not heard: incompatible QoS, reliability (Best effort publisher and '
        'reliable subscription): set qos_overrides./wheels.subscription.reliability to '
        'best_effort, or let it publish as reliable'
    )
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    with publishing(domain, 'joy', Twist, '/wheels', qos):
        wait_warned(bridge, observer, 'bridge', line)


@simulated
def test_a_machine_that_has_no_sessions(
    observer: Observer, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    observer.listen('/diagnostics')
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    try:
        bridge = start_bridge(BASES, address=f'127.0.0.1:{port}')
        start_publisher('teleop').stream('/wheels', forward=0.1)
        remedy = (
            'it has no sessions, so nothing would stop its bases if this bridge died: check that '
            'machines.main.address is a viam-server that has them, or set '
            'machines.main.allow_unsupervised to true'
        )
        wait_warned(bridge, observer, 'machine main', remedy)
        assert re.search(
            r'main: no machine session for .+, no motion: UNIMPLEMENTED: ', bridge.output()
        )
    finally:
        server.stop(None)


@simulated
def test_a_publisher_slower_than_the_window(
    observer: Observer, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    observer.listen('/diagnostics')
    bridge = start_bridge(BASES)
    teleop = start_publisher('teleop')
    teleop.stream('/wheels', forward=0.1, rate=1.0 / SLOW)
    # The period is measured, and one late message of the six makes it another.
    line = re.compile(
        rf'/teleop publishes every (0\.\d+) s on /wheels, the window is {WINDOW} s: '
        r'raise heartbeat_window to (1\.\d) or publish faster'
    )

    def reported() -> list[re.Match[str]]:
        return [found for one in warnings(bridge) if (found := line.fullmatch(one))]

    period, longer = map(float, wait_for(reported, 'the log warns')[0].groups())
    assert period == pytest.approx(SLOW, rel=EVEN - 1.0)
    assert longer == pytest.approx(2.5 * period, abs=0.1)
    status, _ = observer.wait_status('/diagnostics', lambda one, _: bool(line.search(one.message)))
    assert status.name.endswith(': bridge')
    assert status.level == DiagnosticStatus.WARN
    teleop.silence('/wheels')
    wait_resolved(observer, 'bridge', 'publishes every')
    assert len(reported()) == 1


@simulated
def test_two_publishers_that_take_turns(
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    observer.listen('/diagnostics')
    bridge = start_bridge(BASES)
    planner, joystick = start_publisher('controller'), start_publisher('joy')
    planner.stream('/wheels', forward=0.1, rate=RATE)
    drive('wheels').wait_driven()
    joystick.stream('/wheels', forward=0.0, rate=RATE)
    remedy = (
        'it follows whoever spoke last. Let only one speak at a time, or put twist_mux in front '
        'of the bridge'
    )
    wait_warned(bridge, observer, 'base wheels', remedy)
    (line,) = [one for one in warnings(bridge) if remedy in one]
    assert {'/controller on /wheels', '/joy on /wheels'} == set(
        line.partition('wheels: ')[2].partition(' take turns')[0].split(' and ')
    )
    joystick.silence('/wheels')
    wait_resolved(observer, 'base wheels', remedy)


@simulated
def test_nothing_is_reported_of_good_publishers_that_hand_over_and_pause(
    machine: Machine,
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    with Caller(machine.address) as caller:
        wait_for(lambda: not caller.live(), "the other tests' sessions lapse")
    observer.listen('/diagnostics')
    bridge = start_bridge(BASES)
    planner, joystick = start_publisher('controller'), start_publisher('joy')
    base = drive('wheels')
    since = 0.0
    for _ in range(2):
        for publisher in (planner, joystick):
            since = publisher.stream('/wheels', forward=0.1, rate=RATE)
            base.wait_driven(since)
            if publisher is joystick:
                planner.silence('/wheels')
        joystick.silence('/wheels')
        since = base.wait_stopped(since).t
    wait_for(
        lambda: any(
            'nobody drives' in one.message
            for array in observer.messages('/diagnostics') for one in array.status
        ),
        'diagnostics tell of the base',
    )
    reported = [*warnings(bridge)]
    arrays = observer.messages('/diagnostics')
    reported += [one.message for array in arrays for one in array.status]
    assert not [one for one in reported if any(word in one for word in FINDINGS)]
