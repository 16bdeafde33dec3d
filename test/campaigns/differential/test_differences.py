# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""viam-server's side of what `docs/differences.md` lists, and that list itself."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path
import re
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from campaigns.differential.raw import Connection
from support.bounds import EARLY, Load, PATIENCE
from support.drive import Drive, observe
from support.viam_server import ViamServer
from viam_session_bridge.viam import messages as wire

ROOT = Path(__file__).resolve().parents[3]
LIST = ROOT / 'docs' / 'differences.md'
WINDOW = 1.0  # s: a session that is not to lapse yet lives through a busy computer's stalls
LONG = 2 * WINDOW  # s in which a stop that is to come would have come
BASES = ('one', 'other')


class Client:
    """A Viam client with a session."""

    def __init__(self, address: str) -> None:
        self.connection = Connection(address)
        self.sid = str(self._call(wire.START_SESSION).id)

    def drive(self, base: str, speed: float = 100.0) -> float:
        """Command a base; return when."""
        now = time.monotonic()
        self._call(wire.SET_VELOCITY, self.sid, name=base, linear={'y': speed})
        return now

    def heartbeat(self, sid: str) -> None:
        """Heartbeat a session of whomever."""
        self._call(wire.SEND_SESSION_HEARTBEAT, id=sid)

    def _call(self, method: wire.Method, sid: str = '', **fields: Any) -> Any:
        metadata = [(wire.SESSION_KEY, sid)] if sid else []
        return self.connection[method](
            method.request(**fields), metadata=metadata, timeout=PATIENCE, wait_for_ready=True
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ViamServer]:
    with ViamServer(tmp_path, BASES, WINDOW) as server:
        yield server


@pytest.fixture
def load(server: ViamServer) -> Iterator[Load]:
    with Load() as load:
        load.watch(lambda: server.pid)
        yield load


@pytest.fixture
def client(server: ViamServer) -> Client:
    return Client(server.address)


def moves_on(server: ViamServer, base: str, since: float) -> None:
    """Assert that a base has not been stopped since."""
    assert server.record.moving(base)
    assert not [stop for stop in server.record.stops(base) if stop.t >= since]


def test_a_client_that_disconnects_drives_on_until_its_window_has_passed(
    server: ViamServer, client: Client, load: Load
) -> None:
    drive = Drive(server.record, 'one', load)
    sent = client.drive('one')
    client.connection.__exit__(None, None, None)
    stop = drive.wait_stopped(sent)
    assert stop.t - sent >= WINDOW - EARLY


def test_a_stop_of_a_lapse_that_fails_is_lost(server: ViamServer, client: Client) -> None:
    server.control('one', stop_failures=1)
    sent = client.drive('one')
    server.record.wait_for(lambda entries: entries[-1].error, PATIENCE, 'the stop fails')
    observe(LONG, lambda: moves_on(server, 'one', sent))
    assert len(server.record.calls('one', 'stop', 'begin')) == 1


def test_a_stop_that_hangs_holds_up_the_stop_of_another_session(
    server: ViamServer, client: Client, load: Load
) -> None:
    server.control('one', stop_hang=True)
    first = client.drive('one')
    observe(WINDOW / 2, lambda: moves_on(server, 'one', first))
    other = Client(server.address)
    sent = other.drive('other')
    server.record.wait_for(lambda _: server.record.calls('one', 'stop'), PATIENCE, 'it hangs')
    observe(LONG, lambda: moves_on(server, 'other', sent))
    server.control('one', release=True)
    stop = Drive(server.record, 'other', load).wait_stopped(sent)
    assert stop.t - sent > LONG


def test_the_older_command_lives_on_when_a_newer_one_fails(
    server: ViamServer, client: Client, load: Load
) -> None:
    other = Client(server.address)
    client.drive('one', 100.0)
    server.control('one', set_velocity_failures=1)
    sent = time.monotonic()
    with pytest.raises(grpc.RpcError, match='injected fault'):
        other.drive('one', 200.0)
    drive = Drive(server.record, 'one', load)
    (older,) = [motion for motion in drive.motions() if motion.t < sent]
    stop = drive.wait_stopped(older.t)
    # It lasts for the window of the one that failed, who is the last user all the same.
    assert stop.t - sent >= WINDOW - EARLY


def test_anyone_keeps_a_session_alive(server: ViamServer, client: Client, load: Load) -> None:
    other = Client(server.address)
    sent = client.drive('one')

    def watch() -> None:
        other.heartbeat(client.sid)
        moves_on(server, 'one', sent)

    observe(LONG, watch)
    Drive(server.record, 'one', load).wait_stopped(sent + LONG)


def test_a_number_that_is_none_reaches_the_driver(server: ViamServer, client: Client) -> None:
    client.drive('one', 100.0)
    with pytest.raises(grpc.RpcError, match='unsupported value: NaN'):  # of the test's driver
        client.drive('one', math.nan)
    assert server.record.moving('one')


def test_a_server_that_ends_leaves_its_base_moving(server: ViamServer, client: Client) -> None:
    client.drive('one')
    assert server.terminate() == 0
    assert server.record.moving('one')
    assert not server.record.calls('one', 'stop')


def test_every_test_that_the_list_names_is_there() -> None:
    named = re.findall(r'`(test/\S+\.py)::(\w+)`', LIST.read_text())
    assert len(named) > 20
    for file, test in named:
        assert f'\ndef {test}(' in (ROOT / file).read_text(), f'{file}::{test}'


def test_every_difference_has_a_rule_and_tests() -> None:
    page = LIST.read_text()
    rows = re.findall(r'^\| (.+) \|$', page, re.MULTILINE)
    differences = [row.split(' | ') for row in rows if not row.startswith(('---', 'rule'))]
    assert len(differences) > 8
    tests = r'^- (R\d+(?:, R\d+)*):((?:\n  `test/\S+::\w+`,?)+)$'
    shown_by = re.findall(tests, page, re.MULTILINE)
    assert [rule for rule, _, _ in differences] == [rules for rules, _ in shown_by]
    assert all(viam and bridge for _, viam, bridge in differences)
