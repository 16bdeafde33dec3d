# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""TLS, API keys and plaintext against the real viam-server; no secret in anything said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
from pathlib import Path
import time
from typing import Any

from lifecycle_msgs.msg import Transition
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticStatus
import grpc

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import Load, RECOVERY
from support.bridge_process import BridgeProcess, parameters, WINDOW
from support.certificates import Authority, Certificate
from support.drive import Drive, kill, observe, wait_for
from support.eavesdropper import Eavesdropper
from support.observer import Observer
from support.ports import free_port, own_address
from support.publisher_process import number_of
from support.secured import SecuredMachine
from support.simulated import SimulatedMachineProcess
from support.viam_server import ViamServer

BASES = {'base': {'command_topics': ['/cmd_vel']}}
KEY_ID, KEY = 'key-id', 'a-secret-that-nobody-may-see'
NEW_KEY = 'a-new-secret-that-nobody-may-see'
TRIED_AGAIN = 4.0  # s, after which a key is tried again that was refused at 0, 1 and 3 s

Drives = Callable[[str], Drive]


def keys(key: str) -> dict[str, Any]:
    """Return what viam-server's configuration needs to want that key."""
    handler = {'type': 'api-key', 'config': {'keys': [KEY_ID], KEY_ID: key}}
    return {'auth': {'handlers': [handler]}}


def write_key(path: Path, key: str) -> str:
    """Write a credentials_file and return its path."""
    # At once: the bridge may be about to read it.
    new = path.with_suffix('.new')
    new.touch(mode=0o600)
    new.write_text(json.dumps({'api_key_id': KEY_ID, 'api_key': key}))
    new.replace(path)
    return str(path)


