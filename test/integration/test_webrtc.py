# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Dialing over WebRTC where no machine answers; no ROS. With one: `e2e/test_webrtc.py`.

The processes and viam-sdk are real; what they send stays in a network namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.bounds import Load
from support.dialed import children, Dialed, ended, sockets_of, wait_for, write_key
from support.namespace import in_namespace
from support.ports import free_port
from viam_session_bridge.viam.credentials import Credentials
from viam_session_bridge.viam.webrtc import FIRST_PAUSE

SECRET = 'a-key-that-nobody-may-see'
KEY = Credentials('an-id', SECRET)
AT_ONCE = 0.5  # s
LONG = 30.0  # s: a dial that nobody must wait for


@contextmanager
def silent_listener() -> Iterator[str]:
    """Yield the address of a server that takes connections and never says a word."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        yield f'127.0.0.1:{listener.getsockname()[1]}'


def under_way(parent: int) -> tuple[int, Path]:
    """Wait until a child of the process dials; return the child and the socket it made for it."""
    found: list[tuple[int, Path]] = []

    def dials() -> bool:
        found[:] = [(child, path) for child in children(parent) for path in sockets_of(child)]
        return bool(found)

    wait_for(dials)
    return found[0]


@in_namespace
def test_where_nothing_listens_it_says_so_and_dials_again_after_a_pause() -> None:
    with Dialed(f'127.0.0.1:{free_port()}') as dialed:
        why, first = dialed.failed()
        assert 'refused' in why
        why, second = dialed.failed()
        assert 'refused' in why
    assert second - first > FIRST_PAUSE


@in_namespace
def test_a_dial_without_an_answer_ends_with_its_time() -> None:
    with silent_listener() as address, Dialed(address, timeout=0.5) as dialed:
        started = time.monotonic()
        why, when = dialed.failed()
    assert why == 'no connection in time'
    assert when - started > 0.5


@in_namespace
def test_closing_waits_for_no_dial_and_leaves_nothing_and_the_key_is_not_shown(
    tmp_path: Path,
) -> None:
    key = write_key(tmp_path / 'key.json', KEY)
    with silent_listener() as address, Dialed(address, key, timeout=LONG) as dialed:
        child, path = under_way(os.getpid())
        for file in ('cmdline', 'environ'):
            content = Path(f'/proc/{child}/{file}').read_bytes()
            assert content
            assert SECRET.encode() not in content
        assert SECRET not in repr(vars(dialed.transport))
        assert path.exists()
        with Load() as load:
            load.watch(os.getpid)
            load.watch(lambda: child)
            started = time.monotonic()
            dialed.close()
            took = time.monotonic() - started
            load.hold(took, AT_ONCE, started)
        assert ended(child)
    assert not path.exists()
    assert dialed.reports.empty()


@in_namespace
def test_what_dials_ends_with_the_bridge_that_was_killed() -> None:
    program = """
        import sys, time
        from viam_session_bridge.configuration.model import MachineConfiguration
        from viam_session_bridge.viam.webrtc import WebRtcTransport
        machine = MachineConfiguration('main', sys.argv[1], False, 0.25, 256, False)
        WebRtcTransport(machine, print, print, 30.0).start()
        time.sleep(60)
    """
    with silent_listener() as address:
        bridge = subprocess.Popen([sys.executable, '-c', textwrap.dedent(program), address])
        try:
            child, path = under_way(bridge.pid)
        finally:
            bridge.send_signal(signal.SIGKILL)
            bridge.wait()
        wait_for(lambda: ended(child))
    assert not path.exists()


def test_without_viam_sdk_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found before the real one, by the process that dials too.
    (tmp_path / 'viam.py').write_text("raise ModuleNotFoundError(\"No module named 'viam'\")\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Dialed('127.0.0.1:1') as dialed:
        why, _ = dialed.failed()
    assert 'pip install viam-sdk' in why
    assert "No module named 'viam'" in why


def test_a_credentials_file_that_cannot_be_read_is_a_failed_dial(tmp_path: Path) -> None:
    with Dialed('127.0.0.1:1', f'{tmp_path}/key.json') as dialed:
        why, _ = dialed.failed()
    assert why == f'{tmp_path}/key.json cannot be read: No such file or directory'


def test_a_library_that_ends_the_process_is_a_failed_dial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'viam.py').write_text('import os\nos.abort()\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with Dialed('127.0.0.1:1') as dialed:
        why, _ = dialed.failed()
    assert why == 'the process that dials ended'
