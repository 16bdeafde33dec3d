# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""ament's linters, where they are installed; setup.cfg says what differs from their defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ['bench', 'examples', 'launch', 'scripts', 'test', 'viam_session_bridge', 'setup.py']


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.timeout(600)
def test_ament_flake8_finds_nothing() -> None:
    pytest.importorskip('ament_flake8', reason='needs ament_flake8')
    from ament_flake8.main import main_with_errors

    status, errors = main_with_errors(argv=['--config', 'setup.cfg', *FOLDERS])
    assert status == 0, '\n'.join(errors)


@pytest.mark.timeout(600)
def test_ament_pep257_finds_nothing() -> None:
    pytest.importorskip('ament_pep257', reason='needs ament_pep257')
    from ament_pep257.main import main

    assert main(argv=[*FOLDERS, '--add-ignore', 'D401']) == 0
