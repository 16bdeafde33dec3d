# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Every parameter, once: descriptors, checks of values and the documentation are made from it.

The parameters of a machine are called ``machines.NAME.`` and a row's name, those of a base
``bases.NAME.`` and a row's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import math

from viam_session_bridge.configuration.address import FORMS
from viam_session_bridge.configuration.model import DriveMode, SessionsMode, StopPolicy, Transport

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """A range of finite numbers; both ends belong to it, the lower one unless ``above_low``."""

    low: float
    high: float = math.inf
    above_low: bool = False

    def __contains__(self, number: float) -> bool:
        """Return whether a number is in the range; NaN and the infinities are in none."""
        if not math.isfinite(number) or number > self.high:
            return False
        return number > self.low if self.above_low else number >= self.low

    def __str__(self) -> str:
        """Say it as a message does, 'from 0.03 to 60'."""
        if math.isinf(self.high):
            return f'above {self.low:g}' if self.above_low else f'{self.low:g} or more'
        low = f'above {self.low:g}' if self.above_low else f'from {self.low:g}'
        return f'{low} {"and up " if self.above_low else ""}to {self.high:g}'


HEARTBEAT_WINDOW = Range(0.03, 60.0)
CALL_TIMEOUT = Range(0.02, 5.0)
_NOT_NEGATIVE = Range(0.0)


class Kind(Enum):
    """What a value is, in the words of a message."""

    FLAG = 'true or false'
    INTEGER = 'a whole number'
    NUMBER = 'a number'
    TEXT = 'a text'
    TEXTS = 'a list of texts'


