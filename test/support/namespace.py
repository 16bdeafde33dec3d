# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Tests in a network namespace of their own, which has the loopback alone.

WebRTC asks whom it can reach on every network, and servers on the internet for its own address. In
such a namespace nothing of that leaves the test.
"""

from __future__ import annotations

from collections.abc import Callable
import fcntl
import functools
import os
from pathlib import Path
import re
import socket
import struct
import subprocess
import sys

import pytest

from support.bounds import BoundMissedError
from support.process import DIES_WITH_TESTS, ROOT

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_INSIDE = 'VIAM_SESSION_BRIDGE_TEST_NAMESPACE'
# As pytest names what a test failed by, at the place where it did.
_MISSED_A_BOUND = re.compile(r'^\S+:\d+: BoundMissedError$', re.MULTILINE)


def in_namespace(
    test: Callable[..., None], kinds: tuple[str, ...] = ('--net',)
) -> Callable[..., None]:
    """
    Run a test, by a pytest of its own, in a network namespace of its own.

    It is skipped where the system allows none. Not for tests with parameters.
    """

    @functools.wraps(test)
    def inside_or_outside(**arguments: object) -> None:
        if os.environ.get(_INSIDE):
            _bring_loopback_up()
            test(**arguments)
            return
        reason = _refusal(kinds)
        if reason:
            pytest.skip(f'no network namespace: {reason}')
        _run_inside(f'{test.__code__.co_filename}::{test.__name__}', kinds)

    return inside_or_outside


with_own_files = functools.partial(in_namespace, kinds=('--net', '--mount'))
"""As :func:`in_namespace`, and what the test mounts is seen by it alone."""


def replace_file(path: str, by: Path) -> None:
    """Have another file in the place of one, in a test with its own files."""
    by.touch()
    subprocess.run(['mount', '--bind', str(by), path], check=True)


def _run_inside(test: str, kinds: tuple[str, ...]) -> None:
    command = [sys.executable, '-m', 'pytest', '-q', '-rsP', '-p', 'no:cacheprovider', test]
    ended = _run(kinds, command, {**os.environ, _INSIDE: '1'})
    print(ended.stdout)
    if ended.returncode:
        # As what it failed by there: only a missed bound is measured twice.
        missed = _MISSED_A_BOUND.search(ended.stdout)
        failure = BoundMissedError if missed else AssertionError
        raise failure(f'it failed in its namespace:\n{ended.stdout}')
    if '1 passed' not in ended.stdout:
        pytest.skip(ended.stdout)


@functools.lru_cache
def _refusal(kinds: tuple[str, ...]) -> str:
    """Return why there can be no namespace; '' where there can."""
    tried = _run(kinds, ['true'], os.environ)
    return tried.stdout if tried.returncode else ''


def _run(
    kinds: tuple[str, ...],
    command: list[str],
    environment: os._Environ[str] | dict[str, str],
) -> _Ended:
    own_users = [] if os.geteuid() == 0 else ['--map-root-user']
    return subprocess.run(
        ['unshare', *kinds, *own_users, *DIES_WITH_TESTS, *command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


_Ended = subprocess.CompletedProcess[str]


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        loopback_up = struct.pack('16sh14x', b'lo', _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, loopback_up)
