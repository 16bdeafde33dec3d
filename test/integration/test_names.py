# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A machine by its name: late, moved, with several addresses; with hosts files of the tests' own.

Each test has a network of its own, too. What it takes is measured from when the name is right.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from contextlib import closing, contextmanager, ExitStack
from dataclasses import replace
import fcntl
from pathlib import Path
import queue
import socket
import struct
import threading
import time

import grpc
import pytest

from support.bounds import within
from support.certificates import Authority
from support.channel_driver import BOUND, Driver, machine_at
from support.dialed import wait_for
from support.namespace import in_namespace, replace_file, with_own_files
from support.secured import SecuredMachine
from viam_session_bridge.configuration.address import parse_address
from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.core.requests import Outcome, Redial, StopBase
from viam_session_bridge.simulation.server import SimulatedMachine
from viam_session_bridge.viam.connection_check import diagnose
from viam_session_bridge.viam.grpc_internals import connectivity_of
from viam_session_bridge.viam.name_lookup import look_up, target
from viam_session_bridge.viam.transport import DirectTransport

WITHIN = 5.0  # s from when the name is right
LONGEST_BACKOFF = 1.0  # s, from one try of gRPC's to the next
LATE = 10.0  # s, after which gRPC itself would look up a name every 6 s at most
PORT = 8080
CONNECTED = grpc.ChannelConnectivity.READY
FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
ADDRESS = f'robot.test:{PORT}'
_SIOCSIFADDR = 0x8916


class Hosts:
    """The hosts file, which has what it is told and the loopback's name."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / 'hosts'
        replace_file('/etc/hosts', self._file)
        self.are()

    def are(self, *addresses: str) -> float:
        """Give the machine's name these addresses, and return when it had them."""
        lines = ['127.0.0.1 localhost', *(f'{address} robot.test' for address in addresses), '']
        self._file.write_text('\n'.join(lines))
        return time.monotonic()


@contextmanager
def connecting(address: str = ADDRESS) -> Iterator[Driver]:
    driver = Driver(address)
    yield driver
    driver.channel.close()
    assert not driver.failures


def serving(address: str) -> SimulatedMachine:
    return SimulatedMachine(address=f'{address}:{PORT}', bases=('wheels',), window=1.5)


