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
from dataclasses import asdict, dataclass, field
import os
import random
import subprocess
import sys
import time
from typing import Any

from bench.stage import arrivals, Driver, is_begin, rotated, Run, Stage, staged, WINDOW
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


@dataclass
class Target:
    """A base that a bridge drives, and what became of it, by kind; None: it was not stopped."""

    stage: Stage
    name: str
    driver: Driver
    record: Tail
    events: Tail
    ends: dict[str, list[Stopped | None]] = field(default_factory=lambda: defaultdict(list))

    def silence(self, kind: str) -> None:
        """Have a publisher drive and end, and see what becomes of the base."""
        driver, first = self.driver, self.driver.next
        if kind == 'killed':
            number = len(self.ends[kind])
            driver, first = Driver(self.stage.bench, f'{self.name}_killed_{number}', self.topic), 1
            driver.ready()
        self.record.new()
        self.events.new()
        count = random.randint(*COMMANDS)
        if kind == 'killed':
            driver.drive(RATE, 0)
            time.sleep((count + random.random()) / RATE)
            driver.kill()
            self.stage.bench.tidy()
        else:
            driver.drive(RATE, count)
        self.ends[kind].append(self._watch(driver.sent_at(first)))

    @property
    def topic(self) -> str:
        """The topic of the base."""
        return f'/{self.name}/cmd_vel'

    def _watch(self, sent: dict[int, float]) -> Stopped | None:
        time.sleep(WINDOW + 0.05)  # nothing is to run beside the bridge now
        after = max(sent.values())
        lines = self.record.until(
            lambda line: is_begin(line, self.name, 'stop') and line['t'] > after, WAIT
        )
        # The last command may have got lost, or begin after the stop was decided: it is sent anew.
        begun = [one for one in arrivals(lines, self.name) if one.number in sent]
        stops = [line['t'] for line in lines if is_begin(line, self.name, 'stop')
                 and begun and line['t'] > begun[-1].at]  # fmt: skip
        if not stops:
            return None
        events = self.events.until(lambda event: self._decides(event, begun[0].at, stops[0]), 5.0)
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


class Floor:
    """A base that a bare client drives and stops, and how late it was stopped, in ms."""

    def __init__(self, client: RawClient, record: Tail) -> None:
        """Take an open client."""
        self._client, self._record = client, record
        self.late: dict[str, list[float]] = defaultdict(list)

    def silence(self, kind: str) -> None:
        """Drive, sleep until the deadline, stop, and see when the base is stopped."""
        self._record.new()
        for _ in range(COMMANDS[0]):
            began = time.monotonic()
            self._client.drive('floor', '')
            time.sleep(max(began + 1.0 / RATE - time.monotonic(), 0.0))
        deadline = time.monotonic() + WINDOW
        time.sleep(WINDOW)
        self._client.stop('floor')
        lines = self._record.until(lambda line: is_begin(line, 'floor', 'stop'), 5.0)
        stop = next(line['t'] for line in lines if is_begin(line, 'floor', 'stop'))
        self.late[kind].append((stop - deadline) * 1e3)


class Own:
    """A machine that nobody but itself stops the bases of, and how late that was, in ms."""

    def __init__(self, server: ViamServer) -> None:
        """Take a machine with the bridge's window."""
        self._server, self._record = server, Tail(server.record.path)
        self.late: dict[str, list[float]] = defaultdict(list)

    def silence(self, kind: str) -> None:
        """Drive with a session, fall silent, and see when the base is stopped."""
        self._record.new()
        with RawClient(self._server.address) as client:
            sid = client.start_session()
            for _ in range(3):
                client.drive('own', sid)
                time.sleep(1.0 / RATE)
            # The session lives by calls alone; the channel stays open, as a hung client's does.
            lines = self._record.until(lambda line: is_begin(line, 'own', 'stop'), 5.0)
        last = max(line['t'] for line in lines if is_begin(line, 'own', 'set_velocity'))
        stop = next(line['t'] for line in lines if is_begin(line, 'own', 'stop'))
        self.late[kind].append((stop - last - WINDOW) * 1e3)


def measure(run: Run) -> list[Check]:
    """Let publishers fall silent, in turns."""
    names = run.names('bridge')
    with (
        staged(run, [*names, 'floor']) as stage,
        ViamServer(stage.bench.path, ['own'], WINDOW, name='own_server') as own_server,
        RawClient(stage.server.address) as client,
    ):
        record = stage.server.record.path
        targets = [
            Target(stage, one.name, one.driver, Tail(record), Tail(stage.event_log(one.name)))
            for one in stage.subjects(names)
        ]
        floor, own = Floor(client, Tail(record)), Own(own_server)
        for turn in run.rounds(COUNT, QUICK_COUNT):
            for kind in rotated(KINDS, turn):
                if kind == 'killed' and turn % 3:
                    continue
                with busy_cores() if kind == 'busy' else nullcontext():
                    for target in rotated(targets, turn):
                        target.silence(kind)
                    if turn % OTHERS_EVERY == 0 and kind != 'killed':
                        floor.silence(kind)
                        own.silence(kind)
    rows = [row for target in targets for row in _rows(target)]
    rows += [
        [kind, what, *asdict(Summary.of(late)).values()]
        for what, one in (
            ('bare client, the floor: deadline -> Stop at base', floor),
            ("viam-server's own: last command at base -> Stop, less the window", own),
        )
        for kind, late in one.late.items()
    ]
    print(table(['publisher', 'ms', 'n', 'min', 'median', 'p99', 'max'], rows))
    run.results |= {'floor': floor.late, 'own': own.late, 'rows': rows}
    for target in targets:
        run.results[target.name] = {
            kind: [end and asdict(end) for end in ends] for kind, ends in target.ends.items()
        }
    return _checks(targets[0], floor)


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


def _checks(target: Target, floor: Floor) -> list[Check]:
    checks = []
    for kind in KINDS:
        stopped = [end for end in target.ends[kind] if end is not None]
        checks.append(
            Check(f'{kind}: every silence is followed by a stop',
                  len(stopped) == len(target.ends[kind]),
                  f'{len(stopped)} of {len(target.ends[kind])}')
        )  # fmt: skip
        late = Summary.of([end.deadline for end in stopped if end.deadline is not None])
        if kind in P99:
            checks.append(Check(f'{kind}: deadline to Stop, p99 at most {P99[kind]:g} ms',
                                late.p99 <= P99[kind], f'{late.p99:.2f} ms'))  # fmt: skip
        if kind == 'idle':
            ratio = late.median / Summary.of(floor.late[kind]).median
            checks += [
                Check(f'idle: deadline to Stop, median at most {MEDIAN:g} ms',
                      late.median <= MEDIAN, f'{late.median:.2f} ms'),
                Check(f'idle: deadline to Stop, median at most {MEDIAN_RATIO:g} x the floor',
                      ratio <= MEDIAN_RATIO, f'{ratio:.2f}'),
            ]  # fmt: skip
    seen = Summary.of([end.published for end in target.ends['killed'] if end is not None])
    return [
        *checks,
        Check(f'killed: p99 is at most the window + {KILLED_P99:g} ms', seen.p99 <= KILLED_P99,
              f'{seen.p99:+.2f} ms'),
        Check(f'killed: the worst is at most the window + {KILLED_WORST:g} ms',
              seen.max <= KILLED_WORST, f'{seen.max:+.2f} ms'),
        Check(f'killed: none is before the window - {-SOONEST:g} ms', seen.min >= SOONEST,
              f'{seen.min:+.2f} ms'),
    ]  # fmt: skip
