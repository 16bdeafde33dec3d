# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Why a machine cannot be connected to, in words and with a remedy.

gRPC reports the last error of the last of a name's addresses, in words that differ from version to
version. So when gRPC does not connect, the bridge checks by itself: name, address, TLS, HTTP/2.
Blocking, for a thread of its own; bounded by :data:`TIMEOUT` for each step.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from viam_session_bridge.configuration.address import Address, parse_address
from viam_session_bridge.configuration.model import MachineConfiguration

INSTALL_VIAM_SDK = 'pip install viam-sdk'
TIMEOUT = 1.0  # s
_ADDRESSES_TRIED = 4
# What an HTTP/2 client begins with: the preface and an empty frame of settings (RFC 9113, 3.4).
_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER = 9  # bytes
_SETTINGS = 4  # the type of the frame that a server must begin with
_TLS_RECORDS = (0x15, 0x16)


def diagnose(machine: MachineConfiguration) -> str:
    """Connect step by step; return which step fails and what to do about it."""
    address = parse_address(machine.address)
    parameter = f'machines.{machine.name}'
    see = f'see {parameter}.address'
    try:
        connection = _connect(address)
    except socket.gaierror as error:
        return f'its name cannot be resolved ({error.strerror}): {see}'
    except TimeoutError:
        return f'no answer at all: {see}, the network and its firewalls'
    except OSError as error:
        return f'{error.strerror}: nothing listens there; {see} and viam-server'
    failed = f'it hangs up, maybe for want of TLS: set {parameter}.insecure to false'
    try:
        if machine.insecure:
            return _check_http2(connection, failed, see)
        name = machine.server_name or address.host or 'localhost'
        with _context(machine.trusted).wrap_socket(connection, server_hostname=name) as tls:
            if tls.selected_alpn_protocol() != 'h2':
                return f'it speaks TLS but no gRPC: {see}'
            return _check_http2(tls, failed, see)
    except ssl.SSLCertVerificationError as error:
        return (
            f'its certificate is not accepted ({error.verify_message.rstrip(".")}): see '
            f"{parameter}.ca_file, {parameter}.server_name and this computer's clock"
        )
    except TimeoutError:
        return f'it takes connections and says nothing: {see}'
    except OSError:
        return (
            f'it speaks no TLS: {see}, or for a loopback address or a unix socket set '
            f'{parameter}.insecure to true'
        )
    finally:
        connection.close()


def _connect(address: Address) -> socket.socket:
    """Return a connection to the first of a name's addresses that takes one."""
    if address.path:
        where: list[tuple[int, Any]] = [(socket.AF_UNIX, address.path)]
    else:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        where = [(family, one) for family, *_, one in found[:_ADDRESSES_TRIED]]
    failure: OSError = OSError(0, 'it has no address')
    for family, one in where:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(one)
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


def _context(pem: bytes | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem.decode('ascii') if pem else None)
    # By gRPC's rules, not by Python's, which became stricter with 3.13.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(['h2'])
    return context


def _check_http2(connection: socket.socket, hung_up: str, see: str) -> str:
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
        return f'it speaks no gRPC: {see}'
    return 'it can be connected to again, or gRPC finds no way that this computer finds'
