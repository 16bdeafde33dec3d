# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors of known trouble: what several events say together, and what is wrong until it is over.

Pure: events in, lines for the log out, and the active problems for ``/diagnostics``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
import math

from viam_session_bridge.bounds import BoundedDict, Throttle
from viam_session_bridge.configuration.model import Configuration, StopPolicy
from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW
from viam_session_bridge.core import actions, events
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.reporting.active_problems import (
    ActiveProblems,
    at_base,
    at_machine,
    BRIDGE,
)
from viam_session_bridge.reporting.log_text import subject_of
from viam_session_bridge.reporting.overview import SessionRow

FAILURE_LASTS = 10.0  # s, unless it recurs: a client that is refused tries again
FAILS_FOR = 3.0  # s without a command that succeeds, while they fail, are a fault of the base
TIMED_OUT = 'DEADLINE_EXCEEDED: '  # begins the words for a call without an answer

# Events that begin or confirm a problem at their machine or base, where their line is a warning:
# its kind, how many s it lasts unconfirmed, and whether it is an error.
_BEGIN: dict[type[Event], tuple[str, float, bool]] = {
    events.MachineAbsent: ('connection', math.inf, False),
    events.AccessRefused: ('access', math.inf, False),
    events.MachineSessionFailed: ('sessions', FAILURE_LASTS, False),
    events.ForeignSessions: ('foreign', math.inf, False),
    events.CallsTakeLonger: ('calls', math.inf, True),
    events.BaseUnknown: ('unknown', math.inf, True),
    events.StopFailed: ('stop', math.inf, False),
    events.StopTimedOut: ('stop', math.inf, False),
    events.StopOverdue: ('stop', math.inf, True),
}
# Events that end problems at their machine or base, and of which kinds; none: of all.
_END: dict[type[Event], tuple[str, ...]] = {
    events.ChannelChanged: ('connection', 'access', 'sessions'),  # where it is ready
    events.MachineSessionStarted: ('access', 'sessions'),
    events.Unsupervised: ('access', 'sessions'),
    events.ForeignSessions: ('foreign',),  # where there are none
    events.CallsTakeLonger: ('sessions',),  # which failed for that reason
    events.CallsInTime: ('calls',),
    events.BaseKnown: ('unknown',),
    events.CommandsSucceed: ('commands',),
    events.StopFinal: ('stop',),
    events.StopGivenUp: ('stop',),
    events.MachineClosed: (),
}


def status_name_of(event: Event) -> str:
    """Return the machine or base that an event is about, by its status; '' for neither."""
    machine, base = subject_of(event)
    return at_machine(machine) if machine else at_base(base) if base else ''


