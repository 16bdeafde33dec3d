# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that use `SessionClient`, over real DDS: what keeps their bases moving, and what not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
import signal
import sys
import time
from typing import Any

import pytest

from e2e.conftest import StartPublisher
from support.bounds import EXIT, LATE, LEFT, Load, PATIENCE
from support.bridge_process import BridgeProcess, parameters
from support.client_process import ClientProcess
from support.domains import publishers_environment
from support.drive import Drive, wait_for
from support.observer import Observer
from support.own_node import answer_of, OwnNode
from support.process import ProcessUnderTest, ROOT
from support.publisher import HEARTBEATS
from support.simulated import SimulatedMachineProcess
from viam_session_bridge.client import SessionClient
from viam_session_bridge.reporting.overview import Overview, SessionRow

AUTO = ('hung', 'given_up', 'killed', 'frozen', 'told')
BASES: dict[str, dict[str, Any]] = {
    **{name: {'command_topics': [f'/{name}/cmd_vel']} for name in AUTO},
    'permitted': {'command_topics': ['/permitted/cmd_vel'], 'sessions': 'manual'},
    'kept_by_example': {'command_topics': ['/cmd_vel']},
    'held': {'command_topics': ['/held/cmd_vel'], 'sessions': 'manual'},
    'unheard': {'command_topics': ['/unheard/cmd_vel'], 'sessions': 'manual'},
}
# Long, as a busy computer's delays are no reason to stop here: of heartbeats, of the name of a new
# node in the graph, of the machine's answers.
WINDOW = 1.0  # s
MACHINE_WINDOW = 3.0  # s
CALL_TIMEOUT = 2.0  # s

Drives = Callable[[str], Drive]
StartClient = Callable[[str], ClientProcess]
StartExample = Callable[..., ProcessUnderTest]


@pytest.fixture(scope='module')
def machine_kind() -> str:
    """Return the one machine that these tests need: they are about the bridge's clients."""
    return 'simulated'


