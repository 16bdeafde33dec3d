# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
From the parameters that were given, by name, to a configuration; without a node.

ROS decides the type of a value from how it is written, so that people's slips arrive as types:
``1`` for ``1.0``, ``cmd_vel`` for ``[cmd_vel]``, ``on`` for ``'on'``. Only the first is harmless.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import expanduser
import re
from typing import Any

from viam_session_bridge.configuration.address import UNIX
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    ConfigurationError,
    MachineConfiguration,
)
from viam_session_bridge.configuration.table import BASE, Kind, MACHINE, NODE, Row, Value
from viam_session_bridge.configuration.validation import find_problems, Problem
from viam_session_bridge.text import did_you_mean, is_slip

Names = tuple[str, ...]

OVERRIDES = 'qos_overrides.'
POLICIES = ('history', 'depth', 'reliability')
_OWNERS = ('machine_names', 'base_names')
_FIRSTS = {OVERRIDES[:-1], 'machines', 'bases', *(row.name for row in NODE)}
_PATHS = ('event_log', 'ca_file', 'credentials_file')
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_-]*')


def lay_out(machines: Names, bases: Names) -> dict[str, Row]:
    """Return the row of every parameter there is for these machines and bases, by whole names."""
    rows = {row.name: row for row in NODE}
    for name in machines:
        rows |= {f'machines.{name}.{row.name}': row for row in MACHINE}
    for name in bases:
        defaults = {'machine': machines[0] if machines else '', 'resource': name}
        for row in BASE:
            default = defaults.get(row.name, row.default)
            rows[f'bases.{name}.{row.name}'] = replace(row, default=default)
    return rows


def check_names(parameter: str, names: Sequence[str]) -> Iterator[str]:
    """Find what is wrong with ``machine_names`` or ``base_names``, on which all else depends."""
    if not names:
        yield f'{parameter} is empty: name at least one'
    for name, count in Counter(names).items():
        if _NAME.fullmatch(name) is None:
            yield f"{parameter} holds {name!r}, but names have letters, digits, '_' and '-' only"
        if count > 1:
            yield f'{parameter} holds {name!r} {count} times: name it once'


def convert(name: str, row: Row, value: Any) -> Value:
    """
    Return a value with its proper type, if the row allows it; ValueError has a whole message.

    :param value: what rclpy makes of a parameter; None, which an empty list of a YAML file
        becomes, where it has none
    """
    if row.kind is Kind.NUMBER and type(value) is int:
        value = float(value)
    if row.kind is Kind.TEXTS:
        if value is None:
            return ()
        if isinstance(value, (list, tuple, array)):
            # An empty list has no type of its own: rclpy takes it for one of bytes.
            texts = tuple(text for text in value if isinstance(text, str) and text.isprintable())
            if len(texts) == len(value):
                return texts
    elif type(value) is type(row.default):
        _check(name, row, value)
        return value
    raise ValueError(f'{name} is {_show(value)}, but must be {row.must_be}{_hint(row, value)}')


def _check(name: str, row: Row, value: Any) -> None:
    """Raise ValueError where a value of the right type is not allowed."""
    if isinstance(value, str):
        # ROS ends a text at a NUL: what was checked here would not be what is used there.
        if not value.isprintable():
            raise ValueError(f'{name} is {value!r}, but must not hold unprintable characters')
        choices = [choice.value for choice in row.choices or ()]
        if choices and value not in choices:
            near = did_you_mean(value, choices)
            raise ValueError(f'{name} is {value!r}, but must be {row.must_be}{near}')
    elif row.allowed is not None and value not in row.allowed:
        unit = f' {row.unit}' if row.unit else ''
        raise ValueError(f'{name} is {value}, but must be {row.allowed}{unit}')


