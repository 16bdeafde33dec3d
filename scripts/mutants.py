# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Run mutmut; fail if a mutant survives that docs/mutants.md does not explain.

``make mutants`` runs this in its environment. A survivor is known by its function and its changed
lines, for mutmut's numbers move with every change of the code.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
import re
import subprocess
import sys

EXPLAINED = Path('docs/mutants.md')
PACKAGE = 'viam_session_bridge.'
NOTICED = ('killed', 'timeout')  # a mutant that loops for ever is noticed too

Change = tuple[str, str, str]  # function, the line as it is, the line as the mutant has it


def mutmut(*arguments: str) -> str:
    """Return what the tool prints; end with that if it fails."""
    done = subprocess.run(
        [sys.executable, '-m', 'mutmut', *arguments], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f'mutants: mutmut {arguments[0]} failed\n{done.stdout}{done.stderr}')
    return done.stdout


def function_of(mutant: str) -> tuple[str, str]:
    """Return module and function: ``a.b.xǁClassǁname__mutmut_3`` is ``Class.name`` of a.b."""
    module, _, mangled = mutant.removeprefix(PACKAGE).rpartition('.')
    name = mangled.rpartition('__mutmut_')[0]
    return module, name.removeprefix('xǁ').removeprefix('x_').replace('ǁ', '.')


def line(lines: list[str]) -> str:
    """Return changed lines as one, without comments."""
    return ' '.join(re.sub(r'  #.*', '', one).strip() for one in lines)


def change(mutant: str) -> Change:
    """Return what a mutant changes."""
    diff = [one for one in mutmut('show', mutant).splitlines() if one[:3] not in ('---', '+++')]
    old, new = ([one[1:] for one in diff if one.startswith(sign)] for sign in '-+')
    return function_of(mutant)[1], line(old), line(new)


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


def judge() -> int:
    """Print a table and the survivors that nothing explains; return how many those are."""
    results = dict(re.findall(r'^ +(\S+): (.+)$', mutmut('results', '--all', 'true'), re.M))
    counts = Counter((function_of(mutant)[0], status) for mutant, status in results.items())
    row = '| {:<22} | {:>7} | {:>6} | {:>9} | {:>8} |'
    print(row.format('module', 'mutants', 'killed', 'timed out', 'survived'))
    print('|---|--:|--:|--:|--:|')
    for module in (*sorted({module for module, _ in counts}), 'all'):
        of = {s: n for (m, s), n in counts.items() if module == m}
        if module == 'all':
            of = Counter(results.values())
        killed, timed_out = of.get('killed', 0), of.get('timeout', 0)
        total = sum(of.values())
        print(row.format(module, total, killed, timed_out, total - killed - timed_out))
    known = explained()
    survivors = {
        mutant: change(mutant) for mutant, status in results.items() if status not in NOTICED
    }
    for function, old, new in sorted(known - set(survivors.values())):
        print(f'{EXPLAINED} explains what did not survive: {function}: -{old} / +{new}')
    unexplained = {mutant: one for mutant, one in survivors.items() if one not in known}
    for mutant, (function, old, new) in unexplained.items():
        print(f'not explained, {results[mutant]}: {function}: -{old} / +{new}  ({mutant})')
    print(f'{len(survivors)} survivors, {len(unexplained)} of them not explained in {EXPLAINED}')
    return len(unexplained)


if __name__ == '__main__':
    print('mutants: running mutmut, half an hour', flush=True)
    mutmut('run')
    sys.exit(judge() > 0)
