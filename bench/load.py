# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What other publishers' load does to a client of the bridge.

Against the real viam-server, over real DDS. Probes of 50 Hz fall silent again and again: how many
of their signs of life were lost, how old their commands get, and how late their bases are stopped,
beside so many publishers on so many bases at so many commands a second together. Each probe drives
a base of its own, but the last, which shares the topic of the first base with all who load that.
The load's processes are `nice`: they are to harm by what they send, not by taking the cores. Runs
without load come before, between and after; what is compared is compared with all of those. In a
minute 230 bases are stopped: the 99th percentile is the third worst of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
import math
import sys
import time
from typing import Any, NamedTuple

from bench.publisher import number_of, SILENT
from bench.stage import Driver, Run, Stage, staged, WINDOW
from bench.summary import Check, percentile, table
from bench.tail import Line, Tail
from support.domains import own_domain
from support.hostile_process import HostileProcess
from support.observer import Observer
from support.usage import Usage

BASES, QUICK_BASES = (1, 10, 50), (10,)
PUBLISHERS, QUICK_PUBLISHERS = (10, 200), (200,)
RATES, QUICK_RATES = (1000.0, 10_000.0), (1000.0,)  # commands a second, of all together
SECONDS, QUICK_SECONDS = 60.0, 15.0  # of each load
FLOOD = 5000.0  # Hz, of one publisher beside them
EVERY = 4  # loads between two runs without
PROMISED = 1000.0  # commands a second up to which nobody else is to notice
P99 = 10.0  # ms by which the 99th percentile of lapse-to-stop may be above the unloaded one
LATE = 50.0  # ms after its window at which a base still moves, at most, whatever the load
PROBES = 5  # each with a base of its own
PROCESSES = 4  # of a load's publishers
_ALL_STOPPED = 3.0  # s after the load's end
_STARTS = 0.4  # s after its last command in which a burst's session may still start
_DIAGNOSTICS = '/diagnostics'


class Key(NamedTuple):
    """So many publishers, their commands a second, and whether one of 5 kHz is beside them."""

    publishers: int = 0
    rate: float = 0.0
    flood: bool = False

    def __str__(self) -> str:
        if not self.rate:
            return 'none'
        return f'{self.publishers} at {self.rate:g}/s{" and 5 kHz" if self.flood else ""}'