def give_key(monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
    """Put a key into the environment of the processes to come."""
    monkeypatch.setenv('VIAM_API_KEY_ID', KEY_ID)
    monkeypatch.setenv('VIAM_API_KEY', key)


@pytest.fixture(scope='module')
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return who issues the machines' certificates."""
    return Authority(tmp_path_factory.mktemp('authority'))


@pytest.fixture
def names() -> tuple[str, ...]:
    """Return the names in the machine's certificate."""
    return ('127.0.0.1',)


@pytest.fixture
def machine(authority: Authority, names: tuple[str, ...], tmp_path: Path) -> Iterator[ViamServer]:
    """Return a machine with TLS that wants a key; it is to be started."""
    certificate = authority.issue(*names)

    def connect(address: str) -> grpc.Channel:
        tls = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
        options = [
            ('grpc.use_local_subchannel_pool', 1),
            ('grpc.ssl_target_name_override', names[0]),
        ]
        return grpc.secure_channel(address, tls, options)

    extra = {**certificate.viam_network(), **keys(KEY)}
    machine = ViamServer(tmp_path, list(BASES), 2.0, extra=extra, connect=connect)
    try:
        yield machine
    finally:
        machine.kill()


def drive_and_die(base: Drive, start_publisher: StartPublisher) -> None:
    """Drive with a publisher, kill it, and hold the stop to its window."""
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    base.keeps_moving(began, WINDOW)
    stop = base.stopped_after_kill(teleop, '/cmd_vel')
    base.stands_still(stop.t)


def test_private_ca_and_key_in_a_file(
    authority: Authority,
    drive: Drives,
    machine: ViamServer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    tmp_path: Path,
) -> None:
    machine.start()
    settings = {
        'address': machine.address,
        'ca_file': str(authority.ca_file),
        'credentials_file': write_key(tmp_path / 'key.json', KEY),
    }
    start_bridge(BASES, machines={'main': settings})
    drive_and_die(drive('base'), start_publisher)


def test_ca_of_the_system_and_key_in_the_environment(
    authority: Authority,
    drive: Drives,
    machine: ViamServer,
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    machine.start()
    monkeypatch.setenv('SSL_CERT_FILE', str(authority.ca_file))
    give_key(monkeypatch)
    start_bridge(BASES, machines={'main': {'address': machine.address}})
    drive_and_die(drive('base'), start_publisher)


@pytest.mark.parametrize('names', [('robot.internal',)])
def test_certificate_of_another_name_on_a_machine_that_wants_no_key(
    authority: Authority,
    drive: Drives,
    machine: ViamServer,
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    del machine.config['auth']
    machine.start()
    give_key(monkeypatch)
    settings = {
        'address': machine.address,
        'ca_file': str(authority.ca_file),
        'server_name': 'robot.internal',
    }
    start_bridge(BASES, machines={'main': settings})
    drive_and_die(drive('base'), start_publisher)


def test_restarted_machine_whose_tokens_are_void_is_driven_again(
    authority: Authority,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    monkeypatch: pytest.MonkeyPatch,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    machine.start()
    give_key(monkeypatch)
    settings = {'address': machine.address, 'ca_file': str(authority.ca_file)}
    bridge = start_bridge(BASES, machines={'main': settings})
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2, marked=True)
    base = drive('base')
    base.wait_driven()
    machine.kill()
    bridge.wait_event('channel_changed', ready=False)
    numbers = len(teleop.sent('/cmd_vel'))
    machine.start()
    back = time.monotonic()
    again = base.wait_driven(bridge.events('channel_changed', ready=False)[-1]['at'], times=1)[0]
    print(f'driven again {again.t - back:.3f} s after the restart')
    load.hold(again.t - back, RECOVERY, back)
    assert again.linear is not None
    assert number_of(again.linear[1], 0.2) > numbers
    base.keeps_moving(again.t, 2 * WINDOW)
    assert bridge.events('access_refused') == []
    failed = [event['detail'] for event in bridge.events('machine_session_failed')]
    assert not any('UNAUTHENTICATED' in why for why in failed), 'tried without a new token'


def test_machine_that_changes_its_key_is_driven_again_once_the_file_has_it(
    authority: Authority,
    drive: Drives,
    load: Load,
    machine: ViamServer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    tmp_path: Path,
) -> None:
    machine.start()
    settings = {
        'address': machine.address,
        'ca_file': str(authority.ca_file),
        'credentials_file': write_key(tmp_path / 'key.json', KEY),
    }
    bridge = start_bridge(BASES, machines={'main': settings})
    teleop = start_publisher('teleop')
    teleop.stream('/cmd_vel', forward=0.2)
    base = drive('base')
    base.wait_driven()
    machine.kill()
    machine.config.update(keys(NEW_KEY))
    machine.start()
    back = time.monotonic()
    bridge.wait_event('access_refused', machine='main')
    bridge.wait_event('refused', since=time.monotonic(), reason='not_ready')

    def check() -> None:
        assert not base.calls(back), 'nothing may reach it without a key'

    observe(1.5, check)
    lines = [line for line in bridge.output().splitlines() if 'does not let' in line]
    assert len(lines) == 1
    assert 'UNAUTHENTICATED' in lines[0]
    assert 'machines.main.credentials_file' in lines[0]
    write_key(tmp_path / 'key.json', NEW_KEY)
    written = time.monotonic()
    again = base.wait_driven(written, times=1)[0]
    print(f'driven again {again.t - written:.3f} s after the file was written')
    load.hold(again.t - written, TRIED_AGAIN, written)
    # What was still to be stopped, is, before the base moves.
    assert next(entry.call for entry in base.calls(back) if entry.takes_effect) == 'stop'
    base.keeps_moving(again.t, WINDOW)


def test_plaintext_to_a_network_is_refused_if_not_allowed(
    start_bridge: StartBridge, machine: ViamServer
) -> None:
    address = f'{own_address()}:{free_port()}'
    bridge = start_bridge(BASES, address=address, ready=False)
    assert bridge.wait_exit() == 1
    assert 'anyone on the network could drive the base' in bridge.output()
    assert 'machines.main.allow_plaintext' in bridge.output()


def test_plaintext_to_a_network_is_reported_for_as_long_as_it_runs(
    domain: int,
    load: Load,
    observer: Observer,
    start_publisher: StartPublisher,
    tmp_path: Path,
) -> None:
    with SimulatedMachineProcess(tmp_path, ['base'], host=own_address()) as plain:
        settings = {'address': plain.address, 'insecure': True, 'allow_plaintext': True}
        observer.listen('/diagnostics')
        with BridgeProcess(
            tmp_path, domain, parameters('', BASES, machines={'main': settings})
        ) as bridge:
            for process in (plain, bridge):
                load.watch(lambda process=process: process.pid)  # type: ignore[misc]
            assert 'PLAINTEXT' in bridge.output()
            drive_and_die(Drive(plain.record, 'base', load), start_publisher)
            reported: set[int] = set()

            def thrice(status: DiagnosticStatus, _: dict[str, str]) -> bool:
                if status.level == DiagnosticStatus.WARN and 'PLAINTEXT' in status.message:
                    assert status.name.endswith('machine main')
                    reported.add(id(status))
                return len(reported) >= 3

            observer.wait_status('/diagnostics', thrice)


def test_no_secret_is_in_anything_that_the_bridge_says(
    authority: Authority,
    domain: int,
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
    start_publisher: StartPublisher,
    tmp_path: Path,
) -> None:
    """Keys good and wrong, in a file and in the environment, with a token that is renewed."""
    monkeypatch.setenv('SSL_CERT_FILE', str(authority.ca_file))
    give_key(monkeypatch)
    certificate = authority.issue('127.0.0.1')
    machines = {
        name: secured(tmp_path, certificate, name, key)
        for name, key in (('main', KEY), ('file', NEW_KEY), ('wrong', 'the one and only'))
    }
    machines['wrong'].refusal = f'neither {KEY} nor any such'
    settings: dict[str, dict[str, Any]] = {
        name: {'address': one.address} for name, one in machines.items()
    }
    settings['file']['credentials_file'] = write_key(tmp_path / 'key.json', NEW_KEY)
    bases = {
        name: {'machine': name, 'resource': 'base', 'command_topics': ['/cmd_vel']}
        for name in machines
    }
    own = parameters('', bases, machine_names=list(machines), machines=settings)
    bridge = BridgeProcess(tmp_path, domain, own, arguments=['--log-level', 'debug'])
    try:
        with Eavesdropper(domain) as ear, bridge_of(bridge):
            for name in ('main', 'file'):
                bridge.wait_event('channel_changed', machine=name, ready=True)
            bridge.wait_event('access_refused', machine='wrong')
            teleop = start_publisher('teleop')
            teleop.stream('/cmd_vel', forward=0.2)
            Drive(machines['main'].record, 'base', load).wait_driven()
            machines['main'].void_tokens()
            bridge.wait_event('command_failed', base='main')
            wait_for(lambda: len(machines['main'].granted) >= 2, 'a new token')
            wait_for(lambda: 'machine wrong' in ear.heard(), 'diagnostics')
            output = ear.all_of(bridge)
            kill(teleop, '/cmd_vel')
            bridge.terminate()
    finally:
        for one in machines.values():
            one.stop()
    output += bridge.output() + (tmp_path / 'bridge.events.jsonl').read_text()
    for word in ('does not let the bridge in', 'credentials_file', 'key.json', 'machine wrong'):
        assert word in output, f'{word} was not heard, so secrets might not have been either'
    tokens = [token for one in machines.values() for token in one.tokens]
    assert len(tokens) >= 3
    for secret in (KEY, NEW_KEY, *tokens, *(token.rpartition('.')[2] for token in tokens)):
        assert secret not in output


@pytest.mark.parametrize('mistake', ['parameter', 'malformed file', 'half in the environment'])
def test_no_secret_is_reported_of_a_key_that_is_given_wrongly(
    domain: int, mistake: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {'address': f'127.0.0.1:{free_port()}'}
    if mistake == 'parameter':
        settings['api_key'] = KEY
    elif mistake == 'malformed file':
        file = tmp_path / 'key.json'
        file.touch(mode=0o600)
        file.write_text(f'{{"api_key_id": "id", "api_key": "{KEY}')
        settings['credentials_file'] = str(file)
    else:
        monkeypatch.setenv('VIAM_API_KEY', KEY)
    own = parameters('', BASES, machines={'main': settings}, autostart=False)
    bridge = BridgeProcess(tmp_path, domain, own, arguments=['--log-level', 'debug'])
    with Eavesdropper(domain) as ear, Observer(domain) as observer, bridge_of(bridge):
        observer.wait_services()
        assert not observer.change_state(Transition.TRANSITION_CONFIGURE)
        output = ear.all_of(bridge) + bridge.output()
    assert 'api_key' in output or 'VIAM_API_KEY' in output or 'credentials_file' in output
    assert KEY not in output


def secured(directory: Path, certificate: Certificate, name: str, key: str) -> SecuredMachine:
    """Start a machine that wants a key."""
    return SecuredMachine(directory, certificate, keys={KEY_ID: key}, name=name)


def bridge_of(bridge: BridgeProcess) -> BridgeProcess:
    """Start a bridge without waiting for its machines; for `with`."""
    bridge.start(ready=False)
    return bridge
