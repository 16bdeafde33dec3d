# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The configuration of the bridge, as plain values; ``table`` describes each.

Times are in seconds, speeds in m/s and rad/s, topics are resolved names (``/robot/cmd_vel``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from viam_session_bridge.configuration.address import parse_address
from viam_session_bridge.text import printable

LINE_LENGTH = 1000  # characters of a message, about: a value may have any length


class DriveMode(str, Enum):
    """What is sent to a base: a velocity, or fractions of its full power (R21)."""

    VELOCITY = 'velocity'
    POWER = 'power'


class Transport(str, Enum):
    """How a machine is reached."""

    DIRECT = 'direct'  # gRPC, by TLS unless it is insecure
    WEBRTC = 'webrtc'  # through viam-sdk, as machines in Viam's cloud are


class SessionsMode(str, Enum):
    """The parameter ``sessions`` of a base: what starts a session and keeps it alive."""

    AUTO = 'auto'  # the first command starts it, a sign of life of the client's own keeps it
    MANUAL = 'manual'  # a heartbeat starts it, both together keep it: a dead-man's switch
    DISABLED = 'disabled'  # there is none: no lapse stops what is forwarded


class StopPolicy(str, Enum):
    """Who stops a base when the session ends that used it last (R16)."""

    BRIDGE = 'bridge'  # this bridge, at the lapse
    MACHINE = 'machine'  # viam-server, which sees other Viam clients too; the bridge verifies


@dataclass(frozen=True)
class MachineConfiguration:
    """
    One Viam machine: its parameters, and what ``credentials.complete`` finds for them.

    :param environment_key: whether the environment has an API key, for machines that name no
        ``credentials_file``
    :param trusted: the certificates to trust in PEM, None for gRPC's own
    """

    name: str
    address: str
    insecure: bool
    call_timeout: float
    max_sessions: int
    allow_unsupervised: bool
    parent: str = ''
    transport: Transport = Transport.DIRECT
    allow_plaintext: bool = False
    ca_file: str = ''
    server_name: str = ''
    credentials_file: str = ''
    environment_key: bool = False
    trusted: bytes | None = None

    @property
    def has_credentials(self) -> bool:
        """Whether there is an API key for it; none goes over plaintext."""
        return not self.insecure and (bool(self.credentials_file) or self.environment_key)

    @property
    def authenticates(self) -> bool:
        """Whether the bridge asks it for an access token; a WebRTC dial does so by itself."""
        return self.has_credentials and self.transport is Transport.DIRECT

    @property
    def is_plaintext_to_network(self) -> bool:
        """Whether others on the network could listen in, and drive its bases."""
        return self.insecure and not parse_address(self.address).is_local


@dataclass(frozen=True)
class BaseConfiguration:
    """One Viam base and the resolved topics that command it; a limit of zero is none."""

    name: str
    machine: str
    resource: str
    command_topics: tuple[str, ...]
    stamped_command_topics: tuple[str, ...]
    sessions: SessionsMode
    drive_mode: DriveMode
    max_linear_speed: float
    max_angular_speed: float
    max_stamp_age: float
    mirrored_reverse: bool = True

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics that command it."""
        return self.command_topics + self.stamped_command_topics


@dataclass(frozen=True)
class Configuration:
    """Everything together."""

    heartbeat_window: float
    shutdown_timeout: float
    event_log: str
    machines: tuple[MachineConfiguration, ...]
    bases: tuple[BaseConfiguration, ...]
    level_timeout: float = 1.0
    stop_timeout: float = 2.0
    stop_policy: StopPolicy = StopPolicy.BRIDGE


class ConfigurationError(ValueError):
    """The parameters cannot be used; ``problems`` has one line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(_line, problems))
        super().__init__('\n'.join(self.problems))


def _line(text: str) -> str:
    """Make a line of the log of a message, whatever names and values it quotes."""
    if len(text) > LINE_LENGTH:
        # A message begins with the parameter and its value, and ends with the remedy.
        text = f'{text[: LINE_LENGTH // 2]} [...] {text[-LINE_LENGTH // 2 :]}'
    return printable(text, escape=True)
