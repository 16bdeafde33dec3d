# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation: links lead somewhere, what it names exists, its parameter files are read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from support.markdown import codes, Page
from unit.test_package import console_scripts
from viam_session_bridge.configuration.table import BASE, MACHINE, NODE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'viam_session_bridge'
PAGES = [
    *sorted(ROOT.glob('*.md')),
    *sorted((ROOT / '.github').rglob('*.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
]
# Said by ROS, not by the bridge.
NOT_OURS = {
    "Couldn't parse params file", 'Permission denied', 'Unable to connect to a Zenoh router'
}
# What the log puts in: a value in brackets, the name of a parameter, a number, anything.
PUT_IN = re.compile(r'(?<=\()\w+(?=\))|\b(?:machines|bases)\.[\w.]+|\bN\b|\.\.\.')

each_page = pytest.mark.parametrize('path', PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def commands(path: Path) -> str:
    """Return the code of a page, or all of a file that is none."""
    if path.suffix != '.md':
        return path.read_text()
    page = Page(path)
    return '\n'.join([*(fence.text for fence in page.fences), *page.codes])


def parameters() -> set[str]:
    return {
        *(row.name for row in NODE),
        *(f'machines.NAME.{row.name}' for row in MACHINE),
        *(f'bases.NAME.{row.name}' for row in BASE),
    }


def texts() -> list[str]:
    """Return every text in the package's sources; a NUL stands for what is put in."""
    found = []
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, 'value', '') for part in node.values)
                found.append(''.join(p if isinstance(p, str) else '\0' for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@each_page
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in Page(path).links:
        if link.startswith(('https://', 'http://')):
            continue
        file, _, anchor = link.partition('#')
        target = (path.parent / file).resolve() if file else path
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and anchor not in Page(target).anchors):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize(
    ('overview', 'directory'),
    [
        ('README.md', 'config'),
        ('docs/README.md', 'docs'),
        ('docs/README.md', 'docs/howto'),
        ('docs/README.md', 'docs/reference'),
    ],
)
def test_everything_is_on_an_overview(overview: str, directory: str) -> None:
    page = ROOT / overview
    linked = {(page.parent / link.partition('#')[0]).resolve() for link in Page(page).links}
    there = {path for end in ('*.md', '*.yaml') for path in (ROOT / directory).glob(end)}
    assert there - linked - {page} == set()


@each_page
def test_make_targets_that_are_named_exist(path: Path) -> None:
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.M))
    assert set(re.findall(r'\bmake ([a-z][a-z-]*)', commands(path))) <= targets


@pytest.mark.parametrize(
    'path', [*PAGES, *sorted((ROOT / 'config').iterdir())], ids=lambda path: path.name
)
def test_programs_that_are_named_exist(path: Path) -> None:
    code = commands(path)
    programs = {script.partition('=')[0].strip() for script in console_scripts()}
    run = re.findall(r'ros2 run viam_session_bridge (\w+)', code)
    assert {name for name in run if name != 'NAME'} <= programs
    launched = re.findall(r'ros2 launch viam_session_bridge (\S+)(.*)', code)
    assert {file for file, _ in launched} <= {file.name for file in (ROOT / 'launch').iterdir()}
    given = {name for _, rest in launched for name in re.findall(r'(\w+):=', rest)}
    assert given <= set(launch_arguments())
    files = re.findall(r'--params-file (?:\S*/)?(\w+\.yaml)', code)
    there = {file.name for file in (ROOT / 'config').iterdir()}
    assert set(files) <= there | {'bridge.yaml'}  # the user's own, for systemd


def launch_arguments() -> list[str]:
    root = ElementTree.parse(ROOT / 'launch' / 'bridge.launch.xml').getroot()
    return [str(argument.get('name')) for argument in root.findall('group/arg')]


