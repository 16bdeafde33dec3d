# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The nodes that are compared, each with a base of its own on one viam-server, and a publisher.

`bridge`; `floor`, which does no more than forward (:mod:`bench.bare_node`); `sdk`, what people
write on viam-sdk (:mod:`bench.sdk_node`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
import time
from typing import Any

from bench.driving import arrivals, Arrived, Driver
from bench.processes import Process, Workbench
from bench.tail import Tail

NODES = {'floor': 'bench.bare_node', 'sdk': 'bench.sdk_node'}
IDLE = 2.0  # s
_QUIET = 0.3  # s without a new command at the base: what was under way got there
_BACKLOG = 20.0  # s, at most, that a node may go on with commands after the last was sent
_REST = 0.7  # s, from the end of a turn: the lapse of the bridge is over by then


@dataclass
class Drive:
    """
    What became of the commands of one turn.

    :param sent: when each left, by number, s; `arrived`: those that began at the base
    :param cpu: s of the node, from the first command until all was quiet, `watched` s later
    :param lines: the record's of the base, those of the warm-up too
    """

    sent: dict[int, float]
    arrived: list[Arrived]
    cpu: float
    watched: float
    lines: list[dict[str, Any]] = field(repr=False)

    @property
    def ages(self) -> list[float]:
        """How old each command was when it began at the base, ms, in their order there."""
        return [(one.at - self.sent[one.number]) * 1e3 for one in self.arrived]


class Subject:
    """A node that forwards commands to its base, and a publisher that it hears."""

    def __init__(self, bench: Workbench, name: str, node: Process) -> None:
        """Start the publisher; :meth:`ready` waits for it."""
        self.name = name
        self.idle = 0.0
        """CPU s a second without any command."""
        self._node = node
        self._driver = Driver(bench, f'{name}_driver', f'/{name}/cmd_vel')
        self._next = 1

    def ready(self) -> None:
        """Wait until the node hears the publisher, and see what it costs to do nothing."""
        self._driver.ready()
        time.sleep(1.0)
        before = self._node.cpu()
        time.sleep(IDLE)
        self.idle = (self._node.cpu() - before) / IDLE

    def drive(self, rate: float, count: int, record: Tail, warm_up: int = 0) -> Drive:
        """
        Send so many commands, and take what became of them when all is quiet.

        :param warm_up: commands right before, which start sessions and are not counted
        """
        record.new()
        if warm_up:
            self._send(rate, warm_up)
        first, before, began = self._next, self._node.cpu(), time.monotonic()
        self._send(rate, count)
        lines = self._until_quiet(record)
        cpu, watched = self._node.cpu() - before, time.monotonic() - began
        time.sleep(_REST)
        record.new()
        sent = {n: at for n, at in self._driver.sent().items() if n >= first}
        arrived = [one for one in arrivals(lines, self.name) if one.number in sent]
        return Drive(sent, arrived, cpu, watched, lines)

    def _send(self, rate: float, count: int) -> None:
        self._driver.drive(rate, self._next, count)
        self._driver.done()
        self._next += count

    def _until_quiet(self, record: Tail) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        until, open_calls, new = time.monotonic() + _BACKLOG, 1, True
        while (new or open_calls > 0) and time.monotonic() < until:
            time.sleep(_QUIET)
            added = [line for line in record.new() if line['base'] == self.name]
            new = any(line['call'] == 'set_velocity' for line in added)
            lines += added
            moves = [line['phase'] for line in lines if line['call'] == 'set_velocity']
            open_calls = moves.count('begin') - moves.count('end')
        return lines


def start_subjects(
    bench: Workbench,
    stack: ExitStack,
    names: Sequence[str],
    address: str,
    window: float,
    **parameters: Any,
) -> list[Subject]:
    """Start the nodes of those names and wait until each hears its publisher."""
    nodes: list[Process] = []
    for name in names:
        if name == 'bridge':
            node, _ = bench.start_bridge({name: address}, window, **parameters)
        else:
            node = bench.start(f'{name}_node', NODES[name], address, name, f'/{name}/cmd_vel')
            node.hear('ready')
            # It takes ten seconds to end by SIGINT, and has nothing to tidy up.
            stack.callback(node.kill)
        nodes.append(node)
    subjects = [Subject(bench, name, node) for name, node in zip(names, nodes, strict=True)]
    for subject in subjects:
        subject.ready()
    return subjects
