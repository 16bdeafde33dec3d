# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Three real machines: main, arm (a sub-part of main) and hand (a sub-part of arm).

Each has one base, of the machine's name, and all three listen to `ALL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
import time
from typing import Any

import pytest

from e2e.conftest import patience, StartPublisher
from support.bounds import Load
from support.bridge_process import BridgeProcess, CALL_TIMEOUT, parameters
from support.drive import Drive, wait_for
from support.publisher_process import PublisherProcess
from support.viam_server import ViamServer

ALL = '/all/cmd_vel'
PARENTS = {'hand': 'arm', 'arm': 'main', 'main': ''}  # the deepest first
BASES = {part: {'machine': part, 'command_topics': [ALL]} for part in PARENTS}
MACHINE_WINDOW = 2.0  # s, long enough to do nothing here before the bridge does
LEVEL_TIMEOUT = 0.8  # s
SHUTDOWN_TIMEOUT = 1.3  # s
ON_TIME = 0.020  # s that a stop may be late, on an idle computer

Drives = Callable[[str], Drive]
DriveAll = Callable[[], PublisherProcess]
Tree = dict[str, ViamServer]


@pytest.fixture(scope='module')
def tree(stop_takes: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Return the three machines."""
    directory = tmp_path_factory.mktemp('tree')
    with ExitStack() as machines:
        yield {
            part: machines.enter_context(
                ViamServer(
                    directory,
                    [part],
                    MACHINE_WINDOW,
                    name=f'{part}_server',
                    stop_takes=stop_takes,
                )
            )
            for part in PARENTS
        }


@pytest.fixture(scope='module')
def machine(tree: Tree) -> ViamServer:
    """Return the main part."""
    return tree['main']


@pytest.fixture(autouse=True)
def hand(tree: Tree, load: Load) -> Iterator[ViamServer]:
    """Return the deepest machine, which may be made to hang; it goes on afterwards."""
    for server in tree.values():
        load.watch(lambda server=server: server.pid)  # type: ignore[misc]
    yield tree['hand']
    let_go(tree['hand'])


@pytest.fixture(scope='module')
def shared_bridge(
    tree: Tree,
    shared_domain: int,
    stop_takes: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BridgeProcess]:
    """Return a bridge for all three machines."""
    directory = tmp_path_factory.mktemp('bridge')
    settings = parameters('', BASES, **hierarchy(tree, stop_takes))
    with BridgeProcess(directory, shared_domain, settings) as bridge:
        yield bridge


@pytest.fixture
def drive(tree: Tree, load: Load, stop_takes: float) -> Drives:
    """Return what reads the record of a machine's base."""
    return lambda part: Drive(tree[part].record, part, load, stop_takes, ON_TIME)


@pytest.fixture
def drive_all(start_publisher: StartPublisher, drive: Drives) -> DriveAll:
    """Return what starts a publisher that drives all three bases."""

    def start() -> PublisherProcess:
        teleop = start_publisher('teleop')
        sent = teleop.stream(ALL, forward=0.2)
        for part in PARENTS:
            drive(part).wait_driven(sent)
        return teleop

    return start


def hierarchy(tree: Tree, stop_takes: float) -> dict[str, Any]:
    """Return the parameters that say which machine is a part of which."""
    timeout = patience(CALL_TIMEOUT, stop_takes)
    return {
        'machine_names': list(PARENTS),
        'machines': {
            part: {
                'address': tree[part].address,
                'insecure': True,
                'parent': parent,
                'call_timeout': timeout,
            }
            for part, parent in PARENTS.items()
        },
        'level_timeout': LEVEL_TIMEOUT,
        'shutdown_timeout': SHUTDOWN_TIMEOUT,
    }


def freeze(hand: ViamServer, bridge: BridgeProcess) -> None:
    """Freeze a machine whose base is driven, until a command went unanswered."""
    since = time.monotonic()
    hand.pause()
    bridge.wait_event('command_failed', base='hand', since=since)


def let_go(hand: ViamServer) -> None:
    """Let go on what hangs, the machine or a call."""
    hand.resume()
    hand.control('hand', release=True)


def finals(bridge: BridgeProcess, part: str, since: float) -> list[float]:
    """Return when stops of a machine's base became final."""
    events = bridge.events('stop_final')
    return [e['at'] for e in events if e['stop']['base'] == part and e['at'] >= since]


def wait_final(bridge: BridgeProcess, part: str, since: float) -> float:
    """Wait until a stop of a machine's base is final and return when it was."""
    times: list[float] = wait_for(lambda: finals(bridge, part, since), f'{part}: final')
    return times[0]
