# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The package as a whole: what it declares is what it is, and its core is pure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
import itertools
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any, NamedTuple
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = 'viam_session_bridge'
PACKAGE = ROOT / NAME

# What rosdep calls a module; all others have the name of their ROS package.
ROSDEP_KEYS = {
    'cryptography': 'python3-cryptography',
    'google': 'python3-protobuf',
    'grpc': 'python3-grpcio',
    'hypothesis': 'python3-hypothesis',
    'pytest': 'python3-pytest',
    'yaml': 'python3-yaml',
}
# Extras: where each may be imported, and only when it is needed.
OPTIONAL = {'grpclib': 'viam', 'h2': 'viam', 'matplotlib': 'tools', 'rich': 'tools',
            'viam': 'viam'}  # fmt: skip
# Loaded by pytest itself, see pyproject.toml.
PLUGINS = {'python3-pytest-timeout'}
# `ros2 launch`, which brings what reads launch files in XML.
PROGRAMS = {'ros2launch'}

IMPURE = {
    'asyncio', 'concurrent', 'datetime', 'google', 'grpc', 'logging', 'multiprocessing', 'queue',
    'rclpy', 'sched', 'select', 'selectors', 'signal', 'socket', 'subprocess', 'threading', 'time',
    'viam', 'yaml',
}  # fmt: skip


class Import(NamedTuple):
    """One import of a module: by its first name, and whether it waits until it is needed."""

    module: str
    lazy: bool
    line: int


def sources(*directories: str) -> list[Path]:
    return sorted(path for name in directories for path in (ROOT / name).rglob('*.py'))


def imports(path: Path) -> Iterator[Import]:
    """Yield what a module imports when it runs, those for the type checker left out."""
    yield from _imports(ast.parse(path.read_text(), str(path)).body, lazy=False)


def _imports(nodes: Iterable[ast.AST], *, lazy: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name.partition('.')[0], lazy, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = NAME if node.level else (node.module or '').partition('.')[0]
            yield Import(module, lazy, node.lineno)
        elif isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test):
            yield from _imports(node.orelse, lazy=lazy)
        else:
            waits = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(ast.iter_child_nodes(node), lazy=lazy or waits)


def is_third_party(module: str) -> bool:
    own = {NAME, '__future__', *(path.stem for path in (ROOT / 'test').iterdir())}
    return module not in own and module not in sys.stdlib_module_names


def rosdep_keys(paths: Iterable[Path]) -> set[str]:
    modules = {found.module for path in paths for found in imports(path)}
    return {
        ROSDEP_KEYS.get(module, module)
        for module in modules
        if is_third_party(module) and module not in OPTIONAL
    }


def where(path: Path, line: int = 1) -> str:
    return f'{path.relative_to(ROOT)}:{line}'


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def declared(kind: str) -> set[str]:
    return {element.text or '' for element in manifest().findall(kind)}


def setup_arguments() -> dict[str, Any]:
    """Return the literal arguments of setup.py's call, without running it."""
    arguments = {}
    for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == 'setup':
            for keyword in node.keywords:
                try:
                    arguments[str(keyword.arg)] = ast.literal_eval(keyword.value)
                except ValueError:
                    continue
    return arguments


def console_scripts() -> list[str]:
    scripts = setup_arguments()['entry_points']['console_scripts']
    assert isinstance(scripts, list)
    return scripts


def module_path(module: str) -> Path:
    return ROOT.joinpath(*module.split('.')).with_suffix('.py')


def target(script: str) -> tuple[Path, str]:
    """Return the module and the function that a console script names."""
    module, _, function = script.partition('=')[2].strip().partition(':')
    return module_path(module), function


