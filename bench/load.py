# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What other publishers' load does to a client of the bridge: `python -m bench.load`.

Against the real viam-server, over real DDS. Probes of 50 Hz fall silent again and again: how many
of their signs of life were lost, how old their commands get, and how late their bases are stopped,
beside so many publishers on so many bases at so many commands a second together. The load's
processes are `nice`: they are to harm by what they send, not by taking the cores. Runs without
load come before, between and after; ratios are to all of those together. In a minute 230 bases
are stopped: the 99th percentile is the third worst of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
import math
from pathlib import Path
import sys
import tempfile
from typing import Any

from bench.bursts import Outcome
from bench.load_stage import LoadStage, Measured
from bench.summary import Check, conditions, finish, percentile, table

PUBLISHERS = (1, 10, 50, 200)
BASES = (1, 10, 50)
RATES = (100.0, 1000.0, 10_000.0)  # commands a second, of all publishers together
PROMISED = 1000.0  # commands a second up to which nobody else is to notice
P99 = 10.0  # ms by which the 99th percentile of lapse-to-stop may be above the unloaded one
LATE = 50.0  # ms after its window at which a base still moves, at most, whatever the load
EVERY = 6  # loads between two runs without

HEADER = [
    'load', 'sent/s', 'flood/s', 'stops', 'late p50', 'p99', 'more', 'heard', 'decided',
    'not taken %', 'shared', 'split', 'ms p50', 'p99', 'ratio', 'bridge %', 'server %',
    'overrun', 'stall', 'load',
]  # fmt: skip


def main() -> int:
    """Run all loads; exit status 1 where something did not hold."""
    options = _options()
    results = conditions()
    checks: list[Check] = []
    for bases in options.bases:
        with tempfile.TemporaryDirectory(prefix='load-') as scratch, ExitStack() as stack:
            runs = _run(LoadStage(Path(scratch), stack, bases), bases, options)
        unloaded = [run for (_, rate, _), run in runs if not rate]
        rows = [_row(key, run, unloaded) for key, run in runs]
        print(f'\n{bases} bases\n{table(HEADER, rows)}', flush=True)
        for key, run in runs:
            if run.told:
                print(f'  {_name(key)}: /diagnostics: {run.told}', flush=True)
        checks += [check for key, run in runs for check in _checks(bases, key, run, unloaded)]
        results[f'{bases} bases'] = [{'load': key, **asdict(run)} for key, run in runs]
    return finish(checks, results, options.json)


Key = tuple[int, float, bool]
"""Publishers, their commands a second, and whether one of 5 kHz is beside them."""


def _run(stage: LoadStage, bases: int, options: argparse.Namespace) -> list[tuple[Key, Measured]]:
    loads: list[Key] = [
        (publishers, rate, flood)
        for rate in options.rates
        for publishers in options.publishers
        for flood in ((False, True) if options.flood is None else (options.flood,))
    ]
    for at in range(0, len(loads) + EVERY + 1, EVERY + 1):
        loads.insert(at, (0, 0.0, False))
    loads += [] if not loads[-1][1] else [(0, 0.0, False)]
    runs = []
    for key in loads:
        runs.append((key, stage.measure(*key, options.seconds)))
        print(f'{bases} bases: {_name(key)}: done', file=sys.stderr, flush=True)
    return runs


def _lates(runs: Sequence[Measured]) -> list[float]:
    return [one.late for run in runs for one in run.alone if one.late is not None]


def _heard(run: Measured) -> list[float]:
    return [one.heard for one in run.alone if one.heard is not None]


def _decided(run: Measured) -> list[float]:
    return [one.decided for one in (*run.alone, *run.shared) if one.decided is not None]


def _latencies(runs: Sequence[Measured]) -> list[float]:
    return [latency for run in runs for one in run.alone for latency in one.latencies]


def _not_taken(outcomes: Sequence[Outcome]) -> float:
    """Return how many % of the signs of life were lost, or replaced by the sender's next."""
    sent = sum(one.sent for one in outcomes)
    return 100.0 * (1.0 - sum(one.taken for one in outcomes) / sent) if sent else math.nan


def _row(key: Key, run: Measured, unloaded: Sequence[Measured]) -> list[Any]:
    lates, latencies = _lates([run]), _latencies([run])
    p99 = percentile(lates, 99)
    return [
        _name(key), round(run.sent), round(run.flood), len(lates), percentile(lates, 50), p99,
        p99 - percentile(_lates(unloaded), 99), percentile(_heard(run), 99),
        percentile(_decided(run), 99), _not_taken(run.alone), _not_taken(run.shared), _split(run),
        percentile(latencies, 50), percentile(latencies, 99),
        percentile(latencies, 50) / percentile(_latencies(unloaded), 50), run.bridge, run.server,
        run.overrun, run.stall, run.load_average,
    ]  # fmt: skip


def _split(run: Measured) -> int:
    """Return how many sessions lapsed while their probe drove."""
    return sum(max(one.sessions - 1, 0) for one in (*run.alone, *run.shared))


def _checks(
    bases: int, key: Key, run: Measured, unloaded: Sequence[Measured]
) -> list[Check]:
    name = f'{bases} bases, {_name(key)}'
    lates = _lates([run])
    still = sum(one.late is None for one in run.alone)
    checks = [
        Check(f'{name}: every silence is followed by a stop', not still, f'{still} are not'),
        Check(f'{name}: no base moves on', max([run.overrun, *lates]) <= LATE,
              f'{max([run.overrun, *lates]):.1f} ms'),
    ]  # fmt: skip
    lost, split = _gone(run), _split(run)
    if 0.0 < key[1] <= PROMISED:
        more = percentile(lates, 99) - percentile(_lates(unloaded), 99)
        checks += [
            Check(f'{name}: no sign of life lost', not lost, f'{lost} lost'),
            Check(f'{name}: nobody who drives lapses', not split, f'{split} did'),
            Check(f'{name}: p99 of lapse to stop', more <= P99, f'{more:+.1f} ms'),
        ]
    elif lost:
        told = any(counter.startswith(('lost_', 'discarded_')) for counter in run.told)
        checks.append(Check(f'{name}: what was lost is told', told, f'{lost} lost; {run.told}'))
    return checks


def _gone(run: Measured) -> int:
    """Return how many signs of life were neither taken nor replaced by the sender's next."""
    gone = sum(one.sent - one.taken for one in (*run.alone, *run.shared))
    told = [line for line in run.told if line.startswith('messages are lost')]
    return max(gone - run.told.get('replaced_messages', 0), sum('/probe' in line for line in told))


def _name(key: Key) -> str:
    publishers, rate, flood = key
    if not rate:
        return 'none'
    return f'{publishers} at {rate:g}/s{" and 5 kHz" if flood else ""}'


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What others' load does to a client.")
    parser.add_argument('--publishers', type=int, nargs='+', default=PUBLISHERS, metavar='N')
    parser.add_argument('--bases', type=int, nargs='+', default=BASES, metavar='N')
    parser.add_argument('--rates', type=float, nargs='+', default=RATES, metavar='PER_S')
    parser.add_argument('--flood', action=argparse.BooleanOptionalAction,
                        help='only with, or only without, one of 5 kHz (default: both)')
    parser.add_argument('--seconds', type=float, default=60.0, help='of each load (default: 60)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
