# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Dialing over WebRTC, against the real viam-server, which does its own signalling.

Everything is real and stays in a network namespace: viam-sdk's library, ICE and DTLS on the
loopback, TLS with a certificate authority of the test's own, API keys.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import queue
import signal
import stat
import time
from typing import Any

import grpc
import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.bounds import Load, PATIENCE
from support.bridge_process import BridgeProcess, parameters
from support.certificates import Authority
from support.dialed import children, DIAL_TIMEOUT, Dialed, ended, write_key
from support.domains import own_domain
from support.drive import Drive
from support.namespace import in_namespace
from support.publisher_process import PublisherProcess
from support.viam_server import ViamServer
from support.zenoh_router import routed
from viam_session_bridge.viam import messages as wire
from viam_session_bridge.viam.credentials import Credentials
from viam_session_bridge.viam.webrtc import (
    FIRST_PAUSE,
    PROBE_INTERVAL,
    PROBE_TIMEOUT,
    PROBES_FAILED,
    SOCKET_OPTIONS,
)

KEY = Credentials('8cf0e0d2-53d3-4b8e-a59d-6d17ee4b8ec7', 'the-key')
AT_ONCE = 0.5  # s
LOSS = PROBE_INTERVAL + PROBES_FAILED * PROBE_TIMEOUT + 0.2  # s until one is noticed
DIALED = 2 * DIAL_TIMEOUT + FIRST_PAUSE  # s: one dial may hang
PEER_WEBRTC = 2  # PEER_CONNECTION_TYPE_WEBRTC


class Machine:
    """A viam-server with TLS, an API key and WebRTC."""

    def __init__(
        self, directory: Path, bases: Sequence[str] = ('base',), window: float = 2.0
    ) -> None:
        authority = Authority(directory)
        self.trusted = authority.ca_file.read_bytes()
        keys = {'keys': [KEY.key_id], KEY.key_id: KEY.key}
        extra: dict[str, Any] = {'auth': {'handlers': [{'type': 'api-key', 'config': keys}]}}
        extra.update(authority.issue('127.0.0.1').viam_network())
        self.key_file = write_key(directory / 'key.json', KEY)
        self.target = ''  # of the transport's socket, for who needs to be let in
        self.server = ViamServer(
            directory, bases, window, extra=extra, webrtc=True, connect=self._connect
        )

    def dialed(self, key_file: str = '') -> Dialed:
        return Dialed(self.server.address, key_file or self.key_file, self.trusted)

    def _connect(self, address: str) -> grpc.Channel:
        if self.target:
            return grpc.insecure_channel(self.target, options=SOCKET_OPTIONS)
        tls = grpc.ssl_channel_credentials(self.trusted)
        return grpc.secure_channel(address, tls, [('grpc.use_local_subchannel_pool', 1)])


def call(target: str, method: wire.Method, sid: str = '', **fields: object) -> Any:
    """Call the machine over the socket."""
    with grpc.insecure_channel(target, options=SOCKET_OPTIONS) as channel:
        metadata = [(wire.SESSION_KEY, sid)] if sid else None
        return method.on(channel)(method.request(**fields), timeout=2.0, metadata=metadata)


def dialing(machine: Machine) -> int:
    """Return the process that dials."""
    found = set(children(os.getpid())) - {machine.server.pid}
    assert len(found) == 1, found
    return found.pop()


@in_namespace
def test_a_base_is_driven_and_stopped_over_a_socket_of_this_user(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.server, machine.dialed() as dialed:
        target, _ = dialed.reached()
        path = Path(target.removeprefix('unix:'))
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
        sid = call(target, wire.START_SESSION).id
        (session,) = call(target, wire.GET_SESSIONS).sessions
        assert session.id == sid
        assert session.peer_connection_info.type == PEER_WEBRTC
        call(target, wire.SET_VELOCITY, sid, name='base', linear=wire.Vector3(y=100.0))
        begun, _ = machine.server.record.calls('base', 'set_velocity')
        assert begun.session == sid
        assert begun.linear == (0.0, 100.0, 0.0)
        with pytest.raises(grpc.RpcError) as refused:
            call(target, wire.SET_VELOCITY, KEY.key_id, name='base')
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == wire.SESSION_EXPIRED
        # What a terminal or a supervisor sends at the end must not come before the last stop.
        child = dialing(machine)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child, number)
        call(target, wire.STOP, name='base')
        dialed.close()
        assert ended(child)
        assert not path.exists()
        assert dialed.reports.empty()


@in_namespace
def test_a_machine_that_hangs_in_a_stop_of_its_own_is_not_given_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ['base', 'other'], window=1.0)
    with machine.server, machine.dialed() as dialed:
        target, _ = dialed.reached()
        machine.target = target
        machine.server.control('base', stop_hang=True)
        sid = call(target, wire.START_SESSION).id
        call(target, wire.SET_VELOCITY, sid, name='base', linear=wire.Vector3(y=100.0))
        record = machine.server.record
        record.wait_for(lambda _: record.calls('base', 'stop', 'begin'), PATIENCE)
        # From here on viam-server holds the lock of its sessions.
        with pytest.raises(queue.Empty):
            dialed.reports.get(timeout=LOSS)
        with pytest.raises(grpc.RpcError) as hung:
            call(target, wire.GET_SESSIONS)
        assert hung.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        call(target, wire.STOP, name='other')