def functions(path: Path) -> set[str]:
    body = ast.parse(path.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def pure_modules() -> list[Path]:
    return sources(f'{NAME}/core')


def test_manifest_is_of_format_3() -> None:
    root = manifest()
    assert root.get('format') == '3'
    assert root.findtext('name') == NAME
    assert root.findtext('license') == 'Apache-2.0'
    assert root.findtext('export/build_type') == 'ament_python'


def test_nothing_is_imported_undeclared() -> None:
    assert rosdep_keys(sources(NAME, 'launch')) <= declared('exec_depend')


def test_examples_need_nothing_else() -> None:
    assert rosdep_keys(sources('examples')) <= declared('exec_depend')


def test_nothing_is_declared_unused() -> None:
    assert declared('exec_depend') <= rosdep_keys(sources(NAME, 'launch')) | PROGRAMS


def test_what_the_tests_import_is_declared() -> None:
    needed = rosdep_keys(sources('test')) - declared('exec_depend')
    # launch_testing is a test's own business: where it is missing, that test is skipped.
    assert needed - {'launch_testing', 'launch_testing_ros'} <= declared('test_depend')
    assert declared('test_depend') <= needed | PLUGINS | {'launch_testing', 'launch_testing_ros'}


def test_extras_are_imported_where_they_are_needed() -> None:
    wrong = [
        f'{where(path, found.line)}: {found.module}'
        for path in sources(NAME)
        for found in imports(path)
        if found.module in OPTIONAL
        and not (found.lazy and path.is_relative_to(PACKAGE / OPTIONAL[found.module]))
    ]
    assert not wrong


def test_the_bridge_loads_nothing_at_its_start_that_it_seldom_needs() -> None:
    pytest.importorskip('rclpy', reason='needs ROS 2')
    # What its dependencies load by themselves differs from one distribution to another.
    dependencies = 'rclpy.lifecycle, grpc, google.protobuf.message_factory, yaml, ssl, subprocess'
    program = (
        f'import sys, {dependencies}; theirs = set(sys.modules); '
        f'import {NAME}.ros.main; print(*set(sys.modules) - theirs)'
    )
    ran = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert f'{NAME}.core.bridge' in loaded
    ours = {f'{NAME}.{folder}' for folder in ('client', 'simulation', 'tools')}
    assert not loaded & {*OPTIONAL, *ours, 'difflib', 'statistics', 'decimal'}


def test_the_bridge_collects_garbage_once_it_has_started() -> None:
    pytest.importorskip('rclpy', reason='needs ROS 2')
    program = f"""
import gc, os, signal, threading, time
def watch():
    while not (gc.get_freeze_count() and gc.isenabled()):
        time.sleep(0.02)
    print('collects', flush=True)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=watch, daemon=True).start()
from {NAME}.executables import bridge
bridge()
"""
    ran = subprocess.run(
        [sys.executable, '-c', program, '--ros-args', '-p', 'autostart:=false'],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, 'collects\n'), ran.stderr


@pytest.mark.parametrize('script', console_scripts())
def test_console_scripts_lead_somewhere(script: str) -> None:
    path, function = target(script)
    assert function in functions(path)


def test_every_program_has_a_console_script() -> None:
    (executables,) = {target(script)[0] for script in console_scripts()}
    started = {
        module_path(node.module or '')
        for node in ast.walk(ast.parse(executables.read_text()))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == 'main'
    }
    assert {path for path in sources(f'{NAME}/tools') if 'main' in functions(path)} <= started
    assert {target(script)[1] for script in console_scripts()} == functions(executables)


def test_versions_agree() -> None:
    version = manifest().findtext('version')
    assert setup_arguments()['version'] == version
    lines = (ROOT / 'CHANGELOG.rst').read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if line and not line.strip('-')]
    newest, *older = [lines[number - 1] for number in rules]
    released = [line.partition(' ')[0] for line in older]
    if newest != 'Forthcoming':
        assert newest.partition(' ')[0] == version
    elif released:
        assert released[0] == version


def test_changelog_has_the_form_that_bloom_reads() -> None:
    lines = (ROOT / 'CHANGELOG.rst').read_text().splitlines()
    title = f'Changelog for package {NAME}'
    assert lines[:3] == ['^' * len(title), title, '^' * len(title)]
    for title, rule in itertools.pairwise(lines[3:]):
        if rule and not rule.strip('-'):
            assert re.fullmatch(r'Forthcoming|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)', title)
            assert len(rule) == len(title)


def test_every_source_has_the_licence_header() -> None:
    header = [f'Copyright 2026 The {NAME} authors', 'SPDX-License-Identifier: Apache-2.0']
    skipped = {'build', 'install', 'log'}
    missing = []
    for path in (path for end in ('*.py', '*.go') for path in ROOT.rglob(end)):
        top = path.relative_to(ROOT).parts[0]
        if top.startswith('.') or top in skipped:
            continue
        mark = '# ' if path.suffix == '.py' else '// '
        lines = path.read_text().splitlines()
        if lines[:1] and lines[0].startswith('#!'):
            del lines[0]
        if lines[:2] != [mark + line for line in header]:
            missing.append(where(path))
    assert not missing


def test_no_module_is_too_long() -> None:
    """A module is as long as its concept; one that is longer than this has two."""
    lengths = {where(path): len(path.read_text().splitlines()) for path in sources(NAME)}
    assert {path: lines for path, lines in lengths.items() if lines > 450} == {}


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in sources(NAME)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_')
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_directory_of_modules_is_a_package() -> None:
    directories = {path.parent for path in sources(NAME)}
    assert not [where(path) for path in directories if not (path / '__init__.py').exists()]


def test_pure_modules_import_nothing_that_reads_a_clock_or_does_io() -> None:
    wrong = [
        f'{where(path, found.line)}: {found.module}'
        for path in pure_modules()
        for found in imports(path)
        if found.module in IMPURE
    ]
    assert not wrong


# In a process of its own, since this one has imported everything: refuses those imports to the
# package's modules alone (the standard library's own may have them), and so to all that the pure
# ones lead to.
_WITHOUT_IMPURE = """
import builtins, importlib, sys

impure, package, modules = set(sys.argv[1].split()), sys.argv[2], sys.argv[3:]
really_import = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get('__name__', '')
    if importer.partition('.')[0] == package and name.partition('.')[0] in impure:
        raise ImportError(f'{importer} imports {name}')
    return really_import(name, globals, locals, fromlist, level)

builtins.__import__ = guarded
for module in modules:
    importlib.import_module(module)
"""


def test_pure_modules_run_without_them() -> None:
    modules = [
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        for path in pure_modules()
    ]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
    ran = subprocess.run(
        [sys.executable, '-c', _WITHOUT_IMPURE, ' '.join(sorted(IMPURE)), NAME, *modules],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
