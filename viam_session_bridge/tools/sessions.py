# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The executable ``sessions``: who drives which base, live in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import sys
import time

from rclpy.utilities import remove_ros_args

from viam_session_bridge import signals
from viam_session_bridge.reporting.overview import Overview
from viam_session_bridge.tools.asking import Asking
from viam_session_bridge.tools.changes import changes
from viam_session_bridge.tools.screen import Screen
from viam_session_bridge.tools.table import table

DEFAULT_NODE = '/viam_session_bridge'
PERIOD = 0.2  # s
SILENT_AFTER = 1.0  # s
FOUND_WITHIN = 5.0  # s


class Live:
    """Asks a bridge again and again, and shows what it says on a screen."""

    def __init__(self, asking: Asking, screen: Screen) -> None:
        """Show nothing yet."""
        self._asking = asking
        self._screen = screen
        self._heard: float | None = None
        self._silent = False
        self.overview: Overview | None = None

    def step(self, prefix: str = '') -> None:
        """
        Ask, show, and take :data:`PERIOD` for both.

        :param prefix: stands before each line of change, where there is no terminal
        """
        begun = time.monotonic()
        answer = self._asking.ask(PERIOD)
        now = time.monotonic()
        if answer is not None:
            if not self._screen.live:
                for line in changes(self.overview, answer):
                    self._screen.say(prefix + line)
            self.overview, self._heard = answer, now
        age = None if self._heard is None else now - self._heard
        self._tell_silence(age, prefix)
        self._screen.draw(self._block(age))
        time.sleep(max(begun + PERIOD - time.monotonic(), 0.0))

    def _tell_silence(self, age: float | None, prefix: str) -> None:
        silent = age is not None and age > SILENT_AFTER
        if silent != self._silent and not self._screen.live:
            self._screen.say(f'{prefix}{"no answer" if silent else "answers again"}')
        self._silent = silent

    def _block(self, age: float | None) -> list[str]:
        width, height = self._screen.size()
        if self.overview is None or age is None:
            return [f'looking for {self._asking.node}']
        block = table(self._asking.node, counted_down(self.overview, age), width, height - 1)
        if age > SILENT_AFTER:
            block.append(f'NO ANSWER for {age:.0f} s: this is what was')
        return block


def counted_down(overview: Overview, age: float) -> Overview:
    """Return an overview that is so many s old with the times to lapse of now."""
    return replace(
        overview,
        sessions=[
            replace(row, to_lapse=max(row.to_lapse - age, 0.0)) for row in overview.sessions
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Show the table until Ctrl-C and return 0; 1 where no bridge answers."""
    parser = argparse.ArgumentParser(prog='sessions', description=__doc__)
    parser.add_argument(
        'node', nargs='?', default=DEFAULT_NODE, help='the bridge (default: %(default)s)'
    )
    parser.add_argument('--once', action='store_true', help='print the table once')
    arguments = parser.parse_args(remove_ros_args(sys.argv[1:] if argv is None else argv))
    signals.interrupt_once()
    screen = Screen()
    try:
        with Asking(arguments.node) as asking:
            return _show(asking, screen, arguments.once)
    except KeyboardInterrupt:
        return 0
    finally:
        screen.leave()


def _show(asking: Asking, screen: Screen, once: bool) -> int:
    first = asking.ask(FOUND_WITHIN)
    if first is None:
        print(
            f'sessions: no bridge answers at {asking.node}: is it running, in this ROS_DOMAIN_ID '
            'and namespace? Name it: sessions /NAMESPACE/viam_session_bridge',
            file=sys.stderr,
        )
        return 1
    if once:
        width, _ = screen.size()
        for line in table(asking.node, first, width, height=sys.maxsize):
            screen.say(line)
        return 0
    live = Live(asking, screen)
    while True:
        live.step()