class Detectors:
    """All detectors, and the problems that they find."""

    def __init__(
        self, configuration: Configuration, describe: Callable[[str], tuple[str, str]]
    ) -> None:
        """
        Start with nothing wrong.

        :param describe: a client's node ('' where not known) and topic
        """
        self.problems = ActiveProblems()
        self.window = configuration.heartbeat_window  # s; under R16 the machine's
        self.unnamed_clients = UnnamedClients()
        self._machine_stops = configuration.stop_policy is StopPolicy.MACHINE
        self._machines = {base.name: base.machine for base in configuration.bases}
        self._describe = describe
        # By base, since a command succeeded last: when the first and the last one failed.
        self._failing: dict[str, tuple[float, float]] = {}
        self._contention = Contention()
        self._slow_publishers = SlowPublishers()

    def covers(self, event: Event) -> bool:
        """Return whether an active problem explains an event, which then needs no line."""
        if isinstance(event, actions.TakenOver):
            return self.problems.is_active(status_name_of(event), 'turns', event.at)
        if isinstance(event, (events.MachineSessionFailed, events.CommandFailed)):
            if not event.detail.startswith(TIMED_OUT):
                return False
        elif not isinstance(event, events.CommandsTimeOut):
            return False
        machine, base = subject_of(event)
        status_name = at_machine(machine or self._machines[base])
        return self.problems.is_active(status_name, 'calls', event.at)

    def note(self, event: Event, warning: str | None) -> str | None:
        """
        Note an event, and the warning that the log has of it, if any.

        :return: a line for the log where several events together show a fault
        """
        if warning is not None:
            self._begin(event, warning)
        self._end(event)
        return self._find_pattern(event)

    def _begin(self, event: Event, line: str) -> None:
        status_name, begins = status_name_of(event), _BEGIN.get(type(event))
        if isinstance(event, events.CommandFailed):
            since, last = self._failing.get(event.base, (event.at, event.at))
            if last + FAILURE_LASTS < event.at:
                since = event.at
            self._failing[event.base] = since, event.at
            if since + FAILS_FOR <= event.at:
                self.problems.report(status_name, 'commands', line, event.at, error=True)
        elif begins is not None:
            kind, lasts, error = begins
            self.problems.report(status_name, kind, line, event.at, lasts=lasts, error=error)

    def _end(self, event: Event) -> None:
        if isinstance(event, events.ChannelChanged) and not event.ready:
            return
        if isinstance(event, events.ForeignSessions) and event.count:
            return
        if isinstance(event, events.CommandsSucceed):
            self._failing.pop(event.base, None)
        elif isinstance(event, (events.MachineClosed, events.CallsTakeLonger)):
            ended = ('commands',) if isinstance(event, events.CallsTakeLonger) else ()
            for base, machine in self._machines.items():
                if machine == event.machine:
                    self._failing.pop(base, None)
                    self.problems.resolve(at_base(base), *ended)
        if type(event) in _END:
            self.problems.resolve(status_name_of(event), *_END[type(event)])

    def _find_pattern(self, event: Event) -> str | None:
        report = self.problems.report
        if isinstance(event, actions.SessionEnded):
            self._slow_publishers.session_ended(event, self.window)
        elif isinstance(event, actions.SessionStarted):
            period = self._slow_publishers.session_started(event, self.window)
            if period is not None:
                line, lasts = self._slow_line(event.client, period), FEW * self.window
                if report(BRIDGE, 'slow', line, event.at, subject=event.client, lasts=lasts):
                    return line
        elif isinstance(event, actions.TakenOver):
            contention = self._contention.taken_over(event)
            if contention is not None:
                line = self._contention_line(event.base, *contention)
                if report(at_base(event.base), 'turns', line, event.at, lasts=COUNTED_OVER):
                    return line
        elif isinstance(event, actions.Refused):
            return self.unnamed_clients.refused(event, *self._describe(event.client))
        return None

    def _slow_line(self, client: str, period: float) -> str:
        node, topic = self._describe(client)
        who = node if node and client != topic else 'a publisher'
        ample = f'{min(AMPLE * period, HEARTBEAT_WINDOW.high):.2g}'
        whose = (
            f"the machine's network.sessions.heartbeat_window to {ample}s"
            if self._machine_stops
            else f'heartbeat_window to {ample}'
        )
        longer = f'raise {whose} or ' if period < HEARTBEAT_WINDOW.high else ''
        return (
            f'{who} publishes every {period:.2g} s on {topic}, the window is '
            f'{self.window:.3g} s: {longer}publish faster'
        )

    def _contention_line(self, base: str, clients: list[str], rate: float) -> str:
        described = [self._describe(client) for client in clients[:CLIENTS_SHOWN]]
        who = [f'{node or "a publisher"} on {topic}' for node, topic in described]
        return (
            f'{base}: {" and ".join(who)} take turns, {rate:.0f} times a second: it '
            'follows whoever spoke last. Let only one speak at a time, or put twist_mux in front '
            'of the bridge'
        )


# Publishers that are slower than the window

AMPLE = 2.5  # periods of a publisher make a window that holds even when one message is lost
FEW = 4.0  # windows: who stays away for longer has paused
IN_A_ROW = 6  # silences
EVEN = 1.25  # times the shortest is the longest at most: a timer, and not a hand
APART = 0.5  # windows, at least, between the commands of a session that has several
CLIENTS_KEPT = 256


@dataclass
class _Silences:
    since: float | None = None  # the last sign of life of a session, while none followed it
    lengths: list[float] = field(default_factory=list)


class SlowPublishers:
    """
    Publishers that are slower than the window, so that each of their commands ends in a lapse.

    Measured by their own signs of life: a silence is the time from the last sign of one session to
    the start of the client's next. It counts as the publisher's period, and not as a pause, if the
    sessions have one command only, or commands just as far apart; if the client comes back within
    a few windows; and if all this holds several times in a row with much the same silence. None of
    these is slow: a teleop that is let go, keys that are pressed now and then, a tap on a joystick
    (a motion and a zero right behind it) and a key that is held (its repeats come fast, after the
    first).
    """

    def __init__(self) -> None:
        self._clients: BoundedDict[str, _Silences] = BoundedDict(CLIENTS_KEPT)

    def session_ended(self, event: actions.SessionEnded, window: float) -> None:
        """Note the end of a session, after which a silence may be measured."""
        silences = self._clients.pop(event.client, None) or _Silences()
        apart = APART * window * (event.commands - 1)
        one_by_one = event.commands > 0 and event.sign - event.started >= apart
        if event.cause is actions.Cause.LAPSE and one_by_one:
            silences.since = event.sign
            self._clients[event.client] = silences

    def session_started(self, event: actions.SessionStarted, window: float) -> float | None:
        """Return the period (s) of a client that is too slow, each time while it goes on."""
        silences = self._clients.get(event.client)
        if silences is None or silences.since is None:
            return None
        silence, silences.since = event.at - silences.since, None
        if silence > FEW * window:
            del self._clients[event.client]
            return None
        lengths = silences.lengths = [*silences.lengths[1 - IN_A_ROW :], silence]
        if len(lengths) < IN_A_ROW or max(lengths) > EVEN * min(lengths):
            return None
        return sum(lengths) / len(lengths)


