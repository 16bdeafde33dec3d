# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the parts share: nodes that forward commands to bases of one viam-server, and publishers.

The nodes that are compared are ``bridge``; ``other``, the bridge of another checkout where one was
given; and those of :mod:`bench.nodes`. Each has a base of its own and a publisher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
import sys
import time
from typing import Any, TypeVar

from bench.processes import Process, ROOT, Workbench
from bench.publisher import number_of, read_sent
from bench.tail import Line, Tail
from support.viam_server import ViamServer

T = TypeVar('T')

WINDOW, MACHINE_WINDOW = 0.5, 2.0  # s; the second layer's is longer: its stop is not the bridge's
IDLE = 2.0  # s
_QUIET = 0.3  # s without a new command at the base: what was under way got there
_BACKLOG = 20.0  # s, at most, that a node may go on with commands after the last was sent
_CONNECTS = 2.0  # s after which a node is connected to its machine
_REST = 0.7  # s, from the end of a turn: the lapse of the bridge is over by then


@dataclass
class Run:
    """How a part is to run, and its results for the JSON file."""

    quick: bool
    domain: int | None = None
    other: Path | None = None
    results: dict[str, Any] = field(default_factory=dict)

    def names(self, *names: str) -> list[str]:
        """Return the nodes to compare: those, and the other bridge beside this one."""
        return [*names[:1], *(['other'] if self.other else []), *names[1:]]

    def rounds(self, count: int, quick: int = 1) -> Iterator[int]:
        """Count the rounds, and print when each is done."""
        count = quick if self.quick else count
        for number in range(count):
            yield number
            print(f'{number + 1} of {count} rounds', file=sys.stderr, flush=True)


def rotated(items: Sequence[T], turn: int) -> list[T]:
    """Return all, each first in its turn, so that this is nobody's advantage."""
    at = turn % len(items)
    return [*items[at:], *items[:at]]


def is_begin(line: Line, base: str, call: str) -> bool:
    """Return whether a line of a record is the begin of such a call."""
    return bool(line['phase'] == 'begin' and line['base'] == base and line['call'] == call)


@dataclass(frozen=True)
class Arrived:
    """A command that began at a base."""

    number: int
    at: float


def arrivals(lines: Sequence[Line], base: str) -> list[Arrived]:
    """Return the commands of a publisher here that began at the base."""
    return [
        Arrived(number_of(line['linear'][1]), line['t'])
        for line in lines
        if is_begin(line, base, 'set_velocity')
    ]


class Driver:
    """A process with publishers, which waits for an order to drive."""

    def __init__(self, bench: Workbench, name: str, *topics: str, publishers: int = 1) -> None:
        """Start the process, with so many publishers; :meth:`ready` waits for it."""
        self._sent = bench.path / f'{name}.sent'
        self.next = 1
        """The number of the next command."""
        self._process = bench.start(
            name, 'bench.publisher', name, ','.join(topics), str(self._sent), str(publishers)
        )
        self.kill, self.leave = self._process.kill, self._process.leave

    def ready(self) -> list[str]:
        """Wait until a subscription has matched, and return the publishers' GIDs."""
        return self._process.read_line('ready').split()[1:]

    def drive(self, rate: float, count: int, burst: int = 1) -> None:
        """
        Send so many commands and wait until all are sent; 0: send until killed, do not wait.

        :param burst: how many of each publisher before it is the next one's turn
        """
        self._process.write_line(f'drive {rate} {self.next} {count} {burst}')
        self.next += count
        if count:
            self._process.read_line('done')

    def beat(self, rate: float, count: int) -> None:
        """Begin to send so many heartbeats, each for all publishers here."""
        self._process.write_line(f'beat {rate} 0 {count} 1')

    def probe(self) -> None:
        """Begin to drive and fall silent, each publisher for itself, until killed."""
        self._process.write_line('probe 50 1 0 1')

    def sent(self) -> list[tuple[int, int, float]]:
        """Return the publisher, the number and the time of each command, also once killed."""
        return read_sent(self._sent)

    def sent_at(self, first: int = 0) -> dict[int, float]:
        """Return when each command was sent, from that number on."""
        return {number: at for _, number, at in self.sent() if number >= first}


