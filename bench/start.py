# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How soon a node drives after its start, and what memory it takes.

The machine is up and a publisher of 50 Hz streams already; from right before the process is
started to the begin of the first SetVelocity at the base of a real viam-server. The bridge beside
the floor, in turns, each killed after a while of driving. The first start of each is not counted:
it reads the programs from the disk and compiles them.
"""

from __future__ import annotations

from dataclasses import asdict
import time

from bench.stage import Driver, is_begin, MACHINE_WINDOW, rotated, Run, Stage, staged
from bench.summary import Check, Ratio, Summary, table
from bench.tail import Tail
from support.usage import Usage

RATE = 50.0  # Hz
DRIVES = 2.0  # s, then the memory is looked at
MOST = 1.3  # times as much as the floor
_PATIENCE = 60.0  # s


class Started:
    """The starts of one node: s until it drove, MB resident after a while of driving."""

    def __init__(self, stage: Stage, name: str) -> None:
        """Start its publisher, and the node once, so that the publisher streams."""
        self.name = name
        self.seconds: list[float] = []
        self.memory: list[float] = []
        self._stage = stage
        self._record = Tail(stage.server.record.path)
        driver = Driver(stage.bench, f'{name}_driver', f'/{name}/cmd_vel')
        node = stage.spawn(name)
        driver.ready()
        driver.drive(RATE, 0)
        time.sleep(DRIVES)
        node.kill()

    def turn(self) -> None:
        """Start the node, see when it drives and what it takes, and kill it."""
        time.sleep(MACHINE_WINDOW)  # the last one's session is over at the machine, too
        self._record.new()
        began = time.monotonic()
        node = self._stage.spawn(self.name)
        lines = self._record.until(
            lambda line: is_begin(line, self.name, 'set_velocity'), _PATIENCE
        )
        first = next(line['t'] for line in lines if is_begin(line, self.name, 'set_velocity'))
        time.sleep(DRIVES)
        self.seconds.append(first - began)
        self.memory.append(Usage.of(node.pid).memory)
        node.kill()
        self._stage.bench.tidy()


def measure(run: Run) -> list[Check]:
    """Start the nodes in turns."""
    names = run.names('bridge', 'floor')
    with staged(run, names) as stage:
        nodes = [Started(stage, name) for name in names]
        for turn in run.rounds(5):
            for one in rotated(nodes, turn):
                one.turn()
    rows = [
        [one.name, what, *asdict(Summary.of(values)).values()]
        for one in nodes
        for what, values in (('s to the first command', one.seconds), ('MB', one.memory))
    ]
    print(table(['node', '', 'n', 'min', 'median', 'p99', 'max'], rows))
    run.results |= {one.name: {'s': one.seconds, 'MB': one.memory} for one in nodes}
    bridge, floor = nodes[0], nodes[-1]
    start, memory = Ratio.of(bridge.seconds, floor.seconds), Ratio.of(bridge.memory, floor.memory)
    return [
        Check.most('start to first command', start.median, MOST, ' x the floor'),
        Check.most('resident memory', memory.median, MOST, ' x the floor'),
    ]
