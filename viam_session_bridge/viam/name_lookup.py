# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A machine's name, looked up by the system: hosts file, mDNS, search domains, DNS.

gRPC's own resolver knows no mDNS and takes one line of the hosts file; whichever resolver it has,
it looks an unknown name up ever more rarely. So gRPC is given addresses. Each lookup has a thread
of its own, for it takes as long as the system's resolver waits, with a silent name server half a
minute.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from typing import Any
from urllib.parse import quote

from viam_session_bridge.configuration.address import Address

INTERVAL = 2.0  # s, at least, from the beginning of one lookup to the next
ADDRESSES_TRIED = 8  # of one name, at most

Found = tuple[socket.AddressFamily, Any]
"""A family and an address of it as :mod:`socket` has them."""


def look_up(address: Address) -> list[Found]:
    """
    Return the addresses of a host, best first; may take half a minute.

    :raises socket.gaierror: where the system finds none
    """
    results = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    found: list[Found] = [(family, where) for family, *_, where in results]
    if address.is_local:  # a name server must not make another host of `localhost`
        found = [one for one in found if ipaddress.ip_address(one[1][0]).is_loopback]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, 'it has no loopback address')
    return found[:ADDRESSES_TRIED]


def is_name(address: Address) -> bool:
    """Return whether a host has to be looked up."""
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return bool(address.host)
    return False


def target(found: list[Found]) -> str:
    """Return addresses as gRPC takes them: all of one family, so those of both are in IPv6's."""
    if all(family == socket.AF_INET for family, _ in found):
        return 'ipv4:' + ','.join(f'{host}:{port}' for _, (host, port) in found)
    return 'ipv6:' + quote(','.join(map(_in_ipv6, found)), safe=':,')


def _in_ipv6(one: Found) -> str:
    family, (host, port, *rest) = one
    if family == socket.AF_INET:
        return f'[::ffff:{host}]:{port}'
    host = host.partition('%')[0]  # which some systems leave there
    return f'[{host}%{rest[1]}]:{port}' if rest[1] else f'[{host}]:{port}'


class NameLookup:
    """The lookups of one machine's name, one at a time."""

    def __init__(self, address: Address, machine: str) -> None:
        """Prepare; nothing is looked up before :meth:`begin`."""
        self.found: list[Found] = []  # as the last lookup that found some left them
        self._address = address
        self._machine = machine
        self._begun_at = float('-inf')
        self._is_under_way = False
        self._has_found = threading.Event()

    def begin(self) -> None:
        """Look the name up, unless a lookup is under way or began a moment ago; on one thread."""
        now = time.monotonic()
        if not self._is_under_way and now >= self._begun_at + INTERVAL:
            self._begun_at, self._is_under_way = now, True
            name = f'lookup of {self._machine}'
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until a lookup found an address, for ``seconds`` at most."""
        self._has_found.wait(seconds)

    def _run(self) -> None:
        try:
            self.found = look_up(self._address)
            self._has_found.set()
        except OSError:  # the addresses of before may be right still
            pass
        finally:
            self._is_under_way = False
