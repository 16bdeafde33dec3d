# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The link between two hosts that the fault tests use: bad exactly as it is told, and no worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import select
import socket
import time
from typing import Any

import pytest

from support.bounds import Load, PATIENCE
from support.link import two_hosts, TwoHosts
from support.link_relay import TO_MACHINE, TO_ROBOT

_ROUND_TRIP = 0.0003  # s that a healthy link may take for one, on average
_LATE = 0.003  # s by which a packet may come later than it should
_FORCED_BUFFER = 33  # SO_RCVBUFFORCE
_IPV6 = 0x86DD  # the Ethernet type

Sockets = dict[str, socket.socket]
"""Two UDP sockets that are connected to each other, by the direction that each hears."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    """Provide two hosts with a healthy link."""
    with two_hosts(tmp_path, seed=1) as both:
        yield both


@pytest.fixture
def sockets(hosts: TwoHosts) -> Iterator[Sockets]:
    """Provide UDP sockets on them."""
    with _udp(hosts, TO_ROBOT) as robot, _udp(hosts, TO_MACHINE) as machine:
        robot.connect(machine.getsockname())
        machine.connect(robot.getsockname())
        yield {TO_ROBOT: robot, TO_MACHINE: machine}


@pytest.fixture
def load(hosts: TwoHosts) -> Iterator[Load]:
    """Measure what the tests and the link wait for a core."""
    with Load() as measured:
        measured.watch(os.getpid)
        measured.watch(lambda: hosts.link.pid)
        yield measured


def test_a_healthy_link_takes_next_to_no_time(sockets: Sockets, load: Load) -> None:
    start = time.monotonic()
    for number in range(500):
        _pass(sockets, TO_MACHINE, number)
        _pass(sockets, TO_ROBOT, number)
    took = time.monotonic() - start
    load.hold(took, 500 * _ROUND_TRIP, start)


def test_a_healthy_link_carries_thousands_of_packets_a_second(
    hosts: TwoHosts, sockets: Sockets, load: Load
) -> None:
    start = time.monotonic()
    assert _arriving(hosts, sockets, 4000) == list(range(4000))
    load.hold(time.monotonic() - start, 1.0, start)


def test_a_burst_waits_for_a_link_that_got_no_core_and_keeps_its_order(
    hosts: TwoHosts, sockets: Sockets
) -> None:
    hosts.link.pause()
    _send(sockets, 4000)
    hosts.link.resume()
    assert _arrived(hosts, sockets, 4000) == list(range(4000))


def test_ipv6_which_the_kernel_sends_by_itself_is_neither_carried_nor_counted(
    hosts: TwoHosts, sockets: Sockets
) -> None:
    with hosts.on_robot(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        raw.sendto(b'\x60'.ljust(40, b'\0'), (hosts.device, _IPV6))
    _pass(sockets, TO_MACHINE, 1)
    assert hosts.link.counts()[TO_MACHINE]['taken'] == 1


def test_each_direction_has_a_delay_of_its_own(
    hosts: TwoHosts, sockets: Sockets, load: Load
) -> None:
    delays = {TO_MACHINE: 0.05, TO_ROBOT: 0.12}
    for direction, delay in delays.items():
        hosts.link.become(direction, delay=delay)
    for direction, delay in [*delays.items()] * 4:
        start = time.monotonic()
        _pass(sockets, direction, 0)
        took = time.monotonic() - start
        assert delay <= took
        load.hold(took, delay + _LATE, start)


def test_a_delay_shows_in_a_round_trip_of_tcp(hosts: TwoHosts, load: Load) -> None:
    robot, machine = _tcp(hosts)
    hosts.link.become(delay=0.05)
    with robot, machine:
        start = time.monotonic()
        robot.send(b'there')
        machine.send(machine.recv(9))
        assert robot.recv(9) == b'there'
        took = time.monotonic() - start
    assert took >= 0.1
    load.hold(took, 0.1 + 2 * _LATE, start)


def test_a_delay_keeps_the_order_and_jitter_changes_it(hosts: TwoHosts, sockets: Sockets) -> None:
    hosts.link.become(TO_MACHINE, delay=0.05)
    assert _arriving(hosts, sockets, 200) == list(range(200))
    hosts.link.become(TO_MACHINE, jitter=0.05)
    arrived = _arriving(hosts, sockets, 200)
    assert sorted(arrived) == list(range(200))
    assert arrived != sorted(arrived)


def test_jitter_adds_up_to_its_whole_and_nothing_less_than_none(
    hosts: TwoHosts, sockets: Sockets, load: Load
) -> None:
    hosts.link.become(TO_MACHINE, delay=0.01, jitter=0.04)
    times = []
    begin = time.monotonic()
    for number in range(40):
        start = time.monotonic()
        _pass(sockets, TO_MACHINE, number)
        times.append(time.monotonic() - start)
    assert min(times) >= 0.01
    load.hold(min(times), 0.02, begin)
    assert max(times) > 0.04
    load.hold(max(times), 0.05 + _LATE, begin)


def test_loss_takes_its_share_and_the_same_packets_for_the_same_seed(tmp_path: Path) -> None:
    def arriving(seed: int) -> list[int]:
        with two_hosts(tmp_path, seed) as hosts:
            with _udp(hosts, TO_ROBOT) as robot, _udp(hosts, TO_MACHINE) as machine:
                robot.connect(machine.getsockname())
                hosts.link.become(TO_MACHINE, loss=0.3)
                arrived = _arriving(hosts, {TO_ROBOT: robot, TO_MACHINE: machine}, 500)
            assert 500 - len(arrived) == hosts.link.counts()[TO_MACHINE]['lost']
            return arrived

    first = arriving(1)
    assert len(first) == pytest.approx(350, abs=31)  # three standard deviations
    assert arriving(1) == first
    assert arriving(2) != first


def test_tcp_gets_through_loss(hosts: TwoHosts) -> None:
    robot, machine = _tcp(hosts)
    hosts.link.become(loss=0.3)
    sent = os.urandom(20_000)
    with robot, machine:
        robot.settimeout(100.0)
        machine.settimeout(100.0)
        robot.sendall(sent)
        received = b''
        while len(received) < len(sent):
            received += machine.recv(len(sent))
    assert received == sent
    assert hosts.link.counts()[TO_MACHINE]['lost'] > 0


def test_duplicates_come_in_their_share(hosts: TwoHosts, sockets: Sockets) -> None:
    hosts.link.become(TO_MACHINE, duplicate=0.4)
    arrived = _arriving(hosts, sockets, 500)
    assert sorted(set(arrived)) == list(range(500))
    assert len(arrived) == pytest.approx(700, abs=33)  # three standard deviations


def test_a_cut_takes_all_and_tcp_goes_on_after_it(hosts: TwoHosts) -> None:
    robot, machine = _tcp(hosts)
    with robot, machine:
        hosts.link.become(cut=True)
        robot.send(b'from the robot')
        machine.send(b'from the machine')
        _until(lambda: all(counts['lost'] for counts in hosts.link.counts().values()), 'no loss')
        assert not _readable(robot, machine)
        hosts.link.heal()
        assert machine.recv(99) == b'from the robot'
        assert robot.recv(99) == b'from the machine'


@pytest.mark.parametrize('cut, whole', [(TO_MACHINE, TO_ROBOT), (TO_ROBOT, TO_MACHINE)])
def test_a_half_open_link_carries_one_direction_only(
    hosts: TwoHosts, sockets: Sockets, cut: str, whole: str
) -> None:
    hosts.link.become(cut, cut=True)
    _pass(sockets, whole, 1)
    sockets[whole].send(b'2')
    _until(lambda: hosts.link.counts()[cut]['lost'] == 1, 'not lost')
    assert not _readable(sockets[cut])
    hosts.link.heal()
    _pass(sockets, cut, 3)


def test_a_cut_loses_what_is_under_way_and_healing_does_not(
    hosts: TwoHosts, sockets: Sockets
) -> None:
    hosts.link.become(delay=PATIENCE)
    sockets[TO_ROBOT].send(b'1')
    _until(lambda: hosts.link.counts()[TO_MACHINE]['under_way'], 'not under way')
    hosts.link.become(cut=True)
    assert hosts.link.counts()[TO_MACHINE]['lost'] == 1
    hosts.link.become(delay=0.2)
    sockets[TO_ROBOT].send(b'2')
    hosts.link.heal()
    assert sockets[TO_MACHINE].recv(9) == b'2'


def test_the_links_of_two_pairs_of_hosts_are_two(hosts: TwoHosts, tmp_path: Path) -> None:
    with two_hosts(tmp_path) as others:
        hosts.link.become(cut=True)
        robot, machine = _tcp(others)
        with robot, machine:
            robot.send(b'through')
            assert machine.recv(9) == b'through'
            assert machine.getpeername()[0] == others.robot_address != hosts.robot_address


def _udp(hosts: TwoHosts, hears: str) -> socket.socket:
    """Return a bound UDP socket on the host that a direction leads to."""

    def new() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, 1 << 24)
        made.settimeout(PATIENCE)
        made.bind((hosts.robot_address if hears == TO_ROBOT else hosts.machine_address, 0))
        return made

    return hosts.on_robot(new) if hears == TO_ROBOT else new()


def _tcp(hosts: TwoHosts) -> tuple[socket.socket, socket.socket]:
    """Return the robot's and the machine's end of a TCP connection."""
    with socket.create_server((hosts.machine_address, 0)) as server:
        robot = hosts.on_robot(socket.create_connection, server.getsockname(), PATIENCE)
        machine = server.accept()[0]
    machine.settimeout(PATIENCE)
    return robot, machine


def _pass(sockets: Sockets, direction: str, number: int) -> None:
    """Send a number one way and wait for it."""
    sockets[TO_ROBOT if direction == TO_MACHINE else TO_MACHINE].send(str(number).encode())
    assert sockets[direction].recv(99) == str(number).encode()


def _arriving(hosts: TwoHosts, sockets: Sockets, count: int) -> list[int]:
    """Send so many numbers to the machine; heal the link and return those that came."""
    before = hosts.link.counts()[TO_MACHINE]['taken']
    _send(sockets, count)
    return _arrived(hosts, sockets, before + count)


def _send(sockets: Sockets, count: int) -> None:
    for number in range(count):
        sockets[TO_ROBOT].send(str(number).encode())


def _arrived(hosts: TwoHosts, sockets: Sockets, taken: int) -> list[int]:
    def all_came() -> bool:
        counts = hosts.link.counts()[TO_MACHINE]
        return counts['taken'] == taken and not counts['under_way']

    _until(all_came, 'the link does not deliver')
    hosts.link.heal()
    sockets[TO_ROBOT].send(b'end')
    return [int(number) for number in iter(lambda: sockets[TO_MACHINE].recv(99), b'end')]


def _readable(*of: socket.socket) -> list[socket.socket]:
    return select.select(of, [], [], 0.0)[0]


def _until(condition: Callable[[], Any], failure: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.005)
