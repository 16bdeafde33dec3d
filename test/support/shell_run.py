# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The bridge's shell in this process, without ROS: real gRPC, real machines, its own lapse clock.

All that decides and all that is sent is the product's; the tests play the publishers and the
executor. Its event log has one kind more than the product's: ``forward``, each accepted command,
in its place among the decisions (see :mod:`support.invariant`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
import threading
import time
from types import TracebackType
from typing import Any
from unittest.mock import patch

from support.bounds import PATIENCE
from support.invariant import Event
from support.pure import base, configuration, machine
from viam_session_bridge.configuration.model import Configuration, MachineConfiguration
from viam_session_bridge.core.actions import Action, Forward
from viam_session_bridge.core.bridge import Bridge
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.reporting.event_log import EVENT_NAMES
from viam_session_bridge.runtime import Runtime

RATE = 50.0  # Hz, of a stream
_POLL = 0.002  # s
_NAMES = {**EVENT_NAMES, Forward: 'forward'}  # which no log has


def as_logged(event: Any) -> Event:
    """Return an event as a line of the event log would have it."""
    return {'event': _NAMES[type(event)], **asdict(event)}


class ForwardLoggingBridge(Bridge):
    """A bridge that tells of accepted commands too."""

    def _carry_out(self, actions: list[Action]) -> None:
        for one in actions:
            super()._carry_out([one])
            if isinstance(one, Forward):
                self._events.append(one)


def settings(
    bases: Mapping[str, str],
    addresses: Mapping[str, str],
    window: float,
    call_timeout: float,
    **others: Any,
) -> Configuration:
    """
    Return a configuration: `bases` names the machine of each, `addresses` are theirs.

    :param others: of :func:`support.pure.configuration`
    """
    machines = [
        MachineConfiguration(
            **{**asdict(machine(name, call_timeout=call_timeout)), 'address': address}
        )
        for name, address in addresses.items()
    ]
    return configuration(
        *(base(name, machine=where) for name, where in bases.items()),
        machines=machines,
        window=window,
        **others,
    )


class ShellRun:
    """A shell, active and connected, whose bases are commanded by topic `/BASE`."""

    def __init__(self, configuration: Configuration, runtime: type[Runtime] = Runtime) -> None:
        self.failures: list[BaseException] = []
        self._events: list[Event] = []
        self._taking = threading.Lock()
        self._speeds = 0
        self._streams: dict[str, threading.Event] = {}
        with patch('viam_session_bridge.runtime.Bridge', ForwardLoggingBridge):
            self.runtime = runtime(configuration, self._take, self.failures.append)

    def __enter__(self) -> ShellRun:
        self.runtime.start()
        self.runtime.activate()
        self.wait(
            lambda: self.look(lambda bridge: all(m.ready for m in bridge.machines.values())),
            'the machines are ready',
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in list(self._streams):
            self.silence(client)
        self.runtime.close()
        if kind is None:
            assert self.failures == []

    def look(self, at: Callable[[Bridge], Any]) -> Any:
        """Return what `at` makes of the bridge's state."""
        return self.runtime.look(lambda bridge, now: at(bridge))

    def command(self, client: str, base: str) -> float:
        """Command with a speed that no other command has; return it in mm/s."""
        with self._taking:
            self._speeds += 1
            speed = float(self._speeds)
        self.runtime.command(client, f'/{base}', Velocity(speed / 1000.0))
        return speed

    def stream(self, client: str, base: str, heartbeats: bool = False) -> None:
        """Command again and again until :meth:`silence`; or heartbeat after one command."""
        ended = self._streams[client] = threading.Event()
        self.command(client, base)

        def repeat() -> None:
            while not ended.wait(1.0 / RATE):
                if heartbeats:
                    self.runtime.heartbeat(client, f'/{base}', True)
                else:
                    self.command(client, base)

        thread = threading.Thread(target=repeat, name=f'stream of {client}', daemon=True)
        thread.start()

    def silence(self, client: str) -> float:
        """End a stream, and return when; what is on its way then may still come."""
        self._streams.pop(client).set()
        return time.monotonic()

    def events(self, kind: str | None = None, **fields: Any) -> list[Event]:
        """Return what happened so far, as the event log has it, narrowed to what fits."""
        self._take()
        with self._taking:
            events = list(self._events)
        return [
            event
            for event in events
            if kind in (None, event['event'])
            and all(event.get(name) == value for name, value in fields.items())
        ]

    def forget(self) -> list[Event]:
        """Return what happened so far, for the last time."""
        self._take()
        with self._taking:
            events, self._events = self._events, []
        return events

    def wait_event(self, kind: str, since: float = 0.0, **fields: Any) -> Event:
        """Wait for the first such event since then."""

        def found() -> list[Event]:
            return [event for event in self.events(kind, **fields) if event['at'] >= since]

        there: list[Event] = self.wait(found, f'{kind} {fields}')
        return there[0]

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Wait until a condition holds and return what it returned."""
        deadline = time.monotonic() + timeout
        while not (held := condition()):
            assert time.monotonic() < deadline, f'not within {timeout} s: {what}'
            time.sleep(_POLL)
        return held

    def _take(self) -> None:
        with self._taking:
            for event in self.runtime.events():
                self._events.append(as_logged(event))
