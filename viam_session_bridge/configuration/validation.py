# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a configuration makes sense, and if not, every reason why.

Messages call the parameters by their ROS names, because that is where the remedy is applied.
What is allowed is said in docs/reference/parameters.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re

from viam_session_bridge.configuration.address import FORMS, parse_address, WEBRTC_FORMS
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
    StopPolicy,
    Transport,
)
from viam_session_bridge.configuration.table import BASE, MACHINE, NODE, Row
from viam_session_bridge.text import did_you_mean

NAME_RULE = "letters, digits, '_' and '-' only"
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_-]*')


@dataclass(frozen=True)
class Problem:
    """What is wrong and what to do about it, and the parameters that it follows from."""

    text: str
    parameters: tuple[str, ...]


def find_problems(configuration: Configuration) -> tuple[Problem, ...]:
    """List everything that is wrong with a configuration, in the order of the parameters."""
    return tuple(_problems(configuration))


def _problems(configuration: Configuration) -> Iterator[Problem]:
    yield from _check_numbers(configuration, NODE)
    machines = [machine.name for machine in configuration.machines]
    yield from check_names('machine_names', machines)
    for machine in configuration.machines:
        yield from _check_machine(machine)
    yield from _check_parents({m.name: m.parent for m in configuration.machines})
    yield from check_names('base_names', [base.name for base in configuration.bases])
    for base in configuration.bases:
        yield from _check_base(base, machines)
    yield from _check_resources(configuration.bases)
    yield from _check_topics(configuration.bases)
    yield from _check_policy(configuration)


def _check_numbers(
    values: Configuration | MachineConfiguration | BaseConfiguration,
    rows: Sequence[Row],
    prefix: str = '',
) -> Iterator[Problem]:
    for row in rows:
        if row.allowed is None or (number := getattr(values, row.name)) in row.allowed:
            continue
        name, unit = prefix + row.name, f' {row.unit}' if row.unit else ''
        yield Problem(f'{name} is {number}, but must be {row.allowed}{unit}', (name,))


def check_names(parameter: str, names: Sequence[str]) -> Iterator[Problem]:
    """Find what is wrong with ``machine_names`` or ``base_names``, which all else hangs on."""
    if not names:
        yield Problem(f'{parameter} is empty: name at least one', (parameter,))
    for name, count in Counter(names).items():
        if _NAME.fullmatch(name) is None:
            yield Problem(f'{parameter} holds {name!r}, but names have {NAME_RULE}', (parameter,))
        if count > 1:
            yield Problem(f'{parameter} holds {name!r} {count} times: name it once', (parameter,))


def _check_machine(machine: MachineConfiguration) -> Iterator[Problem]:
    prefix = f'machines.{machine.name}'
    address, insecure = f'{prefix}.address', f'{prefix}.insecure'
    webrtc = machine.transport is Transport.WEBRTC
    try:
        parsed = parse_address(machine.address, port_needed=not webrtc)
        is_local = parsed.is_local
        if webrtc and parsed.path:
            raise ValueError('it is a unix socket, which WebRTC does not go through')
    except ValueError as error:
        forms = WEBRTC_FORMS if webrtc else FORMS
        yield Problem(f'{address} is {machine.address!r}, but {error}: give {forms}', (address,))
        is_local = True  # Unknown, and one message about an address is enough.
    if machine.insecure and not is_local and not machine.allow_plaintext:
        yield Problem(
            f'{insecure} is true, but {address} is {machine.address!r}, where anyone on the '
            'network could drive the base: without TLS give localhost, 127.x.x.x, [::1] or '
            'unix:PATH, for example the near end of an SSH tunnel (or, if you must, set '
            f'{prefix}.allow_plaintext to true)',
            (insecure, address, f'{prefix}.allow_plaintext'),
        )
    yield from _check_tls(machine, prefix)
    yield from _check_numbers(machine, MACHINE, f'{prefix}.')


def _check_tls(machine: MachineConfiguration, prefix: str) -> Iterator[Problem]:
    """Find what contradicts the transport, and would be ignored or worse."""
    webrtc = machine.transport is Transport.WEBRTC
    for name in ('ca_file', 'server_name', 'credentials_file'):
        because = f'{prefix}.insecure'
        if machine.insecure and name == 'credentials_file':
            why = f'{prefix}.insecure is true, and no key goes over plaintext'
        elif machine.insecure:
            why = f'{prefix}.insecure is true, which is without certificates'
        elif webrtc and name == 'server_name':
            because = f'{prefix}.transport'
            why = f'{because} is webrtc, and viam-sdk goes by the name in the address'
        else:
            continue
        if getattr(machine, name):
            yield Problem(
                f'{prefix}.{name} is {getattr(machine, name)!r}, but {why}',
                (f'{prefix}.{name}', because),
            )
    if webrtc and machine.insecure:
        yield Problem(
            f'{prefix}.transport is webrtc and {prefix}.insecure is true: WebRTC is always '
            'encrypted, so set one of them otherwise',
            (f'{prefix}.transport', f'{prefix}.insecure'),
        )


