# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``demo``: a publisher's death stops its base, and another's stops nothing.

With ``--run`` a simulated machine and the bridge run on, for publishers of one's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, NoReturn

from rclpy.utilities import remove_ros_args

from viam_session_bridge import signals
from viam_session_bridge.tools import timeline
from viam_session_bridge.tools.processes import (
    free_domain,
    free_port,
    Process,
    ProcessError,
    Processes,
)
from viam_session_bridge.tools.sessions import Display, OverviewClient

BRIDGE = '/viam_session_bridge'
BASE = 'rover'
TOPIC = 'cmd_vel'
WINDOW = 0.5  # s
VIAM_PORT = 8080
PUBLISHER = 'viam_session_bridge.tools.scripted_publisher'
TIMELINE = 'viam_session_bridge.tools.timeline'
PREFIX = 'viam_session_bridge.'  # of directories
# For a busy computer: all wait for what they need, none for this long otherwise.
UP_WITHIN = 20.0  # s
SCENE = 1.5  # s, for each to be seen
# After the second death: the window, the bound on the stop, and a while without motion.
LAST_SCENE = 1.4  # s

EARLY = 0.005  # s before the window is over that a stop may come
LATE = 0.25  # s after it, with all that a busy computer adds
WATCHED = 0.5  # s without motion after the stop, at least
ENOUGH = 5  # commands that make it driving

