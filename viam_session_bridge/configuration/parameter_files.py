# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Settings that were given and reach nothing (R23): arguments, and sections of parameter files. Pure.

ROS ignores what is meant for another node, and what no node asks for, without a word: a bridge
would run on its defaults, without the limits that somebody wrote down. Its own rules decide what
reaches this node (rcl, and rclpy's ``node.cpp`` for the wildcards).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
import re

import yaml

from viam_session_bridge.configuration.table import NODE
from viam_session_bridge.text import some

SETTINGS = frozenset({'machines', 'machine_names', 'bases', 'base_names', 'heartbeat_window'})
"""Without these a file says nothing about driving; by their names up to the first dot."""
# A launch adds `autostart` in a file of its own: that one says nothing of the user's.
_OURS = (SETTINGS | {row.name for row in NODE}) - {'autostart'}
_PARAMETERS = 'ros__parameters'
_EVERY_NODE = '/**'
SEE_HELP = 'see --help'


@dataclass(frozen=True)
class Section:
    """The parameters that a file, or an argument, has under one node's name."""

    file: str
    node: str  # as rcl reads it: '/**', '/robot1/viam_session_bridge'
    names: frozenset[str]  # of parameters, as 'bases.base.resource'

    @property
    def settings(self) -> frozenset[str]:
        """Return those of its names that are settings of this package's node."""
        return frozenset(one for one in self.names if one.partition('.')[0] in SETTINGS)

    def reaches(self, node: str) -> bool:
        """Return whether it is for a node, by its full name."""
        # Each star stands for one or, doubled, for any number of names.
        return re.fullmatch(self.node.replace('/*', r'(/\w+)'), node) is not None


def sections(file: str, text: str) -> list[Section]:
    """
    Return the sections of a parameter file that rcl has read without an error.

    :raises yaml.YAMLError: it is none
    """
    found = []

    def walk(name: str, content: yaml.Node) -> None:
        for key, value in _entries(content):
            if key == _PARAMETERS:
                node = name if name.startswith('/') else f'/{name}'
                found.append(Section(file, node, frozenset(_parameters(value))))
            else:
                walk(f'{name.rstrip("/")}/{key}' if name else key, value)

    for document in yaml.compose_all(text, yaml.SafeLoader):
        walk('', document)
    return found


def _parameters(node: yaml.Node, prefix: str = '') -> Iterator[str]:
    for key, value in _entries(node):
        inner = list(_parameters(value, f'{prefix}{key}.'))
        yield from inner or [f'{prefix}{key}']


def _entries(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    # Not as a dictionary: what has one name twice counts twice, for rcl too.
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), value


def find_unreached(files: Sequence[str], found: Sequence[Section], node: str) -> list[str]:
    """
    Find what all parameter files together hold for this node, and keep from it.

    :param found: the sections of all files
    :param node: its full name
    :return: one line for each reason not to start
    """
    if not files:
        return []
    if not any(name.partition('.')[0] in _OURS for one in found for name in one.names):
        return [
            f'{", ".join(files)}: no setting of this node is in there: put them under '
            f"'{node}:' and 'ros__parameters:', or leave the file out to run on defaults"
        ]
    reaching = [one for one in found if one.settings and one.reaches(node)]
    if any(one.node != _EVERY_NODE for one in reaching):
        return []  # and the rest is for other robots
    reached = frozenset().union(*(one.settings for one in reaching))
    return [
        f"{one.file}: section '{one.node}' holds {some(sorted(missed), 1)}, but this node is "
        f"{node}: name the section '{node}', or start the node with that name and namespace"
        for one in found
        if not one.reaches(node) and (missed := one.settings - reached)
    ]


@dataclass(frozen=True)
class Arguments:
    """What the command line says about parameters."""

    files: tuple[str, ...]
    sections: tuple[Section, ...]  # of single parameters that are given for a node by its name


def read_arguments(arguments: Iterable[str]) -> Arguments:
    """Return the parameter files, and parameters for named nodes, among a program's arguments."""
    files, named = [], []
    ours, flag = False, ''
    for one in arguments:
        if one in ('--ros-args', '--'):
            ours, flag = one == '--ros-args', ''
        elif not ours:
            continue
        elif flag == '--params-file':
            files.append(one)
            flag = ''
        elif flag in ('-p', '--param'):
            name = one.partition(':=')[0]
            node, colon, parameter = name.rpartition(':')
            if colon:
                node = node if node.startswith('/') else f'/{node}'
                named.append(Section(f'-p {one}', node, frozenset({parameter})))
            flag = ''
        else:
            flag = one
    return Arguments(tuple(files), tuple(named))


def find_wrong_arguments(arguments: Arguments, foreign: Iterable[str], node: str) -> list[str]:
    """
    Find arguments that reach nothing.

    :param foreign: those that are not ROS's, of a program that has none of its own
    """
    texts = [
        f'{one!r} is no argument of this program: those of ROS follow --ros-args, a parameter '
        f'file follows --ros-args --params-file; {SEE_HELP}'
        for one in foreign
    ]
    texts += [
        f'{one.file}: it is for the node {one.node}, but this one is {node}'
        for one in arguments.sections
        if not one.reaches(node)
    ]
    return texts
