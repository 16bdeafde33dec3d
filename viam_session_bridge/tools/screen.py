# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A block of lines at the end of the terminal that is redrawn in place, and lines above it."""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys
from typing import TextIO

_HIDE_CURSOR, _SHOW_CURSOR = '\x1b[?25l', '\x1b[?25h'
_CLEAR_TO_END_OF_LINE, _CLEAR_BELOW = '\x1b[K', '\x1b[J'
_CLEAR_ALL = '\x1b[2J\x1b[H'


class Screen:
    """
    Draws on a terminal; where the output is none, only the lines above come out.

    Each drawing is one write of what overwrites the one before, so that nothing flickers, over a
    slow line neither.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        """Draw on a stream, by default the standard output."""
        self._out = sys.stdout if out is None else out
        self.live = self._out.isatty() and os.environ.get('TERM', 'dumb') != 'dumb'
        self._block: Sequence[str] = ()
        self._drawn = 0
        self._size = self.size()

    def size(self) -> tuple[int, int]:
        """Return the columns and lines there are for a block."""
        try:
            columns, lines = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            columns, lines = 0, 0
        # Some terminals say 0. The last column stays free: a full line wraps on some.
        return (columns or 80) - 1, (lines or 24) - 1

    def say(self, line: str = '') -> None:
        """Print a line, above the block if there is one."""
        self._write([line])

    def draw(self, block: Sequence[str]) -> None:
        """Show this block instead of the one before; the same one again is not worth a line."""
        if not self.live or (block == self._block and self._drawn and self.size() == self._size):
            return
        self._block = block
        self._write([])

    def leave(self) -> None:
        """Leave the block as it is, as part of what was printed."""
        if self._drawn:
            self._out.write(_SHOW_CURSOR)
            self._out.flush()
        self._block, self._drawn = (), 0

    def _write(self, above: Sequence[str]) -> None:
        text = ''
        if self.live and self._drawn:
            text = f'\r\x1b[{self._drawn}A'
            size = self.size()
            if size != self._size:
                # The terminal has wrapped what is there anew: nobody knows where it begins.
                text, self._size = _CLEAR_ALL, size
        end = f'{_CLEAR_TO_END_OF_LINE}\n' if self.live else '\n'
        text += ''.join(line + end for line in (*above, *self._block))
        if self.live:
            text += _CLEAR_BELOW
            if self._block and not self._drawn:
                text = _HIDE_CURSOR + text
        self._drawn = len(self._block)
        self._out.write(text)
        self._out.flush()