Line = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 if the story went as it should (``--run``: after Ctrl-C), else 1; 130: Ctrl-C."""
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument('--run', action='store_true', help='until Ctrl-C, for your own publishers')
    either.add_argument('--timeline', metavar='FILE', help='a picture of it: *.svg, *.png, *.pdf')
    arguments = parser.parse_args(remove_ros_args(sys.argv[1:] if argv is None else argv))
    signals.interrupt_once()
    display = Display(indent=' ' * 10)
    try:
        if arguments.run:
            _run(display)
        with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
            os.environ.update(_isolated())
            with Processes(Path(directory)) as processes:
                story = Story(display, processes)
                went_well = story.play()
            picture = arguments.timeline
            drawn = picture is None or timeline.main([str(story.stage.events), '-o', picture]) == 0
            return 0 if went_well and drawn else 1
    except ProcessError as failure:
        display.close()
        print(f'demo: {failure}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if arguments.run else signals.INTERRUPTED
    finally:
        display.close()


def _isolated() -> dict[str, str]:
    """Return the settings that keep the demo's ROS apart from everybody else's."""
    environment = free_domain()
    # The middleware that was tried. The wheels have no other, and need not be asked for it.
    installed = 'share/ament_index/resource_index/packages/rmw_fastrtps_cpp'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if any(Path(prefix, installed).exists() for prefix in prefixes if prefix):
        environment['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
    return environment


def _run(display: Display) -> NoReturn:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))  # kept
    # Nobody else's publishers drive a toy by accident.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    display.print(f'Starting a simulated machine and the bridge; their logs stay in {directory}')
    with Processes(directory) as processes:
        port = free_port([VIAM_PORT])
        stage = Stage(processes, port)
        stage.wait()
        for line in (
            f'The machine (port {port}) and the bridge run until Ctrl-C.',
            f'Drive from other terminals, in {os.getcwd()}:',
            f'  {sys.executable} -m {PUBLISHER} teleop --x 0.3',
            'or, where there is a ROS installation:',
            "  ros2 topic pub --rate 20 /cmd_vel geometry_msgs/msg/Twist '{linear: {x: 0.3}}'",
            '  ros2 run teleop_twist_keyboard teleop_twist_keyboard',
            'End one with Ctrl-C or kill -9, and see what becomes of the base.',
            'This draws what happened so far:',
            f'  {sys.executable} -m {TIMELINE} {stage.events} -o timeline.svg',
            '',
        ):
            display.print(line)
        with OverviewClient(BRIDGE) as client:
            while True:
                display.step(client)
                stage.check()


class Stage:
    """A simulated machine and the bridge before it, a process each."""

    def __init__(self, processes: Processes, port: int) -> None:
        """Start both."""
        self.record = processes.directory / 'base.jsonl'
        self.events = processes.directory / 'bridge.jsonl'
        self.machine = processes.start(
            'machine', 'viam_session_bridge.simulation',
            '--address', f'127.0.0.1:{port}', '--bases', BASE, '--record', str(self.record),
        )  # fmt: skip
        parameters = {
            'machines.main.address': f'"127.0.0.1:{port}"',
            'machines.main.insecure': 'true',
            'base_names': f'[{BASE}]',
            f'bases.{BASE}.command_topics': f'[{TOPIC}]',
            'heartbeat_window': str(WINDOW),
            'event_log': f'"{self.events}"',
        }
        options = [part for key, value in parameters.items() for part in ('-p', f'{key}:={value}')]
        self.bridge = processes.start('bridge', 'viam_session_bridge', '--ros-args', *options)

    def wait(self) -> None:
        """Wait until commands get through."""
        self.machine.wait_for_output('listening', UP_WITHIN)
        self.bridge.wait_for_output('main: connected', UP_WITHIN)

    def check(self) -> None:
        """Raise ProcessError where one of them has ended."""
        self.machine.check()
        self.bridge.check()


class Story:
    """Two publishers, one base, and two deaths; played on a display, once."""

    def __init__(self, display: Display, processes: Processes) -> None:
        """Start all processes."""
        self._display = display
        self._processes = processes
        self._begun = time.monotonic()
        self._print(f'two publishers on {TOPIC}, one base, window {WINDOW:g} s')
        self._print('starting a simulated machine, the bridge and the two, a process each')
        self.stage = Stage(processes, free_port())
        self._teleop = self._publisher('teleop', 0.3)
        self._navigator = self._publisher('navigator', 0.15)

    def play(self) -> bool:
        """Play it all, and return whether it went as it should."""
        self.stage.wait()
        for publisher in (self._teleop, self._navigator):
            publisher.wait_for_output('ready', UP_WITHIN)
        with OverviewClient(BRIDGE) as client:
            if client.fetch(UP_WITHIN) is None:
                raise self.stage.bridge.error(f'does not answer within {UP_WITHIN:g} s')
            times = self._play_deaths(client)
        self._display.close()
        status = self.stage.bridge.end()
        self.stage.machine.end()
        findings = judge(Record(
            _lines(self.stage.events), _lines(self.stage.record),
            _lines(self._sent('navigator')), *times,
        ))  # fmt: skip
        findings.append(Finding(status == 0, 'the bridge shut down', f'exit status {status}'))
        self._display.print()
        for one in findings:
            verdict = 'yes' if one.true else 'NO'
            self._display.print(f'  {verdict:4} {one.claim:35} {one.measured}')
        return all(finding.true for finding in findings)

    def _play_deaths(self, client: OverviewClient) -> tuple[float, float, float]:
        """Play the scenes; return when each publisher was killed, and the end of watching."""
        self._print('the teleop drives the base at 0.30 m/s')
        self._teleop.write_line()
        self._watch(client, SCENE)
        self._print('the navigator takes over at 0.15 m/s, the teleop only sends heartbeats')
        self._teleop.write_line()
        self._navigator.write_line()
        self._watch(client, SCENE)
        self._print('kill -9 of the teleop: it is not the last user, so the base goes on')
        teleop_killed = time.monotonic()
        self._teleop.kill()
        self._watch(client, WINDOW + SCENE)
        self._print('kill -9 of the navigator: it is the last user, so nobody can say stop')
        navigator_killed = time.monotonic()
        self._navigator.kill()
        self._watch(client, LAST_SCENE)
        return teleop_killed, navigator_killed, time.monotonic()

    def _watch(self, client: OverviewClient, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._display.step(client)
            self.stage.check()

    def _publisher(self, name: str, speed: float) -> Process:
        """Start a publisher that waits for its first line."""
        return self._processes.start(
            name, PUBLISHER, name, '--topic', TOPIC, '--x', str(speed), '--heartbeat', BRIDGE,
            '--by-line', '--sends', str(self._sent(name)),
        )  # fmt: skip

    def _sent(self, name: str) -> Path:
        return self._processes.directory / f'{name}.jsonl'

    def _print(self, text: str) -> None:
        self._display.print(f'[{time.monotonic() - self._begun:5.1f} s] {text}')


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True)
class Record:
    """What the processes wrote down, and what was done when: s of CLOCK_MONOTONIC, one for all."""

    events: Sequence[Line]  # the bridge's event log
    calls: Sequence[Line]  # the base's own record
    navigator_sent: Sequence[Line]
    teleop_killed: float
    navigator_killed: float
    watched_until: float


@dataclass(frozen=True)
class Finding:
    """One thing that should be so, whether it was, and what says so."""

    true: bool
    claim: str
    measured: str


def judge(record: Record) -> list[Finding]:
    """Return a finding for each thing that the story claims: pure."""
    events = {(event['event'], event.get('session')): event for event in record.events}
    sessions = [number for kind, number in events if kind == 'session_started']
    if len(sessions) != 2:
        return [Finding(False, 'two sessions, one a publisher', f'there were {len(sessions)}')]
    teleop, navigator = sessions
    none = {'at': math.inf, 'cause': 'none', 'bases': [], 'previous': None}
    taken = events.get(('taken_over', navigator), none)
    teleops_end = events.get(('session_ended', teleop), none)
    navigators_end = events.get(('session_ended', navigator), none)

    done = [call for call in record.calls if call['phase'] == 'end' and not call.get('error')]
    motions = [call['t'] for call in done if _moves(call)]
    stops = [call['t'] for call in done if not _moves(call) and call['call'] != 'is_moving']
    stop = min((at for at in stops if at >= record.navigator_killed), default=math.inf)
    sent = max((line['t'] for line in record.navigator_sent), default=-math.inf)

    before, after = _between(motions, 0.0, taken['at']), _between(motions, taken['at'], stop)
    stopped = _between(stops, taken['at'], record.navigator_killed)
    since = max(teleops_end['at'], record.teleop_killed)
    later = _between(motions, since, record.navigator_killed)
    again, watched = _between(motions, stop, math.inf), record.watched_until - stop
    return [
        Finding(before >= ENOUGH, 'the teleop drove the base', f'{before} commands took effect'),
        Finding(
            taken['previous'] == teleop and after >= ENOUGH, 'the navigator took the base over',
            f'{after} commands took effect',
        ),
        Finding(
            not (teleops_end['bases'] or stopped) and later >= ENOUGH,
            "the teleop's death stopped nothing",
            f'{_use(teleops_end)}; {stopped} stops, {later} commands after it',
        ),
        Finding(
            WINDOW - EARLY <= stop - sent <= WINDOW + LATE, "the navigator's death stopped it",
            f'after {_ms(stop - sent)}; expected: {_ms(WINDOW - EARLY)} to {_ms(WINDOW + LATE)}',
        ),
        Finding(
            navigators_end['cause'] == 'lapse' and bool(navigators_end['bases']),
            'because its session ended',
            f'{navigators_end["cause"]} after {_ms(navigators_end["at"] - sent)}; '
            f'{_use(navigators_end)}',
        ),
        Finding(
            again == 0 and watched >= WATCHED, 'it did not move again',
            f'{again} commands took effect in {max(watched, 0.0):.1f} s',
        ),
    ]  # fmt: skip


def _moves(call: Line) -> bool:
    motion = call['call'] in ('set_velocity', 'set_power')
    return motion and any((*call['linear'], *call['angular']))


def _between(times: Sequence[float], begin: float, end: float) -> int:
    return sum(begin < at < end for at in times)


def _use(ended: Line) -> str:
    return f'last user of {", ".join(ended["bases"]) or "nothing"}'


def _ms(seconds: float) -> str:
    return f'{1e3 * seconds:.1f} ms' if math.isfinite(seconds) else 'never'


if __name__ == '__main__':
    signals.run(main)
