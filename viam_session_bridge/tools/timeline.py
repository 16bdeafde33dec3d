# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``timeline``: an event log as a picture, and its marks as a list.

Who was last user of each base when, sessions and their ends, takeovers, stops and their causes,
refusals, machines connected or not. It needs matplotlib, and no ROS.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path
import sys
from typing import Any

from viam_session_bridge.tools.timeline_lanes import (
    clock,
    compose,
    Lane,
    Sign,
    Span,
    SpanKind,
    Timeline,
)
from viam_session_bridge.tools.timeline_reading import files_of, lines_of, printable, read

FORMATS = ('svg', 'png', 'pdf')
MOST_MARKS = 1500  # more take long to draw, and nobody can read them
MOST_CLIENTS = 60
NAME_SHOWN = 34  # characters
DAY = 86400.0  # s, the unit of matplotlib's dates
STOPS = (Sign.STOP, Sign.UNANSWERED)
BESIDE = ((7, 'left'), (-7, 'right'))  # pt

PAPER, INK, FAINT, GREY, ALARM = '#ffffff', '#1a1b1c', '#d5d6d7', '#8d9196', '#d55e00'
# Okabe and Ito's, which the colour-blind tell apart, without the one that means alarm. More users
# than these begin anew, hatched.
USERS = ('#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#f0e442', '#0072b2')
DARK_ONES = ('#0072b2',)
HATCHES = ('', '////', '....', 'xxxx')
MARKERS: dict[Sign, dict[str, Any]] = {
    Sign.STOP: {'marker': '8', 'color': ALARM, 'markersize': 8},
    Sign.UNANSWERED: {'marker': '8', 'color': ALARM, 'markersize': 8, 'fillstyle': 'none'},
    Sign.TAKEN_OVER: {'marker': '>', 'color': INK},
    Sign.ENDED: {'marker': '|', 'color': INK, 'markersize': 9},
    Sign.REFUSED: {'marker': 'x', 'color': ALARM},
    Sign.WARNING: {'marker': 'v', 'color': ALARM},
    Sign.NOTE: {'marker': 'o', 'color': INK, 'fillstyle': 'none'},
}
STYLE = {
    'svg.fonttype': 'none',  # text stays text
    'svg.hashsalt': 'timeline',  # the same log makes the same file
    'font.family': 'sans-serif',
    'font.size': 8.0,
    'text.parse_math': False,  # names are no formulas
    'hatch.linewidth': 0.6,
    'lines.markersize': 6.0,
    'lines.markeredgewidth': 1.2,
    'lines.linestyle': 'none',
}


class NothingToDrawError(Exception):
    """There is nothing to draw; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, list the marks, and return 0; 1 where there is nothing to draw or to draw with."""
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
        parser.error(f'{out}: the picture is to end in .svg, .png or .pdf')
    try:
        timeline = draw_log(arguments.log, out, arguments.begin, arguments.end)
    except ImportError as error:
        return _fail(
            f'{error.name or "matplotlib"} is missing: sudo apt install python3-matplotlib,'
            ' or pip install matplotlib'
        )
    except (NothingToDrawError, OSError) as error:
        return _fail(str(error))
    for mark in timeline.marks:
        print(f'{clock(mark.at)} {mark.text}')
    print(f'{out}: {clock(timeline.begin)} to {clock(timeline.end)}, {len(timeline.bases)} bases, '
          f'{len(timeline.clients)} clients, {len(timeline.marks)} marks')  # fmt: skip
    return 0


def draw_log(
    log: Path, out: Path, begin: str | None = None, end: str | None = None
) -> Timeline:
    """
    Draw a log, or the part of it between two times, and return what was drawn.

    :raises NothingToDrawError: the log, or that part of it, has no event
    :raises ImportError: matplotlib is missing
    """
    timeline = _part(_read(log), begin, end)
    draw(timeline, f'Who drove what, and why it stopped: {printable(log.name)}', out)
    return timeline


