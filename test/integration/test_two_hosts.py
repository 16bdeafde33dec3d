# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The two hosts that the fault tests use: what the robot's sees, and that nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import json
import os
from pathlib import Path
import random
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from support.bounds import PATIENCE
from support.link import refusal, two_hosts, TwoHosts
from support.ports import free_port
from support.process import ProcessUnderTest, ROOT
from viam_session_bridge.simulation.server import SimulatedMachine

_PATH = {'PYTHONPATH': f'{ROOT}:{ROOT / "test"}'}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    """Provide two hosts with a healthy link."""
    with two_hosts(tmp_path, seed=1) as both:
        yield both


def test_a_process_on_the_robot_sees_the_link_alone(hosts: TwoHosts, tmp_path: Path) -> None:
    with _server('127.0.0.1') as local, _server(hosts.machine_address) as there:
        targets = [local.getsockname(), ('192.0.2.1', 9), there.getsockname()]
        with _Program(tmp_path, _LOOKS, json.dumps(targets)).inside(hosts.robot) as program:
            assert program.wait_exit() == 0, program.log_end()
    interfaces, *results = program.output().splitlines()
    assert interfaces == f'{hosts.device} lo'
    assert results == ['Connection refused', 'Network is unreachable', 'connected']


def test_grpc_gets_through_loss_and_delay(hosts: TwoHosts, tmp_path: Path) -> None:
    hosts.link.become(delay=0.05, loss=0.2)
    address = f'{hosts.machine_address}:{free_port()}'
    with SimulatedMachine(address, window=60.0) as machine:
        with _Program(tmp_path, _DRIVES, address).inside(hosts.robot) as program:
            assert program.wait_exit(100.0) == 0, program.log_end()
        assert machine.state('base').linear == (0.0, 123.0, 0.0)
    assert float(program.output()) >= 0.1, 'a round trip, in s'
    assert sum(counts['lost'] for counts in hosts.link.counts().values()) > 0


def test_the_addresses_of_hosts_that_exist_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = random.SystemRandom().sample(range(1000), 2)
    numbers = iter([one, one, one, other])
    generator = SimpleNamespace(randrange=lambda _: next(numbers))
    monkeypatch.setattr('support.link.random.SystemRandom', lambda: generator)
    with two_hosts(tmp_path) as ones, two_hosts(tmp_path) as others:
        assert ones.device.endswith(str(one))
        assert others.device.endswith(str(other))
        assert ones.machine_address != others.machine_address


def test_nothing_is_left_of_the_hosts(tmp_path: Path) -> None:
    before = _own()
    with two_hosts(tmp_path) as hosts:
        namespace = hosts.on_robot(os.readlink, '/proc/thread-self/ns/net')
        assert _held(namespace)
        assert _exists(hosts.device)
    assert not _own() - before  # what others left behind may go meanwhile
    assert not _exists(hosts.device)
    _until(lambda: not _held(namespace), 'its namespace is held')


def test_nothing_is_left_of_the_hosts_when_the_tests_are_killed(tmp_path: Path) -> None:
    if refusal():
        pytest.skip(refusal())
    tests = subprocess.Popen(
        [sys.executable, '-c', _TESTS, str(tmp_path)],
        env={**os.environ, **_PATH},
        stdout=subprocess.PIPE,
    )
    with tests:
        assert tests.stdout is not None
        device, namespace = tests.stdout.readline().decode().split()
        try:
            assert _exists(device)
            assert _held(namespace)
        finally:
            tests.send_signal(signal.SIGKILL)
    _until(lambda: not _exists(device), 'its device is left')
    _until(lambda: not _held(namespace), 'its namespace is held')


@pytest.mark.parametrize(
    'lacks, reason',
    [
        ('setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin', '[Errno 1] unshare'),
        ('unshare --mount sh -c \'mount -t tmpfs none /dev/net && exec "$@"\' sh', 'No such file'),
    ],
)
def test_the_reason_is_reported_where_the_system_refuses(lacks: str, reason: str) -> None:
    if refusal():
        pytest.skip(refusal())
    command = [*shlex.split(lacks), sys.executable, '-c', _ASKS]
    done = subprocess.run(command, env={**os.environ, **_PATH}, capture_output=True, text=True)
    assert reason in done.stdout, done.stderr


_ASKS = 'from support.link import refusal; print(refusal())'
_LOOKS = """
import fcntl, json, os, socket, struct, sys
def up(name):
    with socket.socket() as any_socket:
        asked = struct.pack('16s24x', name.encode())
        return struct.unpack('16xH22x', fcntl.ioctl(any_socket, 0x8913, asked))[0] & 1
print(*sorted(name for _, name in socket.if_nameindex() if up(name)))
for target in json.loads(sys.argv[1]):
    with socket.socket() as caller:
        error = caller.connect_ex(tuple(target))
        print(os.strerror(error) if error else 'connected')
"""
_DRIVES = """
import sys, time, grpc
from viam_session_bridge.viam import messages as wire
with grpc.insecure_channel(sys.argv[1]) as channel:
    def call(method, metadata=None, **fields):
        request = method.request(**fields)
        return method.on(channel)(request, timeout=60, metadata=metadata, wait_for_ready=True)
    sid = call(wire.START_SESSION).id
    start = time.monotonic()
    forward = wire.Vector3(y=123.0)
    call(wire.SET_VELOCITY, ((wire.SESSION_KEY, sid),), name='base', linear=forward)
    print(time.monotonic() - start)
"""
_TESTS = """
import os, pathlib, sys, time
from support.link import two_hosts
from support.process import ProcessUnderTest
class Sleeper(ProcessUnderTest):
    def command(self):
        return ['sleep', '1000']
directory = pathlib.Path(sys.argv[1])
with two_hosts(directory) as hosts:
    with Sleeper(directory, 'sleeper', {}).inside(hosts.robot) as sleeper:
        comm = pathlib.Path(f'/proc/{sleeper.pid}/comm')
        sleeper.wait_until(lambda: comm.read_text() == 'sleep\\n', 'it does not sleep')
        print(hosts.device, os.readlink(f'/proc/{sleeper.pid}/ns/net'), flush=True)
        time.sleep(1000)
"""


class _Program(ProcessUnderTest):
    def __init__(self, directory: Path, program: str, argument: str) -> None:
        super().__init__(directory, 'program', _PATH)
        self._command = [sys.executable, '-c', program, argument]

    def command(self) -> list[str]:
        return self._command


def _server(address: str) -> socket.socket:
    return socket.create_server((address, 0))


def _exists(device: str) -> bool:
    return device in (name for _, name in socket.if_nameindex())


def _own() -> set[object]:
    """Return the threads and the open files of this process."""
    files: set[object] = set()
    for name in os.listdir('/proc/self/fd'):
        with contextlib.suppress(OSError):  # the listing's own
            files.add((name, os.readlink(f'/proc/self/fd/{name}')))
    return files | set(threading.enumerate())


def _held(namespace: str) -> bool:
    """Return whether a process runs in a namespace or has it open."""

    def points_there(link: Path) -> bool:
        try:
            return os.readlink(link) == namespace
        except OSError:
            return False  # it ended just now

    paths = ('[0-9]*/ns/net', '[0-9]*/fd/*')
    return any(points_there(link) for path in paths for link in Path('/proc').glob(path))


def _until(condition: Callable[[], Any], failure: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.005)