def _check_parents(parents: dict[str, str]) -> Iterator[Problem]:
    reported: set[str] = set()
    for name, parent in parents.items():
        parameter = f'machines.{name}.parent'
        if parent and parent not in parents:
            yield Problem(
                f'{parameter} is {parent!r}, but machine_names has only '
                f'{", ".join(parents)}{did_you_mean(parent, list(parents))}',
                (parameter, 'machine_names'),
            )
        line, up = [name], parent
        while up in parents and up not in line:
            line.append(up)
            up = parents[up]
        if up == name and name not in reported:
            reported.update(line)
            yield Problem(
                f'{parameter} is {parent!r}, which closes a circle '
                f'({" -> ".join([*line, name])}): leave the main part without a parent',
                tuple(f'machines.{one}.parent' for one in line),
            )


def _check_base(base: BaseConfiguration, machines: list[str]) -> Iterator[Problem]:
    prefix = f'bases.{base.name}'
    if base.machine not in machines:
        yield Problem(
            f'{prefix}.machine is {base.machine!r}, but machine_names has only '
            f'{", ".join(machines) or "nothing"}{did_you_mean(base.machine, machines)}',
            (f'{prefix}.machine', 'machine_names'),
        )
    if not base.resource.strip() or not base.resource.isprintable():
        yield Problem(
            f"{prefix}.resource is {base.resource!r}, but must be the base's name in the Viam "
            'configuration',
            (f'{prefix}.resource',),
        )
    lists = (f'{prefix}.command_topics', f'{prefix}.stamped_command_topics')
    if not base.command_topics and not base.stamped_command_topics:
        yield Problem(
            f'{lists[0]} and {lists[1]} are both empty, so nobody can command the base: '
            'name a topic in one of them',
            lists,
        )
    for name, topics in (
        (lists[0], base.command_topics),
        (lists[1], base.stamped_command_topics),
    ):
        for topic, count in Counter(topics).items():
            if count > 1:
                yield Problem(f'{name} has {topic} {count} times: name it once', (name,))
    speeds = (f'{prefix}.max_linear_speed', f'{prefix}.max_angular_speed')
    yield from _check_numbers(base, BASE, f'{prefix}.')
    if base.drive_mode is DriveMode.POWER:
        for name, speed in (
            (speeds[0], base.max_linear_speed),
            (speeds[1], base.max_angular_speed),
        ):
            if speed == 0:
                yield Problem(
                    f'{prefix}.drive_mode is power, but {name} is 0: set it to the speed that '
                    'full power gives',
                    (f'{prefix}.drive_mode', name),
                )
    elif not base.mirrored_reverse:
        yield Problem(
            f'{prefix}.mirrored_reverse is false, but {prefix}.drive_mode is velocity, where '
            'nothing is mirrored: set drive_mode to power, or leave mirrored_reverse out',
            (f'{prefix}.drive_mode', f'{prefix}.mirrored_reverse'),
        )


def _check_resources(bases: tuple[BaseConfiguration, ...]) -> Iterator[Problem]:
    users = defaultdict(list)
    for base in bases:
        users[base.machine, base.resource].append(base.name)
    for (machine, resource), names in users.items():
        parameters = tuple(f'bases.{name}.resource' for name in dict.fromkeys(names))
        if len(parameters) > 1:
            yield Problem(
                f'{" and ".join(parameters)} are all {resource!r} of machine {machine!r}: '
                'give that base once, with all its topics',
                parameters + tuple(f'bases.{name}.machine' for name in dict.fromkeys(names)),
            )


def _check_topics(bases: tuple[BaseConfiguration, ...]) -> Iterator[Problem]:
    # By topic: the parameters that name it, and the bases they belong to.
    plain: dict[str, list[str]] = defaultdict(list)
    stamped: dict[str, list[str]] = defaultdict(list)
    users: dict[str, dict[str, SessionsMode]] = defaultdict(dict)
    for base in bases:
        for topic in dict.fromkeys(base.command_topics):
            plain[topic].append(f'bases.{base.name}.command_topics')
            users[topic][base.name] = base.sessions
        for topic in dict.fromkeys(base.stamped_command_topics):
            stamped[topic].append(f'bases.{base.name}.stamped_command_topics')
            users[topic][base.name] = base.sessions
    for topic, modes in users.items():
        lists = (*plain[topic], *stamped[topic])
        if plain[topic] and stamped[topic]:
            yield Problem(
                f'{topic} is in {" and in ".join(lists)}, but DDS allows one type per topic: '
                'name it in lists of one kind, and set a list that has it only by default to []',
                lists,
            )
        if len(set(modes.values())) > 1:
            each = ', '.join(f'bases.{name}.sessions {mode.value}' for name, mode in modes.items())
            yield Problem(
                f'{topic} commands bases that differ in sessions ({each}): set them alike, or '
                'give each base a topic of its own',
                lists + tuple(f'bases.{name}.sessions' for name in modes),
            )


def _check_policy(configuration: Configuration) -> Iterator[Problem]:
    if configuration.stop_policy is StopPolicy.BRIDGE:
        return
    for base in configuration.bases:
        if base.sessions is SessionsMode.MANUAL:
            parameter = f'bases.{base.name}.sessions'
            yield Problem(
                f"stop_policy is machine, but {parameter} is manual: a dead-man's switch is the "
                f"bridge's own, so set stop_policy to bridge or {parameter} to auto",
                ('stop_policy', parameter),
            )