def _read(log: Path) -> Timeline:
    files = files_of(log)
    if not files:
        raise NothingToDrawError(f'{log}: there is no such file (nor a rotated one)')
    entries, skipped = read(lines_of(files))
    if not entries:
        raise NothingToDrawError(f'{log}: there is no event in it{_counts(skipped)}')
    if skipped:
        _warn(f'{log}: {skipped.total()} lines were skipped{_counts(skipped)}')
    return compose(entries)


def _counts(skipped: Counter[str]) -> str:
    counts = ', '.join(f'{count} {kind}' for kind, count in sorted(skipped.items()))
    return f' ({counts})' if counts else ''


def _part(timeline: Timeline, begin: str | None, end: str | None) -> Timeline:
    try:
        first, last = (
            default if text is None else parse_time(text, timeline.begin, timeline.end)
            for text, default in ((begin, timeline.begin), (end, timeline.end))
        )
    except ValueError as error:
        raise NothingToDrawError(str(error)) from None
    if first > last or first > timeline.end or last < timeline.begin:
        raise NothingToDrawError(
            f'nothing lies between {clock(first)} and {clock(last)}: the log goes from '
            f'{clock(timeline.begin)} to {clock(timeline.end)}'
        )
    timeline = timeline.part(first, last)
    if len(timeline.marks) > MOST_MARKS:
        first = timeline.marks[-MOST_MARKS].at
        _warn(f'more than {MOST_MARKS} marks: drawn from {clock(first)} on; see --from and --to')
        timeline = timeline.part(first, last)
    if len(timeline.clients) > MOST_CLIENTS:
        _warn(f'only {MOST_CLIENTS} of {len(timeline.clients)} clients are drawn')
        timeline = replace(timeline, clients=timeline.clients[:MOST_CLIENTS])
    return timeline


def _warn(text: str) -> None:
    print(f'timeline: {text}', file=sys.stderr)


def _fail(text: str) -> int:
    _warn(text)
    return 1


def parse_time(text: str, begin: float, end: float) -> float:
    """
    Return the time (s since the epoch) that a text means in a log, ValueError for none.

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
    raise ValueError(
        f'{text!r} is no time: give seconds (12.5, -60 before the end), 14:02:11 or '
        '2026-05-04T14:02:11'
    )


def draw(timeline: Timeline, heading: str, out: Path) -> None:
    """Draw a timeline into a file; its ending says the format."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        # No date of making: the same log makes the same file.
        metadata = {'Date': None} if out.suffix.lower() == '.svg' else None
        Drawing(timeline, heading).figure.savefig(out, metadata=metadata)


_Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


@dataclass(frozen=True)
class _Row:
    """A lane, the middle of its bars (inches from the top), and half their height."""

    name: str
    lane: Lane
    middle: float
    half: float
    is_base: bool


