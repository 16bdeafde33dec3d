# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What befalls a Stop while it is under way, on a real viam-server (R7, R10, R13, R16).

viam-server cancels a base's running call when the next one comes: ours, another bridge's or an
operator's. The machine's window is so long that it stops nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.bounds import AT_ONCE, LATE, Load, PATIENCE
from support.drive import wait_for
from support.raw_client import RawClient
from support.record import Entry
from support.shell_run import settings, ShellRun
from support.tcp_proxy import TcpProxy
from support.viam_server import ViamServer
from viam_session_bridge.configuration.model import StopPolicy
from viam_session_bridge.core.base_control import ZERO_WAITS
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.dead_peer_detector import PATIENCE as WORDLESS
from viam_session_bridge.core.dead_peer_detector import QUESTIONS
from viam_session_bridge.core.machine_control import LONGEST_ZERO
from viam_session_bridge.core.stop_control import FIRST_PAUSE, UNKNOWN_EVERY
from viam_session_bridge.core.velocity import ZERO

WINDOW = 0.4  # s
CALL_TIMEOUT = 0.25  # s
STOP_TAKES = 1.2  # s
TWO_AT_ODDS = 8.0  # s; drawn 1500 times, the pauses were apart after 6.7 s at the latest
BOOTS = 3.0  # s that a machine serves without a base
UNKNOWN = 'no node found with api rdk:component:base and name base'
LONG = 60.0  # s, a machine window that stops nothing
MACHINE_WINDOW = 1.0  # s, where the machine is to stop the base
SETTLED = 1.0  # s after the machine answered again that a stop can be final (R7)


@pytest.fixture
def load() -> Iterator[Load]:
    """Return what measures how busy the computer is while a test runs."""
    with Load() as load:
        yield load


@pytest.fixture
def server(tmp_path: Path, load: Load) -> Iterator[ViamServer]:
    with ViamServer(tmp_path, ['base', 'beside'], LONG) as server:
        load.watch(lambda: server.pid)
        yield server


@contextlib.contextmanager
def bridge(
    server: ViamServer, address: str = '', call_timeout: float = CALL_TIMEOUT, **others: Any
) -> Iterator[ShellRun]:
    """Run a bridge for the base, at the machine's own address or another one."""
    addresses = {'main': address or server.address}
    with ShellRun(settings({'base': 'main'}, addresses, WINDOW, call_timeout, **others)) as run:
        yield run


def driven(server: ViamServer, run: ShellRun, client: str = 'A') -> None:
    """Let a client drive the base, its speed kept by heartbeats until it is silenced."""
    run.stream(client, 'base', heartbeats=True)
    wait_for(lambda: server.record.moving('base'), 'it moves')


def begun(server: ViamServer, call: str, since: float = 0.0) -> list[Entry]:
    return [one for one in server.record.calls('base', call, 'begin') if one.t >= since]


def wait_begun(server: ViamServer, call: str, since: float = 0.0) -> float:
    wait_for(lambda: begun(server, call, since), f'a {call} has begun')
    return begun(server, call, since)[0].t


def wait_rest(server: ViamServer, load: Load, since: float, seconds: float) -> float:
    """Wait until the base rests, hold that to so many seconds, and return when."""
    wait_for(lambda: not server.record.moving('base'), 'it rests', PATIENCE + seconds)
    entries = [one for one in server.record.calls('base') if one.takes_effect]
    last = max(number for number, one in enumerate(entries) if one.is_motion)
    rest = entries[last + 1].t
    load.hold(rest - since, seconds, since, rest, 'its rest')
    return rest


def wait_final(run: ShellRun) -> None:
    run.wait(lambda: not run.look(Bridge.not_final), 'the stop is final')
    run.wait_event('stop_final')


def test_one_that_goes_astray_on_a_lost_connection_is_sent_on_a_new_one(
    server: ViamServer, load: Load
) -> None:
    with TcpProxy(server.address) as way, bridge(server, way.address) as run:
        driven(server, run)
        way.lose_connections()
        silent = run.silence('A')
        wait_rest(
            server, load, silent, WINDOW + WORDLESS + QUESTIONS * CALL_TIMEOUT + 2 * LATE
        )
        wait_final(run)
        assert way.connections == 2


def test_one_whose_answer_goes_astray_is_acknowledged_on_a_new_connection(
    server: ViamServer, load: Load
) -> None:
    server.control('base', stop_hang=True)
    with TcpProxy(server.address) as way, bridge(server, way.address) as run:
        driven(server, run)
        silent = run.silence('A')
        wait_begun(server, 'stop', silent)
        way.lose_connections()
        released = time.monotonic()
        server.control('base', release=True)
        wait_rest(server, load, released, LATE)
        wait_final(run)
        assert len(begun(server, 'stop', silent)) == 2


