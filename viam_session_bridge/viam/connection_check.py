# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Why a machine cannot be connected to, in words and with a remedy.

gRPC reports the last error of the last of a name's addresses, in words that differ from version to
version. So when gRPC does not connect, the bridge checks by itself: name, address, TLS, HTTP/2.
Blocking, for a thread of its own; bounded by :data:`TIMEOUT` for each step, but for the lookup of
a name, which takes as long as the system's resolver waits.
"""

from __future__ import annotations

import errno
import socket
import ssl

from viam_session_bridge.configuration.address import Address, parse_address
from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.viam.name_lookup import Found, look_up

INSTALL_VIAM_SDK = 'pip install viam-sdk'
TIMEOUT = 1.0  # s
# What an HTTP/2 client begins with: the preface and an empty frame of settings (RFC 9113, 3.4).
_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER = 9  # bytes
_SETTINGS = 4  # the type of the frame that a server must begin with
_TLS_RECORDS = (0x15, 0x16)


def diagnose(machine: MachineConfiguration) -> str:
    """Connect step by step; return which step fails and what to do about it."""
    address = parse_address(machine.address)
    parameter = f'machines.{machine.name}'
    check = f'check {parameter}.address'
    try:
        connection = _connect(address)
    except socket.gaierror as error:
        return _unresolved(error, address, check)
    except TimeoutError:
        return f'no answer at all: {check}, the network and its firewalls'
    except OSError as error:
        return _unconnected(error, address, check)
    failed = f'it hangs up, maybe for want of TLS: set {parameter}.insecure to false'
    try:
        if machine.insecure:
            return _check_http2(connection, failed, check)
        name = machine.server_name or address.host or 'localhost'
        with _context(machine.trusted).wrap_socket(connection, server_hostname=name) as tls:
            if tls.selected_alpn_protocol() != 'h2':
                return f'it speaks TLS but no gRPC: {check}'
            return _check_http2(tls, failed, check)
    except ssl.SSLCertVerificationError as error:
        return (
            f'its certificate is not accepted ({error.verify_message.rstrip(".")}): check '
            f"{parameter}.ca_file, {parameter}.server_name and this computer's clock"
        )
    except TimeoutError:
        return f'it takes connections and says nothing: {check}'
    except OSError:
        return (
            f'it speaks no TLS: {check}, or for a loopback address or a unix socket set '
            f'{parameter}.insecure to true'
        )
    finally:
        connection.close()


def _unresolved(error: socket.gaierror, address: Address, check: str) -> str:
    if (interface := address.host.partition('%')[2]) and ':' in address.host:
        return f'this computer has no network interface {interface}: {check}'
    also = ''
    if address.host.rstrip('.').lower().endswith('.local'):
        also = (
            ', and that the machine is on; a name in .local needs mDNS, here by libnss-mdns or '
            'systemd-resolved'
        )
    elif error.errno == socket.EAI_AGAIN:
        also = " and this computer's name server"
    return f'its name cannot be resolved ({error.strerror}): {check}{also}'


def _unconnected(error: OSError, address: Address, check: str) -> str:
    match error.errno:
        case errno.ECONNREFUSED:
            means = f'nothing listens there; {check} and viam-server'
        case errno.ENOENT:
            means = f'there is no such socket; {check} and the program that creates it'
        case errno.EACCES | errno.EPERM if address.path:
            means = f'{check} and the permissions of that socket and of the folders it is in'
        case errno.EACCES | errno.EPERM:
            means = f"this computer's firewall or routes forbid it; {check}"
        case errno.ENETUNREACH | errno.EHOSTUNREACH | errno.ENETDOWN | errno.EADDRNOTAVAIL:
            means = f"there is no way to it; {check}, this computer's network and the machine's"
        case errno.EINVAL if address.host.lower().startswith('fe80:'):
            means = f"its interface is missing; {check}, and write it as '[fe80::1%eth0]:8080'"
        case _:
            means = check
    return f'{error.strerror}: {means}'


def _connect(address: Address) -> socket.socket:
    """
    Return a connection to the first of a name's addresses that takes one.

    :raises OSError: the first of the failures, for the system has the best address first
    """
    where: list[Found] = [(socket.AF_UNIX, address.path)] if address.path else look_up(address)
    failures = []
    for family, one in where:
        connection = None
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(TIMEOUT)
            connection.connect(one)
            return connection
        except OSError as error:
            failures.append(error)
            if connection is not None:
                connection.close()
    raise failures[0]


def _context(pem: bytes | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem.decode('ascii') if pem else None)
    # By gRPC's rules, not by Python's, which became stricter with 3.13.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(['h2'])
    return context


def _check_http2(connection: socket.socket, hung_up: str, check: str) -> str:
    received = b''
    try:
        connection.sendall(_PREFACE)
        while len(received) < _FRAME_HEADER and (more := connection.recv(64)):
            received += more
    except TimeoutError:
        raise
    except OSError:
        return hung_up
    if not received or received[0] in _TLS_RECORDS:
        return hung_up
    if len(received) < _FRAME_HEADER or received[3] != _SETTINGS:
        return f'it speaks no gRPC: {check}'
    return 'it can be reached again, or this computer finds a way to it that gRPC does not'