def _show(value: object) -> str:
    """Write a value as in a YAML file, shortened."""
    if value is None:
        return 'empty'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    text = repr(list(value) if isinstance(value, array) else value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _hint(row: Row, value: object) -> str:
    """Say how to write what was probably meant, or nothing."""
    if row.kind is Kind.TEXTS:
        return f': write [{value}]' if isinstance(value, str) and value.isprintable() else ''
    if row.kind is Kind.TEXT:
        return ': write it in quotes' if isinstance(value, (bool, int, float)) else ''
    return ' (without quotes)' if isinstance(value, str) else ''


def read(given: Mapping[str, object], resolve: Callable[[str], str]) -> Configuration:
    """
    Read and check everything; what is not given has its default.

    :param given: values as rclpy has them, by the whole names of the parameters, ours only
    :param resolve: makes a topic's name a full one, or raises ValueError with the reason
    :raises ConfigurationError: with one message for each thing that is wrong
    """
    names, problems = _convert_all(given, lay_out((), ()), resolve)
    machines, bases = names['machine_names'], names['base_names']
    texts = [problem.text for problem in problems if problem.parameters[0] in _OWNERS]
    texts += [*check_names('machine_names', machines), *check_names('base_names', bases)]
    if texts:
        # Everything else hangs on these names; further messages would mislead.
        raise ConfigurationError(texts)

    rows = lay_out(machines, bases)
    values, problems = _convert_all(given, rows, resolve)
    texts += _find_unknown(given, rows, {'machines': machines, 'bases': bases})
    texts += [problem.text for problem in problems]

    def section(prefix: str, rows: Sequence[Row]) -> dict[str, Any]:
        return {row.name: values[prefix + row.name] for row in rows}

    node = section('', NODE)
    configuration = Configuration(
        machines=tuple(
            MachineConfiguration(name=name, **section(f'machines.{name}.', MACHINE))
            for name in machines
        ),
        bases=tuple(
            BaseConfiguration(name=name, **section(f'bases.{name}.', BASE)) for name in bases
        ),
        **{name: node[name] for name in node.keys() - {'autostart', *_OWNERS}},
    )
    # Where a value was refused its default stood in, which proves nothing.
    refused = {problem.parameters[0] for problem in problems}
    texts += [
        problem.text
        for problem in find_problems(configuration)
        if refused.isdisjoint(problem.parameters)
    ]
    if texts:
        raise ConfigurationError(texts)
    return configuration


def find_foreign(given: Collection[str], known: Iterable[str]) -> list[str]:
    """
    Find names that are other nodes' and not a slip of a known one that is not set (R23).

    A robot's one file may hold a section for all of its nodes.
    """
    unset = [name for name in known if name not in given]
    return [
        name
        for name in given
        if name.partition('.')[0] not in _FIRSTS and not any(is_slip(name, one) for one in unset)
    ]


def with_place(name: str) -> str:
    """Add to another node's name what ours of that name is called, which may have been meant."""
    ours = [one for one in lay_out(('NAME',), ('NAME',)) if one.endswith(f'.NAME.{name}')]
    return f'{name} (ours is {ours[-1]})' if ours else name


def find_unused_overrides(given: Iterable[str], topics: Iterable[str]) -> Iterator[str]:
    """
    Say of each QoS override that it is for nothing that this node subscribes to (R23).

    :param topics: resolved names
    """
    known = [f'{OVERRIDES}{topic}.subscription.{one}' for topic in topics for one in POLICIES]
    for name in given:
        if name.startswith(OVERRIDES) and name not in known:
            near = did_you_mean(name, known)
            yield (
                f'{name} overrides nothing: {", ".join(topics)} can have subscription.'
                f'{", subscription.".join(POLICIES)}{near}'
            )


def _convert_all(
    given: Mapping[str, object], rows: Mapping[str, Row], resolve: Callable[[str], str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Return all values by the parameters' names, and the problems with those refused."""
    values: dict[str, Any] = {}
    problems = []
    for name, row in rows.items():
        value: Any = row.default
        if name in given:
            try:
                value = convert(name, row, given[name])
            except ValueError as error:
                problems.append(Problem(str(error), (name,)))
        if row.choices is not None:
            value = row.choices(value)
        elif row.name in _PATHS:
            value = expanduser(value)
        elif row.name == 'address' and value.startswith(UNIX):
            value = UNIX + expanduser(value[len(UNIX) :])
        elif row.name in ('command_topics', 'stamped_command_topics'):
            topics = []
            for topic in value:
                try:
                    topics.append(resolve(topic))
                except ValueError as error:
                    problems.append(Problem(f'{name} has {topic!r}, but {error}', (name,)))
            value = tuple(topics)
        values[name] = value
    return values, problems


def _find_unknown(
    given: Mapping[str, object], known: Mapping[str, Row], sections: Mapping[str, Names]
) -> Iterator[str]:
    """Say of each name that means nothing what might have been meant."""
    unnamed: dict[tuple[str, str], list[str]] = {}
    for name, value in given.items():
        # 'bases: {base: {}}' in a YAML file: all defaults, which says nothing wrong.
        is_empty_section = value is None and any(one.startswith(f'{name}.') for one in known)
        if name in known or is_empty_section:
            continue
        section, _, rest = name.partition('.')
        owner, _, row = rest.partition('.')
        if section in sections and row and owner not in sections[section]:
            unnamed.setdefault((section, owner), []).append(name)
        elif section in sections and '.' in row:
            # What rcl 10.1.3 makes of an empty map: it never leaves that section again.
            yield (
                f"{name} is not a parameter of this node: write no '{owner}: {{}}' in a "
                'parameter file, ROS puts what follows below it; leave it out'
            )
        else:
            yield f'{name} is not a parameter of this node{_suggest(name, known)}'
    for (section, owner), names in unnamed.items():
        owners = sections[section]
        yield (
            f'{", ".join(names)}: {owner!r} is not in {section[:-1]}_names '
            f'[{", ".join(owners)}]: add it there or remove this{did_you_mean(owner, owners)}'
        )


def _suggest(name: str, known: Mapping[str, Row]) -> str:
    """Suggest among the section's own names, where its long prefix does not blur the slip."""
    section, dot, row = name.rpartition('.')
    rows = [other.rpartition('.')[2] for other in known if other.rpartition('.')[0] == section]
    if not rows or not section:
        return did_you_mean(name, known)
    return did_you_mean(row, rows, prefix=section + dot)
