# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the probes' bursts: signs of life, lapses and stops. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.driving import is_begin
from bench.probe import RATE, Sent, SILENT, SPEED_PER_NUMBER

_LATE = 0.4  # s after its last command in which a burst's session may still start


@dataclass(frozen=True)
class Burst:
    """What one probe sent from one silence to the next, by number and s."""

    probe: int
    sent: dict[int, float]

    @property
    def first(self) -> float:
        """When the first command left."""
        return min(self.sent.values())

    @property
    def last(self) -> float:
        """When the last command left."""
        return max(self.sent.values())


@dataclass(frozen=True)
class Outcome:
    """
    What became of a burst.

    :param sent: signs of life that left, of which `taken` were accepted in `sessions` sessions
    :param late: ms from the last command to the Stop at the base, less the window; negative: too
        early; None: none came, or the probe has no base of its own
    :param heard: ms from the publish of the last command to its taking by the bridge, or None
    :param decided: ms from when the last session's window had passed to its end, or None
    :param latencies: ms from the publish to the base, of the commands that got there
    """

    probe: int
    sent: int
    taken: int
    sessions: int
    late: float | None
    heard: float | None
    decided: float | None
    latencies: list[float]


def bursts(sent: Iterable[Sent], since: float, until: float) -> list[Burst]:
    """Return the bursts that lie in that time wholly, with the silences around them."""
    found: dict[int, list[Burst]] = {}
    for one in sent:
        there = found.setdefault(one.probe, [])
        if not there or one.at - there[-1].last > SILENT - 1.0 / RATE:
            there.append(Burst(one.probe, {}))
        there[-1].sent[one.number] = one.at
    return [
        burst
        for of_probe in found.values()
        for burst in of_probe
        if burst.first >= since and burst.last + SILENT <= until
    ]


def judge(
    burst: Burst,
    client: str,
    base: str | None,
    events: Sequence[Mapping[str, Any]],
    record: Sequence[dict[str, Any]],
    window: float,
) -> Outcome:
    """
    Judge a burst.

    :param client: the probe's GID
    :param base: its own base, None where it shares one
    :param events: of the event log; only ends of sessions are looked at
    :param record: of the base
    """
    ended = [
        event
        for event in events
        if event['event'] == 'session_ended'
        and event['client'] == client
        and burst.first <= event['started'] <= burst.last + _LATE
    ]
    begun = [
        (round(line['linear'][1] * 1e-3 / SPEED_PER_NUMBER), line['t'])
        for line in record
        if base is not None and is_begin(line, base, 'set_velocity')
    ]
    stops = [
        line['t']
        for line in record
        if base is not None and is_begin(line, base, 'stop') and line['t'] > burst.last
    ]
    return Outcome(
        probe=burst.probe,
        sent=len(burst.sent),
        taken=sum(event['commands'] for event in ended),
        sessions=len(ended),
        late=1e3 * (min(stops) - burst.last - window) if stops else None,
        heard=1e3 * (ended[-1]['sign'] - burst.last) if ended else None,
        decided=1e3 * (ended[-1]['at'] - ended[-1]['sign'] - window) if ended else None,
        latencies=[
            1e3 * (at - burst.sent[number]) for number, at in begun if number in burst.sent
        ],
    )
