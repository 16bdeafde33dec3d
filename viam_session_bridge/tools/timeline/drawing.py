# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Draws a picture with matplotlib, as SVG or PNG; lengths are in inches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
import io
from typing import Any, NamedTuple

from viam_session_bridge.tools.table import cut
from viam_session_bridge.tools.timeline.canvas import Canvas, LETTER, marker, RIGHT, width_of
from viam_session_bridge.tools.timeline.lanes import Lane, Over, Picture, Sign
from viam_session_bridge.tools.timeline.scale import ticks
from viam_session_bridge.tools.timeline.style import (
    ALARM,
    colour,
    FAINT,
    GREY,
    INK,
    PAPER,
    text_on,
)

WIDTH, DPI = 12.0, 120
TOP, BOTTOM, GAP = 0.55, 0.75, 0.12
SIZE, LINE = 8.0, 0.16  # pt of text, the height of a line of it
NAME_SHOWN = 34  # characters
RC = {
    'svg.fonttype': 'none',  # text stays text
    'svg.hashsalt': 'timeline',
    'font.family': 'sans-serif',
    'font.size': SIZE,
    'hatch.linewidth': 0.6,
    # Names are nobody's formulas.
    'text.parse_math': False,
}


class _Row(NamedTuple):
    """A lane, its height, and where in it the middle of its bars is."""

    name: str
    lane: Lane
    tall: float
    middle: float
    draw: Callable[[Lane, float], None]


