# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a timeline shows: lanes with spans and marks. All times are s since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum


class Over(str, Enum):
    """What a span of time was."""

    RUNNING = 'running'  # the bridge
    CONNECTED = 'connected'  # a machine
    ABSENT = 'not connected'
    USED = 'last user'  # of a base
    STOPPING = 'stop not acknowledged yet'
    ALIVE = 'session'  # up to its last sign of life
    SILENT = 'silent'  # from there to its end


class Sign(str, Enum):
    """What a mark stands for."""

    STOP = 'stop'
    UNANSWERED = 'stop without answer'
    TAKEN_OVER = 'taken over'
    ENDED = 'session ended'
    REFUSED = 'refused'
    FAILED = 'failed'
    NOTE = 'note'


@dataclass(frozen=True)
class Span:
    """
    Something that went on; the label is to be short, the title tells all.

    ``user``: whose it was ('' for nobody's), which gives it its colour.
    """

    over: Over
    begin: float
    end: float
    title: str
    label: str = ''
    user: str = ''


@dataclass(frozen=True)
class Mark:
    """Something that happened; see :class:`Span`."""

    sign: Sign
    at: float
    title: str
    label: str = ''
    user: str = ''


@dataclass
class Lane:
    """One line of the picture: a base, a machine, a client, or the bridge itself."""

    name: str
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Picture:
    """All lanes; ``users`` in the order of their appearance, which gives them their colours."""

    begin: float
    end: float
    bridge: Lane
    machines: Sequence[Lane]
    bases: Sequence[Lane]
    clients: Sequence[Lane]
    users: Sequence[str]

    @property
    def lanes(self) -> list[Lane]:
        """All of them, from the top."""
        return [self.bridge, *self.machines, *self.bases, *self.clients]

    @property
    def marks(self) -> list[Mark]:
        """All marks, in their order of time."""
        return sorted((m for lane in self.lanes for m in lane.marks), key=lambda mark: mark.at)


def cut(picture: Picture, begin: float, end: float) -> Picture:
    """Return what of a picture lies between two times; clients that are not there are left out."""

    def part(lane: Lane) -> Lane:
        spans = [
            replace(span, begin=max(span.begin, begin), end=min(span.end, end))
            for span in lane.spans
            if span.begin <= end and span.end >= begin
        ]
        return Lane(lane.name, spans, [mark for mark in lane.marks if begin <= mark.at <= end])

    clients = [lane for lane in map(part, picture.clients) if lane.spans or lane.marks]
    return replace(
        picture,
        begin=begin,
        end=end,
        bridge=part(picture.bridge),
        machines=[part(lane) for lane in picture.machines],
        bases=[part(lane) for lane in picture.bases],
        clients=clients,
    )
