# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The one door of the core: what happens is fed in, calls and events come out.

Everything that happens is fed in by one of the methods, each with ``now`` (s, steady); then
:meth:`Bridge.drain` returns the calls to hand to gRPC, what is worth reporting, and when to tick.
The shell (:mod:`viam_session_bridge.runtime`) does that under one lock, and makes the calls
outside it.

- R17: a command is refused, base by base and counted by reason, whose stamp is too old or too far
  in the future, whose machine is not ready or has no room for one more session. A number that is
  not finite is refused in :mod:`viam_session_bridge.core.sessions`.
- R19: deactivation ends all sessions and stops every base that was commanded since its last final
  stop. Right before the exit no further Stop is begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
import math

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    SessionsMode,
    StopPolicy,
)
from viam_session_bridge.core.actions import Action, Forward, Refusal, Refused, SessionEnded, Stop
from viam_session_bridge.core.events import MachineEvent
from viam_session_bridge.core.machine_control import MachineControl
from viam_session_bridge.core.requests import Answer, Call, StopBase
from viam_session_bridge.core.sessions import SessionTable, tolerated_lateness
from viam_session_bridge.core.shutdown_order import ShutdownOrder
from viam_session_bridge.core.stop_policy import shortest_window
from viam_session_bridge.core.timing import AT_ONCE
from viam_session_bridge.core.velocity import Velocity

Event = Action | MachineEvent

REFUSALS_REPORTED_EVERY = 1.0  # s, for each base and reason; all are counted


@dataclass(frozen=True)
class Out:
    """
    What a feed led to: calls to hand over, and what to tell.

    ``opened`` and ``closed`` name the machines to connect to and to let go of (R18). ``wake_at``:
    when to :meth:`Bridge.tick` next, s.
    """

    calls: list[Call]
    events: list[Event]
    opened: list[str]
    closed: list[str]
    wake_at: float