@pytest.fixture(scope='module')
def shared_bridge(
    machine: SimulatedMachineProcess, shared_domain: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BridgeProcess]:
    """Return the bridge of all these tests, with their window."""
    settings = parameters(
        machine.address, BASES, heartbeat_window=WINDOW, call_timeout=CALL_TIMEOUT
    )
    with BridgeProcess(tmp_path_factory.mktemp('bridge'), shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def start_client(domain: int, load: Load, tmp_path: Path) -> Iterator[StartClient]:
    """Return what starts a node with a `SessionClient`."""
    with ExitStack() as processes:

        def start(node: str) -> ClientProcess:
            client = processes.enter_context(ClientProcess(tmp_path, node, domain))
            load.watch(lambda: client.pid)
            return client

        yield start


def topic_of(base: str) -> str:
    """Return the command topic of a base."""
    return f'/{base}/cmd_vel'


def keep_speed(client: ClientProcess, base: Drive, observer: Observer) -> None:
    """Have a client keep a speed that it does not repeat."""
    topic = topic_of(base.base)

    def kept() -> bool:
        client.publish(topic, 0.2)
        return any(row['node'] == f'/{client.name}' for row in observer.overview()['sessions'])

    client.publish(topic, 0.2)
    client.session(topic)
    # Its heartbeats count from when the graph knows its name, which load may delay by a window.
    wait_for(kept, f'the graph names {client.name}')
    client.publish(topic, 0.3)
    began = base.wait_driven(times=1, forward=0.3)[0].t
    base.keeps_moving(began, 2 * WINDOW)
    assert len(base.motions(began)) == 1


def test_node_whose_executor_hangs_is_stopped_though_its_process_lives(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_client: StartClient
) -> None:
    base, client = drive('hung'), start_client('hung')
    keep_speed(client, base, observer)
    client.hang()
    stop = base.stopped_one_window_after(client.last_sent(HEARTBEATS), WINDOW)
    base.stands_still(stop.t, WINDOW)
    assert client.running


def test_session_lapses_when_heartbeats_are_stopped(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_client: StartClient
) -> None:
    base, client = drive('given_up'), start_client('given_up')
    keep_speed(client, base, observer)
    client.stop()
    sent = client.last_sent(HEARTBEATS)
    stop = base.stopped_one_window_after(sent, WINDOW)
    base.stands_still(stop.t, WINDOW)
    assert client.last_sent(HEARTBEATS) == sent


def test_killed_node_is_stopped(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_client: StartClient
) -> None:
    base, client = drive('killed'), start_client('killed')
    keep_speed(client, base, observer)
    stop = base.stopped_after_kill(client, HEARTBEATS, WINDOW)
    base.stands_still(stop.t, WINDOW)


def test_frozen_node_is_stopped_and_its_heartbeats_alone_move_nothing_again(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_client: StartClient
) -> None:
    base, client = drive('frozen'), start_client('frozen')
    keep_speed(client, base, observer)
    client.pause()
    sent = client.last_sent(HEARTBEATS)
    stop = base.stopped_one_window_after(sent, WINDOW)
    client.resume()
    wait_for(lambda: client.last_sent(HEARTBEATS)[0] > stop.t, 'heartbeats come again')
    base.stands_still(stop.t, WINDOW)


def test_permission_lets_another_node_drive_until_it_ends(
    bridge: BridgeProcess,
    drive: Drives,
    start_client: StartClient,
    start_publisher: StartPublisher,
) -> None:
    base, operator = drive('permitted'), start_client('operator')
    teleop = start_publisher('permitted')
    teleop.stream(topic_of('permitted'), forward=0.2)
    bridge.wait_event('refused', base='permitted', reason='no_session')
    assert not base.motions()

    operator.permission('/permitted')
    began = base.wait_driven()[0].t
    base.keeps_moving(began, 2 * WINDOW)
    operator.stop()
    stop = base.stopped_one_window_after(operator.last_sent(HEARTBEATS), WINDOW)
    base.stands_still(stop.t, WINDOW)


class Watching(OwnNode):
    """A node of this process with a `SessionClient`, which is spun."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, 'watching')
        self.client = SessionClient(self._node)


@pytest.fixture
def watching(domain: int) -> Iterator[SessionClient]:
    """Return the client of a node that is spun."""
    with Watching(domain) as node:
        yield node.client


def test_overview_and_sessions_are_reported_in_the_same_words(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher, watching: SessionClient
) -> None:
    tables: list[list[SessionRow]] = []
    teleop = start_publisher('told')
    teleop.stream(topic_of('told'), forward=0.2)
    drive('told').wait_driven()
    watching.watch(tables.append)
    assert watching.wait_for_bridge(PATIENCE)

    def row_of(rows: list[SessionRow]) -> SessionRow | None:
        return next((row for row in rows if row.bases == ['told'] and row.state == 'active'), None)

    def watched() -> SessionRow | None:
        row = row_of(tables[-1]) if tables else None
        if row is None or not row.machine_sessions or not row.node:
            return None
        return row

    heard: SessionRow = wait_for(watched, 'the session is told, with what starts later')
    # An answer is lost whose way back DDS has not found yet.
    overview: Overview = answer_of(watching.overview, 'the bridge', times=5)
    assert (overview.active, overview.window) == (True, WINDOW)
    assert {row.base for row in overview.bases} == set(BASES)
    asked = row_of(overview.sessions)
    assert asked is not None
    for name in ('id', 'client', 'node', 'topic', 'state', 'machine_sessions', 'bases'):
        assert getattr(asked, name) == getattr(heard, name), name
    assert (asked.node, asked.topic) == ('/told', topic_of('told'))
    assert 0.0 < heard.to_lapse <= WINDOW
    assert 0 < heard.commands <= asked.commands


def test_window_is_the_bridges(bridge: BridgeProcess, watching: SessionClient) -> None:
    assert watching.window != WINDOW
    assert watching.wait_for_bridge(PATIENCE)
    with watching.permission('/nobody'):
        wait_for(lambda: watching.window == WINDOW, 'the bridge tells its window')


class Example(ProcessUnderTest):
    """One of the examples, as it is."""

    def __init__(self, directory: Path, domain: int, name: str, *arguments: str) -> None:
        super().__init__(directory, name, publishers_environment(domain))
        self._arguments = arguments

    def command(self) -> list[str]:
        """Return what to run."""
        program = str(ROOT / 'examples' / f'{self.name}.py')
        return [sys.executable, program, '--ros-args', *self._arguments]


@pytest.fixture
def start_example(domain: int, load: Load, tmp_path: Path) -> Iterator[StartExample]:
    """Return what starts an example, given its name and ROS arguments."""
    with ExitStack() as processes:

        def start(name: str, *arguments: str) -> Example:
            example = processes.enter_context(Example(tmp_path, domain, name, *arguments))
            load.watch(lambda: example.pid)
            return example

        yield start


def test_example_keeps_a_speed_until_it_is_interrupted(
    bridge: BridgeProcess, drive: Drives, start_example: StartExample
) -> None:
    base = drive('kept_by_example')
    example = start_example('keep_a_speed')
    began = base.wait_driven(times=1)[0].t
    base.keeps_moving(began, 2 * WINDOW)
    assert len(base.motions()) == 1
    interrupted = time.monotonic()
    example.send_signal(signal.SIGINT)
    base.stopped_within(interrupted, LEFT + EXIT)
    assert example.wait_exit() == 0, example.log_end()


def test_example_lets_drive_while_the_button_says_so(
    bridge: BridgeProcess,
    drive: Drives,
    start_example: StartExample,
    start_publisher: StartPublisher,
) -> None:
    base = drive('held')
    example = start_example(
        'dead_mans_switch', '-p', 'drives:=/held', '-r', 'cmd_vel:=/held/cmd_vel'
    )
    teleop, joystick = start_publisher('held'), start_publisher('joystick')
    teleop.stream('/held/cmd_vel', forward=0.2)
    bridge.wait_event('refused', base='held', reason='no_session')
    joystick.press('/button')
    began = base.wait_driven()[0].t
    base.keeps_moving(began, 2 * WINDOW)

    let_go = joystick.press('/button', held=False)
    stop = base.stopped_within(let_go, WINDOW + LATE)
    base.stands_still(stop.t, WINDOW)
    held = joystick.press('/button')
    again = base.wait_driven_again(stop.t, held).t
    base.keeps_moving(again, WINDOW)
    joystick.kill()  # with the button held
    stop = base.stopped_one_window_after(joystick.last_sent('/button'), WINDOW)
    assert example.running
