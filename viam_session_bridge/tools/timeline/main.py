# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``timeline``: an event log as a picture.

Who was last user of each base when, sessions and their ends, takeovers, stops and what caused
them, refusals, machines connected or not. It needs matplotlib, and no ROS.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import sys

from viam_session_bridge.tools.timeline.composing import compose
from viam_session_bridge.tools.timeline.drawing import draw
from viam_session_bridge.tools.timeline.lanes import cut, Picture
from viam_session_bridge.tools.timeline.moments import moment
from viam_session_bridge.tools.timeline.page import page, with_titles
from viam_session_bridge.tools.timeline.reading import files_of, lines_of, printable, read
from viam_session_bridge.tools.timeline.words import clock

KINDS = ('svg', 'png', 'html')
MOST_MARKS = 1500  # more take minutes to draw, and nobody can read them
MOST_CLIENTS = 60


class NothingError(Exception):
    """There is nothing to draw; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, and return 0; 1 where there is nothing to draw or to draw with."""
    parser = argparse.ArgumentParser(
        prog='timeline', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('log', type=Path, help="the bridge's parameter event_log")
    parser.add_argument('-o', '--output', type=Path, help='*.svg, *.png or *.html'
                        ' (default: the log with .html for its ending)')  # fmt: skip
    when = 'seconds after its begin, -seconds before its end, or a clock time (14:02:11)'
    parser.add_argument('--from', dest='begin', metavar='WHEN', help=when)
    parser.add_argument('--to', dest='end', metavar='WHEN', help='likewise')
    arguments = parser.parse_args(argv)
    out = arguments.output or arguments.log.with_suffix('.html')
    kind = out.suffix[1:].lower()
    if kind not in KINDS:
        parser.error(f'{out}: the picture is to end in .svg, .png or .html')
    try:
        picture = _part(_whole(arguments.log), arguments.begin, arguments.end)
        out.write_bytes(_drawn(picture, _heading(arguments.log), kind))
    except ImportError as error:
        return _fail(
            f'{error.name or "matplotlib"} is missing: sudo apt install python3-matplotlib,'
            ' or pip install matplotlib'
        )
    except (NothingError, OSError) as error:
        return _fail(str(error))
    print(f'{out}: {clock(picture.begin)} to {clock(picture.end)}, {len(picture.bases)} bases, '
          f'{len(picture.clients)} clients, {len(picture.marks)} marks')  # fmt: skip
    return 0


def _whole(log: Path) -> Picture:
    files = files_of(log)
    if not files:
        raise NothingError(f'{log}: there is no such file (nor a rotated one)')
    entries, skipped = read(lines_of(files))
    if not entries:
        raise NothingError(f'{log}: there is no event in it{_told(skipped)}')
    if skipped:
        _warn(f'{log}: {skipped.total()} lines were skipped{_told(skipped)}')
    return compose(entries)


def _heading(log: Path) -> str:
    return f'Who drove what, and why it stopped: {printable(log.name)}'


def _told(skipped: Counter[str]) -> str:
    counts = ', '.join(f'{count} {kind}' for kind, count in sorted(skipped.items()))
    return f' ({counts})' if counts else ''


def _part(picture: Picture, begin: str | None, end: str | None) -> Picture:
    try:
        first = picture.begin if begin is None else moment(begin, picture.begin, picture.end)
        last = picture.end if end is None else moment(end, picture.begin, picture.end)
    except ValueError as error:
        raise NothingError(str(error)) from None
    if first > last or first > picture.end or last < picture.begin:
        raise NothingError(
            f'nothing lies between {clock(first)} and {clock(last)}: the log goes from '
            f'{clock(picture.begin)} to {clock(picture.end)}'
        )
    picture = cut(picture, first, last)
    if len(picture.marks) > MOST_MARKS:
        first = picture.marks[-MOST_MARKS].at
        _warn(f'more than {MOST_MARKS} marks: drawn from {clock(first)} on; see --from and --to')
        picture = cut(picture, first, last)
    if len(picture.clients) > MOST_CLIENTS:
        _warn(f'only {MOST_CLIENTS} of {len(picture.clients)} clients are drawn')
        picture = replace(picture, clients=picture.clients[:MOST_CLIENTS])
    return picture


def _drawn(picture: Picture, heading: str, kind: str) -> bytes:
    if kind == 'png':
        return draw(picture, heading, 'png')[0]
    svg = with_titles(*draw(picture, heading, 'svg'))
    if kind == 'html':
        svg = page(svg, heading, [mark.title for mark in picture.marks])
    return svg.encode()


def _warn(text: str) -> None:
    print(f'timeline: {text}', file=sys.stderr)


def _fail(text: str) -> int:
    _warn(text)
    return 1
