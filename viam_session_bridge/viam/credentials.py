# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What lets the bridge and a machine trust each other: API keys, access tokens and certificates.

Parameters only name files. They are read once when the node is configured, so that a fault is
reported then and not when the robot is to move; keys are read again for every login, so that a
machine may change its key while the bridge runs. An error quotes no character of a key.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
import json
import math
import os
from pathlib import Path
import ssl
import stat

import yaml

from viam_session_bridge.configuration.model import (
    Configuration,
    ConfigurationError,
    Transport,
)
from viam_session_bridge.viam.connection_check import INSTALL_VIAM_SDK

KEY_ID, KEY = 'VIAM_API_KEY_ID', 'VIAM_API_KEY'
_LARGEST = 64 * 1024  # bytes of a credentials file
# Where distributions keep all certificates of the system in one file.
_SYSTEM_CERTIFICATES = (
    '/etc/ssl/certs/ca-certificates.crt',  # Debian, Ubuntu
    '/etc/pki/tls/certs/ca-bundle.crt',  # Fedora, RHEL
    '/etc/ssl/ca-bundle.pem',  # openSUSE
    '/etc/ssl/cert.pem',  # Alpine
)


class CredentialsError(ValueError):
    """A key or a file of certificates cannot be used; the text says why, and the remedy."""


@dataclass(frozen=True)
class Credentials:
    """An API key and its id."""

    key_id: str
    key: str = field(repr=False)


def complete(configuration: Configuration, environment: Mapping[str, str]) -> Configuration:
    """
    Return the configuration with what files and the environment add to it.

    :raises ConfigurationError: with one message for each thing that is missing
    """
    problems: list[str] = []
    environment_key = False
    try:
        environment_key = environment_has_key(environment)
    except CredentialsError as error:
        problems.append(str(error))
    machines = []
    for machine in configuration.machines:
        prefix = f'machines.{machine.name}'
        trusted = None
        try:
            if machine.credentials_file:
                load(machine.credentials_file, environment)
        except CredentialsError as error:
            problems.append(f'{prefix}.credentials_file: {error}')
        by_webrtc = machine.transport is Transport.WEBRTC
        if by_webrtc and find_spec('viam') is None:
            problems.append(
                f'{prefix}.transport is webrtc, but viam-sdk is not installed: {INSTALL_VIAM_SDK}'
            )
        try:
            # viam-sdk knows the system's certificates.
            if not machine.insecure and (machine.ca_file or not by_webrtc):
                trusted = trusted_certificates(machine.ca_file)
        except CredentialsError as error:
            problems.append(f'{prefix}.ca_file: {error}')
        machines.append(replace(machine, environment_key=environment_key, trusted=trusted))
    if problems:
        raise ConfigurationError(problems)
    return replace(configuration, machines=tuple(machines))


def environment_has_key(environment: Mapping[str, str]) -> bool:
    """Return whether the environment has a key; CredentialsError where it has half of one."""
    present = [name for name in (KEY_ID, KEY) if environment.get(name)]
    if len(present) == 1:
        (missing,) = {KEY_ID, KEY} - set(present)
        raise CredentialsError(f'{present[0]} is set but {missing} is not: set both or neither')
    return bool(present)


def load(path: str, environment: Mapping[str, str]) -> Credentials:
    """
    Return the key of a file, or that of the environment where ``path`` is empty.

    :raises CredentialsError: where there is none, or others than the user may read the file
    """
    if path:
        return _parse(path, _read(path))
    if not environment_has_key(environment):
        raise CredentialsError(f'set {KEY_ID} and {KEY}, or credentials_file')
    return Credentials(environment[KEY_ID], environment[KEY])


def _read(path: str) -> bytes:
    try:
        # O_NONBLOCK: a pipe in the file's place must not hang the bridge.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb') as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CredentialsError(f'{path} is no file: give one with api_key_id and api_key')
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise CredentialsError(f'{path} can be used by others: chmod 600 {path}')
            return file.read(_LARGEST)
    except OSError as error:
        raise CredentialsError(f'{path} cannot be read: {error.strerror}') from None


def _parse(path: str, content: bytes) -> Credentials:
    try:
        values = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise CredentialsError(f'{path} is neither JSON nor YAML') from None
    match values:
        case {'api_key_id': str(key_id), 'api_key': str(key)} if key_id and key:
            return Credentials(key_id, key)
    raise CredentialsError(f'{path} must hold the texts api_key_id and api_key')


def token_lifetime(token: str) -> float:
    """
    Return the seconds from a token's issue to its expiry, 0 where it does not state both.

    Tokens are JWTs (RFC 7519); their signature is for the machine to check. Only the difference
    of the machine's own times is used, for its clock and this computer's may be an hour apart.
    """
    try:
        _, payload, _ = token.split('.')
        claims = json.loads(base64.urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))
        issued = claims.get('iat', claims.get('nbf'))
        seconds = float(claims['exp']) - float(issued)
        return seconds if 0.0 < seconds < math.inf else 0.0
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0.0


def trusted_certificates(ca_file: str) -> bytes | None:
    """
    Return the certificates to trust, as PEM.

    :param ca_file: a path; empty for the system's. None then means that there are none to be
        found, and gRPC takes those that it brings along
    :raises CredentialsError: where the file cannot be read or holds no certificate
    """
    if not ca_file:
        # OpenSSL's own location, which SSL_CERT_FILE overrides, comes first.
        for path in (ssl.get_default_verify_paths().cafile, *_SYSTEM_CERTIFICATES):
            if path and os.access(path, os.R_OK):
                return Path(path).read_bytes()
        return None
    try:
        pem = Path(ca_file).read_bytes()
    except OSError as error:
        raise CredentialsError(f'{ca_file} cannot be read: {error.strerror}') from None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem.decode('ascii'))
    except (ssl.SSLError, ValueError):
        raise CredentialsError(f'{ca_file} holds no certificate in PEM') from None
    return pem
