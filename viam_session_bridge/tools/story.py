# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The story that the demo tells: two publishers, one base, and two deaths."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import signal
import time
from typing import Any

from viam_session_bridge.ros.subscription import gids_available
from viam_session_bridge.tools import place
from viam_session_bridge.tools.asking import Asking
from viam_session_bridge.tools.judgement import Finding, judge, last_sent, stop_of, Written
from viam_session_bridge.tools.processes import Process, Processes, StageError
from viam_session_bridge.tools.screen import Screen
from viam_session_bridge.tools.sessions import Live
from viam_session_bridge.tools.stage import BASE, BRIDGE, Stage, start_publisher, UP_WITHIN, WINDOW
from viam_session_bridge.tools.table import ACTIVE

SCENE = 1.5  # s, for each to be seen
# After the second death: the window, the bound on the stop, and a while without motion.
LAST_SCENE = 1.4  # s
LAPSED_WITHIN = 5.0  # s
INDENTED = ' ' * 10


class Story:
    """Tells it on a screen, once."""

    def __init__(self, screen: Screen, processes: Processes, directory: Path) -> None:
        """Tell nothing yet."""
        self._screen = screen
        self._processes = processes
        self._directory = directory
        self._begun = time.monotonic()

    def tell(self) -> bool:
        """Tell it all, and return whether it went as told."""
        # Jazzy cannot tell two publishers of one topic apart: there each has its own (R1).
        topics = ('cmd_vel',) * 2 if gids_available() else ('teleop/cmd_vel', 'cmd_vel')
        self._say(
            f'two publishers on {" and ".join(dict.fromkeys(topics))}, one base,'
            f' window {WINDOW:g} s'
        )
        self._say('starting a simulated machine, the bridge and the two, a process each')
        stage = Stage(self._processes, self._directory, place.port(), topics)
        teleop = self._publisher('teleop', topics[0], 0.3)
        navigator = self._publisher('navigator', topics[1], 0.15)
        stage.wait()
        for publisher in (teleop, navigator):
            publisher.wait_for('ready', UP_WITHIN)
        with Asking(BRIDGE) as asking:
            if asking.ask(UP_WITHIN) is None:
                raise StageError(f'the bridge does not answer within {UP_WITHIN:g} s')
            times = self._deaths(Live(asking, self._screen), stage, teleop, navigator)
        self._screen.leave()
        ended = stage.bridge.end(signal.SIGINT)
        stage.machine.end()
        written = Written(
            WINDOW, _lines(stage.events), _lines(stage.record),
            _lines(self._sends('navigator')), *times,
        )  # fmt: skip
        findings = judge(written)
        findings.append(Finding(ended == 0, f'the bridge ended in order (exit status {ended})'))
        self._sum_up(written, findings)
        return all(finding.so for finding in findings)

    def _deaths(
        self, live: Live, stage: Stage, teleop: Process, navigator: Process
    ) -> tuple[float, float, float]:
        """Play it, and return when each was killed and until when was watched."""
        self._say('the teleop drives the base at 0.30 m/s')
        teleop.line()
        self._watch(live, stage, SCENE)
        self._say('the navigator takes over at 0.15 m/s, the teleop only sends heartbeats')
        teleop.line()
        navigator.line()
        self._watch(live, stage, SCENE)
        self._say('kill -9 of the teleop: it is not the last user, so the base goes on')
        teleop_killed = teleop.kill()
        self._watch_lapse(live, stage, 'teleop')
        self._watch(live, stage, SCENE / 2)
        self._say('kill -9 of the navigator: it is, and nobody is left to say stop')
        navigator_killed = navigator.kill()
        self._watch(live, stage, LAST_SCENE)
        return teleop_killed, navigator_killed, time.monotonic()

    def _watch(self, live: Live, stage: Stage, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._watch_until(live, stage, lambda: time.monotonic() >= until)

    def _watch_lapse(self, live: Live, stage: Stage, name: str) -> None:
        """Watch until the first session is over; whose it was is for the judgement to say."""
        until = time.monotonic() + LAPSED_WITHIN

        def lapsed() -> bool:
            rows = [] if live.overview is None else live.overview.sessions
            return time.monotonic() >= until or any(row.state != ACTIVE for row in rows)

        self._watch_until(live, stage, lapsed)

    def _watch_until(self, live: Live, stage: Stage, over: Callable[[], bool]) -> None:
        while not over():
            live.step(INDENTED)
            stage.check()

    def _publisher(self, name: str, topic: str, speed: float) -> Process:
        return start_publisher(self._processes, name, topic, speed, self._sends(name))

    def _sends(self, name: str) -> Path:
        return self._directory / f'{name}.jsonl'

    def _say(self, text: str) -> None:
        self._screen.say(f'[{time.monotonic() - self._begun:5.1f} s] {text}')

    def _sum_up(self, written: Written, findings: list[Finding]) -> None:
        say = self._screen.say
        sent, stop = last_sent(written), stop_of(written)
        ended = [event for event in written.events if event['event'] == 'session_ended']
        if ended and sent is not None and stop is not None:
            why = ended[-1]
            say()
            say(f'{BASE} was stopped: session {why["session"]}, its last user, ended: '
                f'{why["cause"]} (window {1e3 * written.window:.0f} ms)')  # fmt: skip
            say("after the navigator's last sign of life, by its own notes:")
            say(f'{1e3 * (why["at"] - sent):9.1f} ms  the bridge decided (its event log)')
            say(f'{1e3 * (stop - sent):9.1f} ms  the base was stopped (its own record)')
        say()
        say('as told?')
        for finding in findings:
            say(f'  {"yes" if finding.so else "NO "}  {finding.text}')


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
