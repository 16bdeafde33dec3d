# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""From the parameters that were given, by name, to a configuration; without a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from viam_session_bridge.configuration.parsing import convert, Entry, lay_out
from viam_session_bridge.configuration.table import BASE, MACHINE, NODE
from viam_session_bridge.configuration.validation import check_names, find_problems
from viam_session_bridge.text import did_you_mean


def read(given: Mapping[str, object], resolve: Callable[[str], str]) -> Configuration:
    """
    Read and check everything; what is not given has its default.

    :param given: values as rclpy has them, by the whole names of the parameters, ours only
    :param resolve: makes a topic's name a full one, or raises ValueError with the reason
    :raises ConfigurationError: with one message for each thing that is wrong
    """
    names = _Values(given, lay_out((), ()))
    machines = names.get('machine_names')
    bases = names.get('base_names')
    for parameter, said in (('machine_names', machines), ('base_names', bases)):
        names.problems += [problem.text for problem in check_names(parameter, said)]
    if names.problems:
        # Everything else hangs on these names; what it would say now would mislead.
        raise ConfigurationError(names.problems)

    values = _Values(given, lay_out(machines, bases))
    values.problems += _find_unknown(given, values.entries, machines, bases)
    configuration = _build(values, resolve, machines, bases)
    for problem in find_problems(configuration):
        # Where a value was refused its default stood in, which proves nothing.
        if values.refused.isdisjoint(problem.parameters):
            values.problems.append(problem.text)
    if values.problems:
        raise ConfigurationError(values.problems)
    return configuration


class _Values:
    """What was given, converted; collects the messages about what cannot be."""

    def __init__(self, given: Mapping[str, object], entries: Mapping[str, Entry]) -> None:
        self.given = given
        self.entries = entries
        self.problems: list[str] = []
        self.refused: set[str] = set()

    def get(self, name: str) -> Any:
        """Give a value of the type that the parameter's row says."""
        entry = self.entries[name]
        if name in self.given:
            try:
                return convert(name, entry.row, self.given[name])
            except ValueError as error:
                self.refuse(name, str(error))
        return entry.default

    def refuse(self, name: str, message: str) -> None:
        self.refused.add(name)
        self.problems.append(message)


def _build(
    values: _Values,
    resolve: Callable[[str], str],
    machines: tuple[str, ...],
    bases: tuple[str, ...],
) -> Configuration:
    node = {row.name: values.get(row.name) for row in NODE}
    return Configuration(
        heartbeat_window=node['heartbeat_window'],
        shutdown_timeout=node['shutdown_timeout'],
        stop_timeout=node['stop_timeout'],
        level_timeout=node['level_timeout'],
        event_log=node['event_log'],
        stop_policy=StopPolicy(node['stop_policy']),
        machines=tuple(_build_machine(values, name) for name in machines),
        bases=tuple(_build_base(values, resolve, name) for name in bases),
    )


def _build_machine(values: _Values, name: str) -> MachineConfiguration:
    got = {row.name: values.get(f'machines.{name}.{row.name}') for row in MACHINE}
    got['transport'] = Transport(got['transport'])
    return MachineConfiguration(name=name, **got)


def _build_base(values: _Values, resolve: Callable[[str], str], name: str) -> BaseConfiguration:
    got = {row.name: values.get(f'bases.{name}.{row.name}') for row in BASE}
    for topics in ('command_topics', 'stamped_command_topics'):
        parameter = f'bases.{name}.{topics}'
        got[topics] = tuple(_resolve(values, resolve, parameter, got[topics]))
    got['sessions'] = SessionsMode(got['sessions'])
    got['drive_mode'] = DriveMode(got['drive_mode'])
    return BaseConfiguration(name=name, **got)


def _resolve(
    values: _Values, resolve: Callable[[str], str], parameter: str, topics: tuple[str, ...]
) -> Iterator[str]:
    for topic in topics:
        try:
            yield resolve(topic)
        except ValueError as error:
            values.refuse(parameter, f'{parameter} has {topic!r}, but {error}')


def _find_unknown(
    given: Mapping[str, object],
    known: Mapping[str, Entry],
    machines: tuple[str, ...],
    bases: tuple[str, ...],
) -> Iterator[str]:
    """Say of each name that means nothing what might have been meant."""
    sections = {f'machines.{owner}.' for owner in machines} | {f'bases.{one}.' for one in bases}
    nameless: dict[tuple[str, str], list[str]] = {}
    for name in given:
        if name in known or _is_empty_section(name, given[name], known):
            continue
        kind, _, rest = name.partition('.')
        owner, _, row = rest.partition('.')
        if (kind == 'machines' and row and owner not in machines) or (
            kind == 'bases' and row and owner not in bases
        ):
            nameless.setdefault((kind, owner), []).append(name)
        elif f'{kind}.{owner}.' in sections and '.' in row:
            # What rcl 10.1.3 makes of an empty map: it never leaves that section again.
            yield (
                f"{name} is not a parameter of this node: write no '{owner}: {{}}' in a "
                'parameter file, ROS puts what follows below it; leave it out'
            )
        else:
            yield f'{name} is not a parameter of this node{_suggest(name, known)}'
    for (kind, owner), names in nameless.items():
        parameter, said = (
            ('machine_names', machines) if kind == 'machines' else ('base_names', bases)
        )
        yield (
            f'{", ".join(names)}: {owner!r} is not in {parameter} [{", ".join(said)}]: '
            f'add it there or remove this{did_you_mean(owner, said)}'
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
