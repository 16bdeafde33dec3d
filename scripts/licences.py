# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The licence of everything that the requirements pin, as installed in this environment.

A distribution says it in its metadata, a ROS package in its package.xml (REP 149), and the rest in
a file; one that says it nowhere is a failure, for somebody has to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, PackageNotFoundError
from pathlib import Path
import re
import sys
from xml.etree import ElementTree

REQUIREMENTS = Path(__file__).resolve().parents[1] / 'requirements'
SETS = {
    'base': 'the bridge itself',
    'viam': 'WebRTC, and the tests',
    'ros': 'where no ROS is installed',
    'test': 'the tests',
    'checks': 'the checks',
}
TITLES = {  # of licence files
    'Apache License': 'Apache-2.0',
    'zlib License': 'Zlib',
    'MIT License': 'MIT',
    'Permission is hereby granted, free of charge': 'MIT',
    'Redistribution and use in source and binary forms': 'BSD',
}


def pinned(name: str) -> Iterator[str]:
    """Yield the distributions that a set pins, whatever the Python."""
    for line in (REQUIREMENTS / f'{name}.in').read_text().splitlines():
        if match := re.match(r'([\w.-]+)==', line):
            yield match[1]


def licence_of(package: Distribution) -> str:
    """Return what a distribution says of its licence, '' for nothing."""
    metadata = package.metadata
    if 'License-Expression' in metadata:
        return str(metadata['License-Expression'])
    classifiers = metadata.get_all('Classifier') or []
    named = [line.rpartition(' :: ')[2] for line in classifiers if line.startswith('License ::')]
    return ', '.join(named) or _short(metadata.get('License') or '') or _in_files(package)


def _in_files(package: Distribution) -> str:
    for file in package.files or []:
        path = Path(str(package.locate_file(file)))
        if path.name == 'package.xml':
            found = ElementTree.parse(path).iterfind('license')
            return ', '.join(dict.fromkeys((licence.text or '').strip() for licence in found))
    for file in package.files or []:
        if file.name.upper().startswith(('LICENSE', 'COPYING')):
            text = file.read_text()
            return next((spdx for title, spdx in TITLES.items() if title in text), '')
    return ''


def _short(text: str) -> str:
    return text.strip() if len(text.splitlines()) == 1 else ''


def main() -> int:
    """Print a table; 1 if a licence is unknown."""
    unknown = []
    seen: set[str] = set()
    for name, purpose in SETS.items():
        print(f'\n{purpose} (requirements/{name}.in)')
        for pin in sorted({*pinned(name)} - seen):
            seen.add(pin)
            try:
                package = distribution(pin)
            except PackageNotFoundError:
                print(f'  {pin:42} (not installed here)')
                continue
            licence = licence_of(package)
            print(f'  {pin:42} {package.version:18} {licence or "UNKNOWN"}')
            if not licence:
                unknown.append(pin)
    if unknown:
        print(f'\nno licence is known of: {", ".join(unknown)}', file=sys.stderr)
    return 1 if unknown else 0


if __name__ == '__main__':
    sys.exit(main())