@dataclass
class Drive:
    """
    What became of the commands of one turn.

    :param sent: when each left, by number, s; `arrived`: those that began at the base
    :param cpu: s of the node, from the first command until all was quiet
    :param lines: the record's of the base, those of the warm-up too
    """

    sent: dict[int, float]
    arrived: list[Arrived]
    cpu: float
    lines: list[Line] = field(repr=False)

    @property
    def ages(self) -> list[float]:
        """How old each command was when it began at the base, ms, in their order there."""
        return [(one.at - self.sent[one.number]) * 1e3 for one in self.arrived]


class Subject:
    """A node that forwards commands to its base, and a publisher that it hears."""

    def __init__(self, bench: Workbench, name: str, node: Process, record: Path) -> None:
        """Start the publisher; :meth:`ready` waits for it."""
        self.name = name
        self.idle: list[float] = []
        """CPU s a second without any command, in several rounds."""
        self.record = Tail(record)
        self._node = node
        self.driver = Driver(bench, f'{name}_driver', f'/{name}/cmd_vel')

    @property
    def cpu(self) -> float:
        """CPU s of the node so far."""
        return self._node.cpu()

    def drive(self, rate: float, count: int, warm_up: int = 0) -> Drive:
        """
        Send so many commands, and take what became of them when all is quiet.

        :param warm_up: commands right before, which start sessions and are not counted
        """
        self.record.new()
        if warm_up:
            self.driver.drive(rate, warm_up)
        first, before = self.driver.next, self.cpu
        self.driver.drive(rate, count)
        lines = self._until_quiet()
        cpu = self.cpu - before
        time.sleep(_REST)
        sent = self.driver.sent_at(first)
        arrived = [one for one in arrivals(lines, self.name) if one.number in sent]
        return Drive(sent, arrived, cpu, lines)

    def _until_quiet(self) -> list[Line]:
        lines: list[Line] = []
        until, open_calls, new = time.monotonic() + _BACKLOG, 1, True
        while (new or open_calls > 0) and time.monotonic() < until:
            time.sleep(_QUIET)
            added = [line for line in self.record.new() if line['base'] == self.name]
            new = any(line['call'] == 'set_velocity' for line in added)
            lines += added
            moves = [line['phase'] for line in lines if line['call'] == 'set_velocity']
            open_calls = moves.count('begin') - moves.count('end')
        return lines


@dataclass
class Stage:
    """A viam-server, and the nodes that drive its bases."""

    bench: Workbench
    server: ViamServer
    _run: Run
    _stack: ExitStack

    def spawn(self, name: str, **parameters: Any) -> Process:
        """Start a node without waiting for it; its base has its name."""
        if name in ('bridge', 'other'):
            checkout = self._run.other or ROOT if name == 'other' else ROOT
            return self.bench.spawn_bridge(
                {name: self.server.address}, WINDOW, name=name, checkout=checkout, **parameters
            )[0]
        # Found by others as the bridge is: neither announces itself more often than usual.
        arguments = ('bench.nodes', name, self.server.address, name, f'/{name}/cmd_vel')
        node = self.bench.start(f'{name}_node', *arguments, announced=False)
        # It takes ten seconds to end by SIGINT, and has nothing to tidy up.
        self._stack.callback(node.kill)
        return node

    def subjects(self, names: Sequence[str], **parameters: float) -> list[Subject]:
        """Start nodes and their publishers, and wait until these are heard."""
        subjects = [
            Subject(self.bench, name, self.spawn(name, **parameters), self.server.record.path)
            for name in names
        ]
        for subject in subjects:
            subject.driver.ready()
        time.sleep(_CONNECTS)
        return subjects

    def event_log(self, name: str) -> Path:
        """Return the event log of a bridge."""
        return self.bench.path / f'{name}.events.jsonl'

    def rest(self, subjects: Sequence[Subject]) -> None:
        """See what each node takes while nobody commands it."""
        before = [subject.cpu for subject in subjects]
        time.sleep(IDLE)
        for subject, cpu in zip(subjects, before, strict=True):
            subject.idle.append((subject.cpu - cpu) / IDLE)


@contextmanager
def staged(
    run: Run, bases: Sequence[str], machine_window: float = MACHINE_WINDOW
) -> Iterator[Stage]:
    """Start a viam-server with those bases; all processes end with the context."""
    with (
        Workbench(run.domain) as bench,
        ViamServer(bench.path, bases, machine_window) as server,
        ExitStack() as stack,
    ):
        yield Stage(bench, server, run, stack)
