# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the parameters only name: files, the environment, the extra for WebRTC.

Looked at once when the node is configured, so that what is missing is said then and not when the
robot is to move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec

from viam_session_bridge.configuration.model import (
    Configuration,
    ConfigurationError,
    MachineConfiguration,
    Transport,
)
from viam_session_bridge.viam.certificates import CertificatesError, trusted
from viam_session_bridge.viam.credentials import CredentialsError, in_environment, load

NO_VIAM_SDK = 'viam-sdk is not installed: pip install viam-sdk'


def complete(configuration: Configuration, environment: Mapping[str, str]) -> Configuration:
    """
    Return the configuration with what files and the environment add to it.

    :raises ConfigurationError: with one message for each thing that is missing
    """
    problems: list[str] = []
    environment_key = False
    try:
        environment_key = in_environment(environment)
    except CredentialsError as error:
        problems.append(str(error))
    machines = tuple(
        _complete(replace(machine, environment_key=environment_key), environment, problems)
        for machine in configuration.machines
    )
    if problems:
        raise ConfigurationError(problems)
    return replace(configuration, machines=machines)


def _complete(
    machine: MachineConfiguration, environment: Mapping[str, str], problems: list[str]
) -> MachineConfiguration:
    prefix = f'machines.{machine.name}'
    if machine.credentials_file:
        try:
            load(machine.credentials_file, environment)
        except CredentialsError as error:
            problems.append(f'{prefix}.credentials_file: {error}')
    if machine.transport is Transport.WEBRTC:
        if find_spec('viam') is None:
            problems.append(f'{prefix}.transport is webrtc, but {NO_VIAM_SDK}')
        if not machine.ca_file:
            return machine  # viam-sdk knows the system's
    if machine.insecure:
        return machine
    try:
        return replace(machine, trusted=trusted(machine.ca_file))
    except CertificatesError as error:
        problems.append(f'{prefix}.ca_file: {error}')
        return machine
