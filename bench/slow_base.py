# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a slow base gets, and how old it is.

SetVelocity of a real viam-server's base takes 20, 100 and 500 ms, and a publisher of 50 Hz asks
for more than that. The bridge beside the node on viam-sdk, in turns: how old a command is when
the base begins it, how many of those begun took effect, and how many calls are open at once.
viam-server cancels a SetVelocity when the next one comes: a base that `obeys` gives up the older
one, one that `blocks` carries on with it, beside the newer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import accumulate, product
from typing import Any

from bench.publisher import number_of
from bench.stage import Drive, rotated, Run, staged
from bench.summary import Check, Summary, table

RATE = 50.0  # Hz
DELAYS, QUICK_DELAYS = (0.02, 0.1, 0.5), (0.1,)  # s that SetVelocity takes
SECONDS, QUICK_SECONDS = 3.0, 1.5  # of each turn
CALL_TIMEOUT = 1.0  # s
MARGIN = 5.0  # ms by which a command may be older than one service time
WARM_UP = 3  # commands, which start the session


@dataclass(frozen=True)
class Slow:
    """
    What one turn came to.

    :param ages: ms, from the publish to the begin at the base
    :param effects: % of the commands that took effect, of those begun a service time before the
        last was sent: the stop that the silence brings cancels what is open
    :param open_calls: SetVelocity that were open at once, at most
    """

    ages: Summary
    effects: float
    open_calls: int

    @classmethod
    def of(cls, delay: float, drive: Drive) -> Slow:
        """Sum up a turn."""
        calls = [line for line in drive.lines if line['call'] == 'set_velocity']
        open_now = accumulate(1 if line['phase'] == 'begin' else -1 for line in calls)
        last = max(drive.sent.values())
        due = {one.number for one in drive.arrived if one.at <= last - delay}
        took_effect = {
            number_of(line['linear'][1])
            for line in calls if line['phase'] == 'end' and 'error' not in line
        }  # fmt: skip
        effects = 100 * len(due & took_effect) / max(len(due), 1)
        return cls(Summary.of(drive.ages), effects, max(open_now, default=0))


def measure(run: Run) -> list[Check]:
    """Let the nodes take turns."""
    delays = QUICK_DELAYS if run.quick else DELAYS
    count = round(RATE * (QUICK_SECONDS if run.quick else SECONDS))
    turns: dict[tuple[float, bool, str], list[Slow]] = defaultdict(list)
    names = run.names('bridge', 'sdk')
    with staged(run, names) as stage:
        subjects = stage.subjects(names, call_timeout=CALL_TIMEOUT)
        for number in run.rounds(2):
            for delay, blocks in product(delays, (False, True)):
                for one in rotated(subjects, number):
                    stage.server.control(
                        one.name, set_velocity_delay=delay, ignore_cancel=blocks
                    )
                    drive = one.drive(RATE, count, WARM_UP)
                    turns[delay, blocks, one.name].append(Slow.of(delay, drive))
    rows = [
        _row(name, delay, blocks, turns[delay, blocks, name])
        for delay, blocks, name in product(delays, (False, True), names)
    ]
    header = ['node', 'SetVelocity', 'base', 'begun', 'age ms, p50', 'oldest', '% in effect',
              'open']  # fmt: skip
    print(table(header, rows))
    run.results |= {'rows': rows, 'turns': [
        {'delay': delay, 'blocks': blocks, 'node': name, **asdict(turn)}
        for (delay, blocks, name), those in turns.items() for turn in those
    ]}  # fmt: skip
    return [
        check
        for delay in delays
        for check in _checks(
            delay, [*turns[delay, False, 'bridge'], *turns[delay, True, 'bridge']]
        )
    ]


def _row(name: str, delay: float, blocks: bool, turns: list[Slow]) -> list[Any]:
    return [
        name, f'{delay * 1e3:.0f} ms', 'blocks' if blocks else 'obeys',
        sum(turn.ages.count for turn in turns),
        Summary.of([turn.ages.median for turn in turns]).median,
        max(turn.ages.max for turn in turns), min(turn.effects for turn in turns),
        max(turn.open_calls for turn in turns),
    ]  # fmt: skip


def _checks(delay: float, turns: list[Slow]) -> list[Check]:
    what = f'SetVelocity takes {delay * 1e3:.0f} ms'
    oldest = max(turn.ages.max for turn in turns)
    return [
        Check.most(f'{what}: age when begun', oldest, delay * 1e3 + MARGIN, ' ms'),
        Check.most(f'{what}: open calls', max(turn.open_calls for turn in turns), 1),
        Check.most(f'{what}: without effect', 100 - min(turn.effects for turn in turns), 0, ' %'),
    ]
