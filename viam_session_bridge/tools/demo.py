# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``demo``: see a base stop because its publisher died, and another death pass.

With ``--run`` a simulated machine and the bridge run on, for publishers of one's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import sys
import tempfile
from typing import NoReturn

from rclpy.utilities import remove_ros_args

from viam_session_bridge import signals
from viam_session_bridge.tools import place
from viam_session_bridge.tools.asking import Asking
from viam_session_bridge.tools.processes import Processes, StageError
from viam_session_bridge.tools.screen import Screen
from viam_session_bridge.tools.sessions import Live
from viam_session_bridge.tools.stage import BRIDGE, EVENTS, Stage
from viam_session_bridge.tools.story import Story
from viam_session_bridge.tools.timeline.main import main as timeline


def main(argv: Sequence[str] | None = None) -> int:
    """
    Tell the story and return 0 if it went as told (and was drawn), else 1; 130 after Ctrl-C.

    With ``--run``: 0 after Ctrl-C, 1 where the bridge or the machine ended.
    """
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument('--run', action='store_true', help='until Ctrl-C, for your own publishers')
    either.add_argument('--timeline', metavar='FILE', help='a picture of it: *.svg, *.png, *.html')
    arguments = parser.parse_args(remove_ros_args(sys.argv[1:] if argv is None else argv))
    signals.interrupt_once()
    screen = Screen()
    try:
        with tempfile.TemporaryDirectory(prefix='viam_session_bridge.') as directory:
            if arguments.run:
                _run(screen, Path(directory))
            as_told = _tell(screen, Path(directory))
            events, picture = str(Path(directory, EVENTS)), arguments.timeline
            drawn = picture is None or timeline([events, '-o', picture]) == 0
            return 0 if as_told and drawn else 1
    except StageError as failure:
        screen.leave()
        print(f'demo: {failure}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if arguments.run else signals.INTERRUPTED
    finally:
        screen.leave()


def _tell(screen: Screen, directory: Path) -> bool:
    environment = dict(os.environ)
    place.alone(environment)
    os.environ.update(environment)
    with Processes(directory) as processes:
        return Story(screen, processes, directory).tell()


def _run(screen: Screen, directory: Path) -> NoReturn:
    # Nobody else's publishers drive a toy by accident.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with Processes(directory) as processes:
        stage = Stage(processes, directory, place.port(place.VIAM_PORT), ('cmd_vel',))
        stage.wait()
        for line in _instructions(stage, directory):
            screen.say(line)
        with Asking(BRIDGE) as asking:
            live = Live(asking, screen)
            while True:
                live.step()
                stage.check()


def _instructions(stage: Stage, directory: Path) -> list[str]:
    return [
        f'A simulated Viam machine (port {stage.port}) and the bridge run until Ctrl-C.',
        f'Drive from other terminals, in {os.getcwd()}:',
        f'  {sys.executable} -m viam_session_bridge.tools.scripted_publisher teleop --x 0.3',
        'or, where there is a ROS installation:',
        "  ros2 topic pub --rate 20 /cmd_vel geometry_msgs/msg/Twist '{linear: {x: 0.3}}'",
        '  ros2 run teleop_twist_keyboard teleop_twist_keyboard',
        'End one with Ctrl-C or kill -9, and see what becomes of the base. Logs:',
        f'  {directory}',
        '',
    ]


if __name__ == '__main__':
    signals.run(main)
