# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What the events say is wrong, beyond each event by itself: what stands, and what recurs.

Pure: events in, lines for the log out, and what stands for ``/diagnostics``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from viam_session_bridge.configuration.limits import HEARTBEAT_WINDOW
from viam_session_bridge.configuration.model import Configuration, StopPolicy
from viam_session_bridge.core.actions import Refused, SessionEnded, SessionStarted, TakenOver
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    BaseKnown,
    BaseUnknown,
    CallsInTime,
    CallsTakeLonger,
    ChannelChanged,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    ForeignSessions,
    MachineAbsent,
    MachineClosed,
    MachineSessionFailed,
    MachineSessionStarted,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
    Unsupervised,
)
from viam_session_bridge.reporting.active_problems import at_base, at_machine, BRIDGE, Problems
from viam_session_bridge.reporting.contention import Contention, LOOKED_AT, Turns
from viam_session_bridge.reporting.slow_publishers import FEW, Slow, SlowPublishers
from viam_session_bridge.reporting.unnamed_clients import UnnamedClients

AMPLE = 2.5  # periods of a publisher make a window that holds even when one message is lost
FAILURE_LASTS = 10.0  # s, unless it recurs: a client that is refused tries again
FAILS_FOR = 3.0  # s without a command that succeeds, while they fail, are a fault of the base
CLIENTS_SHOWN = 3
MachineProblem = (
    MachineAbsent | AccessRefused | MachineSessionFailed | ForeignSessions | CallsTakeLonger
)
_MACHINE_PROBLEMS = {
    MachineAbsent: 'connection',
    AccessRefused: 'access',
    MachineSessionFailed: 'sessions',
    ForeignSessions: 'foreign',
    CallsTakeLonger: 'calls',
}
TIMED_OUT = 'DEADLINE_EXCEEDED: '  # begins the words for a call without an answer


@dataclass
class _Failing:
    """The commands of a base that failed, with none between that succeeded; s, steady."""

    since: float
    last: float


