# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A publisher in a process of its own: commands, heartbeats, and what it really sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from types import MappingProxyType
from typing import Any

from support.commanded_process import CommandedProcess
from support.domains import publishers_environment
from support.publisher import HEARTBEATS, MARK
from support.record import Entry

RATE = 50.0  # Hz
_PROGRAM = Path(__file__).with_name('publisher.py')


@dataclass(frozen=True)
class Sent:
    """One publish; `after` is None where the publisher died in the middle of it."""

    number: int
    before: float
    after: float | None


class PublisherProcess(CommandedProcess):
    """
    A node that publishes on as many topics as it is told to.

    Each order is carried out when its method returns: after `silence` nothing more is published.
    A topic is heard by someone before its first message is sent.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        domain: int,
        *,
        name: str = '',
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(
            directory, name or node, {**publishers_environment(domain), **environment}
        )
        self._node = node
        self._file = directory / f'{self.name}.sent.jsonl'

    def command(self) -> list[str]:
        """Return what to run."""
        return [sys.executable, str(_PROGRAM), self._node, str(self._file)]

    def stream(self, topic: str, *, rate: float = RATE, publisher: str = '', **what: Any) -> float:
        """
        Publish a velocity again and again, instead of what went to that topic before.

        Returns when the first left.

        :param what: forward, left (m/s), turn (rad/s); `stamped` for TwistStamped, `age` (s) for
            its stamp; `marked` adds the message's number, see :func:`number_of`
        :param publisher: a name, where the node is to have several publishers of one topic
        """
        return self._order('stream', topic, publisher, rate=rate, **what)

    def once(self, topic: str, *, publisher: str = '', **what: Any) -> float:
        """Publish one velocity, as in :meth:`stream`."""
        return self._order('once', topic, publisher, **what)

    def silence(self, topic: str, *, publisher: str = '') -> None:
        """Publish no more on a topic."""
        self._tell(do='silence', key=topic + publisher)

    def heartbeat(self, data: str = '', *, rate: float = RATE) -> None:
        """Send heartbeats again and again."""
        self._tell(
            do='stream', key=HEARTBEATS, topic=HEARTBEATS, type='String', data=data, rate=rate
        )

    def end_heartbeat(self) -> None:
        """Send no more heartbeats."""
        self.silence(HEARTBEATS)

    def press(self, topic: str, *, held: bool = True, rate: float = RATE) -> float:
        """Publish again and again whether a button is held; return when that was first."""
        return self._tell(do='stream', key=topic, topic=topic, type='Bool', data=held, rate=rate)

    def leave(self) -> None:
        """End as a good publisher does, and wait for that."""
        self._write(do='exit')
        assert self.wait_exit() == 0, self.log_end()

    def sent(self, topic: str) -> list[Sent]:
        """Return what was published on a topic so far."""
        befores: dict[tuple[str, int], float] = {}
        afters: dict[tuple[str, int], float] = {}
        for line in self._file.read_bytes().splitlines() if self._file.exists() else []:
            # A killed publisher may leave half a line.
            if not line.endswith(b'}'):
                continue
            note = json.loads(line)
            if note['topic'] == topic and 'before' in note:
                befores[note['key'], note['n']] = note['before']
            elif note['topic'] == topic:
                afters[note['key'], note['n']] = note['after']
        return sorted(
            (Sent(key[1], before, afters.get(key)) for key, before in befores.items()),
            key=lambda sent: sent.before,
        )

    def last_sent(self, topic: str) -> tuple[float, float]:
        """
        Return when the last message left, as two bounds.

        Those differ where the publisher was killed in the middle of publishing: the one before
        has left for sure, that one may have.
        """
        sent = self.sent(topic)
        return [one for one in sent if one.after is not None][-1].before, sent[-1].before

    def sent_for(self, motion: Entry, topic: str, forward: float) -> float:
        """Return when the message of a marked stream left that led to a motion."""
        assert motion.linear is not None
        number = number_of(motion.linear[1], forward)
        return next(one.before for one in self.sent(topic) if one.number == number)

    def _order(self, do: str, topic: str, publisher: str, **what: Any) -> float:
        kind = 'TwistStamped' if what.pop('stamped', False) else 'Twist'
        velocity = {'forward': 0.0, 'left': 0.0, 'turn': 0.0, 'age': 0.0, 'marked': False}
        assert not what.keys() - velocity.keys() - {'rate'}
        what = {**velocity, **what}
        return self._tell(do=do, key=topic + publisher, topic=topic, type=kind, **what)

    def _tell(self, **order: Any) -> float:
        self._write(**order)
        at: float = self._await_answer()['at']
        return at


def number_of(speed: float, forward: float) -> int:
    """
    Return the number of the message of a marked stream that led to a motion.

    :param speed: mm/s, as the base got it
    :param forward: m/s, as the stream was given it
    """
    return round((speed / 1000.0 - forward) / MARK)
