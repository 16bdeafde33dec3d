# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a script is, and which of its steps a target can express."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Kind(str, Enum):
    """How a target is spoken to."""

    RAW = 'raw'  # Viam's calls, each client a session
    BRIDGE = 'bridge'  # ROS messages, each client a publisher


class Do(str, Enum):
    """What a client does in a step."""

    COMMAND = 'commands'
    ZERO = 'commands zero'
    FAIL = 'commands in vain'  # the base fails the call
    BARE = 'commands without a session'
    UNKNOWN = 'commands under an unknown session'
    NON_FINITE = 'commands a non-finite number'
    BEAT = 'heartbeats'
    RESUME = 'resumes its live session'
    PERMISSION = 'is heartbeated by another node'
    STOP = 'stops'
    LEAVE = 'leaves'


class Again(str, Enum):
    """How a raw client goes on whose session lapsed."""

    RESUME = 'with StartSession(resume)'
    NEW = 'with a new session'
    RETRY = 'after it was refused'


# Viam knows no end of a session and hears no permissions, and a base may take a NaN: a client
# that leaves just falls silent there. Publishers have no Stop call and cannot choose sessions,
# and the bridge stops the base of a failed command (R10), which tests of its own show.
_LEFT_OUT = {
    Kind.RAW: {Do.LEAVE, Do.PERMISSION, Do.NON_FINITE},
    Kind.BRIDGE: {Do.BARE, Do.UNKNOWN, Do.STOP, Do.RESUME, Do.FAIL},
}
COMMANDS = frozenset({Do.COMMAND, Do.ZERO, Do.FAIL})


@dataclass(frozen=True)
class Step:
    """
    One thing that a client does.

    :param at: s since the start of the script
    :param bases: what is commanded or stopped, in this order
    :param speed: mm/s, which tells the script's commands apart
    """

    at: float
    do: Do
    client: str
    bases: tuple[str, ...] = ()
    speed: int = 0
    again: Again = Again.RESUME

    def __str__(self) -> str:
        """Return it as a line."""
        what = f' {",".join(self.bases)}' if self.bases else ''
        speed = f' at {self.speed} mm/s' if self.speed else ''
        again = f', if lapsed {self.again.value}' if self.do in COMMANDS else ''
        return f'{self.at:7.3f} s  {self.client} {self.do.value}{what}{speed}{again}'


@dataclass(frozen=True)
class Script:
    """
    Steps in the order of time.

    :param name: what makes it again, 'seed 7 script 3'
    :param window: s, the heartbeat window
    :param bases: their names; those in `free` are driven without sessions
    :param clients: for each the bases that it may command, in ROS the bases of its topic
    :param end: s, when all is over
    """

    name: str
    window: float
    bases: tuple[str, ...]
    free: frozenset[str]
    clients: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...]
    end: float

    def steps_for(self, kind: Kind) -> list[Step]:
        """Return the steps that a target can express."""
        return [step for step in self.steps if self.can(kind, step)]

    def can(self, kind: Kind, step: Step) -> bool:
        """Return whether a target can express a step: a publisher commands all of its bases."""
        if step.do in _LEFT_OUT[kind]:
            return False
        partial = step.do in COMMANDS and step.bases != self.clients[step.client]
        return not (partial and kind is Kind.BRIDGE)

    def of(self, steps: Sequence[Step]) -> Script:
        """Return this script with other steps."""
        return replace(self, steps=tuple(steps))

    def __str__(self) -> str:
        """Return it in lines."""
        lines = [f'{self.name}: window {self.window} s']
        lines += [f'  {base}{" (no sessions)" * (base in self.free)}' for base in self.bases]
        lines += [f'  {client} commands {",".join(to)}' for client, to in self.clients.items()]
        return '\n'.join([*lines, *map(str, self.steps), f'{self.end:7.3f} s  the end'])