class Diagnoses:
    """Fed with every event, and with the line that it is told in."""

    def __init__(
        self, configuration: Configuration, describe: Callable[[str], tuple[str, str]]
    ) -> None:
        """
        Start with nothing wrong.

        :param describe: a client's node ('' where not known) and topic
        """
        self.problems = Problems()
        self.window = configuration.heartbeat_window  # s; under R16 the machine's
        self._machine_stops = configuration.stop_policy is StopPolicy.MACHINE
        self._machines = {base.name: base.machine for base in configuration.bases}
        self._describe = describe
        self._slow_machines: set[str] = set()
        self._failing: dict[str, _Failing] = {}  # by base
        self._turns = Contention()
        self._slow = SlowPublishers()
        self.nameless = UnnamedClients()

    def stand(self, event: Event, line: str) -> None:
        """Take the line of an event that begins, or confirms, what stands."""
        if isinstance(event, MachineProblem):
            kind = _MACHINE_PROBLEMS[type(event)]
            lasts = FAILURE_LASTS if isinstance(event, MachineSessionFailed) else math.inf
            error = isinstance(event, CallsTakeLonger)
            place = at_machine(event.machine)
            self.problems.stands(place, kind, line, event.at, lasts=lasts, error=error)
            if isinstance(event, CallsTakeLonger):
                self._take_slow(event.machine)
        elif isinstance(event, BaseUnknown):
            self.problems.stands(at_base(event.base), 'unknown', line, event.at, error=True)
        elif isinstance(event, (StopFailed, StopTimedOut, StopOverdue)):
            error = isinstance(event, StopOverdue)
            self.problems.stands(at_base(event.stop.base), 'stop', line, event.at, error=error)
        elif isinstance(event, CommandFailed):
            failing = self._failing.get(event.base)
            if failing is None or failing.last + FAILURE_LASTS < event.at:
                failing = self._failing[event.base] = _Failing(event.at, event.at)
            failing.last = event.at
            if failing.since + FAILS_FOR <= event.at:
                self.problems.stands(at_base(event.base), 'commands', line, event.at, error=True)

    def end(self, event: Event) -> None:
        """Take an event that may end what stands."""
        if isinstance(event, MachineClosed):
            self.problems.over(at_machine(event.machine))
            for base, machine in self._machines.items():
                if machine == event.machine:
                    self.problems.over(at_base(base))
                    self._failing.pop(base, None)
            self._slow_machines.discard(event.machine)
        elif isinstance(event, ChannelChanged) and event.ready:
            self.problems.over(at_machine(event.machine), 'connection', 'access', 'sessions')
        elif isinstance(event, (MachineSessionStarted, Unsupervised)):
            self.problems.over(at_machine(event.machine), 'access', 'sessions')
        elif isinstance(event, ForeignSessions) and not event.count:
            self.problems.over(at_machine(event.machine), 'foreign')
        elif isinstance(event, BaseKnown):
            self.problems.over(at_base(event.base), 'unknown')
        elif isinstance(event, CallsInTime):
            self._slow_machines.discard(event.machine)
            self.problems.over(at_machine(event.machine), 'calls')
        elif isinstance(event, CommandsSucceed):
            self._failing.pop(event.base, None)
            self.problems.over(at_base(event.base), 'commands')
        elif isinstance(event, (StopFinal, StopGivenUp)):
            self.problems.over(at_base(event.stop.base), 'stop')

    def covers(self, event: Event) -> bool:
        """Tell whether what stands says already what the event has to say."""
        if isinstance(event, TakenOver):
            return self._turns.going_on(event.base, event.at)
        if isinstance(event, MachineSessionFailed):
            return event.machine in self._slow_machines and event.detail.startswith(TIMED_OUT)
        if isinstance(event, CommandFailed) and not event.detail.startswith(TIMED_OUT):
            return False
        if isinstance(event, (CommandFailed, CommandsTimeOut)):
            return self._machines[event.base] in self._slow_machines
        return False

    def _take_slow(self, machine: str) -> None:
        """Take that a machine's calls take too long: what failed for that is no other fault."""
        self._slow_machines.add(machine)
        self.problems.over(at_machine(machine), 'sessions')
        for base in [base for base, its in self._machines.items() if its == machine]:
            self._failing.pop(base, None)
            self.problems.over(at_base(base), 'commands')

    def recur(self, event: Event) -> str | None:
        """Take an event; return a line for the log where it is one time too many."""
        stands = self.problems.stands
        if isinstance(event, SessionEnded):
            self._slow.ended(event, self.window)
        elif isinstance(event, SessionStarted):
            slow = self._slow.started(event, self.window)
            if slow is not None:
                line, lasts = self._say_slow(slow), FEW * self.window
                if stands(BRIDGE, 'slow', line, event.at, about=slow.client, lasts=lasts):
                    return line
        elif isinstance(event, TakenOver):
            turns = self._turns.taken_over(event)
            if turns is not None:
                line = self._say_turns(turns)
                if stands(at_base(turns.base), 'turns', line, event.at, lasts=LOOKED_AT):
                    return line
        elif isinstance(event, Refused):
            return self.nameless.refused(event, *self._describe(event.client))
        return None

    def _say_slow(self, slow: Slow) -> str:
        node, topic = self._describe(slow.client)
        who = node if node and slow.client != topic else 'a publisher'
        ample = f'{min(AMPLE * slow.period, HEARTBEAT_WINDOW.high):.2g}'
        whose = (
            f"the machine's network.sessions.heartbeat_window to {ample}s"
            if self._machine_stops
            else f'heartbeat_window to {ample}'
        )
        longer = f'raise {whose} or ' if slow.period < HEARTBEAT_WINDOW.high else ''
        return (
            f'{who} publishes every {slow.period:.2g} s on {topic}, the window is '
            f'{self.window:.3g} s: {longer}publish faster'
        )

    def _say_turns(self, turns: Turns) -> str:
        described = [self._describe(client) for client in turns.clients[:CLIENTS_SHOWN]]
        who = [f'{node or "a publisher"} on {topic}' for node, topic in described]
        return (
            f'{turns.base}: {" and ".join(who)} take turns, {turns.rate:.0f} times a second: it '
            'follows whoever spoke last. Let only one speak at a time, or put twist_mux in front '
            'of the bridge'
        )
