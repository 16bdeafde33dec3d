# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``timeline``: an event log as a picture, and as lines of the bridge's own log.

Who was last user of each base when, sessions and their ends, takeovers, stops and their causes,
refusals, machines connected or not. It needs matplotlib, and no ROS.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
from datetime import datetime, time, timedelta
from pathlib import Path
import sys
from typing import Any

from viam_session_bridge.core.actions import Cause
from viam_session_bridge.text import printable, shorten
from viam_session_bridge.tools.timeline_reading import (
    compose,
    files_of,
    lines_of,
    Mark,
    read,
    Sign,
    Span,
    SpanKind,
    Timeline,
)

FORMATS = ('svg', 'png', 'pdf')
MOST_CLIENTS = 60
NAME_SHOWN = 34  # characters
ROOM = 130  # characters that a bar over the whole width would have room for
DAY = 86400.0  # s, the unit of matplotlib's dates

INK, GREY, PALE, ALARM = '#1a1b1c', '#a9adb1', '#d5d6d7', '#d55e00'
# Okabe and Ito's, which the colour-blind tell apart, without the one that means alarm and the one
# too dark for text. More users than these begin anew, hatched.
USERS = ('#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#f0e442')
HATCHES = ('', '////', '....', 'xxxx')
# The shape is the cause: of a stop in red, of a session's end in black.
SHAPES = dict(zip(Cause, '8sDXpPHd*^<', strict=True))
MARKERS: dict[Sign, dict[str, Any]] = {
    Sign.STOP: {'color': ALARM, 'markersize': 9},
    Sign.UNANSWERED: {'color': ALARM, 'markersize': 9, 'fillstyle': 'none'},
    Sign.ENDED: {'color': INK},
    Sign.TAKEN_OVER: {'color': INK, 'marker': '>'},
    Sign.LEFT_TO_MACHINE: {'color': INK, 'marker': 'o', 'fillstyle': 'none'},
    Sign.REFUSED: {'color': ALARM, 'marker': 'x'},
    Sign.WARNING: {'color': ALARM, 'marker': 'v'},
}
# Where they are on a lane: in its bar, or on its lower or upper side.
OFFSETS = {Sign.STOP: -0.36, Sign.UNANSWERED: -0.36, Sign.ENDED: 0.0, Sign.TAKEN_OVER: -0.22}
LINES: dict[Sign, dict[str, Any]] = {
    Sign.BRIDGE_STARTED: {'color': INK, 'linestyle': 'dashed'},
    Sign.BRIDGE_ENDED: {'color': INK, 'linestyle': 'dotted'},
    Sign.BRIDGE_KILLED: {'color': ALARM, 'linestyle': 'dashdot'},
}
STYLE = {
    'svg.fonttype': 'none',  # text stays text
    'svg.hashsalt': 'timeline',  # the same log makes the same file
    'font.family': 'sans-serif',
    'font.size': 8.5,
    'text.parse_math': False,  # names are no formulas
    'hatch.linewidth': 0.6,
    'lines.linewidth': 1.0,
    'lines.markersize': 6.5,
}


