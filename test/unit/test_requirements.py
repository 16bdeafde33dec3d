# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed is what was pinned, to the byte."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / 'requirements'
SETS = sorted(path.stem for path in REQUIREMENTS.glob('*.in'))


def pins(text: str) -> set[tuple[str, str]]:
    """Return names and versions; the name as the packaging standards spell it."""
    found = re.findall(r'^([\w.-]+)==([^\s;]+)', text, re.MULTILINE)
    return {(re.sub('[._-]+', '-', name).lower(), version) for name, version in found}


@pytest.mark.parametrize('name', SETS)
def test_all_that_is_installed_is_pinned_and_the_other_way_round(name: str) -> None:
    wanted = (REQUIREMENTS / f'{name}.in').read_text()
    installed = (REQUIREMENTS / f'{name}.txt').read_text()
    assert pins(installed) == pins(wanted), "run 'make lock'"


@pytest.mark.parametrize('name', SETS)
def test_every_pin_has_the_hashes_of_its_files(name: str) -> None:
    lines = (REQUIREMENTS / f'{name}.txt').read_text().replace('\\\n', ' ').splitlines()
    unhashed = [line for line in lines if not re.search(r' --hash=sha256:[0-9a-f]{64}', line)]
    assert [line for line in unhashed if not line.startswith('#')] == []