@dataclass(frozen=True)
class Outcome:
    """
    What became of what a probe sent from one silence to the next.

    :param sent: signs of life that left, of which `taken` were accepted in `sessions` sessions
    :param late: ms from the last command to the Stop at the base, less the window; negative: too
        early; None: none came, or the probe shares its base
    :param ages: ms from the publish to the base, of the commands that got there
    """

    shares: bool
    sent: int
    taken: int
    sessions: int
    late: float | None
    ages: list[float]

    @classmethod
    def of(
        cls, sent: dict[int, float], client: str, base: str, events: list[Line], record: list[Line]
    ) -> Outcome:
        """Judge; `client` is the probe's GID, `base` its own one, '' where it shares one."""
        first, last = min(sent.values()), max(sent.values())
        ended = [
            event for event in events
            if event['event'] == 'session_ended' and event['client'] == client
            and first <= event['started'] <= last + _STARTS
        ]  # fmt: skip
        own = [line for line in record if line['base'] == base and line['phase'] == 'begin']
        begun = [(number_of(line['linear'][1]), line['t']) for line in own
                 if line['call'] == 'set_velocity']  # fmt: skip
        stops = [line['t'] for line in own if line['call'] == 'stop' and line['t'] > last]
        return cls(
            not base, len(sent), sum(event['commands'] for event in ended), len(ended),
            1e3 * (min(stops) - last - WINDOW) if stops else None,
            [1e3 * (at - sent[number]) for number, at in begun if number in sent],
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """
    What became of the probes, the bridge and the loaded bases in one time of load.

    :param sent: commands a second that the load's publishers really sent
    :param bridge: % of a core
    :param counts: how far the counters in `/diagnostics` went
    :param overrun: ms for which a loaded base moved after the load's last command, less the
        window; infinite where one was not stopped. The first base is not looked at.
    """

    sent: float
    bridge: float
    outcomes: list[Outcome]
    counts: dict[str, int]
    overrun: float

    @property
    def alone(self) -> list[Outcome]:
        """Of the probes with a base of their own."""
        return [one for one in self.outcomes if not one.shares]

    @property
    def lates(self) -> list[float]:
        """How late bases were stopped, ms."""
        return [one.late for one in self.alone if one.late is not None]

    @property
    def split(self) -> int:
        """How many sessions lapsed while their probe drove."""
        return sum(max(one.sessions - 1, 0) for one in self.outcomes)

    @property
    def lost(self) -> int:
        """How many signs of life were neither taken nor replaced by the sender's next."""
        gone = sum(one.sent - one.taken for one in self.outcomes)
        return max(gone - self.counts.get('replaced_messages', 0), 0)


class LoadedBridge:
    """One bridge with so many bases to load, and its probes, which run from now on."""

    def __init__(self, stage: Stage, domain: int, bases: Sequence[str], probed: Sequence[str],
                 observer: Observer) -> None:  # fmt: skip
        """Start the bridge."""
        self._directory, self._domain = stage.bench.path, domain
        self._bases, self._probed = list(bases), [*probed, '']
        self._bridge, log = stage.bench.start_bridge(
            dict.fromkeys([*probed, *bases], stage.server.address), WINDOW
        )
        self._record, self._events = Tail(stage.server.record.path), Tail(log)
        self._observer = observer
        observer.listen(_DIAGNOSTICS)
        topics = [_topic(base or bases[0]) for base in self._probed]
        self._probes = Driver(stage.bench, 'probe', *topics, publishers=len(topics))
        self._gids = self._probes.ready()
        self._probes.probe()
        self._loads = 0
        time.sleep(2.0)

    def measure(self, key: Key, seconds: float) -> Measured:
        """Load the bridge for so many seconds and return what became of it."""
        self._loads += 1
        with ExitStack() as stack:
            loads = self._load(key)
            for process in loads:
                process.start(ready=False)
                stack.enter_context(process)
            for process in loads:
                process.wait_ready()
            self._events.new()
            self._record.new()
            counts, sent = self._counts(), sum(process.count for process in loads)
            before, events = Usage.of(self._bridge.pid), []
            while (now := time.monotonic()) < before.at + seconds:
                time.sleep(1.0)  # the event log is rotated
                events += self._events.new()
            after = Usage.of(self._bridge.pid)
            sent = sum(process.count for process in loads) - sent
            early = [process.name for process in loads if not process.running]
            assert not early, f'{early} ended: see their logs'
            for process in loads:
                process.kill()
            ended = max([process.last_sent for process in loads], default=now)
        time.sleep(max(ended + _ALL_STOPPED - time.monotonic(), 0.0))
        events += self._events.new()
        record = self._record.new()
        return Measured(
            sent / (now - before.at), 100.0 * after.cpu_share(before),
            self._outcomes(events, record, before.at, now), dict(self._counts() - counts),
            # A probe drives the first one on.
            max((_overrun(record, base, ended) for base in self._bases[1:]), default=-math.inf),
        )  # fmt: skip

    def _load(self, key: Key) -> list[HostileProcess]:
        processes, loads = min(key.publishers, PROCESSES), []
        for number in range(processes):
            count = len(range(number, key.publishers, processes))
            # Each begins with another base, so that few publishers do not share one.
            at = number % len(self._bases)
            topics = ','.join(map(_topic, self._bases[at:] + self._bases[:at]))
            rate = key.rate * count / key.publishers
            loads.append(self._hostile('many', f'load{number}', topics, count, rate))
        if key.flood:
            loads.append(self._hostile('flood', 'flood', _topic(self._bases[0]), FLOOD, '0.1'))
        return loads

    def _hostile(self, what: str, name: str, *arguments: object) -> HostileProcess:
        node = f'{name}_{self._loads}'
        return HostileProcess(self._directory, self._domain, what, node, *arguments)

    def _counts(self) -> Counter[str]:
        return Counter({
            value.key: int(value.value)
            for array in self._observer.messages(_DIAGNOSTICS)[-1:]
            for value in array.status[0].values
            if value.key != 'sessions' and value.value.isdecimal()
        })

    def _outcomes(
        self, events: list[Line], record: list[Line], since: float, until: float
    ) -> list[Outcome]:
        """Judge what lies in that time wholly, with the silences around it."""
        bursts: list[list[dict[int, float]]] = [[] for _ in self._gids]
        last = [-math.inf for _ in self._gids]
        for probe, number, at in self._probes.sent():
            if at - last[probe] > SILENT / 2:
                bursts[probe].append({})
            bursts[probe][-1][number] = last[probe] = at
        return [
            Outcome.of(sent, self._gids[probe], self._probed[probe], events, record)
            for probe, those in enumerate(bursts) for sent in those
            if min(sent.values()) >= since and max(sent.values()) + SILENT <= until
        ]  # fmt: skip


def measure(run: Run) -> list[Check]:
    """Run all loads."""
    checks: list[Check] = []
    probed = [f'probe{number}' for number in range(PROBES)]
    for count in QUICK_BASES if run.quick else BASES:
        bases = [f'base{number}' for number in range(count)]
        runs: list[tuple[Key, Measured]] = []
        with (
            own_domain() as domain,
            staged(replace(run, domain=domain), [*probed, *bases]) as stage,
            Observer(domain) as observer,
        ):
            bridge = LoadedBridge(stage, domain, bases, probed, observer)
            for key in _keys(run.quick):
                runs.append((key, bridge.measure(key, QUICK_SECONDS if run.quick else SECONDS)))
                print(f'{count} bases: {key}: done', file=sys.stderr, flush=True)
        unloaded = [late for key, one in runs if not key.rate for late in one.lates]
        header = [f'{count} bases', 'sent/s', 'stops', 'late p50', 'p99', 'more', 'not taken %',
                  'shared', 'split', 'ms p50', 'p99', 'bridge %', 'overrun']  # fmt: skip
        print('\n' + table(header, [_row(*one, unloaded) for one in runs]))
        for key, one in runs:
            checks += _checks(f'{count} bases, {key}', key, one, unloaded)
        run.results[f'{count} bases'] = [{'load': key, **asdict(one)} for key, one in runs]
    return checks


def _keys(quick: bool) -> list[Key]:
    keys = [
        Key(publishers, rate, flood)
        for rate in (QUICK_RATES if quick else RATES)
        for publishers in (QUICK_PUBLISHERS if quick else PUBLISHERS)
        for flood in (False, True)
    ]
    for at in range(0, len(keys) + EVERY, EVERY + 1):
        keys.insert(at, Key())
    return [*keys, Key()]


def _row(key: Key, one: Measured, unloaded: list[float]) -> list[Any]:
    ages = [age for outcome in one.alone for age in outcome.ages]
    p99 = percentile(one.lates, 99)
    shared = [outcome for outcome in one.outcomes if outcome.shares]
    return [
        str(key), round(one.sent), len(one.lates), percentile(one.lates, 50), p99,
        p99 - percentile(unloaded, 99), _not_taken(one.alone), _not_taken(shared), one.split,
        percentile(ages, 50), percentile(ages, 99), one.bridge, one.overrun,
    ]  # fmt: skip


def _not_taken(outcomes: Sequence[Outcome]) -> float:
    """Return how many % of the signs of life were lost, or replaced by the sender's next."""
    sent = sum(one.sent for one in outcomes)
    return 100.0 * (1.0 - sum(one.taken for one in outcomes) / sent) if sent else math.nan


def _checks(name: str, key: Key, one: Measured, unloaded: list[float]) -> list[Check]:
    still = sum(outcome.late is None for outcome in one.alone)
    checks = [
        Check.most(f'{name}: silences without a stop', still, 0),
        Check.most(f'{name}: a base moves on', max([one.overrun, *one.lates]), LATE, ' ms'),
    ]
    if 0.0 < key.rate <= PROMISED:
        more = percentile(one.lates, 99) - percentile(unloaded, 99)
        checks += [
            Check.most(f'{name}: signs of life lost', one.lost, 0),
            Check.most(f'{name}: lapses of who drives', one.split, 0),
            Check.most(f'{name}: lapse to stop, p99 above that without', more, P99, ' ms'),
        ]
    elif one.lost:
        counted = {what for what in one.counts if what.startswith(('lost_', 'discarded_'))}
        text = f'{one.lost} lost; {counted}'
        checks.append(Check(f'{name}: what was lost is counted', bool(counted), text))
    return checks


def _overrun(record: Sequence[Line], base: str, ended: float) -> float:
    """Return for how many ms it moved too long: to the first stop after its last motion."""
    moving, stopped_at = False, -math.inf
    for line in record:
        if line['base'] == base and line['phase'] == 'end' and 'error' not in line:
            if line['call'] == 'stop' and moving:
                moving, stopped_at = False, line['t']
            elif line['call'] == 'set_velocity':
                moving = True
    return math.inf if moving else 1e3 * (stopped_at - ended - WINDOW)


def _topic(base: str) -> str:
    return f'/{base}/cmd_vel'
