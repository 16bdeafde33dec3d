# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The bridge in a process of its own, with its event log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
import sys
from types import MappingProxyType
from typing import Any

import yaml

from support.bounds import PATIENCE
from support.domains import ros_environment
from support.process import ProcessUnderTest
from support.tail import Tail

WINDOW = 0.4  # s, the heartbeat window of most tests
CALL_TIMEOUT = 0.25  # s, the parameter's default

Event = dict[str, Any]


def parameters(
    address: str,
    bases: Mapping[str, Mapping[str, Any]],
    *,
    call_timeout: float = CALL_TIMEOUT,
    **others: Any,
) -> dict[str, Any]:
    """Return the node's parameters for bases of one machine."""
    main = {'address': address, 'insecure': True, 'call_timeout': call_timeout}
    return {
        'heartbeat_window': WINDOW,
        'machines': {'main': main},
        'base_names': list(bases),
        'bases': {name: dict(base) for name, base in bases.items()},
        **others,
    }


class BridgeProcess(ProcessUnderTest):
    """`python -m viam_session_bridge` with a parameter file, in a ROS domain of its own."""

    def __init__(
        self,
        directory: Path,
        domain: int,
        parameters: Mapping[str, Any],
        *,
        name: str = 'bridge',
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(directory, name, {**ros_environment(domain), **environment})
        self.event_log = directory / f'{name}.events.jsonl'
        self._events_read = Tail(self.event_log)
        self._parameters = {'event_log': str(self.event_log), **parameters}
        self._file = directory / f'{name}.yaml'
        self._arguments = arguments
        self._events: list[Event] = []

    def command(self) -> list[str]:
        """Return what to run."""
        node = {'viam_session_bridge': {'ros__parameters': self._parameters}}
        self._file.write_text(yaml.safe_dump(node))
        command = [sys.executable, '-m', 'viam_session_bridge', '--ros-args']
        return [*command, '--params-file', str(self._file), *self._arguments]

    def wait_ready(self) -> None:
        """Wait until it is active and connected to its machines."""
        # The executor writes the event log, and runs only when the node is active.
        for machine in self._parameters['machines']:
            self.wait_event('channel_changed', machine=machine, ready=True)

    def events(self, kind: str | None = None, **fields: Any) -> list[Event]:
        """Return what the event log has so far, narrowed to the events that fit."""
        self._events += self._events_read.new()
        return [event for event in self._events if _fits(event, kind, fields)]

    def forget(self) -> None:
        """Have what the event log has so far belong to another test, or a first run of this."""
        self._events_read.new()
        self._events.clear()

    def wait_event(
        self,
        kind: str,
        *,
        since: float = 0.0,
        timeout: float = PATIENCE,
        **fields: Any,
    ) -> Event:
        """Wait for the first such event at `since` (steady clock) or later."""
        found: list[Event] = []

        def there() -> bool:
            found[:] = [e for e in self.events(kind, **fields) if e['at'] >= since]
            return bool(found)

        self.wait_until(there, f'no event {kind} {fields}', timeout)
        return found[0]


def _fits(event: Event, kind: str | None, fields: Mapping[str, Any]) -> bool:
    return kind in (None, event['event']) and all(
        event.get(name) == value for name, value in fields.items()
    )