def test_launch_arguments_are_all_there() -> None:
    tables = list(Page(ROOT / 'docs' / 'reference' / 'interface.md').tables)
    (cells,) = [table.column('argument') for table in tables if 'argument' in table.header]
    assert [name for cell in cells for name in codes(cell)] == launch_arguments()


def test_programs_are_all_there() -> None:
    (names,) = [
        table.column('name')
        for table in Page(ROOT / 'docs' / 'reference' / 'interface.md').tables
        if table.header == ('name', 'is')
    ]
    programs = {script.partition('=')[0].strip() for script in console_scripts()}
    assert programs <= set(codes(' '.join(names)))


def kept_rules() -> dict[str, tuple[list[str], list[str]]]:
    """Return the modules that keep each rule and the files that test it, as the page says."""
    page = Page(ROOT / 'docs' / 'rules.md')
    (table,) = [table for table in page.tables if table.header == ('rule', 'kept in', 'tested in')]
    rules = [rule for rule, _, _ in table.rows]
    assert rules == re.findall(r'^- (R\d+)\b', page.prose, re.M), 'each rule has one line'
    return {rule: (codes(module), codes(tests)) for rule, module, tests in table.rows}


def names(path: Path, rule: str) -> bool:
    """Return whether the docstring of a module names a rule, as R3 or as one of R2 to R6."""
    number = int(rule[1:])
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ''
    ranges = re.findall(r'\bR(\d+)(?: to R(\d+))?\b', docstring)
    return any(int(first) <= number <= int(last or first) for first, last in ranges)


@pytest.mark.parametrize('rule', kept_rules())
def test_a_rule_is_kept_in_one_module_and_tested_in_files_that_name_it(rule: str) -> None:
    modules, tests = kept_rules()[rule]
    assert len(modules) == 1
    for path in (PACKAGE / modules[0], *(ROOT / test for test in tests)):
        assert path.exists(), path
        assert names(path, rule), f'the docstring of {path} does not name {rule}'


def test_what_the_model_of_the_stop_protocol_stands_for_is_in_the_code() -> None:
    page = Page(ROOT / 'docs' / 'model' / 'README.md')
    (column,) = [table.column('code') for table in page.tables if 'code' in table.header]
    paths = [*(PACKAGE / 'core').glob('*.py'), PACKAGE / 'runtime.py']
    code = {name for path in paths for name in re.findall(r'\w+', path.read_text())}
    named = {part for cell in column for one in codes(cell) for part in one.split('.')}
    assert len(named) > 30
    assert named <= code


def test_the_page_says_how_many_messages_a_subscription_keeps() -> None:
    pytest.importorskip('rclpy', reason='needs ROS 2')
    from viam_session_bridge.ros.subscription import DEPTH

    assert f'keep last {DEPTH}:' in Page(ROOT / 'docs' / 'reference' / 'interface.md').prose


def test_every_file_of_the_rules_tests_is_in_the_map() -> None:
    mapped = {test for _, tests in kept_rules().values() for test in tests}
    files = (ROOT / 'test' / 'rules').glob('test_r*.py')
    assert {str(path.relative_to(ROOT)) for path in files} <= mapped


@each_page
def test_parameters_that_are_named_exist(path: Path) -> None:
    page, known = Page(path), parameters()
    named = {
        name
        for table in page.tables
        if table.header[0] == 'parameter'
        for cell in table.column('parameter')
        for name in codes(cell)
    }
    named |= {
        re.sub(r'\.\w+\.', '.NAME.', code)
        for code in page.codes
        if re.fullmatch(r'(machines|bases)\.\w+\.\w+', code)
    }
    assert named <= known