class NothingToDrawError(Exception):
    """There is nothing to draw; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, print the lines, and return 0; 1 where there is nothing to draw or to draw with."""
    parser = argparse.ArgumentParser(
        prog='timeline', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('log', type=Path, help="the bridge's parameter event_log")
    parser.add_argument('-o', '--output', type=Path, help='*.svg, *.png or *.pdf'
                        ' (default: the log with .svg for its ending)')  # fmt: skip
    when = 'seconds after its begin, -seconds before its end, or a clock time (14:02:11)'
    parser.add_argument('--from', dest='begin', metavar='WHEN', help=when)
    parser.add_argument('--to', dest='end', metavar='WHEN', help='likewise')
    arguments = parser.parse_args(argv)
    out = arguments.output or arguments.log.with_suffix('.svg')
    if out.suffix[1:].lower() not in FORMATS:
        parser.error(f'{out}: a picture must end in .svg, .png or .pdf')
    try:
        timeline = _part(_read(arguments.log), arguments.begin, arguments.end)
        draw(timeline, printable(arguments.log.name), out)
    except ImportError as error:
        _warn(
            f'{error.name or "matplotlib"} is missing: sudo apt install python3-matplotlib,'
            ' or pip install matplotlib'
        )
        return 1
    except (NothingToDrawError, OSError) as error:
        _warn(str(error))
        return 1
    for at, text in timeline.lines:
        print(f'{_clock(at)} {text}')
    print(f'{out}: {_clock(timeline.begin)} to {_clock(timeline.end)}')
    return 0


def _read(log: Path) -> Timeline:
    files = files_of(log)
    if not files:
        raise NothingToDrawError(f'{log}: there is no such file (nor a rotated one)')
    entries, skipped = read(lines_of(files))
    why = f'{log}: {skipped} lines were skipped: cut off, of another version, or no event'
    if not entries:
        raise NothingToDrawError(why if skipped else f'{log}: there is no event in it')
    if skipped:
        _warn(why)
    return compose(entries)


def _part(timeline: Timeline, begin: str | None, end: str | None) -> Timeline:
    """Return what lies between two times of the command line, None for the log's own."""
    first = timeline.begin if begin is None else parse_time(begin, timeline.begin, timeline.end)
    last = timeline.end if end is None else parse_time(end, timeline.begin, timeline.end)
    if first > last or first > timeline.end or last < timeline.begin:
        raise NothingToDrawError(
            f'nothing lies between {_clock(first)} and {_clock(last)}: the log goes from '
            f'{_clock(timeline.begin)} to {_clock(timeline.end)}'
        )
    part = timeline.part(first, last)
    clients = [key for key in part.lanes if not key[0]]
    if len(clients) > MOST_CLIENTS:
        _warn(f'only {MOST_CLIENTS} of {len(clients)} clients are drawn; see --from and --to')
        for key in clients[MOST_CLIENTS:]:
            del part.lanes[key]
    return part


def _warn(text: str) -> None:
    print(f'timeline: {text}', file=sys.stderr)


def _clock(at: float) -> str:
    """Return a time as the local clock showed it, in ms."""
    return datetime.fromtimestamp(at).strftime('%H:%M:%S.%f')[:-3]


def parse_time(text: str, begin: float, end: float) -> float:
    """
    Return the time (s since the epoch) that a text means in a log, NothingToDrawError for none.

    :param text: s after the log's begin, or before its end where negative; else a local clock
        time, the last one there was at the log's end, or one with a date
    """
    text = text.strip()
    with contextlib.suppress(ValueError):
        seconds = float(text)
        if abs(seconds) < 1e10:
            return end + seconds if text.startswith('-') else begin + seconds
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    with contextlib.suppress(ValueError):
        last = datetime.combine(datetime.fromtimestamp(end).date(), time.fromisoformat(text))
        # Up to the second that the end is in: that is how it is shown.
        if last.timestamp() > end + 1.0:
            last -= timedelta(days=1)
        return last.timestamp()
    raise NothingToDrawError(
        f'{text!r} is no time: give seconds (12.5, -60 before the end), 14:02:11 or '
        '2026-05-04T14:02:11'
    )


def draw(timeline: Timeline, name: str, out: Path) -> None:
    """Draw a timeline into a file; its ending says the format."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        # No date of making: the same log makes the same file.
        metadata = {'Date': None} if out.suffix.lower() == '.svg' else None
        figure_of(timeline, name).savefig(out, metadata=metadata)


def figure_of(timeline: Timeline, name: str) -> Any:
    """Return a timeline, under the name of its log, as a matplotlib figure."""
    from matplotlib.figure import Figure

    # Machines, bases, clients.
    lanes = sorted(timeline.lanes.items(), key=lambda item: item[0][0], reverse=True)
    names = [f'{kind} {name}' if kind else timeline.names[name] for (kind, name), _ in lanes]
    height = max(0.44 * len(lanes) + 0.8, 2.8)  # inches; the least is for the legend
    figure: Any = Figure((14.0, height), dpi=110, layout='constrained')
    axes = figure.add_subplot()
    _set_axes(axes, timeline, name, names)
    legend: dict[str, Any] = {}  # something drawn for each text
    for row, (_, lane) in enumerate(lanes):
        _draw_spans(axes, row, lane.spans, timeline, legend)
        _draw_marks(axes, row, lane.marks, legend)
    for mark in timeline.bridge:
        legend[mark.sign.value] = axes.axvline(mark.at / DAY, zorder=0.9, **LINES[mark.sign])
    axes.legend(
        legend.values(), legend.keys(), loc='upper left', bbox_to_anchor=(1.0, 1.0),
        frameon=False, labelcolor=INK,
    )  # fmt: skip
    return figure


def _set_axes(axes: Any, timeline: Timeline, name: str, lanes: Sequence[str]) -> None:
    import matplotlib.dates

    dates: Any = matplotlib.dates
    begin, end = timeline.begin, timeline.end
    margin = max(0.02 * (end - begin), 0.05)  # a moment has a width, too
    axes.set(xlim=((begin - margin) / DAY, (end + margin) / DAY), ylim=(len(lanes) - 0.4, -0.7))
    first = datetime.fromtimestamp(begin).astimezone()
    heading = f'Who drove what, and why it stopped: {name}, from {first:%Y-%m-%d %H:%M:%S %Z}'
    axes.set_title(heading, loc='left', color=INK, fontweight='bold')
    locator = dates.AutoDateLocator(tz=first.tzinfo, minticks=4, maxticks=12)
    seconds = '%H:%M:%S.%f'
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(
        locator, tz=first.tzinfo, show_offset=False,
        formats=['%Y', '%b', '%d %b', '%H:%M', '%H:%M', seconds],
        zero_formats=['', '%Y', '%b', '%d %b', '%H:%M', seconds],
    ))  # fmt: skip
    axes.set_yticks(range(len(lanes)), [shorten(lane, NAME_SHOWN) for lane in lanes])
    axes.tick_params(length=0, labelcolor=INK)
    axes.grid(axis='x', color=PALE)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _draw_spans(
    axes: Any, row: int, spans: Sequence[Span], timeline: Timeline, legend: dict[str, Any]
) -> None:
    whole = timeline.end - timeline.begin or 1.0
    looks: dict[tuple[SpanKind, str], list[tuple[float, float]]] = {}
    for span in spans:
        length = span.end - span.begin
        bars = looks.setdefault((span.kind, span.user), [])
        bars.append((span.begin / DAY, max(length, whole / 1000) / DAY))
        name = timeline.names[span.user].rpartition('/')[2]
        if span.kind is SpanKind.LAST_USER and len(name) < ROOM * length / whole:
            axes.text((span.begin + 0.5 * length) / DAY, row, name, ha='center', va='center')
    users = [*dict.fromkeys(timeline.names.values())]
    for (kind, user), bars in looks.items():
        half = 0.22 if kind in (SpanKind.LAST_USER, SpanKind.STOPPING) else 0.14
        look = _look(kind, users.index(timeline.names[user]))
        drawn = axes.broken_barh(bars, (row - half, 2 * half), **look)
        if kind in (SpanKind.DISCONNECTED, SpanKind.STOPPING, SpanKind.SILENT):
            legend[kind.value] = drawn


def _look(kind: SpanKind, user: int) -> dict[str, Any]:
    """Return how the bars of a user look, who are counted from 1."""
    if kind is SpanKind.STOPPING:
        return {'facecolor': ALARM, 'zorder': 1.1}  # over its user's
    if kind is SpanKind.DISCONNECTED:
        return {'facecolor': 'white', 'edgecolor': ALARM, 'hatch': '/////'}
    if kind is SpanKind.CONNECTED:
        return {'facecolor': GREY}
    rounds, index = divmod(user - 1, len(USERS))
    hatch = HATCHES[rounds % len(HATCHES)]
    alpha = 0.4 if kind is SpanKind.SILENT else None
    return {'facecolor': USERS[index], 'edgecolor': 'white', 'hatch': hatch, 'alpha': alpha}


def _draw_marks(axes: Any, row: int, marks: Sequence[Mark], legend: dict[str, Any]) -> None:
    kinds: dict[tuple[Sign, Cause | None], list[float]] = {}
    for mark in marks:
        kinds.setdefault((mark.sign, mark.cause), []).append(mark.at / DAY)
    for (sign, cause), times in kinds.items():
        y = row + OFFSETS.get(sign, 0.36)
        look, label = MARKERS[sign], sign.value
        if cause is not None:
            look, label = {**look, 'marker': SHAPES[cause]}, label.format(cause.value)
        (legend[label],) = axes.plot(times, [y] * len(times), linestyle='none', **look)
        if sign in (Sign.STOP, Sign.UNANSWERED):
            axes.vlines(times, y, row + 0.22, ALARM)


if __name__ == '__main__':
    from viam_session_bridge.executables import timeline

    timeline()
