# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
From the parameters that were given, by name, to a configuration; without a node.

ROS decides the type of a value from how it is written, so that people's slips arrive as types:
``1`` for ``1.0``, ``cmd_vel`` for ``[cmd_vel]``, ``on`` for ``'on'``. Only the first is harmless.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    ConfigurationError,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
    StopPolicy,
    Transport,
)
from viam_session_bridge.configuration.table import BASE, Kind, MACHINE, NODE, Row, Value
from viam_session_bridge.configuration.validation import check_names, find_problems
from viam_session_bridge.text import did_you_mean


@dataclass(frozen=True)
class Entry:
    """A parameter that exists: its row, and its default where its neighbours are known."""

    row: Row
    default: Value


def lay_out(machines: tuple[str, ...], bases: tuple[str, ...]) -> dict[str, Entry]:
    """Name every parameter there is for these machines and bases, with its entry."""
    entries = {row.name: _entry(row) for row in NODE}
    for name in machines:
        entries |= {f'machines.{name}.{row.name}': _entry(row) for row in MACHINE}
    for name in bases:
        defaults = {'machine': machines[0] if machines else '', 'resource': name}
        entries |= {f'bases.{name}.{row.name}': _entry(row, **defaults) for row in BASE}
    return entries


def _entry(row: Row, **defaults: str) -> Entry:
    return Entry(row, defaults[row.name] if row.default is None else row.default)


def convert(name: str, row: Row, value: object) -> Value:
    """
    Give the value its proper type: bool, int, float, str or a tuple of str.

    ``value`` is whatever rclpy makes of a parameter, None where it has no value, which is how
    an empty list of a YAML file arrives. Raises ValueError with a whole message; ranges are
    left to ``validation``.
    """
    if row.kind is Kind.TEXTS:
        return _convert_texts(name, row, value)
    if row.kind is Kind.TEXT and isinstance(value, str):
        return _convert_text(name, row, value)
    if row.kind is Kind.FLAG and isinstance(value, bool):
        return value
    # A bool is an int in Python, but no speed.
    if not isinstance(value, bool):
        if row.kind is Kind.INTEGER and isinstance(value, int):
            return value
        if row.kind is Kind.NUMBER and isinstance(value, (int, float)):
            return float(value)
    raise ValueError(f'{name} is {_show(value)}, but must be {row.must_be}{_hint(row, value)}')


def _convert_text(name: str, row: Row, value: str) -> str:
    # ROS ends a text at a NUL: what was checked here would not be what is used there.
    if not value.isprintable():
        raise ValueError(f'{name} is {value!r}, but must not hold unprintable characters')
    if row.choices and value not in row.choices:
        raise ValueError(
            f'{name} is {value!r}, but must be {row.must_be}{did_you_mean(value, row.choices)}'
        )
    return value


def _convert_texts(name: str, row: Row, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (list, tuple, array)):
        # An empty list has no type of its own: rclpy takes it for one of bytes.
        texts = tuple(text for text in value if isinstance(text, str) and text.isprintable())
        if len(texts) == len(value):
            return texts
    raise ValueError(f'{name} is {_show(value)}, but must be {row.must_be}{_hint(row, value)}')


def _show(value: object) -> str:
    """Write a value as in a YAML file, shortened."""
    if value is None:
        return 'empty'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, array):
        value = list(value)
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _hint(row: Row, value: object) -> str:
    """Say how to write what was probably meant, or nothing."""
    if row.kind is Kind.TEXTS:
        return f': write [{value}]' if isinstance(value, str) and value.isprintable() else ''
    if row.kind is Kind.TEXT:
        return ': write it in quotes' if isinstance(value, (bool, int, float)) else ''
    if isinstance(value, str):
        return ' (without quotes)'
    return ''


def read(given: Mapping[str, object], resolve: Callable[[str], str]) -> Configuration:
    """
    Read and check everything; what is not given has its default.

    :param given: values as rclpy has them, by the whole names of the parameters, ours only
    :param resolve: makes a topic's name a full one, or raises ValueError with the reason
    :raises ConfigurationError: with one message for each thing that is wrong
    """
    names = _Values(given, lay_out((), ()), resolve)
    machines = names.get('machine_names')
    bases = names.get('base_names')
    for parameter, given_names in (('machine_names', machines), ('base_names', bases)):
        names.problems += [problem.text for problem in check_names(parameter, given_names)]
    if names.problems:
        # Everything else hangs on these names; further messages would mislead.
        raise ConfigurationError(names.problems)

    values = _Values(given, lay_out(machines, bases), resolve)
    values.problems += _find_unknown(given, values.entries, machines, bases)
    configuration = values.configuration(machines, bases)
    for problem in find_problems(configuration):
        # Where a value was refused its default stood in, which proves nothing.
        if values.refused.isdisjoint(problem.parameters):
            values.problems.append(problem.text)
    if values.problems:
        raise ConfigurationError(values.problems)
    return configuration


