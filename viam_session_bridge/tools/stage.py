# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo runs: a simulated machine, the bridge before it, and their directory."""

from __future__ import annotations

from pathlib import Path

from viam_session_bridge.tools.processes import Process, Processes

BRIDGE = '/viam_session_bridge'
BASE = 'rover'
EVENTS = 'bridge.jsonl'
WINDOW = 0.5  # s
# For a busy computer: all wait for what they need, none for this long otherwise.
UP_WITHIN = 20.0  # s


class Stage:
    """A machine and a bridge, each a process of its own."""

    def __init__(
        self, processes: Processes, directory: Path, port: int, topics: tuple[str, ...]
    ) -> None:
        """Start both."""
        self.record, self.events = directory / 'base.jsonl', directory / EVENTS
        self.port = port
        self.machine = processes.start(
            'machine', 'viam_session_bridge.simulation',
            '--address', f'127.0.0.1:{port}', '--bases', BASE, '--record', str(self.record),
        )  # fmt: skip
        self.bridge = processes.start(
            'bridge', 'viam_session_bridge', '--ros-args',
            *_parameters(
                {
                    'machines.main.address': f'"127.0.0.1:{port}"',
                    'machines.main.insecure': 'true',
                    'base_names': f'[{BASE}]',
                    f'bases.{BASE}.command_topics': f'[{", ".join(dict.fromkeys(topics))}]',
                    'heartbeat_window': str(WINDOW),
                    'event_log': f'"{self.events}"',
                }
            ),
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until commands get through."""
        self.machine.wait_for('listening', UP_WITHIN)
        self.bridge.wait_for('main: connected', UP_WITHIN)

    def check(self) -> None:
        """Raise StageError where one of them has ended."""
        for process in (self.machine, self.bridge):
            process.check()


def start_publisher(
    processes: Processes, name: str, topic: str, speed: float, sends: Path
) -> Process:
    """Start a publisher that waits for its first line."""
    return processes.start(
        name, 'viam_session_bridge.tools.scripted_publisher', name, '--topic', topic,
        '--x', str(speed), '--heartbeat', BRIDGE, '--by-line', '--sends', str(sends),
    )  # fmt: skip


def _parameters(parameters: dict[str, str]) -> list[str]:
    return [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