def stays_unconnected(driver: Driver, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (remaining := deadline - time.monotonic()) > 0.0:
        try:
            assert not driver.readiness.get(timeout=remaining)
        except queue.Empty:
            return


def wait_connected(driver: Driver, since: float) -> None:
    driver.wait_ready()
    took = time.monotonic() - since
    print(f'grpcio {grpc.__version__}: connected {took:.2f} s after the name was right')
    within(took, WITHIN)
    assert driver.ask(StopBase('base')).outcome is Outcome.OK


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


@contextmanager
def silent(address: str) -> Iterator[None]:
    """Have a port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen(0)
        with pytest.raises(TimeoutError):
            while True:  # the channel's own tries may have taken a place, too
                another = waiting.enter_context(socket.socket())
                another.settimeout(0.5)
                another.connect((address, PORT))
        yield


@contextmanager
def left_behind(hosts: Hosts) -> Iterator[Driver]:
    """Have a connection whose machine has ended; it was at 127.0.0.1."""
    hosts.are('127.0.0.1')
    with connecting() as driver:
        with serving('127.0.0.1'):
            driver.wait_ready()
        driver.wait_ready(False)
        yield driver


@with_own_files
def test_a_name_that_becomes_known_late(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    with serving('127.0.0.1'), connecting() as driver:
        cpu = time.process_time()
        stays_unconnected(driver, LATE)
        assert time.process_time() - cpu < 0.1 * LATE
        wait_connected(driver, hosts.are('127.0.0.1'))


@with_own_files
def test_a_machine_that_comes_back_at_another_address(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    with left_behind(hosts) as driver:
        with serving('127.0.0.2'):
            wait_connected(driver, hosts.are('127.0.0.2'))
        driver.wait_ready(False)
        with serving('127.0.0.1'):
            wait_connected(driver, hosts.are('127.0.0.1'))


@with_own_files
def test_a_machine_whose_address_before_says_nothing_any_more(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    with left_behind(hosts) as driver, silent('127.0.0.1'), serving('127.0.0.2'):
        # A stop waits for the address that is silent, and must not hold up the one after it.
        given_up = driver.hand_over(StopBase('base'), timeout=60.0)
        wait_connected(driver, hosts.are('127.0.0.2'))
        assert given_up.get(timeout=BOUND).outcome is Outcome.CUT


@with_own_files
def test_a_machine_that_moved_is_not_dialled_any_more_where_it_was(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    hosts.are('127.0.0.1')
    with connecting() as driver:
        with serving('127.0.0.1'):
            driver.wait_ready()
            assert driver.ask(Redial()).outcome is Outcome.OK
            driver.wait_ready(False)
            driver.wait_ready()
        driver.wait_ready(False)
        with serving('127.0.0.2'), socket.create_server(('127.0.0.1', PORT)) as before:
            wait_connected(driver, hosts.are('127.0.0.2'))
            before.settimeout(0.0)
            with contextlib.suppress(BlockingIOError):
                while True:  # those that waited
                    before.accept()[0].close()
            before.settimeout(2 * LONGEST_BACKOFF)
            with pytest.raises(TimeoutError):
                before.accept()
            assert threads().count('connection to main') == 1


@with_own_files
def test_a_first_address_that_refuses(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    with serving('127.0.0.9'), connecting() as driver:
        wait_connected(driver, hosts.are('127.0.0.1', '127.0.0.9'))


@with_own_files
def test_a_first_address_that_is_silent(tmp_path: Path) -> None:
    since = Hosts(tmp_path).are('127.0.0.1', '127.0.0.9')
    assert look_up(parse_address(ADDRESS))[0][1] == ('127.0.0.1', PORT)
    with silent('127.0.0.1'), serving('127.0.0.9'), connecting() as driver:
        driver.wait_ready()  # the oldest grpcio waits 5 s before it tries the next
        print(f'grpcio {grpc.__version__}: connected after {time.monotonic() - since:.2f} s')


@with_own_files
def test_addresses_of_both_families_and_a_machine_at_either(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    since = hosts.are('::1', '127.0.0.1')
    for address in ('127.0.0.1', '[::1]'):
        with serving(address), connecting() as driver:
            wait_connected(driver, since)
        since = time.monotonic()


@in_namespace
def test_an_address_of_a_link_with_its_interface() -> None:
    number = socket.if_nametoindex('lo')
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(
            any_socket,
            _SIOCSIFADDR,
            socket.inet_pton(socket.AF_INET6, 'fe80::7') + struct.pack('Ii', 64, number),
        )
    with serving('[::]'):
        with connecting(f'[fe80::7%lo]:{PORT}') as driver:
            wait_connected(driver, time.monotonic())
        # As a name's address has it, when mDNS says one.
        found = (socket.AF_INET6, ('fe80::7', PORT, 0, number))
        with grpc.insecure_channel(target([found])) as channel:
            grpc.channel_ready_future(channel).result(BOUND)
        missing = diagnose(machine_at(f'[fe80::7]:{PORT}'))
        assert missing == (
            'Invalid argument: its interface is missing; check machines.main.address, and write '
            "it as '[fe80::1%eth0]:8080'"
        )
    nowhere = diagnose(machine_at(f'[fe80::7%eth9]:{PORT}'))
    assert nowhere == 'this computer has no network interface eth9: check machines.main.address'


@with_own_files
def test_a_name_server_that_became_silent_holds_up_neither_a_reconnect_nor_the_end(
    tmp_path: Path,
) -> None:
    hosts = Hosts(tmp_path)
    servers = tmp_path / 'resolv.conf'
    servers.write_text('nameserver 127.0.0.53\noptions timeout:30\n')
    replace_file('/etc/resolv.conf', servers)
    hosts.are('127.0.0.1')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind(('127.0.0.53', 53))
        name_server.settimeout(BOUND)
        with connecting() as driver:
            with serving('127.0.0.1'):
                driver.wait_ready()
            hosts.are()
            driver.wait_ready(False)
            assert name_server.recv(512)  # and never an answer
            with serving('127.0.0.1'):
                wait_connected(driver, time.monotonic())
            since = time.monotonic()
        within(time.monotonic() - since, 1.0)
        wait_for(lambda: 'connection to main' not in threads())


@with_own_files
def test_a_certificate_is_held_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    hosts.are('127.0.0.1')
    authority = Authority(tmp_path)
    trusted = authority.ca_file.read_bytes()

    def connects(machine: MachineConfiguration) -> bool:
        transport = DirectTransport(machine, lambda connected: None, lambda error: None)
        transport.start()
        wait_for(lambda: transport.channel is not None)
        assert transport.channel is not None
        # A state in between may be over before anybody sees it; these two stay.
        with closing(connectivity_of(transport.channel)) as connectivity:
            while (state := connectivity.state(connect=False)) not in (CONNECTED, FAILED):
                connectivity.wait(state, BOUND)
        transport.close()
        return state is CONNECTED

    by_name = replace(machine_at(ADDRESS), insecure=False, trusted=trusted)
    by_address = replace(by_name, address=f'127.0.0.1:{PORT}')
    with SecuredMachine(tmp_path, authority.issue('robot.test'), address=f'127.0.0.1:{PORT}'):
        assert connects(by_name)
        assert not connects(replace(by_name, server_name='other.test'))
        assert not connects(by_address)
        assert connects(replace(by_address, server_name='robot.test'))


@with_own_files
def test_localhost_is_this_computer_whatever_a_name_server_says(tmp_path: Path) -> None:
    Hosts(tmp_path)
    (tmp_path / 'hosts').write_text('192.0.2.7 localhost\n127.0.0.1 localhost\n')
    assert [where for _, where in look_up(parse_address(f'localhost:{PORT}'))] == [
        ('127.0.0.1', PORT)
    ]
    (tmp_path / 'hosts').write_text('192.0.2.7 localhost\n')
    with pytest.raises(socket.gaierror, match='no loopback address'):
        look_up(parse_address(f'localhost:{PORT}'))


@in_namespace
def test_a_network_that_has_no_way_to_the_machine_is_said_to_have_none() -> None:
    assert diagnose(machine_at('192.0.2.7:8080')) == (
        'Network is unreachable: there is no way to it; check machines.main.address, this '
        "computer's network and the machine's"
    )


@with_own_files
def test_a_name_that_is_unknown_says_what_looks_it_up(tmp_path: Path) -> None:
    Hosts(tmp_path)
    replace_file('/etc/resolv.conf', tmp_path / 'resolv.conf')
    assert diagnose(machine_at('robot.test:8080')) == (
        'its name cannot be resolved (Temporary failure in name resolution): check '
        "machines.main.address and this computer's name server"
    )
    assert diagnose(machine_at('robot.local:8080')) == (
        'its name cannot be resolved (Temporary failure in name resolution): check '
        'machines.main.address, and that the machine is on; a name in .local needs mDNS, here by '
        'libnss-mdns or systemd-resolved'
    )


def test_the_resolver_that_the_user_chose_looks_names_up(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = DirectTransport(machine_at('localhost:1'), print, print)
    assert transport.channel is None  # before its name was looked up
    monkeypatch.setenv('GRPC_DNS_RESOLVER', 'ares')
    assert DirectTransport(machine_at('localhost:1'), print, print).channel is not None
