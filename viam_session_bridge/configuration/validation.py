# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What contradicts itself in a configuration whose values are allowed each by itself.

Messages call the parameters by their ROS names, because that is where the remedy is applied.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

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
from viam_session_bridge.text import did_you_mean


@dataclass(frozen=True)
class Problem:
    """What is wrong and what to do about it, and the parameters that it follows from."""

    text: str
    parameters: tuple[str, ...]


def find_problems(configuration: Configuration) -> Iterator[Problem]:
    """Find all contradictions."""
    machines = [machine.name for machine in configuration.machines]
    for machine in configuration.machines:
        yield from _check_machine(machine)
    yield from _check_parents({m.name: m.parent for m in configuration.machines})
    for base in configuration.bases:
        yield from _check_base(base, machines)
    yield from _check_resources(configuration.bases)
    yield from _check_topics(configuration.bases)
    yield from _check_policy(configuration)


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


def _check_tls(machine: MachineConfiguration, prefix: str) -> Iterator[Problem]:
    """Find what contradicts the transport, and would be ignored or worse."""
    insecure, transport = f'{prefix}.insecure', f'{prefix}.transport'
    webrtc = machine.transport is Transport.WEBRTC
    if machine.insecure:
        no_tls = 'is true, and without TLS there are no certificates'
        no_key = 'is true, and no key goes over plaintext'
        ignored = {'ca_file': no_tls, 'server_name': no_tls, 'credentials_file': no_key}
    elif webrtc:
        ignored = {'server_name': 'is webrtc, and viam-sdk uses the name in the address'}
    else:
        return
    because = insecure if machine.insecure else transport
    for name, why in ignored.items():
        if value := getattr(machine, name):
            yield Problem(
                f'{prefix}.{name} is {value!r}, but {because} {why}', (f'{prefix}.{name}', because)
            )
    if webrtc and machine.insecure:
        yield Problem(
            f'{transport} is webrtc and {insecure} is true: WebRTC is always encrypted, so change '
            'one of them',
            (transport, insecure),
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
            f'{", ".join(machines)}{did_you_mean(base.machine, machines)}',
            (f'{prefix}.machine', 'machine_names'),
        )
    if not base.resource.strip():
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
    if base.drive_mode is DriveMode.POWER:
        for name in ('max_linear_speed', 'max_angular_speed'):
            if getattr(base, name) == 0:
                yield Problem(
                    f'{prefix}.drive_mode is power, but {prefix}.{name} is 0: set it to the '
                    'speed that full power gives',
                    (f'{prefix}.drive_mode', f'{prefix}.{name}'),
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
        users[base.machine, base.resource].append(f'bases.{base.name}')
    for (machine, resource), same in users.items():
        if len(same) > 1:
            resources = [f'{base}.resource' for base in same]
            yield Problem(
                f'{" and ".join(resources)} are all {resource!r} of machine {machine!r}: '
                'give that base once, with all its topics',
                (*resources, *(f'{base}.machine' for base in same)),
            )


def _check_topics(bases: tuple[BaseConfiguration, ...]) -> Iterator[Problem]:
    uses: dict[str, dict[str, BaseConfiguration]] = defaultdict(dict)  # by topic and parameter
    for kind in ('command_topics', 'stamped_command_topics'):
        for base in bases:
            parameter = f'bases.{base.name}.{kind}'
            for topic, count in Counter(getattr(base, kind)).items():
                uses[topic][parameter] = base
                if count > 1:
                    yield Problem(
                        f'{parameter} has {topic} {count} times: name it once', (parameter,)
                    )
    for topic, users in uses.items():
        lists = tuple(users)
        if len({parameter.rpartition('.')[2] for parameter in lists}) > 1:
            yield Problem(
                f'{topic} is in {" and in ".join(lists)}, but DDS allows one type per topic: '
                'name it in lists of one type; a list with it only by default can be set to []',
                lists,
            )
        modes = {f'bases.{base.name}.sessions': base.sessions for base in users.values()}
        if len(set(modes.values())) > 1:
            each = ', '.join(f'{parameter} {mode.value}' for parameter, mode in modes.items())
            yield Problem(
                f'{topic} commands bases that differ in sessions ({each}): set them alike, or '
                'give each base a topic of its own',
                (*lists, *modes),
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
