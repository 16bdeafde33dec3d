# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The bounds that the end-to-end tests hold the bridge to, in one place.

They are meant for an idle computer. On a busy one a thread that is due waits for a core, which is
no fault of the bridge's: a :class:`Load` measures that and widens a bound by what was measured
while the bound ran, and by nothing else.

- What the kernel counts as run delay (`/proc/PID/task/TID/schedstat`: ready to run, but without a
  core) of every thread of the processes under test, from the sample before the event to the
  sample after it. It sums delays that overlap, so it is an upper bound.
- What a sibling thread overslept at worst in that time.
- The time that a hypervisor gave the cores to somebody else (steal, of all cores).
- The time in which some process waited for the disk (`/proc/pressure/io`): code that is used for
  the first time is read from there, and a record is written there.

A test that needed the widening is named after the run, with what it was beyond its bound. With
``BOUNDS=idle`` in the environment no bound is widened: on an idle computer all have to hold so.

Some stalls of a shared computer show in none of these. So the makefile has a test that failed run
a second time, and the run names it: any that missed a bound (:class:`BoundMissedError`), but only
two of a run that failed otherwise. A fault shows again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
import contextlib
from itertools import pairwise
import os
import threading
import time

EARLY = 0.005
"""s before the window's end at which a stop is allowed: clocks are read at two ends."""

LATE = 0.050
"""s after a deadline, at most, until the base got its stop."""

AT_ONCE = 0.050
"""s from what makes a stop due at once to the base having got it."""

LEFT = 0.200
"""s until a publisher that said goodbye is noticed and its base has got the stop."""

EXIT = 1.0
"""s from the wish to end to the end of the process, on top of what it may wait for."""

RECOVERY = 3.0
"""s until a streaming publisher drives again after a machine came back."""

PATIENCE = 20.0
"""s to wait for what is certain to come and is not timed."""

_IDLE = os.environ.get('BOUNDS') == 'idle'
_WIDEST = 0.5  # s that load widens a bound by, at most: the delays of all threads add up
_PERIOD = 0.01  # s between two looks at the clock
_SAMPLED_EVERY = 5  # looks


Sample = tuple[float, float, Mapping[int, float]]
"""s: when, the time lost to all until then, and the delays of each process."""


class BoundMissedError(AssertionError):
    """Something took longer than its bound and all that was measured beside it."""


def within(took: float, bound: float, what: str = 'it') -> None:
    """Assert that something took less than its bound, in s, which no load widens."""
    if took >= bound:
        raise BoundMissedError(f'{what} took {took:.4f} s, not {bound:.4f} s')


