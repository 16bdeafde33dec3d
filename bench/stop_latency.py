# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How soon a base is stopped when its session is due.

A publisher of 50 Hz falls silent, or is killed; from the session's deadline (its last sign of life
and the window, as the event log has them) to the begin of Stop at the base of a real viam-server,
and from the last publish too, less the window. In turns: silent on an idle machine, silent with a
busy loop for each core, and killed by SIGKILL in a random phase.

Beside it viam-server's own lapse: a client with a session of its own falls silent, and nobody but
viam-server stops its base. And the floor: a bare client on an open channel, which knows its
deadline and does nothing but sleep until then and call Stop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
import os
import random
import subprocess
import sys
import time
from typing import Any

from bench.stage import (
    arrivals,
    Driver,
    is_begin,
    rotated,
    Run,
    Stage,
    staged,
    Subject,
    WINDOW,
)  # fmt: skip
from bench.summary import Check, Summary, table
from bench.tail import Tail
from support.raw_client import RawClient
from support.viam_server import ViamServer

KINDS = ('idle', 'busy', 'killed')
COUNT, QUICK_COUNT = 60, 6  # of each kind; of killed ones a third
RATE = 50.0  # Hz
COMMANDS = 12, 24  # that are sent before the silence, at least and at most
P99 = {'idle': 4.0, 'busy': 12.0}  # ms from the deadline to the Stop, at most
MEDIAN, MEDIAN_RATIO = 1.0, 1.2  # ms, and times the floor's, at most; idle
KILLED_P99, KILLED_WORST, SOONEST = 10.0, 50.0, -5.0  # ms from the last publish, less the window
OTHERS_EVERY = 2  # silences of the bridge's clients for one of the floor's and the machine's
FLOOR = 'bare client, the floor: deadline -> Stop at base'
OWN = "viam-server's own: last command at base -> Stop, less the window"
WAIT = 0.4  # s that a stop may be late; before the machine's own one
_SETTLE = 0.2  # s after the busy loops began


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with a process of usual priority."""
    loops = [
        subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        time.sleep(_SETTLE)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@dataclass(frozen=True)
class Stopped:
    """
    How late a base was stopped, in ms.

    :param published: from the last command's publish, less the window
    :param deadline: from the session's deadline, None where no session's end was the cause
    :param decided: how much of that had passed when the lapse was decided
    """

    published: float
    deadline: float | None = None
    decided: float | None = None


class Target:
    """A base that a bridge drives, and what became of it, by kind; None: it was not stopped."""

    def __init__(self, stage: Stage, subject: Subject) -> None:
        """Take a bridge with its publisher."""
        self.name = subject.name
        self.ends: dict[str, list[Stopped | None]] = defaultdict(list)
        self._bench, self._driver, self._record = stage.bench, subject.driver, subject.record
        self._events = Tail(stage.event_log(self.name))

    def silence(self, kind: str) -> None:
        """Have a publisher drive and end, and see what becomes of the base."""
        driver, killed = self._driver, kind == 'killed'
        if killed:
            name = f'{self.name}_killed_{len(self.ends[kind])}'
            driver = Driver(self._bench, name, f'/{self.name}/cmd_vel')
            driver.ready()
        self._record.new()
        self._events.new()
        first, count = driver.next, random.randint(*COMMANDS)
        driver.drive(RATE, 0 if killed else count)
        if killed:
            time.sleep((count + random.random()) / RATE)
            driver.kill()
            self._bench.tidy()
        self.ends[kind].append(self._watch(driver.sent_at(first)))

    def _watch(self, sent: dict[int, float]) -> Stopped | None:
        time.sleep(WINDOW + 0.05)  # nothing is to run beside the bridge now
        after = max(sent.values())
        lines = self._record.until(
            lambda line: is_begin(line, self.name, 'stop') and line['t'] > after, WAIT
        )
        # The last command may have got lost, or begin after the stop was decided: it is sent anew.
        begun = [one for one in arrivals(lines, self.name) if one.number in sent]
        stops = [line['t'] for line in lines if is_begin(line, self.name, 'stop')
                 and begun and line['t'] > begun[-1].at]  # fmt: skip
        if not stops:
            return None
        events = self._events.until(lambda event: self._decides(event, begun[0].at, stops[0]), 5.0)
        decided = [event for event in events if self._decides(event, begun[0].at, stops[0])]
        published = (stops[0] - sent[begun[-1].number] - WINDOW) * 1e3
        if not decided or (sign := decided[-1]['sign']) is None:
            return Stopped(published)
        deadline = sign + WINDOW
        return Stopped(
            published, (stops[0] - deadline) * 1e3, (decided[-1]['at'] - deadline) * 1e3
        )

    def _decides(self, event: dict[str, Any], after: float, before: float) -> bool:
        is_stop = event['event'] == 'stop' and event['base'] == self.name
        return bool(is_stop and after < event['at'] < before)


def bare_client(server: ViamServer, record: Tail) -> float:
    """Drive, sleep until the deadline and stop; return how late the Stop began at the base, ms."""
    record.new()
    with RawClient(server.address) as client:
        for _ in range(COMMANDS[0]):
            began = time.monotonic()
            client.drive('floor', '')
            time.sleep(max(began + 1.0 / RATE - time.monotonic(), 0.0))
        deadline = time.monotonic() + WINDOW
        time.sleep(WINDOW)
        client.stop('floor')
    return (_times(record, 'floor')[1] - deadline) * 1e3


def machines_own(server: ViamServer, record: Tail) -> float:
    """Drive with a session and fall silent; return how late the machine stopped the base, ms."""
    record.new()
    with RawClient(server.address) as client:
        sid = client.start_session()
        for _ in range(3):
            client.drive('own', sid)
            time.sleep(1.0 / RATE)
        # The session lives by calls alone; the channel stays open, as a hung client's does.
        last, stop = _times(record, 'own')
    return (stop - last - WINDOW) * 1e3


def _times(record: Tail, base: str) -> tuple[float, float]:
    """Return when the last command and the first Stop began at a base."""
    lines = record.until(lambda line: is_begin(line, base, 'stop'), 5.0)
    last, stop = (
        [line['t'] for line in lines if is_begin(line, base, call)]
        for call in ('set_velocity', 'stop')
    )
    return last[-1], stop[0]


def measure(run: Run) -> list[Check]:
    """Let publishers fall silent, in turns."""
    names = run.names('bridge')
    peers: dict[str, dict[str, list[float]]] = {FLOOR: {}, OWN: {}}
    with (
        staged(run, [*names, 'floor']) as stage,
        ViamServer(stage.bench.path, ['own'], WINDOW, name='own_server') as own_server,
    ):
        record, own_record = Tail(stage.server.record.path), Tail(own_server.record.path)
        targets = [Target(stage, one) for one in stage.subjects(names)]
        for turn in run.rounds(COUNT, QUICK_COUNT):
            for kind in rotated(KINDS, turn):
                if kind == 'killed' and turn % 3:
                    continue
                with busy_cores() if kind == 'busy' else nullcontext():
                    for target in rotated(targets, turn):
                        target.silence(kind)
                    if turn % OTHERS_EVERY == 0 and kind != 'killed':
                        late = bare_client(stage.server, record)
                        peers[FLOOR].setdefault(kind, []).append(late)
                        late = machines_own(own_server, own_record)
                        peers[OWN].setdefault(kind, []).append(late)
    rows = [row for target in targets for row in _rows(target)]
    rows += [[kind, what, *asdict(Summary.of(late)).values()]
             for what, lates in peers.items() for kind, late in lates.items()]  # fmt: skip
    print(table(['publisher', 'ms', 'n', 'min', 'median', 'p99', 'max'], rows))
    run.results |= {'peers': peers, 'rows': rows}
    for target in targets:
        run.results[target.name] = {
            kind: [end and asdict(end) for end in ends] for kind, ends in target.ends.items()
        }
    return _checks(targets[0], peers[FLOOR])


def _rows(target: Target) -> list[list[Any]]:
    return [
        [kind, f'{target.name}: {what}', *asdict(Summary.of([
            value for end in target.ends[kind] if end and (value := getattr(end, name)) is not None
        ])).values()]
        for kind in KINDS
        for name, what in (
            ('published', 'last publish -> Stop at base, less the window'),
            ('decided', '  deadline -> lapse decided'),
            ('deadline', '  deadline -> Stop at base'),
        )
    ]  # fmt: skip


def _checks(target: Target, floor: dict[str, list[float]]) -> list[Check]:
    checks = []
    for kind in KINDS:
        ends = target.ends[kind]
        checks.append(Check.most(f'{kind}: silences without a stop', ends.count(None), 0))
        late = Summary.of([end.deadline for end in ends if end and end.deadline is not None])
        if kind in P99:
            checks.append(Check.most(f'{kind}: deadline to Stop, p99', late.p99, P99[kind], ' ms'))
        if kind == 'idle':
            ratio = late.median / Summary.of(floor[kind]).median
            what = 'idle: deadline to Stop, median'
            checks.append(Check.most(what, late.median, MEDIAN, ' ms'))
            checks.append(Check.most(what, ratio, MEDIAN_RATIO, ' x the floor'))
    seen = Summary.of([end.published for end in target.ends['killed'] if end])
    what = 'killed: last publish to Stop, less the window'
    return [
        *checks,
        Check.most(f'{what}, p99', seen.p99, KILLED_P99, ' ms'),
        Check.most(f'{what}, worst', seen.max, KILLED_WORST, ' ms'),
        Check.most('killed: before the window was over', -seen.min, -SOONEST, ' ms'),
    ]