# Clients that take turns on one base

OFTEN = 2.0  # takeovers a second, which nobody makes on purpose
LASTS = 1.0  # s that it goes on until it counts
COUNTED_OVER = 2.0  # s
TAKEOVERS_KEPT = 9  # of a base
CLIENTS_SHOWN = 3


class Contention:
    """
    Clients that take turns on one base: each takes it over from the other again and again.

    An idle joystick that streams zeros against Nav2, say: by the last-user rule (R5) the base
    follows whoever spoke last, so it jerks, and no session lapses. A takeover is no fault, and
    neither are several in a row where people or programs hand over; more than two a second for a
    second are.
    """

    def __init__(self) -> None:
        # By base: since when takeovers follow each other, and the newest, with who took over.
        self._bases: dict[str, tuple[float, deque[tuple[float, str]]]] = {}

    def taken_over(self, event: actions.TakenOver) -> tuple[list[str], float] | None:
        """Return who takes turns on the base, and how often a second, each time it goes on."""
        if not event.session or not event.previous:
            return None  # nobody was there to take it from
        since, newest = self._bases.get(event.base, (0.0, None))
        if newest is None or event.at - newest[-1][0] > COUNTED_OVER / 2:
            since, newest = self._bases[event.base] = event.at, deque(maxlen=TAKEOVERS_KEPT)
        newest.append((event.at, event.client))
        while newest[0][0] < event.at - COUNTED_OVER:
            newest.popleft()
        lasted = event.at - newest[0][0]
        rate = (len(newest) - 1) / lasted if lasted > 0.0 else 0.0
        if event.at - since < LASTS or rate <= OFTEN:
            return None
        return sorted({client for _, client in newest}), rate


# Sessions without a command


class EmptySessions:
    """
    Sessions that lapse without a command: of a series only the first is reported.

    Under ``sessions: manual`` each heartbeat for a client that has no session starts one (R2). As
    long as the operator holds the switch and the client publishes nothing, it lapses one window
    later, again and again: thousands in an hour.
    """

    def __init__(self) -> None:
        # Clients whose last session was one, and the start of their next, not reported yet.
        self._clients: BoundedDict[str, actions.SessionStarted | None] = BoundedDict(CLIENTS_KEPT)

    def without_repeats(self, told: Iterable[Event]) -> Iterator[Event]:
        """Yield the events to report; a start that was kept back, once it matters."""
        for event in told:
            client = getattr(event, 'client', '')
            is_empty = (
                isinstance(event, actions.SessionEnded)
                and event.cause is actions.Cause.LAPSE
                and not event.commands
            )
            if client in self._clients:
                if isinstance(event, actions.SessionStarted):
                    self._clients[client] = event
                    continue
                started = self._clients.pop(client)
                if is_empty:
                    self._clients[client] = None
                    continue
                if started is not None:
                    yield started
            elif is_empty:
                self._clients[client] = None
            yield event


# Clients whose node the graph does not name

NAMED_AFTER = 5.0  # s: with Fast DDS the graph has a name 20 to 100 ms after the first message


class UnnamedClients:
    """
    Clients whose node the graph does not name: no heartbeat can reach them.

    A plain DDS program is no node. No node's name leads to such a client, nor does an empty
    heartbeat of its own, whose sender the graph does not name either. There is one line for each
    topic.
    """

    def __init__(self) -> None:
        self._once = Throttle(burst=1, every=math.inf)
        self._refused: dict[str, tuple[str, float]] = {}  # by topic: a client, since when

    def find(self, rows: Iterable[SessionRow], now: float) -> list[str]:
        """Return lines about the sessions that have no node's name when they should."""
        return [
            line
            for row in rows
            if row.state == 'active' and not row.node
            if row.age > NAMED_AFTER and (line := self._line(row.topic, now))
        ]

    def refused(self, event: actions.Refused, node: str, topic: str) -> str | None:
        """Return a line about a client that may be refused for lack of a heartbeat (R3)."""
        if event.reason is not actions.Refusal.NO_SESSION:
            return None
        client, since = self._refused.get(topic, ('', event.at))
        if node or client != event.client:
            self._refused[topic] = event.client, event.at
        elif event.at - since > NAMED_AFTER:
            return self._line(topic, event.at)
        return None

    def _line(self, topic: str, now: float) -> str | None:
        return self._once.line(
            topic,
            f'{topic}: the graph does not name the node of a client (a DDS program that is no '
            'ROS node), so no heartbeat can reach it. Where it needs them (sessions: manual, or '
            'a speed that it does not repeat), let a ROS node publish its commands, with '
            'RMW_IMPLEMENTATION=rmw_fastrtps_cpp',
            now,
        )
