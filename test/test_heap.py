# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What threads freed is kept in one place."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='of glibc alone')

# As many threads at once, each of which has something of its own; then what malloc says of itself.
PROGRAM = """
import ctypes, sys, threading
from viam_session_bridge.heap import keep_in_one_arena
if sys.argv[1] == 'one':
    keep_in_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fflush.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)
def take():
    together.wait()
    libc.malloc(10000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = libc.fdopen(1, b'w')
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.parametrize('how', ['one', 'as it was'])
def test_threads_share_one_arena(how: str) -> None:
    command = [sys.executable, '-c', PROGRAM, how]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (told.count('<heap nr=') == 1) is (how == 'one'), told
