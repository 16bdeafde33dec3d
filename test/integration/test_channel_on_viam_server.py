# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the real viam-server's answers and losses are to a channel, and a connection made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import time
from typing import Any

import pytest

from support.channel_driver import base_named, BOUND, Driver
from support.drive import wait_for
from support.tcp_proxy import TcpProxy
from support.viam_server import ViamServer
from viam_session_bridge.core.missing_bases import is_unknown_base
from viam_session_bridge.core.requests import (
    GetMachineStatus,
    ListBases,
    Move,
    Outcome,
    Redial,
    Request,
    StopBase,
)
from viam_session_bridge.core.velocity import Velocity

SLOW = 5.0  # s
BROKEN = {'name': 'broken', 'api': 'rdk:component:base', 'model': 'nobody:has:this'}
MOVE = Move('base', Velocity(x=0.1), '')
LONG = 60.0  # s, a deadline that nobody waits for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ViamServer]:
    """Run a viam-server with a base called wheels, and one that fails to build."""
    with ViamServer(tmp_path, ['wheels'], extra={'components': [BROKEN]}) as running:
        yield running


@pytest.fixture
def proxy(server: ViamServer) -> Iterator[TcpProxy]:
    """Provide a way to the server that can be lost."""
    with TcpProxy(server.address) as way:
        yield way


def driver_to(address: str) -> Driver:
    """Return a channel that is connected."""
    driver = Driver(address, base_named('base'))
    driver.wait_ready()
    return driver


def begun(server: ViamServer, call: str) -> None:
    """Wait until a call has begun."""
    wait_for(lambda: server.record.calls('wheels', call), 'it begins')


@pytest.mark.parametrize(('first', 'fault'), [(StopBase('base'), 'stop'), (MOVE, 'set_velocity')])
@pytest.mark.parametrize('second', [StopBase('base'), MOVE])
def test_the_call_that_another_one_took_the_place_of_is_answered_as_cancelled(
    server: ViamServer, first: Request, fault: str, second: Request
) -> None:
    driver = driver_to(server.address)
    slow: Any = {f'{fault}_delay': SLOW}
    server.control('wheels', **slow)
    displaced = driver.hand_over(first, timeout=LONG)
    begun(server, fault)
    fast: Any = {f'{fault}_delay': 0.0}
    server.control('wheels', **fast)
    assert driver.ask(second).outcome is Outcome.OK
    answer = displaced.get(timeout=BOUND)
    assert (answer.outcome, answer.detail) == (Outcome.CANCELLED, 'CANCELLED: context canceled')
    assert answer.outcome.answered
    driver.channel.close()


def test_a_call_whose_machine_dies_is_cut(server: ViamServer) -> None:
    driver = driver_to(server.address)
    server.control('wheels', stop_delay=SLOW)
    under_way = driver.hand_over(StopBase('base'), timeout=LONG)
    begun(server, 'stop')
    server.kill()
    assert under_way.get(timeout=BOUND).outcome is Outcome.CUT
    driver.channel.close()


def test_over_a_connection_that_was_lost_without_a_word_a_call_goes_through_after_a_redial(
    server: ViamServer, proxy: TcpProxy
) -> None:
    driver = driver_to(proxy.address)
    proxy.lose_connections()
    lost = driver.hand_over(StopBase('base'), timeout=LONG)
    assert driver.ask(StopBase('base'), timeout=0.3).outcome is Outcome.TIMED_OUT
    assert driver.readiness.empty(), 'gRPC noticed by itself'
    redialled = time.monotonic()
    assert driver.ask(Redial()).outcome is Outcome.OK
    driver.wait_ready(False)
    driver.wait_ready()
    assert driver.ask(StopBase('base')).outcome is Outcome.OK
    print(f'a call went through {time.monotonic() - redialled:.3f} s after the redial')
    assert lost.get(timeout=BOUND).outcome is Outcome.CUT
    calls = server.record.calls('wheels', 'stop')
    assert [call.phase for call in calls] == ['begin', 'end'], 'a lost one came, too'
    assert proxy.connections == 2
    driver.channel.close()


def test_it_tells_which_bases_there_are_and_which_failed_to_build(server: ViamServer) -> None:
    bases = [base_named(name, resource=name) for name in ('wheels', 'broken', 'none')]
    driver = Driver(server.address, *bases)
    driver.wait_ready()
    listed = driver.ask(GetMachineStatus()).listed
    assert listed is not None
    assert listed.bases == ('broken', 'wheels')
    assert listed.complete
    assert listed.lacking.keys() == {'broken', 'none'}
    assert listed.lacking['none'] == ''
    assert listed.lacking['broken'].startswith('resource build error: unknown resource type')
    by_name = driver.ask(ListBases()).listed
    assert by_name is not None
    assert by_name.lacking.keys() == {'broken', 'none'}
    assert by_name.complete is None
    assert is_unknown_base(driver.ask(StopBase('none')))
    broken = driver.ask(StopBase('broken'))
    assert not is_unknown_base(broken)
    assert 'not available; reason=resource build error' in broken.detail
    driver.channel.close()