class Load:
    """Measures, on a thread of its own, how long the watched processes waited for a core."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.exceeded = 0.0  # s, by which a bound was, at most, and held for its widening
        self._pids: list[Callable[[], int]] = []
        self._delays: dict[tuple[int, int], int] = {}  # ns, by process and thread
        self._samples: list[Sample] = []
        self._overslept: list[tuple[float, float]] = []  # s: when, by how much
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name='load', daemon=True)

    def __enter__(self) -> Load:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def watch(self, pid: Callable[[], int]) -> None:
        """Measure a process; `pid` is asked each time, as a process may be restarted."""
        with self._lock:
            self._pids.append(pid)
        self._sample()

    def hold(
        self, took: float, bound: float, start: float, end: float | None = None, what: str = ''
    ) -> None:
        """
        Assert that something took no longer than its bound, widened by what was measured.

        :param took: s, as `bound`
        :param start: when the bound began to run
        :param end: when it ended, None for now
        """
        measured = self.since(start) if end is None else self.between(start, end)
        widened = min(measured, _WIDEST)
        if took > bound + widened:
            raise BoundMissedError(
                f'{what or "it"} took {took:.4f} s, not {bound:.4f} s (widened by {widened:.4f} s)'
            )
        self.exceeded = max(self.exceeded, took - bound)

    def since(self, start: float) -> float:
        """Return the seconds by which a bound that began to run at `start` is to be widened."""
        self._sample()
        return self.between(start, time.monotonic())

    def between(self, start: float, end: float, pids: Collection[int] | None = None) -> float:
        """
        Return the same for a bound that ran between two times, both of them past.

        :param pids: what of the processes counts, None for all
        """
        with self._lock:
            samples = list(self._samples)
            # Also what was overslept only after the end, if the sleep began before it.
            overslept = [
                late for when, late in self._overslept if start <= when <= end + _PERIOD + late
            ]
        before = max(bisect_right(samples, start, key=_when) - 1, 0)
        after = min(bisect_right(samples, end, key=_when), len(samples) - 1)
        lost = _lost(samples[before], samples[after], pids)
        return 0.0 if _IDLE else lost + max(overslept, default=0.0)

    def failure(self, what: str, start: float, end: float, stall: float) -> AssertionError:
        """
        Return the error for what is wrong: a missed bound where a stall can have caused it.

        :param stall: s of one between two times, both past, that would suffice
        """
        return (BoundMissedError if self.worst(start, end) >= stall else AssertionError)(what)

    def worst(self, start: float, end: float, pids: Collection[int] | None = None) -> float:
        """Return the most seconds that were lost at once between two times, both past."""
        return max(self.stalls(start, end, 0.0, pids), default=0.0)

    def stalls(
        self, start: float, end: float, longer: float, pids: Collection[int] | None = None
    ) -> list[float]:
        """Return the stalls between two times, both past, that were longer than that; all in s."""
        with self._lock:
            samples = [sample for sample in self._samples if start <= sample[0] <= end]
            overslept = [late for when, late in self._overslept if start <= when <= end]
        lost = [_lost(*pair, pids) for pair in pairwise(samples)]
        # Two measures of the same stalls: the one that has them longer counts.
        measured = [[one for one in each if one > longer] for each in (overslept, lost)]
        return [] if _IDLE else max(measured, key=lambda stalls: max(stalls, default=0.0))

    def _run(self) -> None:
        before = time.monotonic()
        looks = 0
        while not self._ended.wait(_PERIOD):
            now = time.monotonic()
            self._overslept.append((now, now - before - _PERIOD))
            looks += 1
            if looks % _SAMPLED_EVERY == 0:
                self._sample()
                now = time.monotonic()
            before = now

    def _sample(self) -> None:
        with self._lock:
            for pid in self._pids:
                with contextlib.suppress(AssertionError, OSError):
                    self._sample_process(pid())
            delays: defaultdict[int, float] = defaultdict(float)
            for (process, _), delay in self._delays.items():
                delays[process] += delay * 1e-9
            self._samples.append((time.monotonic(), _stolen() + _waited_for_disk(), delays))

    def _sample_process(self, pid: int) -> None:
        for thread in _threads(pid):
            with (
                contextlib.suppress(OSError),
                open(f'/proc/{pid}/task/{thread}/schedstat', 'rb') as file,
            ):
                self._delays[pid, thread] = int(file.read().split()[1])


def _when(sample: Sample) -> float:
    return sample[0]


def _lost(before: Sample, after: Sample, pids: Collection[int] | None) -> float:
    """Return the s for which somebody else had the cores between two samples."""
    counted = after[2].keys() if pids is None else pids
    delays = sum(after[2].get(pid, 0.0) - before[2].get(pid, 0.0) for pid in counted)
    return after[1] - before[1] + delays


def _stolen() -> float:
    """Return the seconds that were stolen from all cores since the start of the computer."""
    with open('/proc/stat', encoding='ascii') as file:
        fields = file.readline().split()
    return int(fields[8]) / os.sysconf('SC_CLK_TCK') if len(fields) > 8 else 0.0


def _waited_for_disk() -> float:
    """Return the seconds since the start of the computer in which somebody waited for a disk."""
    try:
        with open('/proc/pressure/io', encoding='ascii') as file:
            return float(file.readline().rpartition('=')[2]) * 1e-6
    except OSError:
        return 0.0  # a kernel that does not tell


def _threads(pid: int) -> Iterable[int]:
    return [int(name) for name in os.listdir(f'/proc/{pid}/task')]
