# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``demo``: see a base stop because its publisher died, and another death pass.

With ``--run`` a simulated machine and the bridge run on, for publishers of one's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import json
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
from viam_session_bridge.tools.sessions import ACTIVE, Display, OverviewClient, Watch

BRIDGE = '/viam_session_bridge'
BASE = 'rover'
TOPIC = 'cmd_vel'
WINDOW = 0.5  # s
VIAM_PORT = 8080
PUBLISHER = 'viam_session_bridge.tools.scripted_publisher'
# For a busy computer: all wait for what they need, none for this long otherwise.
UP_WITHIN = 20.0  # s
SCENE = 1.5  # s, for each to be seen
# After the second death: the window, the bound on the stop, and a while without motion.
LAST_SCENE = 1.4  # s
LAPSED_WITHIN = 5.0  # s

EARLY = 0.005  # s before the window is over that a stop may come
LATE = 0.25  # s after it, with all that a busy computer adds
WATCHED = 0.5  # s without motion after the stop, at least
ENOUGH = 5  # commands that make it driving

Line = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Play the story and return 0 if all went as it should (and was drawn), else 1; 130 after Ctrl-C.

    With ``--run``: 0 after Ctrl-C, 1 where the bridge or the machine ended.
    """
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument('--run', action='store_true', help='until Ctrl-C, for your own publishers')
    either.add_argument('--timeline', metavar='FILE', help='a picture of it: *.svg, *.png, *.pdf')
    arguments = parser.parse_args(remove_ros_args(sys.argv[1:] if argv is None else argv))
    signals.interrupt_once()
    display = Display(indent=' ' * 10)
    try:
        with tempfile.TemporaryDirectory(prefix='viam_session_bridge.') as directory:
            if arguments.run:
                _run(display, Path(directory))
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
    """Return what keeps the demo's ROS apart from everybody else's."""
    environment = free_domain()
    # The middleware that was tried. The wheels have no other, and need not be asked for it.
    installed = 'share/ament_index/resource_index/packages/rmw_fastrtps_cpp'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if any(Path(prefix, installed).exists() for prefix in prefixes if prefix):
        environment['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
    return environment


def _run(display: Display, directory: Path) -> NoReturn:
    # Nobody else's publishers drive a toy by accident.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with Processes(directory) as processes:
        port = free_port([VIAM_PORT])
        stage = Stage(processes, port)
        stage.wait()
        for line in (
            f'A simulated Viam machine (port {port}) and the bridge run until Ctrl-C.',
            f'Drive from other terminals, in {os.getcwd()}:',
            f'  {sys.executable} -m {PUBLISHER} teleop --x 0.3',
            'or, where there is a ROS installation:',
            "  ros2 topic pub --rate 20 /cmd_vel geometry_msgs/msg/Twist '{linear: {x: 0.3}}'",
            '  ros2 run teleop_twist_keyboard teleop_twist_keyboard',
            'End one with Ctrl-C or kill -9, and see what becomes of the base. Logs:',
            f'  {directory}',
            '',
        ):
            display.print(line)
        with OverviewClient(BRIDGE) as client:
            watch = Watch(client, display)
            while True:
                watch.step()
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
            times = self._play_deaths(Watch(client, self._display))
        self._display.close()
        status = self.stage.bridge.end()
        self.stage.machine.end()
        record = Record(
            WINDOW, _lines(self.stage.events), _lines(self.stage.record),
            _lines(self._sent('navigator')), *times,
        )  # fmt: skip
        findings = judge(record)
        findings.append(Finding(status == 0, f'the bridge ended in order (exit status {status})'))
        self._sum_up(record, findings)
        return all(finding.true for finding in findings)

    def _play_deaths(self, watch: Watch) -> tuple[float, float, float]:
        """Play the scenes; return when each publisher was killed, and the end of watching."""
        self._print('the teleop drives the base at 0.30 m/s')
        self._teleop.write_line()
        self._watch(watch, SCENE)
        self._print('the navigator takes over at 0.15 m/s, the teleop only sends heartbeats')
        self._teleop.write_line()
        self._navigator.write_line()
        self._watch(watch, SCENE)
        self._print('kill -9 of the teleop: it is not the last user, so the base goes on')
        teleop_killed = time.monotonic()
        self._teleop.kill()
        # Whose session is over then is for the judgement to say.
        self._watch(watch, LAPSED_WITHIN, until=lambda: watch.overview is not None and any(
            row.state != ACTIVE for row in watch.overview.sessions
        ))  # fmt: skip
        self._watch(watch, SCENE / 2)
        self._print('kill -9 of the navigator: it is, and nobody is left to say stop')
        navigator_killed = time.monotonic()
        self._navigator.kill()
        self._watch(watch, LAST_SCENE)
        return teleop_killed, navigator_killed, time.monotonic()

    def _watch(
        self, watch: Watch, seconds: float, until: Callable[[], bool] = lambda: False
    ) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            watch.step()
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

    def _sum_up(self, record: Record, findings: list[Finding]) -> None:
        show = self._display.print
        ended = [event for event in record.events if event['event'] == 'session_ended']
        if ended and record.last_sent is not None and record.stop is not None:
            why = ended[-1]
            show()
            show(f'{BASE} was stopped: session {why["session"]}, its last user, ended: '
                 f'{why["cause"]} (window {1e3 * record.window:.0f} ms)')  # fmt: skip
            show("after the navigator's last sign of life, by its own notes:")
            decided, stopped = why['at'] - record.last_sent, record.stop - record.last_sent
            show(f'{1e3 * decided:9.1f} ms  the bridge decided (its event log)')
            show(f'{1e3 * stopped:9.1f} ms  the base was stopped (its own record)')
        show()
        show('did it go so?')
        for finding in findings:
            show(f'  {"yes" if finding.true else "NO "}  {finding.text}')


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True)
class Record:
    """What the processes wrote down, and what was done when: s of CLOCK_MONOTONIC, one for all."""

    window: float
    events: Sequence[Line]  # the bridge's event log
    calls: Sequence[Line]  # the base's own record
    navigator_sent: Sequence[Line]
    teleop_killed: float
    navigator_killed: float
    watched_until: float

    @property
    def effects(self) -> list[Line]:
        """The calls that took effect, in their order."""
        return [call for call in self.calls if call['phase'] == 'end' and not call.get('error')]

    @property
    def motions(self) -> list[float]:
        """When a command to move took effect."""
        return [call['t'] for call in self.effects if _moves(call)]

    @property
    def stop(self) -> float | None:
        """When the base was first stopped after the navigator was killed, None for never."""
        stops = (call['t'] for call in self.effects if call['call'] == 'stop')
        return next((at for at in stops if at >= self.navigator_killed), None)

    @property
    def last_sent(self) -> float | None:
        """When the navigator last sent a sign of life, by its own notes."""
        return max((line['t'] for line in self.navigator_sent), default=None)


@dataclass(frozen=True)
class Finding:
    """One thing that should be so, and whether it was."""

    true: bool
    text: str


def judge(record: Record) -> list[Finding]:
    """Return a finding for each thing that the story claims: pure."""
    started = [event['session'] for event in record.events if event['event'] == 'session_started']
    if len(started) != 2:
        return [Finding(False, f'two sessions, one a publisher: there were {len(started)}')]
    teleop, navigator = started
    taken = next((
        event for event in record.events
        if event['event'] == 'taken_over' and event['session'] == navigator
    ), None)  # fmt: skip
    ends = {
        event['session']: event for event in record.events if event['event'] == 'session_ended'
    }
    if taken is None:
        return [Finding(False, 'the navigator took the base over: it never did')]
    before = sum(at < taken['at'] for at in record.motions)
    after = sum(at > taken['at'] for at in record.motions)
    return [
        Finding(before >= ENOUGH, f'the teleop drove the base ({before} commands took effect)'),
        Finding(
            taken['previous'] == teleop and after >= ENOUGH,
            f'the navigator took the base over from it ({after} commands took effect)',
        ),
        _judge_death_of_teleop(record, taken['at'], ends.get(teleop)),
        _judge_stop(record),
        _judge_cause(ends.get(navigator)),
        _judge_rest(record),
    ]


def _moves(call: Line) -> bool:
    motion = call['call'] in ('set_velocity', 'set_power')
    return motion and any((*call['linear'], *call['angular']))


def _judge_death_of_teleop(record: Record, taken: float, ended: Line | None) -> Finding:
    claim = "the teleop's death stopped nothing"
    if ended is None or ended['at'] > record.navigator_killed:
        return Finding(False, f'{claim}: its session had not ended when the navigator was killed')
    if ended['bases']:
        bases = ', '.join(ended['bases'])
        return Finding(False, f'{claim}: it was still the last user of {bases}')
    between = [call for call in record.effects if taken < call['t'] < record.navigator_killed]
    stops = sum(not _moves(call) and call['call'] != 'is_moving' for call in between)
    if stops:
        return Finding(False, f'{claim}: the base was stopped {stops} times')
    since = max(ended['at'], record.teleop_killed)
    later = sum(since < at < record.navigator_killed for at in record.motions)
    return Finding(later >= ENOUGH, f'{claim} ({later} commands took effect after it)')


def _judge_stop(record: Record) -> Finding:
    claim = "the navigator's death stopped it"
    if record.stop is None or record.last_sent is None:
        return Finding(False, f'{claim}: it did not')
    after = record.stop - record.last_sent
    least, most = record.window - EARLY, record.window + LATE
    return Finding(
        least <= after <= most,
        f'{claim} after {1e3 * after:.1f} ms (expected: {1e3 * least:.0f} to {1e3 * most:.0f})',
    )


def _judge_cause(ended: Line | None) -> Finding:
    claim = 'because its session lapsed as the last user of the base'
    if ended is None:
        return Finding(False, f'{claim}: the session never ended')
    if ended['cause'] != 'lapse' or not ended['bases']:
        bases = ', '.join(ended['bases']) or 'none'
        return Finding(False, f'{claim}: its end was {ended["cause"]}, last user of {bases}')
    return Finding(True, claim)


def _judge_rest(record: Record) -> Finding:
    claim = 'it did not move again'
    if record.stop is None:
        return Finding(False, f'{claim}: it was never stopped')
    later = sum(at > record.stop for at in record.motions)
    if later:
        return Finding(False, f'{claim}: {later} commands took effect after the stop')
    watched = record.watched_until - record.stop
    return Finding(watched >= WATCHED, f'{claim} (watched for {watched:.1f} s)')


if __name__ == '__main__':
    signals.run(main)
