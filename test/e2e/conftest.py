# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Real processes over real DDS, against both machines: the real viam-server and the simulated one.

A module names its bases (`BASES`: the parameters of each); its machine has all of them and serves
all its tests, each of which drives bases of its own. `MACHINE_WINDOW` is the machine's heartbeat
window in s, `CALL_TIMEOUT` the `call_timeout` of a bridge that the tests share.

Tests of stops are marked `slow_bases`, most modules as a whole: they run once more, on the real
viam-server, with bases whose Stop takes `SLOW` (R7). Where that would say nothing a test is
marked `fast_bases`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from support.bounds import Load, PATIENCE
from support.bridge_process import BridgeProcess, CALL_TIMEOUT, parameters
from support.caller import Caller
from support.domains import own_domain
from support.drive import Drive, wait_for
from support.observer import Observer
from support.publisher_process import PublisherProcess
from support.simulated import SimulatedMachineProcess

if TYPE_CHECKING:
    from support.viam_server import ViamServer

    Machine = ViamServer | SimulatedMachineProcess

StartBridge = Callable[..., BridgeProcess]
StartPublisher = Callable[..., PublisherProcess]

MACHINE_WINDOW = 0.6  # s, longer than the bridge's, which so comes first
SLOW = 0.4  # s


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise the machine (both kinds, where a test names none) and what its Stops take."""
    marks = list(metafunc.definition.iter_markers())
    names = {mark.name for mark in marks}
    slow = 'slow_bases' in names and 'fast_bases' not in names
    named = any(mark.name == 'parametrize' and mark.args[0] == 'machine_kind' for mark in marks)
    if 'machine_kind' in metafunc.fixturenames and not named:
        runs = {'viam_server': ('viam_server', 0.0), 'simulated': ('simulated', 0.0)}
        if slow:
            runs['slow_viam_server'] = ('viam_server', SLOW)
        metafunc.parametrize(
            ('machine_kind', 'stop_takes'), runs.values(), True, runs.keys(), 'module'
        )
    elif slow:
        metafunc.parametrize('stop_takes', (0.0, SLOW), True, ('fast', 'slow'), 'module')


def make_machine(
    kind: str, directory: Path, bases: list[str], window: float, stop_takes: float = 0.0
) -> Machine:
    """Make a machine of a kind, at whose bases a Stop takes so many s; it is to be started."""
    if kind == 'simulated':
        options = ['--stop-time', str(stop_takes)]
        return SimulatedMachineProcess(directory, bases, window, options=options)
    from support.viam_server import ViamServer

    return ViamServer(directory, bases, window, stop_takes=stop_takes)


@pytest.fixture(scope='module')
def shared_domain() -> Iterator[int]:
    """Return the ROS domain of the module's bridge."""
    with own_domain() as domain:
        yield domain


@pytest.fixture
def domain(request: pytest.FixtureRequest, own_ros_domain: int) -> int:
    """Return the ROS domain of the test's processes: for a bridge of its own one of its own."""
    shared = 'bridge' in request.fixturenames
    domain: int = request.getfixturevalue('shared_domain') if shared else own_ros_domain
    return domain


@pytest.fixture(scope='module')
def machine_kind(request: pytest.FixtureRequest) -> str:
    """Return which machine the tests are run against."""
    kind: str = request.param
    return kind


@pytest.fixture(scope='module')
def stop_takes(request: pytest.FixtureRequest) -> float:
    """Return what a Stop takes at the machine's bases, in s."""
    takes: float = getattr(request, 'param', 0.0)
    return takes


@pytest.fixture(scope='module')
def machine(
    request: pytest.FixtureRequest,
    machine_kind: str,
    stop_takes: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Machine]:
    """Return the module's machine, which runs."""
    window = getattr(request.module, 'MACHINE_WINDOW', MACHINE_WINDOW)
    bases = list(request.module.BASES)
    directory = tmp_path_factory.mktemp(machine_kind)
    with make_machine(machine_kind, directory, bases, window, stop_takes) as machine:
        yield machine


@pytest.fixture(autouse=True)
def nobody_there(request: pytest.FixtureRequest) -> None:
    """
    Wait until viam-server has stopped the bases of the sessions of the test before.

    It lets the commands for all bases wait meanwhile, so that the next test's Stop is not clean.
    Where its window is long it stops none before the module's end.
    """
    if 'machine_kind' not in request.fixturenames or not request.getfixturevalue('stop_takes'):
        return
    machine = request.getfixturevalue('machine')
    if machine.running and getattr(request.module, 'MACHINE_WINDOW', MACHINE_WINDOW) < PATIENCE:
        wait_until_nobody_is_there(machine)


