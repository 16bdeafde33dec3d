# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A machine's API key: from a file, or from the environment.

Read anew for every login, so that a machine may change its key while the bridge runs. What is
wrong is said without a character of what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
import stat

import yaml

KEY_ID, KEY = 'VIAM_API_KEY_ID', 'VIAM_API_KEY'
_LARGEST = 64 * 1024  # bytes


class CredentialsError(ValueError):
    """There is no usable key; the text says why, and how to mend it."""


@dataclass(frozen=True)
class Credentials:
    """An API key and its id."""

    key_id: str
    key: str = field(repr=False)


def in_environment(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment has a key; CredentialsError where it has half of one."""
    there = [name for name in (KEY_ID, KEY) if environment.get(name)]
    if len(there) == 1:
        (missing,) = {KEY_ID, KEY} - set(there)
        raise CredentialsError(f'{there[0]} is set but {missing} is not: set both or neither')
    return bool(there)


def load(path: str, environment: Mapping[str, str]) -> Credentials:
    """
    Return the key of a file, or where ``path`` is empty that of the environment.

    :raises CredentialsError: where there is none, or others than the user may read the file
    """
    if path:
        return _parse(path, _read(path))
    if not in_environment(environment):
        raise CredentialsError(f'set {KEY_ID} and {KEY}, or credentials_file')
    return Credentials(environment[KEY_ID], environment[KEY])


def _read(path: str) -> bytes:
    try:
        # Whoever put a pipe there must not hang the bridge.
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
    names = ('api_key_id', 'api_key')
    if not isinstance(values, dict) or not all(
        isinstance(values.get(name), str) and values[name] for name in names
    ):
        raise CredentialsError(f'{path} must hold the texts api_key_id and api_key')
    return Credentials(*(values[name] for name in names))
