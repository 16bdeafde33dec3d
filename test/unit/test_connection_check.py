# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Why a machine cannot be connected to: each step against a real listener that fails there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
import errno
import socket
import ssl
import threading
from typing import Any

import pytest

from support.certificates import Authority
from support.ports import free_port
from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam import connection_check, name_lookup
from viam_session_bridge.viam.connection_check import diagnose

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # how an HTTP/2 server begins
SILENT = 'it takes connections and says nothing: check machines.m.address'
NO_TLS = (
    'it speaks no TLS: check machines.m.address, or for a loopback address or a unix socket set '
    'machines.m.insecure to true'
)


@pytest.fixture(autouse=True)
def long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy computer be no reason to take a peer that answers for a silent one."""
    monkeypatch.setattr(connection_check, 'TIMEOUT', 20.0)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch, long_steps: None) -> None:
    monkeypatch.setattr(connection_check, 'TIMEOUT', 0.3)


@pytest.fixture(scope='module')
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp('authority'))


def machine(address: str, insecure: bool, **changes: Any) -> MachineConfiguration:
    return MachineConfiguration('m', address, insecure, 0.25, 256, False, **changes)


Serve = Callable[[socket.socket], socket.socket]


@contextmanager
def listening(serve: Serve) -> Iterator[str]:
    """Serve one connection and keep what that returns open; yield the address."""
    ended = threading.Event()

    def accept() -> None:
        connection, _ = listener.accept()
        with closing(serve(connection)):
            ended.wait(10.0)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f'127.0.0.1:{listener.getsockname()[1]}'
        ended.set()
        thread.join()


def sending(data: bytes, ends: bool = False) -> Serve:
    def serve(connection: socket.socket) -> socket.socket:
        connection.sendall(data)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return connection

    return serve


def speaking_tls(
    authority: Authority, data: bytes, protocols: tuple[str, ...] = ('h2',)
) -> Serve:
    certificate = authority.issue('127.0.0.1')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.set_alpn_protocols(list(protocols))

    def serve(connection: socket.socket) -> socket.socket:
        try:
            tls = context.wrap_socket(connection, server_side=True)
            tls.sendall(data)
            return tls
        except OSError:  # the client refuses the certificate
            return connection

    return serve


def test_a_name_that_does_not_resolve() -> None:
    found = diagnose(machine('no-such-host.invalid:8080', True))
    assert found.startswith('its name cannot be resolved (')
    assert 'check machines.m.address' in found


def test_an_address_where_nothing_listens() -> None:
    assert diagnose(machine(f'127.0.0.1:{free_port()}', True)) == (
        'Connection refused: nothing listens there; check machines.m.address and viam-server'
    )


def test_a_socket_that_nobody_made() -> None:
    assert diagnose(machine('unix:/nowhere/here', True)) == (
        'No such file or directory: there is no such socket; check machines.m.address and the '
        'program that creates it'
    )


class Denied(socket.socket):
    """A socket that this user, or a firewall, denies to connect."""

    def connect(self, address: Any) -> None:
        raise PermissionError(errno.EACCES, 'Permission denied')


@pytest.mark.parametrize(
    'address, remedy',
    [
        ('unix:/here', 'the permissions of that socket and of the folders it is in'),
        ('127.0.0.1:1', "this computer's firewall or routes forbid it; check machines.m.address"),
    ],
)
def test_what_is_denied_is_not_said_to_be_absent(
    monkeypatch: pytest.MonkeyPatch, address: str, remedy: str
) -> None:
    monkeypatch.setattr(socket, 'socket', Denied)
    found = diagnose(machine(address, True))
    assert found.startswith('Permission denied: ')
    assert found.endswith(remedy)


def test_of_several_addresses_the_best_one_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    where = [('127.0.0.1', port), ('255.255.255.255', port)]
    found: list[name_lookup.Found] = [(socket.AF_INET, one) for one in where]
    monkeypatch.setattr(connection_check, 'look_up', lambda _: found)
    assert diagnose(machine('robot:1', True)).startswith('Connection refused: ')


@pytest.mark.usefixtures('short_steps')
@pytest.mark.parametrize('insecure', [True, False])
def test_a_peer_that_sends_nothing(insecure: bool) -> None:
    with listening(sending(b'')) as address:
        assert diagnose(machine(address, insecure)) == SILENT


@pytest.mark.usefixtures('short_steps')
def test_a_peer_that_sends_nothing_after_the_handshake(authority: Authority) -> None:
    with listening(speaking_tls(authority, b'')) as address:
        trusted = authority.ca_file.read_bytes()
        assert diagnose(machine(address, False, trusted=trusted)) == SILENT


@pytest.mark.parametrize(
    'data', [b'', b'\x15\x03\x01\x00\x02\x02\x28', b'\x16\x03\x01\x00\x02\x02\x28\x00\x00'],
    ids=['nothing', 'alert', 'handshake'],
)  # fmt: skip
def test_a_peer_that_hangs_up_or_answers_plaintext_with_tls(data: bytes) -> None:
    with listening(sending(data, ends=True)) as address:
        assert diagnose(machine(address, True)) == (
            'it hangs up, maybe for want of TLS: set machines.m.insecure to false'
        )


def test_a_peer_that_answers_tls_with_plaintext() -> None:
    with listening(sending(SETTINGS)) as address:
        assert diagnose(machine(address, False)) == NO_TLS


def test_a_peer_that_is_no_grpc_server() -> None:
    with listening(sending(b'HTTP/1.1 400 Bad Request\r\n\r\n')) as address:
        assert diagnose(machine(address, True)) == 'it speaks no gRPC: check machines.m.address'


def test_a_tls_server_of_another_protocol(authority: Authority) -> None:
    with listening(speaking_tls(authority, b'', protocols=('http/1.1',))) as address:
        found = diagnose(machine(address, False, trusted=authority.ca_file.read_bytes()))
    assert found == 'it speaks TLS but no gRPC: check machines.m.address'


@pytest.mark.parametrize('server_name', ['', 'other.example'])
def test_a_certificate_that_is_not_accepted(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, server_name: str
) -> None:
    trusted = authority
    if not server_name:
        trusted = Authority(tmp_path_factory.mktemp('other'), 'other')
    with listening(speaking_tls(authority, SETTINGS)) as address:
        found = diagnose(
            machine(address, False, trusted=trusted.ca_file.read_bytes(), server_name=server_name)
        )
    assert found.startswith('its certificate is not accepted (')
    assert found.endswith(
        "): check machines.m.ca_file, machines.m.server_name and this computer's clock"
    )


def test_a_machine_that_can_be_connected_to(authority: Authority) -> None:
    found = 'it can be reached again, or this computer finds a way to it that gRPC does not'
    with SimulatedMachine() as simulated:
        assert diagnose(machine(simulated.address, True)) == found
    with listening(speaking_tls(authority, SETTINGS)) as address:
        trusted = authority.ca_file.read_bytes()
        assert diagnose(machine(address, False, trusted=trusted)) == found