@pytest.fixture
def load(machine: Machine) -> Iterator[Load]:
    """Return what measures how busy the computer is while a test runs."""
    with Load() as load:
        load.watch(lambda: machine.pid)
        yield load


@pytest.fixture
def drive(machine: Machine, load: Load, stop_takes: float) -> Callable[[str], Drive]:
    """Return what reads a base's record."""
    return lambda base: Drive(machine.record, base, load, stop_takes)


@pytest.fixture
def start_publisher(domain: int, load: Load, tmp_path: Path) -> Iterator[StartPublisher]:
    """Return what starts a publisher's process, given its node's name."""
    with ExitStack() as processes:

        def start(node: str, *, name: str = '') -> PublisherProcess:
            publisher = PublisherProcess(tmp_path, node, domain, name=name)
            publisher.start()
            processes.enter_context(publisher)
            load.watch(lambda: publisher.pid)
            return publisher

        yield start


@pytest.fixture
def start_bridge(
    machine: Machine, domain: int, load: Load, stop_takes: float, tmp_path: Path
) -> Iterator[StartBridge]:
    """
    Return what starts a bridge of the test's own, given the parameters of its bases.

    `inside` is the command that it is run by.
    """
    bridges: list[BridgeProcess] = []
    with ExitStack() as processes:

        def start(
            bases: dict[str, dict[str, Any]],
            *,
            address: str | None = None,
            ready: bool = True,
            inside: Sequence[str] = (),
            **others: Any,
        ) -> BridgeProcess:
            others = {'call_timeout': patience(CALL_TIMEOUT, stop_takes), **others}
            settings = parameters(address or machine.address, bases, **others)
            bridge = BridgeProcess(tmp_path, domain, settings, name=f'bridge{len(bridges)}')
            bridge.inside(inside).start(ready)
            processes.enter_context(bridge)
            bridges.append(bridge)
            load.watch(lambda: bridge.pid)
            return bridge

        yield start
    for bridge in bridges:
        tell(bridge)
        check_output(bridge.output())


@pytest.fixture(scope='module')
def shared_bridge(
    request: pytest.FixtureRequest,
    machine: Machine,
    shared_domain: int,
    stop_takes: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BridgeProcess]:
    """Return a bridge for all bases of the module."""
    directory = tmp_path_factory.mktemp('bridge')
    timeout = patience(getattr(request.module, 'CALL_TIMEOUT', CALL_TIMEOUT), stop_takes)
    settings = parameters(machine.address, request.module.BASES, call_timeout=timeout)
    with BridgeProcess(directory, shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def bridge(shared_bridge: BridgeProcess, load: Load) -> Iterator[BridgeProcess]:
    """Return the bridge of the module's tests, which has to outlive each of them."""
    if not shared_bridge.running:
        shared_bridge.start()
    load.watch(lambda: shared_bridge.pid)
    before = len(shared_bridge.output())
    shared_bridge.forget()
    yield shared_bridge
    tell(shared_bridge)
    assert shared_bridge.running, f'the bridge ended{shared_bridge.log_end()}'
    check_output(shared_bridge.output()[before:])


@pytest.fixture
def observer(domain: int) -> Iterator[Observer]:
    """Return a node that asks the bridge and listens to it."""
    with Observer(domain) as observer:
        yield observer


def wait_until_nobody_is_there(machine: Machine) -> None:
    """Wait until a machine has no sessions, and has stopped the bases that they used last."""
    with Caller(machine.address) as caller:
        wait_for(lambda: not caller.live(), 'the sessions lapse')


def patience(call_timeout: float, stop_takes: float) -> float:
    """
    Return the `call_timeout` to set where a Stop takes that long.

    viam-server lets each command wait while it stops the bases of a session that ended.
    """
    return call_timeout + stop_takes


def tell(bridge: BridgeProcess) -> None:
    """Print what the bridge noted; pytest shows it for a test that failed."""
    for event in bridge.events():
        print(bridge.name, *(f'{key}={value}' for key, value in event.items()))


def wait_named(observer: Observer, node: str, base: str) -> None:
    """
    Wait until the bridge knows the name of the node that used a base last.

    Its heartbeats count from then on only, and the graph tells it later than its messages come. It
    also keeps the names of killed nodes for 20 s: the name has to be the node's alone.
    """
    wait_for(
        lambda: any(
            row['node'] == node and row['bases'] == [base]
            for row in observer.overview()['sessions']
        ),
        f'the graph names {node}',
    )


def check_output(output: str) -> None:
    """Assert that nothing went wrong unforeseen."""
    for sign in ('Traceback', 'internal error', 'the bridge failed', 'Fatal Python error'):
        assert sign not in output, output
