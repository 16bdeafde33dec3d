# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The link between two hosts: it carries IPv4 packets between two TUN devices, badly if told so.

It is told by JSON lines on stdin, and answers each with one on stdout, once that is in force. A
process of its own, and of the real-time class where it may: what runs on the hosts delays no
packet. It ends with its stdin. Run as a program; `link.py` speaks to it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import heapq
import json
import os
import random
import select
import sys
import time

TO_MACHINE, TO_ROBOT = 'to_machine', 'to_robot'

_LONGEST = 65536  # bytes
_BATCH = 128  # packets of one direction until the others have their turn
_STDIN = 0


@dataclass(frozen=True)
class Condition:
    """
    How one direction is: the times in s, the others as fractions of the packets.

    A packet is late by `delay` and by anything up to `jitter` more, so that packets overtake each
    other. `cut` loses what is under way, too.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    cut: bool = False


class Direction:
    """The packets that go one way; `source` and `sink` are the TUN devices' descriptors."""

    def __init__(self, source: int, destination: int, seed: str) -> None:
        self.source = source
        self._destination = destination
        self._random = random.Random(seed)
        self._condition = Condition()
        self._under_way: list[tuple[float, int, bytes]] = []  # when it is due, its number
        self._taken = self._copies = self._delivered = self._lost = 0

    def become(self, condition: Condition) -> None:
        """Treat the packets that come from now on like this."""
        self._condition = condition
        if condition.cut:
            self._lost += len(self._under_way)
            self._under_way.clear()

    def take(self, now: float) -> None:
        """Take the packets that wait."""
        for _ in range(_BATCH):
            try:
                packet = os.read(self.source, _LONGEST)
            except BlockingIOError:
                return
            # The kernel sends some of IPv6 by itself, which would make the losses differ.
            if packet[0] >> 4 == 4:
                self._send(packet, now)

    def deliver(self, now: float) -> None:
        """Deliver the packets that are due."""
        while self._under_way and self._under_way[0][0] <= now:
            os.write(self._destination, heapq.heappop(self._under_way)[2])
            self._delivered += 1

    def due(self) -> float:
        """Return when the next packet is due."""
        return self._under_way[0][0] if self._under_way else float('inf')

    def counts(self) -> dict[str, int]:
        """Return what became of the packets so far."""
        return {
            'taken': self._taken,
            'lost': self._lost,
            'under_way': len(self._under_way),
            'delivered': self._delivered,
        }

    def _send(self, packet: bytes, now: float) -> None:
        condition = self._condition
        self._taken += 1
        if condition.cut or self._happens(condition.loss):
            self._lost += 1
            return
        for _ in range(2 if self._happens(condition.duplicate) else 1):
            late = condition.delay + self._random.uniform(0.0, condition.jitter)
            self._copies += 1
            heapq.heappush(self._under_way, (now + late, self._copies, packet))

    def _happens(self, fraction: float) -> bool:
        return self._random.random() < fraction


def relay(directions: dict[str, Direction]) -> None:
    """Carry packets until stdin ends."""
    sources = [direction.source for direction in directions.values()]
    while True:
        due = min(direction.due() for direction in directions.values())
        timeout = None if due == float('inf') else max(due - time.monotonic(), 0.0)
        readable = select.select([*sources, _STDIN], [], [], timeout)[0]
        now = time.monotonic()
        for direction in directions.values():
            # Before an order: what was sent before it meets the link as it was.
            if direction.source in readable:
                direction.take(now)
            direction.deliver(now)
        if _STDIN in readable:
            line = os.read(_STDIN, _LONGEST)
            if not line:
                return
            _obey(directions, json.loads(line))


def _obey(directions: dict[str, Direction], order: dict[str, dict[str, float]]) -> None:
    """Change the directions that are named, and tell what each has done so far."""
    for name, condition in order.items():
        directions[name].become(Condition(**condition))  # type: ignore[arg-type]
    counts = {name: direction.counts() for name, direction in directions.items()}
    print(json.dumps(counts), flush=True)


def main() -> None:
    """Run with the descriptors of the robot's and the machine's TUN device, and the seed."""
    robot, machine = (int(argument) for argument in sys.argv[1:3])
    for device in (robot, machine):
        os.set_blocking(device, False)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    relay(
        {
            TO_MACHINE: Direction(robot, machine, f'{TO_MACHINE} {sys.argv[3]}'),
            TO_ROBOT: Direction(machine, robot, f'{TO_ROBOT} {sys.argv[3]}'),
        }
    )


if __name__ == '__main__':
    main()
