# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Any value for any parameter, without a node: a configuration, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, HealthCheck, settings
import pytest

from support.parameter_junk import ANYTHING, INSECURE, JUNK_GIVEN, ROWS
from viam_session_bridge.configuration.model import Configuration, ConfigurationError
from viam_session_bridge.configuration.parsing import read
from viam_session_bridge.configuration.table import Kind, Row

JUNK: dict[Kind, tuple[Any, ...]] = {
    Kind.FLAG: (1, 0.0, 'true', [True]),
    Kind.INTEGER: (True, 1.0, '1', [1]),
    Kind.NUMBER: (True, '0.5', 'fast', [0.5]),
    Kind.TEXT: (True, 1, 1.0, ['a'], 'a\0b', 'a\nb'),
    Kind.TEXTS: (True, 1, 1.0, 'cmd_vel', [1], [0.5], [True], ['a\0']),
}
WRONG = [(name, junk) for name, row in ROWS.items() for junk in JUNK[row.kind]]


def read_plainly(given_ones: Mapping[str, object]) -> Configuration:
    return read(given_ones, lambda topic: f'/{topic}')


@pytest.mark.parametrize(('name', 'value'), WRONG, ids=[f'{n}={v!r}' for n, v in WRONG])
def test_a_wrong_type_is_named_with_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_plainly({**INSECURE, name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f'{name} is ')
    assert 'must' in problem


@settings(max_examples=500, deadline=None)
@given(JUNK_GIVEN)
def test_junk_is_a_configuration_or_a_configuration_error(junk: dict[str, Any]) -> None:
    try:
        read_plainly(INSECURE | junk)
    except ConfigurationError as error:
        assert error.problems
        assert all(problem.strip() for problem in error.problems)


@pytest.mark.parametrize('name', ROWS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=ANYTHING)
def test_junk_in_one_parameter_names_it(name: str, value: Any) -> None:
    try:
        read_plainly(INSECURE | {name: value})
    except ConfigurationError as error:
        last = name.rpartition('.')[2]
        assert any(last in problem for problem in error.problems)


def test_rows_are_consistent() -> None:
    def is_complete(row: Row) -> bool:
        return row.description.endswith('.') and not (row.default and row.default_text)

    assert all(is_complete(row) for row in ROWS.values())


def test_the_home_folder_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', '/home/robot')
    configuration = read_plainly(
        {
            'event_log': '~/events.jsonl',
            'machines.main.address': 'unix:~/viam.sock',
            'machines.main.ca_file': '~root/ca.pem',
            'machines.main.credentials_file': '~/key.json',
        }
    )
    (machine,) = configuration.machines
    assert configuration.event_log == '/home/robot/events.jsonl'
    assert machine.address == 'unix:/home/robot/viam.sock'
    assert machine.ca_file == f'{Path("~root").expanduser()}/ca.pem'
    assert machine.credentials_file == '/home/robot/key.json'


@pytest.mark.parametrize('path', ['', 'events~', './~/events', '/var/~'])
def test_a_tilde_elsewhere_is_a_character(path: str) -> None:
    assert read_plainly({**INSECURE, 'event_log': path}).event_log == path