_KINDS = {
    bool: Kind.FLAG, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT, tuple: Kind.TEXTS
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """
    One parameter.

    :param choices: their values are the texts that are allowed, where not every text is
    :param constraints: what ``allowed`` and ``choices`` do not say
    :param default_text: how the default depends on other parameters, where it does
    """

    name: str
    default: Value
    description: str
    unit: str = ''
    allowed: Range | None = None
    choices: type[Enum] | None = None
    constraints: str = ''
    default_text: str = ''

    @property
    def kind(self) -> Kind:
        """Return what a value is: the same as the default."""
        return _KINDS[type(self.default)]

    @property
    def must_be(self) -> str:
        """Return what a value must be, to end a sentence: 'a number from 0.03 to 60 s'."""
        if self.choices:
            return ' or '.join(choice.value for choice in self.choices)
        words = self.kind.value, str(self.allowed or ''), self.unit
        return ' '.join(word for word in words if word)


NODE = (
    Row('autostart', True, 'Whether the node configures and activates itself.'),
    Row(
        'heartbeat_window', 0.5,
        'How long a session lives past the last sign of life of its client.',
        's', HEARTBEAT_WINDOW,
        constraints="with stop_policy: machine the machine's own, once that is known",
    ),
    Row(
        'stop_policy', StopPolicy.BRIDGE.value,
        'Who stops a base when a session lapses: the bridge, or its machine, where other Viam '
        'clients drive it too.',
        choices=StopPolicy,
        constraints='machine only without sessions: manual',
    ),
    Row(
        'shutdown_timeout', 2.0, 'How long the exit waits for stops to be acknowledged.',
        # The upper end keeps a slip of the keyboard from holding up the exit for days.
        's', Range(0.0, 3600.0, above_low=True),
    ),
    Row(
        'stop_timeout', 2.0,
        'First deadline of a Stop call; each one that passes doubles it for that base.',
        's', Range(0.25, 60.0),
    ),
    Row(
        'level_timeout', 1.0,
        'How long a machine whose own stops are final waits for its sub-parts before it is '
        'disconnected.',
        's', Range(0.0, 3600.0),
    ),
    Row(
        'event_log', '', 'Path of an event log in JSON Lines, rotated.',
        constraints='empty: none; ~ is the home folder',
    ),
    Row(
        'machine_names', ('main',), 'The Viam machines, by names of your own.',
        constraints="at least one; letters, digits, '_' and '-'",
    ),
    Row(
        'base_names', ('base',), 'The Viam bases, by names of your own.',
        constraints="at least one; letters, digits, '_' and '-'",
    ),
)  # fmt: skip

MACHINE = (
    Row('address', 'localhost:8080', 'Where the machine listens.', constraints=FORMS),
    Row(
        'transport', Transport.DIRECT.value,
        'How the machine is reached: by gRPC, or by WebRTC through viam-sdk.',
        choices=Transport,
    ),
    Row(
        'insecure', False, 'Whether to speak without TLS.',
        constraints='true only with a loopback address or a unix socket, unless allow_plaintext',
    ),
    Row(
        'allow_plaintext', False,
        'Whether insecure may go over a network, where anyone could drive the bases; reported as '
        'long as it runs.',
    ),
    Row(
        'ca_file', '', 'Path of the certificates to trust, PEM.',
        constraints="empty: the system's; ~ is the home folder",
    ),
    Row(
        'server_name', '', "The name in the machine's certificate.",
        constraints='empty: that of the address',
    ),
    Row(
        'credentials_file', '',
        'Path of a JSON or YAML file with api_key_id and api_key, which only its user may read.',
        constraints='empty: VIAM_API_KEY_ID and VIAM_API_KEY of the environment, if set; ~ is the '
        'home folder',
    ),
    Row(
        'parent', '', 'The machine that this one is a sub-part of.',
        constraints='one of machine_names; empty: none',
    ),
    Row('call_timeout', 0.25, 'The deadline of every call to the machine.', 's', CALL_TIMEOUT),
    Row(
        'max_sessions', 256, 'How many unexpired sessions of this bridge the machine may have.',
        allowed=Range(1, 1024),
    ),
    Row(
        'allow_unsupervised', False,
        'Whether to move bases of a machine without session support, which would not stop them '
        'if the bridge died.',
    ),
)  # fmt: skip

BASE = (
    Row(
        'machine', '', 'The machine that the base belongs to.',
        constraints='one of machine_names', default_text='the first of machine_names',
    ),
    Row(
        'resource', '', "The base's name in the Viam configuration.",
        default_text="the base's name here",
    ),
    Row(
        'command_topics', ('cmd_vel',), 'Topics with commands as Twist.',
        constraints='a topic has one type: Twist or TwistStamped',
    ),
    Row(
        'stamped_command_topics', (), 'Topics with commands as TwistStamped.',
        constraints='a topic has one type: Twist or TwistStamped',
    ),
    Row(
        'sessions', SessionsMode.AUTO.value,
        'What starts a session and keeps it alive: commands (auto), heartbeats as well (manual), '
        'or nothing (disabled: no lapse stops the base).',
        choices=SessionsMode,
        constraints='bases that share a topic must agree',
    ),
    Row(
        'drive_mode', DriveMode.VELOCITY.value,
        'Whether the base gets velocities or fractions of its full power.',
        choices=DriveMode,
        constraints='power needs both maximum speeds',
    ),
    Row(
        'mirrored_reverse', True,
        "Whether the SetPower of the base mirrors the turn in reverse, as that of Viam's wheeled "
        'base does; the bridge makes up for it.',
        constraints='false only with drive_mode: power',
    ),
    Row(
        'max_linear_speed', 0.0, 'The highest linear speed.',
        'm/s', _NOT_NEGATIVE, constraints='0: no limit',
    ),
    Row(
        'max_angular_speed', 0.0, 'The highest angular speed.',
        'rad/s', _NOT_NEGATIVE, constraints='0: no limit',
    ),
    Row(
        'max_stamp_age', 0.0,
        'How old, or how far in the future, the stamp of a TwistStamped may be.',
        's', _NOT_NEGATIVE, constraints='0: not checked',
    ),
)  # fmt: skip
