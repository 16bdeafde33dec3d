# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the real viam-server, with bases that record and can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any

import grpc
import pytest

from support.do_command import BASE_METHOD, do_command
from support.go_build import binary, GO_MOD, NEWEST
from support.ports import free_port
from support.record import Record

MODEL = 'viamsessionbridge:base:recorder'
_START = 30.0  # s
_END = 10.0  # s
_CALL = 5.0  # s


def insecure_channel(address: str) -> grpc.Channel:
    """Return a channel that shares no connection and no back-off with any other."""
    return grpc.insecure_channel(address, [('grpc.use_local_subchannel_pool', 1)])


class ViamServer:
    """
    A viam-server of its own on a port of this computer, started by `with` or `start()`.

    `extra` is merged into the configuration (see `merged`); real_bases.py has bases for it.
    `connect` gives the channel that readiness and `control` use, where `extra` brings TLS or API
    keys. `newest`: with the newest rdk. `late`: s that it serves before there are bases, as a
    stock one does when it boots; it may be changed before a start. `stop_takes`: how long a Stop
    takes at the bases from each start on, in s. `inside` is the command that enters its host.
    The server dies with the thread that started it, so that no crash of the tests leaves one
    behind.
    """

    def __init__(
        self,
        tmp_path: Path,
        bases: Sequence[str] = ('base',),
        window: float = 2.0,
        port: int | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        name: str = 'viam_server',
        host: str = '127.0.0.1',
        webrtc: bool = False,
        late: float = 0.0,
        newest: bool = False,
        stop_takes: float = 0.0,
        inside: Sequence[str] = (),
        connect: Callable[[str], grpc.Channel] = insecure_channel,
    ) -> None:
        self.address = f'{host}:{port or free_port()}'
        self.config = merged(_config(self.address, bases, window), extra or {})
        self.record = Record(tmp_path / f'{name}.jsonl')
        self.log = tmp_path / f'{name}.log'
        self._config_path = tmp_path / f'{name}.json'
        self._bases, self._stop_takes = tuple(bases), stop_takes
        self.late = late
        self._webrtc = webrtc
        self._inside = inside
        self._modules = NEWEST if newest else GO_MOD
        self._connect = connect
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: str | None = None

    def __enter__(self) -> ViamServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Return the process id of the server that runs."""
        assert self._process is not None, 'the server does not run'
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it serves."""
        assert not self.running, 'the server runs already'
        program = binary(self._modules)
        if not program.exists():
            pytest.skip('there is no viam-server to test with: make viam-server')
        self._config_path.write_text(json.dumps(self.config, indent=2))
        # A short path of its own, for rdk puts a Unix socket there.
        self._scratch = tempfile.mkdtemp(prefix='viam-')
        command = [str(program), str(self._config_path), '--record', str(self.record.path)]
        command += ['--parent', str(os.getpid()), *(['--webrtc'] if self._webrtc else [])]
        command += ['--late', f'{self.late}s']
        places = dict.fromkeys(('HOME', 'VIAM_HOME', 'TMPDIR'), self._scratch)
        places['RECORD'] = str(self.record.path)
        with self.log.open('ab') as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [*self._inside, *command],
                env={**os.environ, **places},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_serving(before)
            for base in self._bases if self._stop_takes else ():
                self.control(base, stop_delay=self._stop_takes)
        except BaseException:
            self.kill()
            raise

    def restart(self) -> None:
        """Kill the server and start it anew on the same port; the record goes on."""
        self.kill()
        self.start()

    def kill(self) -> None:
        """End the server at once, as a crash would; nothing happens if there is none."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._clean_up()

    def terminate(self) -> int:
        """Shut the server down as an operator would and return its exit status."""
        assert self._process is not None, 'the server does not run'
        self.resume()
        self._process.terminate()
        try:
            status = self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'no end within {_END} s of SIGTERM{self._log_end()}') from None
        self._clean_up()
        return status

    def pause(self) -> None:
        """Freeze the server, so that it hangs with its connections open."""
        os.kill(self.pid, signal.SIGSTOP)
        self._await(lambda: self._state() == 'T', _CALL, 'the server does not freeze')

    def resume(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def control(
        self, base: str = 'base', *, release: bool = False, get: bool = False, **faults: Any
    ) -> dict[str, Any]:
        """
        Set faults of a base, or let its hanging calls go on, or get its state.

        CALL is one of set_velocity, set_power, stop, move_straight, spin and is_moving.

        ================= ===========================================================
        `CALL_failures=N` the next N calls fail and change no motion
        `CALL_error=TEXT` they fail so: a gRPC code's name, a colon, a space, the details
        `CALL_delay=S`    each call takes effect S seconds later
        `CALL_hang=True`  each call hangs until `release=True`, which ends the fault
        `ignore_cancel`   True: what waits takes effect though the caller gave up or
                          another call cancelled it, as a driver that blocks does;
                          otherwise the call fails then
        `coast=S`         the base says S seconds long that it moves when it was stopped;
                          the record knows nothing of that
        ================= ===========================================================

        A server that shuts down fails all that wait. `get=True` returns `moving`, `linear`,
        `angular` and `counts`, the calls begun by name.
        """
        return self.do(base, {'set': faults, 'release': release, 'get': get})

    def do(
        self, component: str, command: Mapping[str, Any], method: str = BASE_METHOD
    ) -> dict[str, Any]:
        """Send a component a command of its own; `method` is the DoCommand of its API."""
        with self._connect(self.address) as channel:
            return do_command(channel, component, command, method, _CALL)

    def _await_serving(self, log_start: int) -> None:
        serving = f'serving {self.address}'.encode()

        def says_so() -> bool:
            if not self.running:
                raise AssertionError(f'the server ended{self._log_end()}')
            return serving in self.log.read_bytes()[log_start:].splitlines()

        self._await(says_so, _START, 'the server does not start')
        with self._connect(self.address) as channel:
            try:
                grpc.channel_ready_future(channel).result(_CALL)
            except grpc.FutureTimeoutError:
                raise AssertionError(f'the server cannot be reached{self._log_end()}') from None

    def _await(self, condition: Callable[[], bool], timeout: float, failure: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f'{failure}, for {timeout} s{self._log_end()}')
            time.sleep(0.005)

    def _state(self) -> str:
        """Return the letter by which Linux names the state of the process."""
        return Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()[0]

    def _log_end(self) -> str:
        return f'; {self.log} ends with\n{self.log.read_text(errors="replace")[-4000:]}'

    def _clean_up(self) -> None:
        self._process = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None


def _config(address: str, bases: Sequence[str], window: float) -> dict[str, Any]:
    """Return the Viam configuration of a machine that has just these bases."""
    sessions = {'heartbeat_window': f'{round(window * 1e6)}us'}
    return {
        'network': {'bind_address': address, 'sessions': sessions},
        'components': [
            {'name': base, 'api': 'rdk:component:base', 'model': MODEL} for base in bases
        ],
    }


def merged(config: Any, extra: Any) -> Any:
    """Return a configuration with another one in it: maps key by key, lists are appended."""
    if isinstance(config, dict) and isinstance(extra, Mapping):
        added = {
            key: merged(config[key], value) if key in config else value
            for key, value in extra.items()
        }
        return {**config, **added}
    if isinstance(config, list):
        return [*config, *extra]
    return extra
