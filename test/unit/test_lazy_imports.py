# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Modules that others import and the bridge hardly ever needs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import inspect
import os
from pathlib import Path
import subprocess
import sys
from threading import Barrier
from types import ModuleType

import pytest

from viam_session_bridge.lazy_imports import import_lazily, LazyModule, SELDOM_USED

NAME = 'loaded_when_used'
THREADS = 8


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Take out of the list of modules what a test adds."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        del sys.modules[name]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the stand-in of a package, as one that imports it gets it."""
    package = tmp_path / NAME
    package.mkdir()
    (package / '__init__.py').write_text('def answer():\n    return 42\n')
    (package / 'inner.py').write_text(f'import {NAME}\nHALF = {NAME}.answer() // 2\n')
    monkeypatch.syspath_prepend(tmp_path)
    import_lazily(NAME)
    return __import__(NAME)


def is_loaded() -> bool:
    return not isinstance(sys.modules[NAME], LazyModule)


def test_an_import_loads_nothing_however_often(module: ModuleType) -> None:
    assert __import__(NAME) is module
    assert not is_loaded()


def test_the_first_use_loads_it(module: ModuleType) -> None:
    assert module.answer() == 42
    assert is_loaded()
    assert __import__(NAME).answer is module.answer


def test_it_has_its_own_file_once_it_is_loaded(module: ModuleType) -> None:
    assert not hasattr(module, '__file__')
    module.answer()
    assert module.__file__ == sys.modules[NAME].__file__


def test_threads_that_use_it_at_once_get_the_same_module(module: ModuleType) -> None:
    together = Barrier(THREADS)

    def use(_: int) -> object:
        together.wait()
        return module.answer

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in range(300):
                sys.modules[NAME] = module
                assert len(set(threads.map(use, range(THREADS)))) == 1
    finally:
        sys.setswitchinterval(interval)


def test_a_name_imported_from_it_loads_it(module: ModuleType) -> None:
    exec(f'from {NAME} import answer\nassert answer() == 42', {})
    assert is_loaded()


def test_a_submodule_loads_it(module: ModuleType) -> None:
    namespace: dict[str, ModuleType] = {}
    exec(f'import {NAME}.inner', namespace)
    assert namespace[NAME].inner.HALF == 21
    assert module.inner.HALF == 21


def test_an_unknown_name_is_the_modules_own_error(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{NAME}' has no attribute 'question'"):
        module.question  # noqa: B018


def test_a_look_through_all_modules_loads_nothing(module: ModuleType) -> None:
    inspect.getmodule(inspect.currentframe())  # as rclpy does for a line of log
    assert not is_loaded()


def test_one_that_is_missing_says_so_when_it_is_used() -> None:
    import_lazily('no_such_module')
    module = __import__('no_such_module')
    with pytest.raises(ModuleNotFoundError, match='no_such_module'):
        module.answer()


def test_one_that_is_loaded_stays() -> None:
    import_lazily('pytest')
    assert sys.modules['pytest'] is pytest


def test_the_bridge_starts_without_them() -> None:
    pytest.importorskip('rclpy', reason='needs ROS 2')
    program = """
import sys
from viam_session_bridge.lazy_imports import import_lazily, LazyModule, SELDOM_USED
import_lazily(*SELDOM_USED)
import viam_session_bridge.ros.main
print(*[name for name in SELDOM_USED if isinstance(sys.modules[name], LazyModule)])
"""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    seldom_used = subprocess.run(
        [sys.executable, '-c', program], env=environment, text=True, check=True, timeout=60,
        stdout=subprocess.PIPE,
    ).stdout.split()  # fmt: skip
    assert seldom_used == list(SELDOM_USED)
