# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Where a machine listens: ``host:port``, ``unix:PATH``, or with WebRTC a host alone.

Only the notation is judged here; no name is looked up. Whether an address is local is therefore
a matter of how it is written, and a name other than ``localhost`` is never taken for local.
"""

from __future__ import annotations

from dataclasses import dataclass
import ipaddress
import re

WEBRTC_FORMS = "NAME.viam.cloud, or host:port such as 'robot.local:8080'"
FORMS = "host:port such as 'localhost:8080', '[::1]:8080' with IPv6, or unix:PATH"
UNIX = 'unix:'

_LABEL = r'[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
_NAME = re.compile(rf'{_LABEL}(?:\.{_LABEL})*\.?')
_HOST_AND_PORT = re.compile(r'(?P<host>\[[^\[\]]*\]|[^\[\]:]*):(?P<port>[0-9]{1,5})')
_LOOPBACK_4 = ipaddress.IPv4Network('127.0.0.0/8')
_LOOPBACK_6 = ipaddress.IPv6Address('::1')


@dataclass(frozen=True)
class Address:
    """An address taken apart: a host (without brackets) and a port, or the path of a socket."""

    host: str = ''
    port: int = 0
    path: str = ''

    @property
    def is_local(self) -> bool:
        """
        Tell whether nobody on a network can listen in or pretend to be the machine.

        ``0.0.0.0`` is not local, nor is a name that merely resolves to a local address today.
        """
        if self.path or self.host.lower() == 'localhost':
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return address == _LOOPBACK_6 or address in _LOOPBACK_4


def parse_address(text: str, port_needed: bool = True) -> Address:
    """
    Take an address apart; ValueError says what is wrong with it.

    :param port_needed: False allows a host alone
    """
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError('it holds a blank or an unprintable character')
    if text.startswith(UNIX):
        return _parse_socket(text[len(UNIX) :])
    if '://' in text:
        raise ValueError('it has a scheme, which an address is written without')
    if not port_needed and ':' not in text:
        return Address(host=_check_host(text))
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        raise ValueError('it is not of that form')
    if not 1 <= int(match['port']) <= 65535:
        raise ValueError('the port is not from 1 to 65535')
    return Address(host=_check_host(match['host']), port=int(match['port']))


def _parse_socket(path: str) -> Address:
    # gRPC reads unix:PATH and, for absolute paths, unix:///PATH.
    if path.startswith('//'):
        path = path[2:]
        if not path.startswith('/'):
            raise ValueError('unix:// needs an absolute path')
    if path in ('', '/'):
        raise ValueError('the path of the socket is missing')
    return Address(path=path)


def _check_host(host: str) -> str:
    if host.startswith('['):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError('what stands in brackets is not an IPv6 address') from None
        return host[1:-1]
    if not host:
        raise ValueError('the host is missing')
    if re.fullmatch(r'[0-9.]+', host):
        # The system's resolver would read 127.1 or 1 as addresses too; people do not.
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError('the host is not an IPv4 address') from None
    elif len(host) > 253 or _NAME.fullmatch(host) is None:
        raise ValueError('the host is not a valid name')
    return host
