# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The demo for real, and what it leaves when it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
import importlib.util
import os
from pathlib import Path
import re
import signal
import sys
import time
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy')

from support.bounds import BoundMissedError
from viam_session_bridge.tools.demo import LATE, WINDOW
from viam_session_bridge.tools.processes import Process

ROOT = Path(__file__).resolve().parents[2]
DEMO = 'viam_session_bridge.tools.demo'
SVG = '{http://www.w3.org/2000/svg}'
STORY = [
    'the teleop drives the base',
    'the navigator takes over',
    'kill -9 of the teleop',
    'kill -9 of the navigator',
    'the teleop drove the base',
    "the navigator's death stopped it",
    'lapse after',
    'the bridge shut down',
]


def start(directory: Path, *arguments: str) -> Process:
    # Where it keeps its files, and how its processes are recognised.
    demo = Process(directory.parent, 'demo', {'TMPDIR': str(directory)})
    # As from a terminal, whatever this process ignores.
    command = ['env', '--default-signal=INT', sys.executable, '-m', DEMO, *arguments]
    demo.launch(command, cwd=ROOT)
    return demo


def processes(directory: Path) -> list[int]:
    """Return those that name the directory in their environment."""
    found = []
    for path in Path('/proc').glob('[0-9]*/environ'):
        try:
            if f'TMPDIR={directory}\0'.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / 'tmp'
    directory.mkdir()
    yield directory
    for number in processes(directory):
        os.kill(number, signal.SIGKILL)


def test_its_story_goes_as_it_says_and_is_drawn(directory: Path) -> None:
    # Where it can be drawn, it is, from the bridge's own event log.
    picture = directory / 'timeline.svg'
    drawn = importlib.util.find_spec('matplotlib') is not None
    demo = start(directory, *(('--timeline', str(picture)) if drawn else ()))
    status, printed = demo.wait_exit(90.0), demo.output()
    took = re.search(r"NO +the navigator's death stopped it +after (\d+\.\d) ms", printed)
    if took and float(took[1]) > 1e3 * (WINDOW + LATE):
        raise BoundMissedError(printed)
    assert status == 0, printed
    positions = [printed.find(line) for line in STORY]
    assert -1 not in positions, printed
    assert positions == sorted(positions), printed
    assert 'NO ' not in printed
    assert 'rover: /navigator took over' in printed or not drawn
    # For a log: no escape sequences.
    assert '\x1b' not in printed
    assert processes(directory) == []
    if drawn:
        _is_drawn(ElementTree.parse(picture).getroot())


def _is_drawn(root: ElementTree.Element) -> None:
    texts = [''.join(text.itertext()).strip() for text in root.iter(f'{SVG}text')]
    assert {'/teleop', '/navigator'} <= {*texts}, texts
    for text in ('machine main', 'base rover', 'stopped: lapse', 'session ended: lapse'):
        assert text in texts, texts


@pytest.mark.parametrize(
    ('number', 'arguments', 'after', 'status'),
    [
        (signal.SIGINT, (), 'starting', 130),
        (signal.SIGINT, (), 'the teleop drives the base', 130),
        (signal.SIGTERM, (), 'the teleop drives the base', 130),
        (signal.SIGINT, ('--run',), 'Starting', 0),
        (signal.SIGINT, ('--run',), '-o timeline.svg', 0),
        (signal.SIGHUP, ('--run',), '-o timeline.svg', 0),
    ],
)
def test_interrupted_it_leaves_nothing_but_the_logs_of_a_run(
    directory: Path, number: signal.Signals, arguments: tuple[str, ...], after: str, status: int
) -> None:
    demo = start(directory, *arguments)
    demo.wait_for_output(after, 60.0)
    # Who waits for the end presses Ctrl-C again.
    until = time.monotonic() + 60
    while demo.running and time.monotonic() < until:
        demo.send_signal(number)
        time.sleep(0.005)
    ended, printed = demo.wait_exit(1.0), demo.output()
    assert ended == status, printed
    assert 'Traceback' not in printed
    assert processes(directory) == []
    left = list(directory.iterdir())
    if '--run' not in arguments:
        assert left == []
        return
    (kept,) = left
    assert f'logs stay in {kept}\n' in printed
    if after == '-o timeline.svg':
        logs = {one.name for one in kept.iterdir()}
        assert {'base.jsonl', 'bridge.jsonl', 'bridge.log'} <= logs
        assert f'-m viam_session_bridge.tools.timeline {kept}/bridge.jsonl -o' in printed
