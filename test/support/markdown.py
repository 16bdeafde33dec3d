# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the documentation have to see of a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import NamedTuple

_FENCE = re.compile(r'^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$', re.M | re.S)
_LINK = re.compile(r'\]\(([^()\s]+)\)')
_CODE = re.compile(r'`([^`]+)`')


class Fence(NamedTuple):
    """A block of code."""

    language: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table: its header's cells, and those of its rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """Return the cells below a header."""
        at = self.header.index(name)
        return [row[at] for row in self.rows]


class Page:
    """One page."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        self.path = path
        whole = path.read_text()
        self.fences = [Fence(found['language'], found['text']) for found in _FENCE.finditer(whole)]
        self.prose = _FENCE.sub('', whole)

    @property
    def links(self) -> list[str]:
        """Where its links and pictures lead to, as written."""
        return _LINK.findall(_CODE.sub('', self.prose))

    @property
    def codes(self) -> list[str]:
        """Return what its prose and tables have in backquotes, each on one line."""
        return codes(self.prose)

    @property
    def anchors(self) -> set[str]:
        """Return the anchors that GitHub gives its headings."""
        found: set[str] = set()
        for heading in re.findall(r'^#+ (.+)$', self.prose, re.M):
            text = re.sub(r'\[([^]]+)\]\([^)]+\)', r'\1', heading)
            slug = re.sub(r'[^\w\- ]', '', text.lower()).replace(' ', '-')
            number = 0
            while (anchor := f'{slug}-{number}' if number else slug) in found:
                number += 1
            found.add(anchor)
        return found

    @property
    def tables(self) -> Iterator[Table]:
        """Its tables."""
        for block in re.findall(r'(?:^\|.*\|\n)+', self.prose + '\n', re.M):
            lines = [tuple(map(str.strip, line[1:-1].split('|'))) for line in block.splitlines()]
            yield Table(lines[0], tuple(lines[2:]))


def codes(text: str) -> list[str]:
    """Return what a text has in backquotes."""
    return [' '.join(found.split()) for found in _CODE.findall(text)]
