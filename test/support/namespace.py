# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Tests in a network namespace of their own, which has the loopback alone.

WebRTC asks whom it can reach on every network, and servers on the internet for its own address. In
such a namespace nothing of that leaves the test.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import fcntl
import functools
import os
import signal
import socket
import struct
import subprocess
import sys

import pytest

from support.process import ROOT

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_PR_SET_PDEATHSIG = 1
_INSIDE = 'VIAM_SESSION_BRIDGE_TEST_NAMESPACE'
_libc = ctypes.CDLL(None, use_errno=True)


def in_namespace(test: Callable[..., None]) -> Callable[..., None]:
    """
    Run a test, by a pytest of its own, in a network namespace of its own.

    It is skipped where the system allows none. Not for tests with parameters.
    """

    @functools.wraps(test)
    def inside_or_outside(**arguments: object) -> None:
        if os.environ.get(_INSIDE):
            test(**arguments)
            return
        reason = _refusal()
        if reason:
            pytest.skip(f'no network namespace: {reason}')
        _run_inside(f'{test.__code__.co_filename}::{test.__name__}')

    return inside_or_outside


def _run_inside(test: str) -> None:
    command = [sys.executable, '-m', 'pytest', '-q', '-rsP', '-p', 'no:cacheprovider', test]
    ended = _run(command, {**os.environ, _INSIDE: '1'})
    print(ended.stdout)
    assert ended.returncode == 0, f'it failed in its namespace:\n{ended.stdout}'
    if '1 passed' not in ended.stdout:
        pytest.skip(ended.stdout)


@functools.lru_cache(maxsize=1)
def _refusal() -> str:
    """Return why there can be no namespace; '' where there can."""
    try:
        _run([sys.executable, '-c', ''], os.environ)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return ''


def _run(command: list[str], environment: os._Environ[str] | dict[str, str]) -> _Ended:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_enter,
    )


_Ended = subprocess.CompletedProcess[str]


def _enter() -> None:
    """Move this process, which has one thread, into a new namespace, and bring its loopback up."""
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), 'unshare')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        loopback_up = struct.pack('16sh14x', b'lo', _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, loopback_up)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