class Bridge:
    """Sessions, last users and machines of one configuration."""

    def __init__(
        self, configuration: Configuration, random: Callable[[], float] = lambda: 0.5
    ) -> None:
        """
        Start inactive: commands are refused until :meth:`activate`.

        :param random: a number from 0 to 1, another one each time (R7)
        """
        window = configuration.heartbeat_window
        self.table = SessionTable(
            window, {base.name: base.sessions for base in configuration.bases}
        )
        self.active = False
        self.discarded = 0  # messages that were taken from ROS and fed too late
        self.refusals: Counter[tuple[str, Refusal]] = Counter()
        self._latest = tolerated_lateness(window)
        self._machines_stop = configuration.stop_policy is StopPolicy.MACHINE
        self._bases = {base.name: base for base in configuration.bases}
        self._by_topic: dict[str, list[BaseConfiguration]] = {}
        for base in configuration.bases:
            for topic in base.topics:
                self._by_topic.setdefault(topic, []).append(base)
        self.machines = {
            machine.name: MachineControl(machine, configuration, random)
            for machine in configuration.machines
        }
        self._shutdown_order = ShutdownOrder(
            {machine.name: machine.parent for machine in configuration.machines},
            configuration.level_timeout,
        )
        # A stop goes out to sub-parts first, the deepest before all (R18).
        order = self._shutdown_order.deepest_first()
        self._deepest_first = [self.machines[name] for name in order]
        self._call_timeouts = {one.name: one.call_timeout for one in configuration.machines}
        self._end_stops_at: dict[str, float] = {}  # machines, before the exit (R19)
        self._opened: list[str] = []
        self._events: list[Event] = []
        self._refusal_reported_at: dict[tuple[str, Refusal], float] = {}

    # From the publishers

    def command(
        self,
        client: str,
        topic: str,
        velocity: Velocity,
        stamp_age: float | None,
        now: float,
        taken_at: float | None = None,
    ) -> None:
        """
        Accept or refuse a command for every base that listens to the topic.

        :param stamp_age: s since the message's stamp, negative for one in the future, infinite
            for one that is zero; None where such messages have none
        :param taken_at: when the message was taken from ROS: a process that was frozen between
            there and here must not act on it (R2)
        """
        if taken_at is not None and now - taken_at > self._latest:
            self.discarded += 1
            self.discard(client, topic, velocity, now)
            return
        if self.table.due_at <= now:
            self._carry_out(self.table.expire(now))
        for base in self._by_topic[topic]:
            limited = velocity
            if base.max_linear_speed or base.max_angular_speed:
                limited = velocity.limited(base.max_linear_speed, base.max_angular_speed)
            if not self.active:
                refusal: Refusal | None = Refusal.INACTIVE
            elif stamp_age is not None and 0.0 < base.max_stamp_age < abs(stamp_age):
                refusal = Refusal.STAMP
            else:
                session = self.table.active.get(client)
                number = None if session is None else session.number
                machine = self.machines[base.machine]
                supervised = base.sessions is not SessionsMode.DISABLED
                refusal = machine.refusal(client, number, supervised, now)
            actions = self.table.command(client, base.name, limited, now, refusal)
            if refusal is Refusal.STAMP and stamp_age != math.inf:
                actions = [_with_age(one, stamp_age) for one in actions]
            self._carry_out(actions)
        if self._machines_stop:
            self._signed(client, now)

    def discard(self, client: str, topic: str, velocity: Velocity | None, now: float) -> None:
        """
        Refuse a command that was discarded, for its age or after a freeze (R2).

        :param velocity: what it said; None where it could not be read
        """
        for base in self._by_topic[topic]:
            self._carry_out(self.table.discard(client, base.name, velocity, now))

    def heartbeat(
        self, client: str, topic: str, own: bool, now: float, taken_at: float | None = None
    ) -> None:
        """
        Handle a heartbeat for a client of the topic.

        :param own: whether the client's own node sent it
        :param taken_at: as in :meth:`command`
        """
        if not self.active:
            return
        if taken_at is not None and now - taken_at > self._latest:
            self.discarded += 1
            return
        mode = self._by_topic[topic][0].sessions
        self._carry_out(self.table.heartbeat(client, mode, own, now))
        if self._machines_stop:
            self._signed(client, now)

    def left(self, client: str, now: float) -> None:
        """Handle the departure of a client's publisher from the graph."""
        self._carry_out(self.table.left(client, now))

    def seen(self, client: str, now: float) -> None:
        """Handle the appearance of a client's publisher in the graph."""
        self.table.seen(client)

    # From the machines

    def channel(self, machine: str, ready: bool, now: float) -> None:
        """Handle that the channel to a machine connected, or lost its connection."""
        self.machines[machine].channel(ready, now)

    def answered(self, call: Call, answer: Answer, now: float) -> None:
        """Handle the end of a call."""
        if self.table.due_at <= now:
            self._carry_out(self.table.expire(now))
        displaced = self.machines[call.machine].answered(call.number, answer, now)
        if displaced:
            self.table.displaced(displaced)
        if self._machines_stop and answer.window:
            sessions = (machine.sessions for machine in self.machines.values())
            self.table.set_window(shortest_window(sessions))
            self._carry_out(self.table.expire(now))  # a shorter one may be over already

    # From the node

    def activate(self, now: float) -> None:
        """Connect and accept commands."""
        self.active = True
        for machine in self._shutdown_order.open_all():
            self._opened.append(machine)
            self.machines[machine].opened(now)

    def deactivate(self, now: float) -> None:
        """
        End all sessions, stop every base commanded since its last final stop (R19).

        Each machine closes when its stops are final and its sub-parts have closed (R18).
        """
        self.active = False
        self._shutdown_order.begin()
        self._carry_out(self.table.end_all(now))
        for machine in self._shutdown_order.open:
            self.machines[machine].stop_commanded(now)

    def exits(self, at: float, now: float) -> None:
        """Begin no further Stop right before the process exits, at ``at`` (R19)."""
        self._end_stops_at = {
            machine: at - timeout for machine, timeout in self._call_timeouts.items()
        }
        for machine in self.machines.values():
            machine.allow_further_stops(True)

    # Time

    def tick(self, now: float) -> None:
        """Do what time alone brings about; for the lapse clock only (R12)."""
        self._carry_out(self.table.expire(now))
        for name in [name for name, at in self._end_stops_at.items() if at <= now]:
            del self._end_stops_at[name]
            self.machines[name].allow_further_stops(False)
        for machine in self.machines.values():
            machine.tick(now)

    def drain(self, now: float) -> Out:
        """Return what the feeds since the last call led to."""
        calls: list[Call] = []
        events, self._events = self._events, []
        wake_at = self.table.due_at
        for machine in self._deepest_first:
            if machine.due_at <= now:
                calls += machine.drain(now)
            if machine.due_at < wake_at:
                wake_at = machine.due_at
            if machine.events:
                events += machine.events
                machine.events.clear()
        if len(calls) > 1:  # stops before all else
            calls.sort(key=lambda call: not isinstance(call.request, StopBase))
        closed: list[str] = []
        if self._shutdown_order.has_begun:
            closed = self._shutdown_order.step(
                lambda name: not self.machines[name].not_final(), now
            )
            events += [self.machines[name].closed(now) for name in closed]
            wake_at = min(wake_at, self._shutdown_order.next_deadline())
        if self._end_stops_at:
            wake_at = min(wake_at, *self._end_stops_at.values())
        opened, self._opened = self._opened, []
        return Out(calls, events, opened, closed, wake_at)

    # For the node and the overview

    def is_open(self, machine: str) -> bool:
        """Whether a machine is to be connected (R18)."""
        return machine in self._shutdown_order.open

    @property
    def closed(self) -> bool:
        """Whether no machine is open any more (R18)."""
        return not self._shutdown_order.open

    def started_sids(self) -> dict[str, list[str]]:
        """Return by machine the ids of the machine sessions that were started, for `remember`."""
        return {name: list(one.sessions.started) for name, one in self.machines.items()}

    def remember(self, sids: Mapping[str, Iterable[str]]) -> None:
        """Count the machine sessions of a bridge that this node had before as its own (R16)."""
        for name, machine in self.machines.items():
            machine.sessions.started.update(dict.fromkeys(sids.get(name, ())))

    def not_final(self) -> dict[str, bool]:
        """Return the bases whose stop is not final, and whether one was acknowledged (R19)."""
        return {
            base: acknowledged
            for machine in self.machines.values()
            for base, acknowledged in machine.not_final().items()
        }

    def given_up(self) -> list[str]:
        """Return the bases whose stop was given up unacknowledged (R7)."""
        bases = [one for machine in self.machines.values() for one in machine.bases.values()]
        return [control.base for control in bases if control.stops.gave_up]

    def exit_waits_until(self, now: float) -> float:
        """
        Return until when the exit has to wait for open Stops, 0 if it need not (R19).

        It need not if a Stop was acknowledged before, or a valid machine session covers the base.
        """
        uncovered = [
            control.stops.exit_waits_until()
            for machine in self.machines.values()
            for control in machine.bases.values()
            if not machine.sessions.is_valid(control.last_sid, now)
        ]
        return max(uncovered, default=0.0)

    def _carry_out(self, actions: list[Action]) -> None:
        for one in actions:
            if isinstance(one, Forward):
                self.machines[self._bases[one.base].machine].forward(one)
                continue
            if isinstance(one, Stop):
                name = self._bases[one.base].machine
                if name not in self._shutdown_order.open or not self.machines[name].stop(one):
                    continue  # it reaches nobody, or is nothing new
            elif isinstance(one, SessionEnded):
                for machine in self.machines.values():
                    machine.sessions.ended(one.session)
            elif isinstance(one, Refused) and not self._count(one):
                continue
            self._events.append(one)

    def _signed(self, client: str, now: float) -> None:
        """Pass on a client's sign of life to all machines (R16)."""
        session = self.table.active.get(client)
        if session is not None and session.sign == now:
            for machine in self.machines.values():
                machine.signed(session.number, now)

    def _count(self, refused: Refused) -> bool:
        """Count a refusal; return whether to report it: not each one of many."""
        key = refused.base, refused.reason
        self.refusals[key] += 1
        if refused.at < self._refusal_reported_at.get(key, AT_ONCE) + REFUSALS_REPORTED_EVERY:
            return False
        self._refusal_reported_at[key] = refused.at
        return True


def _with_age(action: Action, stamp_age: float | None) -> Action:
    """Return an action, with the age of the stamp where that was refused."""
    if isinstance(action, Refused) and action.reason is Refusal.STAMP:
        return replace(action, stamp_age=stamp_age)
    return action