@in_namespace
def test_a_connection_that_is_given_up_from_outside_is_dialled_anew_at_once(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    with machine.server, machine.dialed() as dialed, Load() as load:
        load.watch(os.getpid)
        before, _ = dialed.reached()
        redialled = time.monotonic()
        dialed.transport.redial()
        why, lost = dialed.failed()
        assert why == 'it is dialled anew, for a call on it hung'
        load.hold(lost - redialled, AT_ONCE, redialled)
        after, reached = dialed.reached()
        assert after != before
        assert not Path(before.removeprefix('unix:')).exists()
        assert call(after, wire.START_SESSION).id
        print(f'reached again {reached - redialled:.2f} s after the redial')


@in_namespace
def test_a_machine_that_died_is_noticed_and_reached_again_when_it_is_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.server, machine.dialed() as dialed, Load() as load:
        load.watch(os.getpid)
        load.watch(lambda: dialing(machine))
        before, _ = dialed.reached()
        killed = time.monotonic()
        machine.server.kill()
        why, lost = dialed.failed()
        assert 'does not answer over WebRTC' in why
        load.hold(lost - killed, LOSS, killed)
        started = time.monotonic()
        machine.server.start()
        served = time.monotonic()
        after, reached = dialed.reached()
        assert after != before
        assert not Path(before.removeprefix('unix:')).exists()
        # A dial that failed meanwhile, the pause behind it, and those that follow.
        load.hold(reached - served, DIALED + 2 * FIRST_PAUSE, started)
        assert call(after, wire.START_SESSION).id
        print(f'lost {lost - killed:.2f} s, reached {reached - killed:.2f} s after it died')


@in_namespace
def test_a_machine_that_hangs_is_given_up_and_reached_again_when_it_goes_on(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    with machine.server, machine.dialed() as dialed, Load() as load:
        load.watch(os.getpid)
        load.watch(lambda: dialing(machine))
        before, _ = dialed.reached()
        paused = time.monotonic()
        machine.server.pause()
        _, lost = dialed.failed()
        load.hold(lost - paused, LOSS, paused)
        resumed = time.monotonic()
        machine.server.resume()
        after, reached = dialed.reached()
        assert after != before
        load.hold(reached - resumed, DIALED, resumed)
        print(f'lost after {lost - paused:.2f} s, reached after {reached - resumed:.2f} s')


@in_namespace
def test_a_connection_whose_process_died_is_noticed_and_made_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.server, machine.dialed() as dialed:
        before, _ = dialed.reached()
        os.kill(dialing(machine), signal.SIGKILL)
        dialed.failed()
        after, _ = dialed.reached()
        assert after != before
        assert not Path(before.removeprefix('unix:')).exists()


@in_namespace
def test_what_the_machine_refuses_is_reported_and_dialed_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    changing = tmp_path / 'changing.json'
    write_key(changing, Credentials(KEY.key_id, 'wrong'))
    stranger = Authority(tmp_path, 'stranger').ca_file.read_bytes()
    with (
        machine.server,
        machine.dialed(str(changing)) as wrong_key,
        Dialed(machine.server.address, machine.key_file, stranger) as wrong_authority,
    ):
        why, when = wrong_key.failed()
        assert 'invalid credentials' in why
        write_key(changing, KEY)
        _, reached = wrong_key.reached()
        assert reached - when > FIRST_PAUSE
        why, _ = wrong_authority.failed()
        assert 'UnknownIssuer' in why


@in_namespace
def test_the_bridge_drives_a_base_over_webrtc_and_is_back_after_the_machine_was(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    credentials = tmp_path / 'key.json'
    credentials.touch(0o600)
    credentials.write_text(json.dumps({'api_key_id': KEY.key_id, 'api_key': KEY.key}))
    settings = parameters('', {'base': {'command_topics': ['/cmd_vel']}})
    settings['machines']['main'] = {
        'address': machine.server.address,
        'transport': 'webrtc',
        'ca_file': str(tmp_path / 'tests_ca.pem'),
        'credentials_file': str(credentials),
    }
    with (
        own_domain() as domain,
        machine.server,
        routed(tmp_path, '127.0.0.1') as joins,
        BridgeProcess(tmp_path, domain, settings, environment=joins) as bridge,
        PublisherProcess(tmp_path, 'teleop', domain, environment=joins) as teleop,
        Load() as load,
    ):
        for process in (machine.server, bridge, teleop):
            load.watch(lambda process=process: process.pid)  # type: ignore[misc]
        base = Drive(machine.server.record, 'base', load)
        teleop.stream('/cmd_vel', forward=0.2)
        base.wait_driven()

        killed = time.monotonic()
        machine.server.restart()
        lost = bridge.wait_event('channel_changed', since=killed, ready=False)['at']
        back = bridge.wait_event('channel_changed', since=lost, ready=True, timeout=2 * DIALED)
        base.wait_driven(back['at'])
        stop = base.stopped_after_kill(teleop, '/cmd_vel')
        base.stands_still(stop.t)
        (dialing,) = children(bridge.pid)
        assert bridge.terminate() == 0
        assert ended(dialing)
        print(f'back {back["at"] - lost:.2f} s after the loss was noticed')
