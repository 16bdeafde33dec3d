# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs the fault campaign: `make chaos ARGS='--seed 7 --seeds 20 --faults 50'`.

Ends with status 1 if anything went against a rule; a seed makes the same faults again. What the
processes wrote is kept then. Needs root, for the two hosts and a small disk.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import ctypes
from importlib.metadata import distribution
from pathlib import Path
import random
import shutil
import sys
import tempfile
import time

from campaigns.chaos.campaign import Outcome, run
from campaigns.chaos.faults import set_clock
from campaigns.chaos.report import table
from campaigns.chaos.schedule import KINDS
from campaigns.chaos.world import bounds_of
from support.link import refusal

DISK = 4_000_000  # bytes, of the bridge's event log
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x20000, 0x4000, 0x40000, 0x2
_libc = ctypes.CDLL(None, use_errno=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and return the exit status."""
    options = _options(argv)
    if reason := refusal():
        print(f'no fault campaign here, there can be no two hosts: {reason}', file=sys.stderr)
        return 2
    _libc.unshare(_CLONE_NEWNS)
    _libc.mount(None, b'/', None, _MS_REC | _MS_PRIVATE, None)
    bounds = bounds_of(options.base_takes)
    began, outcomes = time.monotonic(), list[Outcome]()
    for seed in range(options.seed, options.seed + options.seeds):
        directory = Path(tempfile.mkdtemp(prefix=f'chaos-{seed}-'))
        with _small_disk(directory / 'disk'):
            outcome = run(
                directory, seed, options.faults, options.only, bounds, _fake_clock(directory)
            )
            (directory / 'events.jsonl').write_bytes(outcome.events)
        outcomes.append(outcome)
        print(outcome, flush=True)
        for violation in outcome.violations:
            print(f'  VIOLATION {violation}')
        if outcome.violations:
            again = f'--seed {seed} --faults {options.faults} --base-takes {bounds.takes:g}'
            print(f"  again: make chaos ARGS='{again}'")
            print(f'  all that was written: {directory}', flush=True)
        else:
            shutil.rmtree(directory)
        if time.monotonic() - began > 60.0 * options.minutes:
            break
    print(f'\n{table(outcomes, bounds)}')
    return 1 if any(outcome.violations for outcome in outcomes) else 0


@contextmanager
def _small_disk(path: Path) -> Iterator[None]:
    path.mkdir()
    if _libc.mount(b'tmpfs', bytes(path), b'tmpfs', 0, f'size={DISK}'.encode()):
        raise OSError(ctypes.get_errno(), f'mount {path}')
    try:
        yield
    finally:
        _libc.umount2(bytes(path), _MNT_DETACH)


def _fake_clock(directory: Path) -> dict[str, str]:
    """Return the environment of a process whose wall clock a file sets."""
    # Not imported: it has a library of C in it, and wants others for what else it does.
    library = distribution('libfaketime').locate_file(
        'libfaketime/vendor/libfaketime/src/libfaketime.so.1'
    )
    environment = {
        'LD_PRELOAD': str(library),
        'FAKETIME_TIMESTAMP_FILE': str(directory / 'wall_clock'),
        # Read once a second: threads that read at the same time trip over each other in there.
        'FAKETIME_CACHE_DURATION': '1',
        'FAKETIME_DONT_FAKE_MONOTONIC': '1',
        'FAKETIME_FORCE_MONOTONIC_FIX': '0',
    }
    set_clock(environment, 0.0)
    return environment


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='chaos', description='The fault campaign.')
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument('--seeds', type=int, default=1, help='how many, one after the other')
    parser.add_argument('--faults', type=int, default=50, help='of each seed (default: 50)')
    parser.add_argument(
        '--base-takes', type=float, default=0.0, metavar='S',
        help='how long SetVelocity and Stop take at a base, each (default: 0)',
    )  # fmt: skip
    parser.add_argument('--minutes', type=float, default=60.0, help='no new seed after so many')
    parser.add_argument(
        '--only', nargs='+', choices=KINDS, default=[*KINDS], metavar='KIND',
        help=f'these kinds of faults only: {", ".join(KINDS)}',
    )  # fmt: skip
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