class Drawing:
    """A picture on a figure."""

    def __init__(self, picture: Picture, heading: str) -> None:
        """Draw it."""
        from matplotlib.figure import Figure

        self._picture = picture
        names = [*(lane.name for lane in picture.clients), *map(_of_base, picture.bases),
                 *map(_of_machine, picture.machines)]  # fmt: skip
        longest = max((len(name) for name in names), default=0)
        left = 0.3 + LETTER * min(max(longest, 8), NAME_SHOWN)
        across = WIDTH - left - RIGHT
        # A moment has a width, too.
        margin = max(0.02 * (picture.end - picture.begin), 0.05)
        begin, end = picture.begin - margin, picture.end + margin
        rows = self._rows()
        height = sum(row.tall for row in rows) + GAP
        total = TOP + height + BOTTOM
        self.figure = Figure(figsize=(WIDTH, total), dpi=DPI, facecolor=PAPER)
        axes: Any = self.figure.add_axes(
            (left / WIDTH, BOTTOM / total, across / WIDTH, height / total)
        )
        axes.set(xlim=(0.0, across), ylim=(height, 0.0), facecolor=PAPER)
        self._canvas = Canvas(axes, across, begin, end)
        self._set_axis(ticks(begin, end, int(across / 0.85)))
        self._head(heading, total)
        down = 0.0
        for row in rows:
            y = down + row.middle
            axes.text(-0.1, y, row.name, ha='right', va='center', color=INK)
            row.draw(row.lane, y)
            down += row.tall
        self._legend(total)

    @property
    def titles(self) -> dict[str, str]:
        """The tooltips, by the ids of what they are for."""
        return self._canvas.titles

    def save(self, kind: str) -> bytes:
        """Return it as ``svg`` or ``png``."""
        out = io.BytesIO()
        # Neither when nor with what it was drawn: the same log makes the same file.
        metadata = dict.fromkeys(('Creator', 'Date', 'Format', 'Type')) if kind == 'svg' else {}
        self.figure.savefig(out, format=kind, facecolor=PAPER, metadata=metadata)
        return out.getvalue()

    def _rows(self) -> list[_Row]:
        picture = self._picture
        return [
            _Row('bridge', picture.bridge, 0.45, 0.33, self._draw_machine),
            *(_Row(_of_machine(lane), lane, 0.45, 0.33, self._draw_machine)
              for lane in picture.machines),
            *(_Row(_of_base(lane), lane, 1.25 if _has_more(lane) else 0.9, 0.63, self._draw_base)
              for lane in picture.bases),
            *(_Row(cut(lane.name, NAME_SHOWN), lane, 0.34, 0.17, self._draw_client)
              for lane in picture.clients),
        ]  # fmt: skip

    def _set_axis(self, times: Sequence[tuple[float, str]]) -> None:
        from matplotlib.ticker import NullFormatter

        axes = self._canvas.axes
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_xticks([self._canvas.x(time) for time, _ in times], [text for _, text in times])
        axes.yaxis.set_major_formatter(NullFormatter())
        axes.tick_params(axis='x', colors=INK, length=0, labelsize=SIZE)
        axes.tick_params(axis='y', length=0)
        axes.grid(axis='x', color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)

    def _head(self, heading: str, total: float) -> None:
        begin, end = map(datetime.fromtimestamp, (self._picture.begin, self._picture.end))
        until = f'{end:%H:%M:%S}' if begin.date() == end.date() else f'{end:%Y-%m-%d %H:%M:%S}'
        zone = begin.astimezone().tzname()
        self.figure.text(0.15 / WIDTH, 1 - 0.12 / total, heading, va='top', color=INK,
                         fontsize=1.3 * SIZE, fontweight='bold')  # fmt: skip
        self.figure.text(0.15 / WIDTH, 1 - 0.34 / total, va='top', color=INK,
                         s=f'{begin:%Y-%m-%d %H:%M:%S} to {until} {zone}')  # fmt: skip

    def _legend(self, total: float) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        present = {mark.sign for mark in self._picture.marks}
        handles: list[Any] = [
            Line2D([], [], linestyle='', label=_MEANING[sign], **marker(sign))
            for sign in Sign
            if sign in present
        ]
        if any(span.over is Over.SILENT for lane in self._picture.clients for span in lane.spans):
            label = 'silent: from its last sign of life'
            handles.append(Patch(facecolor=GREY, alpha=0.35, label=label))
        if handles:
            self.figure.legend(
                handles=handles, loc='lower left', bbox_to_anchor=(0.1 / WIDTH, 0.05 / total),
                ncols=min(len(handles), 8), frameon=False, labelcolor=INK, fontsize=SIZE,
                handletextpad=0.3, columnspacing=1.4, borderaxespad=0.0,
            )  # fmt: skip

    def _user(self, user: str) -> tuple[str, str]:
        users = list(self._picture.users)
        return colour(users.index(user)) if user in users else (GREY, '')

    def _draw_machine(self, lane: Lane, middle: float) -> None:
        tall, room = 0.13, self._canvas.room(lane.marks)
        top, above = middle - tall / 2, middle - 0.17
        for span in lane.spans:
            if span.over is Over.ABSENT:
                self._canvas.bar(span, top, tall, facecolor=PAPER, edgecolor=ALARM, hatch='/////')
            else:
                self._canvas.bar(span, top, tall, facecolor=GREY, edgecolor='none')
        for mark in lane.marks:
            self._canvas.sign(mark, above)
            self._canvas.label(mark, [(room, above)])
        for span in lane.spans:
            begin, wide = self._canvas.x(span.begin), width_of(span.label)
            if span.label and room.take(begin, begin + wide):
                self._canvas.text(begin, above, span.label, span.title, ha='left')

    def _draw_base(self, lane: Lane, middle: float) -> None:
        tall = 0.34
        top = middle - tall / 2
        for span in lane.spans:
            if span.over is Over.USED:
                ground, hatch = self._user(span.user)
                self._canvas.bar(span, top, tall, facecolor=ground, hatch=hatch)
                label_on = ground if hatch else 'none'
                self._canvas.in_bar(span, middle, text_on(ground), label_on)
            else:
                self._canvas.bar(span, top, tall, facecolor=ALARM, edgecolor=ALARM, alpha=0.5)
        stops = [mark for mark in lane.marks if mark.sign in _STOPS]
        others = [mark for mark in lane.marks if mark.sign in _BELOW]
        high, low = top - 0.11, top + tall + 0.11
        above = [(self._canvas.room(stops), high), (self._canvas.room(), high - LINE)]
        below = [(self._canvas.room(others), low), (self._canvas.room(), low + LINE)]
        small = self._canvas.room()
        for mark in lane.marks:
            x = self._canvas.x(mark.at)
            if mark.sign in _STOPS:
                self._canvas.axes.plot([x, x], [high, top + tall], color=ALARM, linewidth=1.4)
                self._canvas.sign(mark, high, markersize=8)
                self._canvas.label(mark, above)
            elif mark.sign in _BELOW:
                self._canvas.sign(mark, low)
                self._canvas.label(mark, below)
            else:
                self._canvas.sign(mark, top, markersize=6 if small.take(x - 0.06, x + 0.06) else 2)

    def _draw_client(self, lane: Lane, middle: float) -> None:
        tall, room = 0.18, self._canvas.room()
        for span in lane.spans:
            ground, hatch = self._user(span.user)
            silent = span.over is Over.SILENT
            look = {'alpha': 0.35, 'edgecolor': 'none'} if silent else {}
            self._canvas.bar(span, middle - tall / 2, tall, facecolor=ground, hatch=hatch, **look)
            if silent:
                self._canvas.in_bar(span, middle, INK)
            else:
                label_on = ground if hatch else 'none'
                self._canvas.in_bar(span, middle, text_on(ground), label_on)
            room.take(self._canvas.x(span.begin), self._canvas.x(span.end))
        for mark in lane.marks:
            self._canvas.sign(mark, middle, markersize=9)
            self._canvas.label(mark, [(room, middle)])


_STOPS = (Sign.STOP, Sign.UNANSWERED)
_BELOW = (Sign.REFUSED, Sign.FAILED, Sign.NOTE)
_MEANING = {
    Sign.STOP: 'stop: why, and when acknowledged',
    Sign.UNANSWERED: 'stop without an answer',
    Sign.TAKEN_OVER: 'taken over',
    Sign.ENDED: 'session ended',
    Sign.REFUSED: 'command refused',
    Sign.FAILED: 'failure',
    Sign.NOTE: 'note',
}


def draw(picture: Picture, heading: str, kind: str) -> tuple[bytes, dict[str, str]]:
    """Return a picture as ``svg`` or ``png``, and its tooltips; ImportError: no matplotlib."""
    import matplotlib

    with matplotlib.rc_context(RC):
        drawing = Drawing(picture, heading)
        return drawing.save(kind), drawing.titles


def _has_more(lane: Lane) -> bool:
    return any(mark.sign in _BELOW for mark in lane.marks)


def _of_base(lane: Lane) -> str:
    return cut(f'base {lane.name}', NAME_SHOWN)


def _of_machine(lane: Lane) -> str:
    return cut(f'machine {lane.name}', NAME_SHOWN)
