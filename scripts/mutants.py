# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Try every mutant of what decides; fail if one survives that docs/mutants.md does not explain.

mutmut makes the mutants and finds out which tests reach which function. They are tried here: one
pytest collects the tests, and a fork of it tries one mutant, with those tests first that noticed
others of its function. ``make mutants`` runs this in its environment; ``--judge`` only judges what
was tried last, and names of mutants (``'*MachineStops*'``) have only those tried again.

A survivor is known by its function and its changed lines, for mutmut's numbers move with every
change of the code.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from fnmatch import fnmatch
import gc
from itertools import zip_longest
import os
from pathlib import Path
import re
import resource
import signal
import subprocess
import sys
from typing import NoReturn

from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.stats import load_stats, status_by_exit_code
import pytest

EXPLAINED = Path('docs/mutants.md')
CORE = Path('viam_session_bridge/core')
NOTICED = ('killed', 'timeout')  # a mutant that loops for ever is noticed too
KILLED, TIMED_OUT = 1, 36  # mutmut's exit codes
AT_ONCE = os.cpu_count() or 1
LONGEST_TEST = 5  # s of processor time; the longest takes one
MOST_MEMORY = 2 << 30  # bytes

Change = tuple[str, str, str]  # function, the line as it is, the line as the mutant has it


# What is tried


def mutated() -> list[SourceFileMutationData]:
    """Return the files that were mutated, with what is known of each mutant."""
    files = []
    for path in sorted(CORE.glob('*.py')):
        of = SourceFileMutationData(path=path)
        of.meta_path = of.meta_path.resolve()
        of.load()
        files.append(of)
    return files


def mangled(mutant: str) -> str:
    """Return how mutmut calls the function of a mutant."""
    return mutant.rpartition('__mutmut_')[0]


def generate() -> None:
    """Make the mutants anew, and find out which tests reach which function."""
    # mutmut insists on trying some; these are few.
    done = subprocess.run(
        [sys.executable, '-m', 'mutmut', 'run', 'viam_session_bridge.core.timing.*'],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f'mutants: mutmut failed\n{done.stdout}{done.stderr}')