class _Values:
    """What was given, converted; collects the messages about what cannot be."""

    def __init__(
        self,
        given: Mapping[str, object],
        entries: Mapping[str, Entry],
        resolve: Callable[[str], str],
    ) -> None:
        self.given = given
        self.entries = entries
        self.problems: list[str] = []
        self.refused: set[str] = set()
        self._resolve = resolve

    def get(self, name: str) -> Any:
        """Return a value of the type that the parameter's row says."""
        entry = self.entries[name]
        if name in self.given:
            try:
                return convert(name, entry.row, self.given[name])
            except ValueError as error:
                self._refuse(name, str(error))
        return entry.default

    def configuration(
        self, machines: tuple[str, ...], bases: tuple[str, ...]
    ) -> Configuration:
        """Return all values together."""
        node = {row.name: self.get(row.name) for row in NODE}
        return Configuration(
            heartbeat_window=node['heartbeat_window'],
            shutdown_timeout=node['shutdown_timeout'],
            stop_timeout=node['stop_timeout'],
            level_timeout=node['level_timeout'],
            event_log=node['event_log'],
            stop_policy=StopPolicy(node['stop_policy']),
            machines=tuple(self._machine(name) for name in machines),
            bases=tuple(self._base(name) for name in bases),
        )

    def _machine(self, name: str) -> MachineConfiguration:
        values = {row.name: self.get(f'machines.{name}.{row.name}') for row in MACHINE}
        values['transport'] = Transport(values['transport'])
        return MachineConfiguration(name=name, **values)

    def _base(self, name: str) -> BaseConfiguration:
        values = {row.name: self.get(f'bases.{name}.{row.name}') for row in BASE}
        for topics in ('command_topics', 'stamped_command_topics'):
            values[topics] = tuple(self._topics(f'bases.{name}.{topics}', values[topics]))
        values['sessions'] = SessionsMode(values['sessions'])
        values['drive_mode'] = DriveMode(values['drive_mode'])
        return BaseConfiguration(name=name, **values)

    def _topics(self, parameter: str, topics: tuple[str, ...]) -> Iterator[str]:
        for topic in topics:
            try:
                yield self._resolve(topic)
            except ValueError as error:
                self._refuse(parameter, f'{parameter} has {topic!r}, but {error}')

    def _refuse(self, name: str, message: str) -> None:
        self.refused.add(name)
        self.problems.append(message)


def _find_unknown(
    given: Mapping[str, object],
    known: Mapping[str, Entry],
    machines: tuple[str, ...],
    bases: tuple[str, ...],
) -> Iterator[str]:
    """Say of each name that means nothing what might have been meant."""
    sections = {f'machines.{owner}.' for owner in machines} | {f'bases.{one}.' for one in bases}
    unnamed: dict[tuple[str, str], list[str]] = {}
    for name in given:
        if name in known or _is_empty_section(name, given[name], known):
            continue
        kind, _, rest = name.partition('.')
        owner, _, row = rest.partition('.')
        if (kind == 'machines' and row and owner not in machines) or (
            kind == 'bases' and row and owner not in bases
        ):
            unnamed.setdefault((kind, owner), []).append(name)
        elif f'{kind}.{owner}.' in sections and '.' in row:
            # What rcl 10.1.3 makes of an empty map: it never leaves that section again.
            yield (
                f"{name} is not a parameter of this node: write no '{owner}: {{}}' in a "
                'parameter file, ROS puts what follows below it; leave it out'
            )
        else:
            yield f'{name} is not a parameter of this node{_suggest(name, known)}'
    for (kind, owner), names in unnamed.items():
        parameter, owners = (
            ('machine_names', machines) if kind == 'machines' else ('base_names', bases)
        )
        yield (
            f'{", ".join(names)}: {owner!r} is not in {parameter} [{", ".join(owners)}]: '
            f'add it there or remove this{did_you_mean(owner, owners)}'
        )


def _is_empty_section(name: str, value: object, known: Mapping[str, Entry]) -> bool:
    # 'bases: {base: {}}' in a YAML file: all defaults, which says nothing wrong.
    return value is None and any(other.startswith(f'{name}.') for other in known)


def _suggest(name: str, known: Mapping[str, Entry]) -> str:
    """Suggest among the section's own names, where its long prefix does not blur the slip."""
    section, dot, row = name.rpartition('.')
    rows = [other.rpartition('.')[2] for other in known if other.rpartition('.')[0] == section]
    if not rows or not section:
        return did_you_mean(name, known)
    return did_you_mean(row, rows, prefix=section + dot)
