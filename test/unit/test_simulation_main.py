# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The executable `simulated_machine`."""

import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import grpc
import pytest

from unit.test_simulation_server import Client, FORWARD, PATIENCE, session_stops, wait_for
from viam_session_bridge.simulation.main import main
from viam_session_bridge.viam import messages as wire


@pytest.mark.parametrize(('arguments', 'message'), [
    ('--window 5ms', "argument --window: invalid float value: '5ms'"),
    ('--window 61', 'window must be from 0.03 to 60 seconds, not 61'),
    ('--address 8080', "address must be HOST:PORT (0 to 65535) or unix:PATH, not '8080'"),
    ('--address localhost:65536', "not 'localhost:65536'"),
    ('--bases a b a', "bases must be one or more different names, not ['a', "),
    ('--record /nowhere/record', 'argument --record: cannot append to /nowhere/record: No such'),
    ('--stop-time -1', 'stop time must be 0 or more seconds (inf: hang), not -1'),
    ('--drive-time nan', 'drive time must be 0 or more seconds (inf: hang), not nan'),
    ('--windows 1', '--windows'),
])  # fmt: skip
def test_a_bad_argument_gets_one_line_and_exit_status_2(
    capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error
    assert error.count('\n') == 1


def executable(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', 'viam_session_bridge.simulation', *arguments],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
    )


@pytest.mark.parametrize(
    'signals',
    [
        [signal.SIGINT],
        [signal.SIGHUP],
        [signal.SIGTERM] * 2,
        [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] * 6,
    ],
)
def test_the_executable_serves_until_a_signal_ends_it(signals: list[int], tmp_path: Path) -> None:
    record = tmp_path / 'record.jsonl'
    arguments = ['--bases', 'left', 'right', '--window', '0.9', '--record', str(record)]
    with executable('--address', '127.0.0.1:0', *arguments, '--ros-args', '-r', 'x:=y') as process:
        try:
            assert process.stdout
            output = process.stdout.readline()
            client = Client(output.split('listening on ')[1].split(',')[0])
            client.call(wire.SET_VELOCITY, client.session(), name='left', linear=FORWARD)
            wait_for(lambda: session_stops(record))
            client.channel.close()
            for number in signals:
                process.send_signal(number)
            rest, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert output.startswith('simulated machine listening on 127.0.0.1:')
    assert 'bases left, right; heartbeat window 0.9 s' in output
    assert (process.returncode, rest, errors) == (0, '', '')


def test_the_executable_says_in_one_line_that_its_port_is_in_use() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        address = f'127.0.0.1:{taken.getsockname()[1]}'
        process = executable('--address', address)
        output, errors = process.communicate(timeout=PATIENCE)
    expected = f'cannot listen on address {address}: Address already in use; choose another one'
    assert (process.returncode, output, errors) == (1, '', f'simulated_machine: {expected}\n')


def test_the_executable_has_bases_that_are_slow_and_hang() -> None:
    slow = ['--drive-time', '0.2', '--stop-time', 'inf', '--ignore-cancel']
    with executable('--address', '127.0.0.1:0', *slow) as process:
        try:
            assert process.stdout
            output = process.stdout.readline()
            client = Client(output.split('listening on ')[1].split(',')[0])
            began = time.monotonic()
            client.call(wire.SET_VELOCITY, name='base', linear=FORWARD)
            assert time.monotonic() - began >= 0.2
            with pytest.raises(grpc.RpcError, match='DEADLINE_EXCEEDED'):
                client.start(wire.STOP, timeout=0.2, name='base').result()
            assert client.call(wire.IS_MOVING, name='base').is_moving
            client.channel.close()
            process.terminate()
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, '')
