# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Two hosts on this computer, with a link between them that can be made bad.

The kernel's own network emulation is missing in many containers; network namespaces and TUN
devices are there, for root. The machine's host is the one that the tests themselves are on, so
that they reach a machine by its address without the link. The robot's host is a namespace: what
runs there sees its own loopback and the link, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
import ctypes
from dataclasses import asdict
import errno
import fcntl
import functools
import ipaddress
import os
from pathlib import Path
import random
import socket
import struct
import sys
from typing import Any, ParamSpec, TypeVar

import pytest

from support.commanded_process import CommandedProcess
from support.link_relay import Condition, TO_MACHINE, TO_ROBOT

_RELAY = Path(__file__).with_name('link_relay.py')
# Addresses that are set aside for tests of networks (RFC 2544): no real host has one.
_NETWORK = ipaddress.IPv4Network('198.18.0.0/15')
_DEVICE = 'badlink'
_QUEUE = 5000  # packets that may wait for the relay, so that a burst is not lost before it

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_SIOCSIFADDR, _SIOCSIFDSTADDR, _SIOCSIFTXQLEN = 0x8916, 0x8918, 0x8943
_libc = ctypes.CDLL(None, use_errno=True)
_P = ParamSpec('_P')
_R = TypeVar('_R')


class Link(CommandedProcess):
    """
    The relay. Each change is in force for all that is sent after its method returns.

    What it loses is drawn from `seed`, for each direction by itself: the same packets in the same
    order fare the same.
    """

    def __init__(self, directory: Path, robot: int, machine: int, seed: int) -> None:
        super().__init__(directory, 'link', {})
        self._devices = (robot, machine)
        self._seed = seed

    def command(self) -> list[str]:
        """Return what to run."""
        return [sys.executable, str(_RELAY), *map(str, self._devices), str(self._seed)]

    def wait_ready(self) -> None:
        """Wait until it carries packets."""
        self.counts()

    def become(self, direction: str | None = None, **condition: float) -> None:
        """
        Make one direction, or both, be like this, see :class:`Condition`; all else is healthy.

        What is under way already arrives when it would have, unless the link is cut.
        """
        directions = (direction,) if direction else (TO_MACHINE, TO_ROBOT)
        changed = asdict(Condition(**condition))  # type: ignore[arg-type]
        self._tell(**dict.fromkeys(directions, changed))

    def heal(self) -> None:
        """Make both directions healthy."""
        self.become()

    def counts(self) -> dict[str, dict[str, int]]:
        """Return, for each direction, how many packets were taken, lost, are under way, ..."""
        return self._tell()

    def _tell(self, **order: Any) -> dict[str, dict[str, int]]:
        self._write(**order)
        return self._await_answer()

    def _pipes(self) -> dict[str, Any]:
        return {**super()._pipes(), 'pass_fds': self._devices}


class TwoHosts:
    """The addresses of both hosts, the link between them, and the ways into the robot's."""

    def __init__(self, robot: str, machine: str, namespace: int, device: str, link: Link) -> None:
        self.robot_address = robot
        self.machine_address = machine
        self.device = device
        self.link = link
        self._namespace = namespace

    @property
    def robot(self) -> tuple[str, ...]:
        """Return the command that enters the robot's host: for :meth:`ProcessUnderTest.inside`."""
        return ('nsenter', f'--net=/proc/{os.getpid()}/fd/{self._namespace}')

    def on_robot(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """
        Call a function on the robot's host, in a thread, and return what it does.

        A socket that is made there stays there, whoever uses it.
        """

        def inside() -> _R:
            if _libc.setns(self._namespace, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
            return function(*args, **kwargs)

        return _in_thread(inside)


@contextlib.contextmanager
def two_hosts(directory: Path, seed: int = 0) -> Iterator[TwoHosts]:
    """
    Have two hosts with a healthy link; skips the test where the system allows none.

    The kernel takes all of it back when this process and those on the robot's host have ended.
    """
    reason = refusal()
    if reason:
        pytest.skip(f'no link between two hosts: {reason}')
    with contextlib.ExitStack() as stack:
        machine, number = _first_device()
        stack.callback(os.close, machine)
        device, first = f'{_DEVICE}{number}', _NETWORK[4 * number]
        here, there = str(first + 2), str(first + 1)
        _bring_up(device, here, there)
        namespace, robot = _in_thread(lambda: _new_host(device, there, here))
        stack.callback(os.close, namespace)
        stack.callback(os.close, robot)
        link = Link(directory, robot, machine, seed)
        with link:
            yield TwoHosts(there, here, namespace, device, link)


def _first_device() -> tuple[int, int]:
    """
    Return the descriptor and the number of a device that no other link has.

    A random one: the kernel still sends what connections over a link that is gone left behind,
    and a new link with the same addresses would carry it.
    """
    while True:
        # An own generator, as tests seed the common one.
        number = random.SystemRandom().randrange(_NETWORK.num_addresses // 4)
        try:
            return _new_device(f'{_DEVICE}{number}'), number
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise


def _new_host(device: str, address: str, peer: str) -> tuple[int, int]:
    """Move this thread to a new host; return the descriptors of that and of its device."""
    _unshare()
    _ioctl(_SIOCSIFFLAGS, 'lo', struct.pack('H', _IFF_UP))
    robot = _new_device(device)
    _bring_up(device, address, peer)
    return os.open('/proc/thread-self/ns/net', os.O_RDONLY), robot


def _unshare() -> None:
    if _libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'unshare')


def _new_device(name: str) -> int:
    """Return a descriptor of a new TUN device, which lasts as long as that."""
    descriptor = os.open('/dev/net/tun', os.O_RDWR)
    try:
        wanted = struct.pack('16sH22x', name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(descriptor, _TUNSETIFF, wanted)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _bring_up(device: str, address: str, peer: str) -> None:
    """Give a device its address and that of the other end, and start it."""
    for request, one in ((_SIOCSIFADDR, address), (_SIOCSIFDSTADDR, peer)):
        _ioctl(request, device, struct.pack('HH4s', socket.AF_INET, 0, socket.inet_aton(one)))
    _ioctl(_SIOCSIFTXQLEN, device, struct.pack('i', _QUEUE))
    _ioctl(_SIOCSIFFLAGS, device, struct.pack('H', _IFF_UP))


def _ioctl(request: int, device: str, argument: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, struct.pack('16s24s', device.encode(), argument))


def _in_thread(function: Callable[[], _R]) -> _R:
    """Call a function in a thread of its own: the host that it moves to is that thread's alone."""
    with ThreadPoolExecutor(1, 'host') as thread:
        return thread.submit(function).result()


@functools.lru_cache(maxsize=1)
def refusal() -> str:
    """Return why there can be no such hosts; '' where there can."""

    def attempt() -> None:
        _unshare()
        os.close(_new_device(_DEVICE))

    try:
        _in_thread(attempt)
    except OSError as error:
        return str(error)
    return ''
