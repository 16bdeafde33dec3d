# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a script is run against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time

from campaigns.differential.comparison import Tape
from campaigns.differential.publishing import PublishingPlayer
from campaigns.differential.raw import RawPlayer
from campaigns.differential.script import Kind, Script
from support.bridge_process import BridgeProcess

_DISCARDED = 'discarded what waited'  # in the bridge's log
_NO_ANSWER = ('DEADLINE_EXCEEDED', 'it waited a whole window', 'its session ended')

Player = RawPlayer | PublishingPlayer
Signs = Callable[[], list[str]]
"""Tells in words what was seen of a target's starvation since it was made."""


@dataclass(frozen=True)
class Target:
    """
    An implementation of the session rules.

    :param player: makes what makes the steps, given a script and its number on the stage
    :param pids: the processes whose delays count
    :param starved: begins to look for starvation, given a script's number
    """

    name: str
    kind: Kind
    tape: Tape
    player: Callable[[Script, int], Player]
    pids: tuple[int, ...]
    starved: Callable[[int], Signs] = lambda number: list


class Starvation:
    """What a bridge says of messages and commands that it gave up on a busy computer."""

    def __init__(self, bridge: BridgeProcess) -> None:
        """Note nothing yet."""
        self._bridge = bridge
        self._lock = threading.Lock()

    def watch(self, machine: str, number: int) -> Signs:
        """Begin to look, for the script with that number on one of the bridge's machines."""
        start, discards = time.monotonic(), self._discards()
        name = prefix(machine, number)

        def signs() -> list[str]:
            if self._discards() != discards:
                return ['the bridge was starved and discarded messages (R2)']
            with self._lock:
                events = self._bridge.events()
            return [
                f'the machine was starved: {event}'
                for event in events
                if event['at'] >= start
                and (event.get('machine') == machine or event.get('base', ' ')[:-1] == name)
                and any(reason in event.get('detail', '') for reason in _NO_ANSWER)
            ]

        return signs

    def _discards(self) -> int:
        return self._bridge.output().count(_DISCARDED)


def resource(number: int, base: str) -> str:
    """Return the machine's name of a base of the script with that number on the stage."""
    return f's{number}{base}'


def prefix(machine: str, number: int) -> str:
    """Return what the names of a script's bases, topics and nodes begin with at a bridge."""
    return f'{machine[0]}{number}'