class Drawing:
    """
    A timeline on a matplotlib figure.

    Labels come last, when the layout is known: each beside its mark or in its bar where it covers
    nothing; one that would is left out.
    """

    def __init__(self, timeline: Timeline, heading: str) -> None:
        """Draw it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._timeline = timeline
        self._rows: list[_Row] = []
        self._height = 0.0
        for lane in (timeline.bridge, *timeline.machines):
            name = lane.name if lane is timeline.bridge else f'machine {lane.name}'
            self._add_row(name, lane, above=0.36, half=0.07, below=0.12)
        for lane in timeline.bases:
            more = any(mark.sign not in (*STOPS, Sign.TAKEN_OVER) for mark in lane.marks)
            below = 0.5 if more else 0.25
            self._add_row(f'base {lane.name}', lane, above=0.65, half=0.17, below=below)
        for lane in timeline.clients:
            self._add_row(lane.name, lane, above=0.17, half=0.09, below=0.17)
        total = self._height + 1.3
        legend = 0.4 / total
        self.figure: Any = Figure((12.0, total), facecolor=PAPER, dpi=120)
        canvas: Any = FigureCanvasAgg(self.figure)
        self.figure.set_layout_engine('constrained', rect=(0.005, legend, 0.985, 1.0 - legend))
        self._axes: Any = self.figure.add_subplot(facecolor=PAPER)
        self._set_axes(heading)
        for row in self._rows:
            self._add_bars(row)
            self._add_marks(row)
        canvas.draw()  # now it is known where everything is, and there it stays
        self.figure.set_layout_engine('none')
        self._add_legend()
        for row in self._rows:
            self._add_labels(row)

    def _add_row(self, name: str, lane: Lane, above: float, half: float, below: float) -> None:
        name = name if len(name) <= NAME_SHOWN else f'{name[: NAME_SHOWN - 2]}..'
        is_base = lane in self._timeline.bases
        self._rows.append(_Row(name, lane, self._height + above, half, is_base))
        self._height += above + below

    def _set_axes(self, heading: str) -> None:
        import matplotlib.dates

        dates: Any = matplotlib.dates
        begin, end = self._timeline.begin, self._timeline.end
        margin = max(0.02 * (end - begin), 0.05)  # a moment has a width, too
        first, last = (datetime.fromtimestamp(at).astimezone() for at in (begin, end))
        until = f'{last:%H:%M:%S}' if first.date() == last.date() else f'{last:%Y-%m-%d %H:%M:%S}'
        axes = self._axes
        axes.set(xlim=((begin - margin) / DAY, (end + margin) / DAY), ylim=(self._height, 0.0))
        axes.set_title(heading, loc='left', color=INK, fontweight='bold', fontsize=11, pad=20)
        axes.annotate(f'{first:%Y-%m-%d %H:%M:%S} to {until} {first:%Z}', (0, 1), (0, 8),
                      'axes fraction', textcoords='offset points', color=INK)  # fmt: skip
        locator = dates.AutoDateLocator(tz=first.tzinfo, minticks=4, maxticks=12)
        seconds = '%H:%M:%S.%f'
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(
            locator, tz=first.tzinfo, show_offset=False,
            formats=['%Y', '%b', '%d %b', '%H:%M', '%H:%M', seconds],
            zero_formats=['', '%Y', '%b', '%d %b', '%H:%M', seconds],
        ))  # fmt: skip
        axes.set_yticks([row.middle for row in self._rows], [row.name for row in self._rows])
        axes.tick_params(length=0, labelcolor=INK)
        axes.grid(axis='x', color=FAINT, linewidth=0.8, linestyle='-')
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)

    def _look(self, span: Span) -> dict[str, Any]:
        """Return how a span's bar looks."""
        if span.kind is SpanKind.STOPPING:
            return {'color': ALARM, 'alpha': 0.5}
        if span.kind is SpanKind.DISCONNECTED:
            return {'facecolor': PAPER, 'edgecolor': ALARM, 'hatch': '/////'}
        if not span.user:
            return {'color': GREY}
        rounds, index = divmod(self._timeline.users.index(span.user), len(USERS))
        look = {'facecolor': USERS[index], 'hatch': HATCHES[rounds % len(HATCHES)]}
        if span.kind is SpanKind.SILENT:
            return {**look, 'alpha': 0.35}
        # Of many short ones side by side the edges would be all one saw.
        is_long = span.end - span.begin > (self._timeline.end - self._timeline.begin) / 200
        return {**look, 'edgecolor': INK if is_long else 'none', 'linewidth': 0.6}

    def _add_bars(self, row: _Row) -> None:
        shortest = (self._timeline.end - self._timeline.begin) / 1000
        for span in row.lane.spans:
            wide = max(span.end - span.begin, shortest) / DAY
            self._axes.barh(row.middle, wide, 2 * row.half, span.begin / DAY, **self._look(span))

    def _add_marks(self, row: _Row) -> None:
        for sign in {mark.sign: None for mark in row.lane.marks}:
            times = [mark.at / DAY for mark in row.lane.marks if mark.sign is sign]
            y = self._height_of(sign, row)
            self._axes.plot(times, [y] * len(times), clip_on=False, **MARKERS[sign])
            if sign in STOPS:
                self._axes.vlines(times, y, row.middle + row.half, ALARM, 'solid', linewidth=1.4)

    def _height_of(self, sign: Sign, row: _Row) -> float:
        """Return where a sign's marks are: on a base stops above its bar, what else below it."""
        if sign is Sign.ENDED:
            return row.middle
        if row.is_base:
            if sign is Sign.TAKEN_OVER:
                return row.middle - row.half
            return row.middle + (-0.28 if sign in STOPS else 0.28)
        return row.middle - row.half - 0.11

    def _add_legend(self) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        present = {mark.sign for mark in self._timeline.marks}
        handles: list[Any] = [
            Line2D([], [], label=sign.value, **MARKERS[sign]) for sign in Sign if sign in present
        ]
        if any(span.kind is SpanKind.SILENT for row in self._rows for span in row.lane.spans):
            label = 'silent: from its last sign of life'
            handles.append(Patch(facecolor=GREY, alpha=0.35, label=label))
        if handles:
            self.figure.legend(
                handles=handles, loc='lower left', ncols=len(handles), frameon=False,
                labelcolor=INK, handletextpad=0.3, columnspacing=1.2,
            )  # fmt: skip

    def _add_labels(self, row: _Row) -> None:
        pixels = self._axes.transData.transform
        low, high = row.middle + row.half, row.middle - row.half
        covered: list[_Box] = []
        for mark in row.lane.marks:
            x, y = pixels((mark.at / DAY, self._height_of(mark.sign, row)))
            half = 2.0 if mark.sign is Sign.ENDED else 6.0
            covered.append((x - half, y - 6.0, x + half, y + 6.0))
            if mark.sign in STOPS:
                covered.append((x - 3.0, pixels((0, low))[1], x + 3.0, y))
        bars: list[_Box] = [
            (*pixels((span.begin / DAY, low)), *pixels((span.end / DAY, high)))
            for span in row.lane.spans
        ]
        for span, bar in zip(row.lane.spans, bars, strict=True):
            if span.user:
                self._label_bar(span, row.middle, bar, covered)
            elif span.label:
                self._label(span.label, span.begin, row.middle, ((0, 11, 'left'),), covered)
        covered += bars
        for mark in row.lane.marks:
            second = (11 if mark.sign in STOPS else -11,) if row.is_base else ()
            positions = [(x, y, side) for y in (0, *second) for x, side in BESIDE]
            self._label(mark.label, mark.at, self._height_of(mark.sign, row), positions, covered)

    def _label_bar(
        self, span: Span, middle: float, bar: _Box, covered: list[_Box]
    ) -> None:
        """Write a label in a bar that has room for it, or for the last part of a name."""
        look = self._look(span)
        ground = look['facecolor'] if look['hatch'] else 'none'
        ink = PAPER if look['facecolor'] in DARK_ONES and 'alpha' not in look else INK
        for text in dict.fromkeys((span.label, span.label.rpartition('/')[2])):
            box = {'facecolor': ground, 'edgecolor': 'none', 'pad': 1.0}
            at, centred = 0.5 * (span.begin + span.end), ((0, 0, 'center'),)
            if self._label(text, at, middle, centred, covered, bar, color=ink, bbox=box):
                return

    def _label(
        self, text: str, at: float, y: float, positions: Iterable[tuple[float, float, str]],
        covered: list[_Box], inside: _Box | None = None, **look: Any,
    ) -> bool:  # fmt: skip
        """Write a text at the first free one of these positions: offsets in pt, and the side."""
        left, _, right, _ = inside or (self._axes.bbox.x0, 0.0, self.figure.bbox.x1, 0.0)
        artist = self._axes.annotate(
            text, (at / DAY, y), (0, 0), textcoords='offset points', va='center', in_layout=False,
            **{'color': INK, **look},
        )  # fmt: skip
        for *offset, side in positions:
            artist.set(position=offset, ha=side)
            box: _Box = artist.get_window_extent().padded(2.0).extents
            if left <= box[0] and box[2] <= right and not any(_overlap(box, c) for c in covered):
                covered.append(box)
                return True
        artist.remove()
        return False


def _overlap(one: _Box, other: _Box) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    )


if __name__ == '__main__':
    from viam_session_bridge.executables import timeline

    timeline()