def defaults(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a page's parameters with their defaults as written."""
    for table in Page(path).tables:
        if table.header[0] == 'parameter':
            for names, values in zip(
                table.column('parameter'), table.column('default'), strict=True
            ):
                given = codes(values) or [values]
                for index, name in enumerate(codes(names)):
                    yield name, given[min(index, len(given) - 1)]


def test_defaults_in_the_readme_are_those_of_the_reference() -> None:
    reference = dict(defaults(ROOT / 'docs' / 'reference' / 'parameters.md'))
    assert set(reference) == parameters()
    given = dict(defaults(ROOT / 'README.md'))
    assert len(given) > 9
    reported_otherwise = {'bases.NAME.resource': "the base's name"}
    assert given == {**{name: reference[name] for name in given}, **reported_otherwise}


def test_generated_pages_are_up_to_date() -> None:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
    ran = subprocess.run(
        [sys.executable, str(ROOT / 'scripts' / 'reference.py'), '--check'],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


def test_what_the_log_says_is_in_the_sources() -> None:
    """Of troubleshooting's tables: code with a space in it, unless it is a command."""
    mentioned = {
        code
        for table in Page(ROOT / 'docs' / 'troubleshooting.md').tables
        for name in ('the log says', 'you see', 'how you know')
        if name in table.header
        for cell in table.column(name)
        for code in codes(cell)
        if ' ' in code and not code.startswith('ros2 ')
    }
    assert len(mentioned) > 15
    there = texts()
    unknown = [
        code
        for code in mentioned - NOT_OURS
        for part in PUT_IN.split(code)
        if not any(part.strip() in text for text in there)
    ]
    assert not unknown


def test_causes_of_stops_are_explained() -> None:
    from viam_session_bridge.core.actions import Cause

    tables = list(Page(ROOT / 'docs' / 'troubleshooting.md').tables)
    (cells,) = [table.column('the cause') for table in tables if 'the cause' in table.header]
    assert sorted(codes(' '.join(cells))) == sorted(cause.value for cause in Cause)


def test_environment_variables_are_those_of_the_sources() -> None:
    (cells,) = [
        table.column('variable')
        for table in Page(ROOT / 'docs' / 'reference' / 'interface.md').tables
        if 'variable' in table.header
    ]
    there = texts()
    assert [name for name in codes(' '.join(cells)) if name not in there] == []


def test_diagnostics_are_those_of_the_node() -> None:
    """Levels, messages and keys, of every kind of status in every state."""
    pytest.importorskip('diagnostic_msgs', reason='needs ROS 2 (diagnostic_msgs)')
    from support.statuses import every_status

    tables = list(Page(ROOT / 'docs' / 'reference' / 'diagnostics.md').tables)
    keys = [codes(' '.join(table.column('key'))) for table in tables if 'key' in table.header]
    levels = [
        # In brackets: when that is so, and for how long.
        {(level, code) for level, cell in table.rows for code in codes(re.split(r' \(', cell)[0])}
        for table in tables
        if table.header == ('level', 'message')
    ]
    statuses = every_status('/viam_session_bridge')
    assert [sorted(of) for of in keys] == statuses.keys
    assert levels == statuses.levels


@each_page
def test_tables_are_tables(path: Path) -> None:
    crooked = [
        row for table in Page(path).tables for row in table.rows if len(row) != len(table.header)
    ]
    assert not crooked


@pytest.mark.parametrize(
    'path', sorted((ROOT / '.github' / 'ISSUE_TEMPLATE').glob('[!c]*.yml')), ids=lambda p: p.stem
)
def test_issue_forms_are_forms(path: Path) -> None:
    """A form that has a mistake in it is not shown by GitHub."""
    form = yaml.safe_load(path.read_text())
    assert {'name', 'description', 'body'} <= set(form)
    asked = [item for item in form['body'] if item['type'] != 'markdown']
    assert {item['type'] for item in asked} <= {'input', 'textarea', 'dropdown', 'checkboxes'}
    assert len({item['id'] for item in asked}) == len(asked)
    assert all(item['attributes']['label'] for item in asked)
    for item in asked:
        # Bare yes and no are no texts.
        assert all(isinstance(one, str) for one in item['attributes'].get('options', []))
