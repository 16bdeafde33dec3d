# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Bars, signs and texts on matplotlib's axes, each with its tooltip; lengths are in inches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from viam_session_bridge.tools.timeline.lanes import Mark, Sign, Span
from viam_session_bridge.tools.timeline.scale import Room
from viam_session_bridge.tools.timeline.style import INK, MARKERS, PAPER

LETTER = 0.069  # the width of a letter
RIGHT = 0.25  # of the axes, for labels of what happened last


class Canvas:
    """Axes whose units are inches, with x for times; ``titles`` are the tooltips, by ids."""

    def __init__(self, axes: Any, across: float, begin: float, end: float) -> None:
        """Span the time from begin to end across the axes."""
        self.axes = axes
        self.titles: dict[str, str] = {}
        self._across = across
        self._begin, self._end = begin, end

    def x(self, time: float) -> float:
        """Return where a time is."""
        return self._across * (time - self._begin) / (self._end - self._begin)

    def bar(self, span: Span, top: float, tall: float, **look: Any) -> None:
        """Draw a span as a bar."""
        from matplotlib.patches import Rectangle

        begin = self.x(span.begin)
        wide = max(self.x(span.end) - begin, 0.012)
        # Many short ones side by side would be all edge.
        edge = INK if wide > 0.05 else 'none'
        bar = Rectangle((begin, top), wide, tall, **{'linewidth': 0.6, 'edgecolor': edge, **look})
        self._title(bar, span.title)
        self.axes.add_patch(bar)

    def in_bar(self, span: Span, middle: float, ink: str, ground: str = 'none') -> None:
        """
        Write its label in a bar that has room for it, or for the last part of a name.

        :param ground: of the label alone, on a hatched bar
        """
        begin, end = self.x(span.begin), self.x(span.end)
        texts = (span.label, span.label.rpartition('/')[2])
        fits = next((text for text in texts if width_of(text) + 0.04 < end - begin), '')
        if fits:
            box = {'facecolor': ground, 'edgecolor': 'none', 'pad': 1.0}
            look = {'ha': 'center', 'color': ink, 'bbox': box}
            self.text(0.5 * (begin + end), middle, fits, span.title, **look)

    def text(self, x: float, y: float, text: str, title: str, **look: Any) -> None:
        """Write a text."""
        artist = self.axes.text(x, y, text, **{'va': 'center', 'color': INK, **look})
        self._title(artist, title)

    def sign(self, mark: Mark, y: float, **look: Any) -> None:
        """Draw a mark's sign."""
        (line,) = self.axes.plot(
            [self.x(mark.at)], [y], clip_on=False, linestyle='', **{**marker(mark.sign), **look}
        )
        self._title(line, mark.title)

    def label(self, mark: Mark, lines: Sequence[tuple[Room, float]], gap: float = 0.09) -> None:
        """Write a mark's label beside it, on the first of these lines that has room."""
        x, wide = self.x(mark.at), width_of(mark.label)
        for room, y in lines:
            for begin, side in ((x + gap, 'left'), (x - gap - wide, 'right')):
                if mark.label and room.take(begin, begin + wide):
                    self.text(x + gap if side == 'left' else x - gap, y, mark.label, mark.title,
                               ha=side)  # fmt: skip
                    return

    def room(self, marks: Iterable[Mark] = ()) -> Room:
        """Return a line for labels, with what these marks take of it."""
        room = Room(-0.1, self._across + RIGHT - 0.08)
        for mark in marks:
            room.take(self.x(mark.at) - 0.07, self.x(mark.at) + 0.07)
        return room

    def _title(self, artist: Any, title: str) -> None:
        name = f'tip{len(self.titles)}'
        artist.set_gid(name)
        self.titles[name] = title


def marker(sign: Sign) -> dict[str, Any]:
    """Return how matplotlib is to draw a sign."""
    shape, filled, ink = MARKERS[sign]
    edge = ink if shape in 'x|' or not filled else INK
    return {
        'marker': shape,
        'markersize': 6,
        'markerfacecolor': ink if filled else PAPER,
        'markeredgecolor': edge,
        'markeredgewidth': 0.6 if filled and shape not in 'x|' else 1.5,
    }


def width_of(text: str) -> float:
    """Return the width of a text, more or less."""
    return LETTER * len(text)