def test_a_restarted_machine_that_serves_before_it_has_its_base_stops_it_once_it_has(
    server: ViamServer, load: Load
) -> None:
    with bridge(server) as run:
        driven(server, run)
        server.kill()
        run.silence('A')
        run.wait_event('stop', cause='lapse')
        server.late = BOOTS
        server.start()
        served = time.monotonic()
        run.wait(lambda: run.look(lambda bridge: bridge.machines['main'].ready), 'it is reached')
        run.wait(lambda: UNKNOWN in stop_detail(run), 'the machine says that it has no such base')
        wait_rest(server, load, served, BOOTS + UNKNOWN_EVERY + 2 * LATE)
        wait_final(run)
        assert not begun(server, 'set_velocity', served)


def stop_detail(run: ShellRun) -> str:
    """Return the machine's words for why the newest Stop failed."""
    pending = run.look(lambda bridge: bridge.machines['main'].bases['base'].stops.pending)
    return '' if pending is None else str(pending.detail)


def test_an_operators_own_stop_does_not_keep_ours_from_its_end(
    server: ViamServer, load: Load
) -> None:
    server.control('base', stop_delay=STOP_TAKES)
    with bridge(server) as run, RawClient(server.address) as operator:
        driven(server, run)
        ours = wait_begun(server, 'stop', run.silence('A'))
        with pytest.raises(grpc.RpcError, match='context canceled'):  # ours, repeated, does it
            operator.stop('base')
        wait_rest(server, load, ours, 2 * FIRST_PAUSE + STOP_TAKES + LATE)
        wait_final(run)
        assert len(begun(server, 'stop', ours)) == 3
        assert not begun(server, 'set_velocity', ours), 'no zero follows'


def test_two_bridges_do_not_cancel_each_others_for_ever(server: ViamServer, load: Load) -> None:
    server.control('base', stop_delay=STOP_TAKES)
    with bridge(server) as one, bridge(server) as other:
        driven(server, one)
        other.command('B', 'base')
        one.silence('A')
        first = wait_begun(server, 'stop')
        wait_rest(server, load, first, TWO_AT_ODDS)
        for run in (one, other):
            wait_final(run)
        assert not server.record.moving('base')


def test_a_zero_velocity_that_hangs_on_the_servers_lock_holds_up_the_next_stop_for_its_deadline(
    tmp_path: Path, load: Load
) -> None:
    with (
        ViamServer(tmp_path, ['base', 'beside'], MACHINE_WINDOW) as server,
        bridge(server, call_timeout=5.0) as run,
        RawClient(server.address) as other,
    ):
        load.watch(lambda: server.pid)
        driven(server, run)
        server.control('beside', stop_hang=True)
        other.drive('beside', other.start_session())
        # That session ends, and the machine's own stop hangs while it holds the lock.
        wait_for(lambda: server.record.calls('beside', 'stop'), 'the machine hangs')
        server.control('base', stop_failures=1)
        first = wait_begun(server, 'stop', run.silence('A'))
        rest = wait_rest(server, load, first, LONGEST_ZERO + LATE)
        assert rest - first >= LONGEST_ZERO - LATE
        released = time.monotonic()
        server.control('beside', release=True)
        wait_final(run)
        assert run.events('stop_final')[-1]['at'] - released >= SETTLED


def test_a_zero_stops_the_command_that_hangs_before_it(server: ViamServer, load: Load) -> None:
    with bridge(server, call_timeout=1.0) as run:
        driven(server, run)
        server.control('base', set_velocity_hang=True)
        hanging = time.monotonic()
        run.command('A', 'base')
        wait_begun(server, 'set_velocity', hanging)
        zero = time.monotonic()
        run.runtime.command('A', '/base', ZERO)
        wait_rest(server, load, zero, ZERO_WAITS + AT_ONCE)
        assert not run.events('session_ended')
        server.control('base', release=True)
        wait_final(run)
        run.silence('A')


def test_a_command_that_another_client_cancelled_is_left_to_it_under_the_machines_policy(
    tmp_path: Path, load: Load
) -> None:
    with (
        ViamServer(tmp_path, ['base'], MACHINE_WINDOW) as server,
        bridge(server, call_timeout=1.0, stop_policy=StopPolicy.MACHINE) as run,
        RawClient(server.address) as other,
    ):
        load.watch(lambda: server.pid)
        driven(server, run)
        server.control('base', set_velocity_delay=STOP_TAKES / 2)
        slow = time.monotonic()
        run.command('A', 'base')
        wait_begun(server, 'set_velocity', slow)
        server.control('base', set_velocity_delay=0.0)
        sid = other.start_session()
        driven_at = time.monotonic()
        other.drive('base', sid)
        run.wait_event('command_displaced', base='base')
        # That client's session ends, and the machine stops the base; the bridge never did.
        wait_for(lambda: not server.record.moving('base'), 'the machine stops it')
        stops = begun(server, 'stop')
        assert len(stops) == 1
        assert stops[0].t - driven_at >= MACHINE_WINDOW - LATE
        assert not run.events('stop')
        run.silence('A')
