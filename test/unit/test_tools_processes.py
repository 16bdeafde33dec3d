# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes: their lines, their failures, and that all end."""

from __future__ import annotations

from pathlib import Path
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from support.domains import DOMAINS
from viam_session_bridge import signals
from viam_session_bridge.tools.processes import (
    free_domain,
    free_port,
    Process,
    ProcessError,
    Processes,
)

ECHO = 'import sys\nprint("noise")\nfor line in sys.stdin: print("got", line, end="", flush=True)'
STUBBORN = (
    'import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n'
    'print("ready", flush=True)\ntime.sleep(60)'
)


def launched(directory: Path, program: str, **options: int) -> Process:
    process = Process(directory, 'child', {'GREETING': 'hello'})
    process.launch([sys.executable, '-c', program], **options)
    return process


def test_lines_go_in_and_come_out(tmp_path: Path) -> None:
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
    with launched(tmp_path, ECHO, **pipes) as process:
        process.write_line('a')
        assert process.read_line('got') == 'got a\n'
    assert not process.running


def test_the_error_of_one_that_ended_has_the_end_of_its_log(tmp_path: Path) -> None:
    program = 'import os; print(os.environ["GREETING"]); raise SystemExit(3)'
    with launched(tmp_path, program) as process:
        assert process.wait_exit(10.0) == 3
        for wait in (process.check, lambda: process.wait_for_output('bye', 10.0)):
            with pytest.raises(ProcessError, match=r'(?s)child ended.*hello'):
                wait()


def test_one_that_does_not_end_in_order_is_killed(tmp_path: Path) -> None:
    with launched(tmp_path, STUBBORN) as process:
        process.wait_for_output('ready', 10.0)
        with pytest.raises(ProcessError, match=r"for 0\.05 s: 'bye' is not in its log"):
            process.wait_for_output('bye', 0.05)
        with pytest.raises(ProcessError, match='does not end within'):
            process.wait_exit(0.05)
        assert process.end(timeout=0.05) == -signal.SIGKILL


def test_all_are_ended_with_the_context_the_last_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    end = Process.end

    def note_and_end(self: Process) -> int:
        ended.append(self.name)
        return end(self)

    monkeypatch.setattr(Process, 'end', note_and_end)
    with pytest.raises(KeyboardInterrupt), Processes(tmp_path) as processes:
        for name in ('first', 'second'):
            processes.start(name, 'http.server', '0', '--bind', '127.0.0.1')
        raise KeyboardInterrupt
    assert ended == ['second', 'first']
    assert not any(process.running for process in processes.started)


def test_one_that_is_being_started_when_a_signal_comes_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def start_and_interrupt(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = popen(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return process

    before = {number: signal.getsignal(number) for number in signals.ending()}
    monkeypatch.setattr(subprocess, 'Popen', start_and_interrupt)
    signals.interrupt_once()
    try:
        with pytest.raises(KeyboardInterrupt), Processes(tmp_path) as processes:
            processes.start('server', 'http.server', '0', '--bind', '127.0.0.1')
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    (process,) = processes.started
    assert process.process.returncode is not None


def test_a_preferred_port_is_taken_where_it_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        port = taken.getsockname()[1]
        assert free_port([port]) != port
    assert free_port([port]) == port


def test_a_domain_of_ones_own_is_of_this_computer_only() -> None:
    environment = free_domain()
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'


def test_a_domain_of_ones_own_is_none_that_a_test_may_be_about_to_use() -> None:
    given = {int(free_domain()['ROS_DOMAIN_ID']) for _ in range(200)}
    assert not given & {*DOMAINS}
    assert given <= {*range(102)}