class Trials:
    """A plugin that has pytest run the tests it collected once for each mutant."""

    def __init__(self, files: list[SourceFileMutationData]) -> None:
        """Begin with mutants that were not tried, those that few tests reach first."""
        load_stats()
        self._duration = state().duration_by_test
        self._tests = state().tests_by_mangled_function_name
        self._untried = [
            (of, name)
            for of in files
            for name, code in of.exit_code_by_key.items()
            if code is None
        ]
        self._untried.sort(key=lambda one: len(self._tests.get(mangled(one[1]), ())))
        self._running: dict[int, tuple[SourceFileMutationData, str, int]] = {}
        self._noticed_by: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by function
        self._report_to: int | None = None  # in a fork

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try one mutant after the other."""
        items = {item.nodeid: item for item in session.items}
        gc.freeze()
        for number, (of, name) in enumerate(self._untried):
            if len(self._running) == AT_ONCE:
                self._wait()
            if number % 100 == 0:
                print(f'{number} of {len(self._untried)}', file=sys.stderr, flush=True)
            function = mangled(name)
            first = self._noticed_by[function]
            reach = self._tests.get(function, items)
            # What was added since mutmut looked may reach anything, and be reached by it.
            tests = sorted(
                (test for test in items if test in reach or test not in self._duration),
                key=lambda test: (-first[test], self._duration.get(test, 0.0)),
            )
            reader, writer = os.pipe()
            if not (pid := os.fork()):
                self._report_to = writer
                self._try(name, [items[test] for test in tests])
            os.close(writer)
            self._running[pid] = of, name, reader
        while self._running:
            self._wait()
        return True

    def _try(self, mutant: str, tests: list[pytest.Item]) -> NoReturn:
        """Run the tests of one mutant in this fork, and end it."""
        try:
            set_mutant_under_test(mutant)
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (1, 2):
                os.dup2(nothing, stream)
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            for test, following in zip_longest(tests, tests[1:]):
                signal.setitimer(signal.ITIMER_PROF, LONGEST_TEST)
                test.ihook.pytest_runtest_protocol(item=test, nextitem=following)
            os._exit(0)
        finally:
            os._exit(KILLED)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> None:
        """End a fork with the first test that notices: a report would take far longer."""
        if self._report_to is None or call.excinfo is None:
            return
        if not call.excinfo.errisinstance(pytest.skip.Exception):
            os.write(self._report_to, item.nodeid.encode())
            os._exit(KILLED)

    def _wait(self) -> None:
        pid, status = os.wait()
        of, name, reader = self._running.pop(pid)
        with os.fdopen(reader) as report:
            if test := report.read():
                self._noticed_by[mangled(name)][test] += 1
        code = os.waitstatus_to_exitcode(status)
        of.exit_code_by_key[name] = TIMED_OUT if code < 0 else code
        of.save()


def try_out(files: list[SourceFileMutationData]) -> None:
    """Try the mutants that were not tried yet."""
    options = [*config().pytest_add_cli_args_test_selection, *config().pytest_add_cli_args]
    trials, here = Trials(files), Path.cwd()
    os.chdir('mutants')
    if code := pytest.main(['-q', '--rootdir=.', '--capture=no', *options], [trials]):
        sys.exit(code)
    os.chdir(here)


# What is explained


def function_of(mutant: str) -> str:
    """Return the function of a mutant: ``Class.name`` of ``a.b.xǁClassǁname__mutmut_3``."""
    name = mangled(mutant).rpartition('.')[2]
    return name.removeprefix('xǁ').removeprefix('x_').replace('ǁ', '.')


def line(lines: list[str]) -> str:
    """Return changed lines as one, without comments."""
    return ' '.join(re.sub(r'  #.*', '', one).strip() for one in lines)


def change(mutant: str, path: Path) -> Change:
    """Return what a mutant changes."""
    diff = get_diff_for_mutant(mutant, path=path).splitlines()
    diff = [one for one in diff if one[:3] not in ('---', '+++')]
    old, new = ([one[1:] for one in diff if one.startswith(sign)] for sign in '-+')
    return function_of(mutant), line(old), line(new)


def explained() -> set[Change]:
    """Return the changes that the document names in its ``diff`` blocks."""
    changes = set()
    for block in re.findall(r'^```diff\n(.*?)^```', EXPLAINED.read_text(), re.M | re.S):
        function = old = ''
        for one in block.splitlines():
            if one.startswith('-'):
                old = one[1:].strip()
            elif one.startswith('+'):
                changes.add((function, old, one[1:].strip()))
            else:
                function = one.strip()
    return changes


def judge(files: list[SourceFileMutationData]) -> int:
    """Print a table and the survivors that nothing explains; return how many those are."""
    row = '| {:<25} | {:>7} | {:>6} | {:>9} | {:>8} |'
    print(row.format('module', 'mutants', 'killed', 'timed out', 'survived'))
    print('|---|--:|--:|--:|--:|')
    all_counts: Counter[str] = Counter()
    survivors: dict[str, tuple[str, Change]] = {}
    for of in files:
        statuses = {
            mutant: status_by_exit_code[code] for mutant, code in of.exit_code_by_key.items()
        }
        counts = Counter(
            status if status in NOTICED else 'survived' for status in statuses.values()
        )
        all_counts += counts
        if statuses:
            numbers = [counts[status] for status in (*NOTICED, 'survived')]
            print(row.format(f'core.{of.path.stem}', counts.total(), *numbers))
        survivors |= {
            mutant: (status, change(mutant, of.path))
            for mutant, status in statuses.items() if status not in NOTICED
        }  # fmt: skip
    numbers = [all_counts[status] for status in (*NOTICED, 'survived')]
    print(row.format('all', all_counts.total(), *numbers))
    known = explained()
    for function, old, new in sorted(known - {one for _, one in survivors.values()}):
        print(f'{EXPLAINED} explains what did not survive: {function}: -{old} / +{new}')
    unexplained = {
        mutant: (status, one) for mutant, (status, one) in survivors.items() if one not in known
    }
    for mutant, (status, (function, old, new)) in unexplained.items():
        print(f'not explained, {status}: {function}: -{old} / +{new}  ({mutant})')
    print(f'{len(survivors)} survivors, {len(unexplained)} of them not explained in {EXPLAINED}')
    return len(unexplained)


def main(arguments: list[str]) -> int:
    """Try mutants and judge."""
    if not arguments:
        print('mutants: making them', flush=True)
        generate()
    files = mutated()
    for of in files:
        for mutant in of.exit_code_by_key:
            if any(fnmatch(mutant, name) for name in arguments):
                of.exit_code_by_key[mutant] = None
    if arguments != ['--judge']:
        print('mutants: trying them, some ten minutes', flush=True)
        try_out(files)
    return judge(files) > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
