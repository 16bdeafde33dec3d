# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
All that is between the bridge and one machine: its bases, its sessions and what it is asked.

What was decided, answers and time are fed in; :meth:`MachineControl.drain` returns the calls to
hand to gRPC, in order. A command goes out under the machine session of its client session, which
is started before its first one (R11); a stop needs none (R7). Only :meth:`MachineControl.tick`,
which the lapse clock calls, ever heartbeats a machine session (R12). After an outage nothing is
replayed (R13).

What is due is one number at each level, ``due_at``: whatever changes something sets it to
``AT_ONCE``, and :meth:`MachineControl.drain`, which looks at what is due, sets it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from viam_session_bridge.configuration.model import (
    Configuration,
    MachineConfiguration,
    StopPolicy,
)
from viam_session_bridge.core.actions import Cause, Forward, Refusal, Stop
from viam_session_bridge.core.base_control import BaseControl, Command
from viam_session_bridge.core.concurrency_limit import ConcurrencyLimit
from viam_session_bridge.core.dead_peer_detector import DeadPeerDetector
from viam_session_bridge.core.events import ChannelChanged, MachineClosed, MachineEvent
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.missing_bases import is_unknown_base, MissingBases
from viam_session_bridge.core.readiness import Readiness
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Call,
    Diagnose,
    Doubt,
    GetMachineStatus,
    GetSessions,
    IsMoving,
    ListBases,
    Move,
    Outcome,
    Purpose,
    Reach,
    Redial,
    Request,
    RequestQueue,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.round_trip import RoundTrip
from viam_session_bridge.core.stop_policy import MachineStops, SignedSessions
from viam_session_bridge.core.timing import AT_ONCE, NEVER
from viam_session_bridge.core.unresolved_commands import Probe
from viam_session_bridge.core.velocity import ZERO
from viam_session_bridge.core.verification import Verification

LONGEST_ZERO = 0.25  # s, for the zero velocity after an error: the next Stop waits for it (R7)


class MachineControl:
    """One machine, as the bridge deals with it."""

    def __init__(
        self,
        machine: MachineConfiguration,
        configuration: Configuration,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """Start with a channel that is not ready; ``random``: see :class:`StopControl`."""
        self.machine = machine.name
        self.ready = False
        self.due_at = NEVER  # when to tick and drain
        self.events: list[MachineEvent] = []  # for the bridge to take
        events, name = self.events, machine.name
        machine_stops = configuration.stop_policy is StopPolicy.MACHINE
        self.bases = {
            base.name: BaseControl(
                base.name,
                configuration.heartbeat_window,
                configuration.stop_timeout,
                events,
                leaves_displaced=machine_stops,
                random=random,
            )
            for base in configuration.bases
            if base.machine == name
        }
        self.sessions = (SignedSessions if machine_stops else MachineSessions)(machine, events)
        self._queue = queue = RequestQueue(name, machine.call_timeout)
        self._limit = ConcurrencyLimit()
        self._readiness = Readiness(machine, queue, events)
        self._dead_peer = DeadPeerDetector(queue)
        self._probe = Probe([base.stops.unresolved for base in self.bases.values()], queue)
        self._verification = Verification(queue, self.sessions, events)
        self._machine_stops = MachineStops(
            name, machine_stops, self.bases, queue, self.sessions, self._verification, events
        )
        self._missing_bases = MissingBases(queue)
        self._round_trip = RoundTrip(name, queue, events)
        self._ask_at = NEVER  # when to look what is to be asked

    # From the sessions

    def refusal(
        self, client: str, session: int | None, needs_session: bool, now: float
    ) -> Refusal | None:
        """
        Return why a command of the client's cannot be taken now, None if it can (R11, R17).

        :param session: the client's, None where the command would start one
        :param needs_session: False where the base's ``sessions`` are disabled
        """
        if not self.ready:
            return Refusal.NOT_READY
        if needs_session and not self.sessions.has_room(client, session, self._is_stopped, now):
            return Refusal.TOO_MANY_SESSIONS
        return None

    def forward(self, forward: Forward) -> None:
        """Have an accepted command sent."""
        self.due_at = AT_ONCE
        base = forward.base
        if self.bases[base].forward(forward):
            if self._verification.bases:
                self._verification.commanded(base)
            if self._machine_stops.in_force:
                self._machine_stops.commanded(base)
        if forward.session and forward.session not in self.sessions.live:
            self.sessions.open(forward.client, forward.session, self._is_stopped, forward.at)

    def stop(self, stop: Stop) -> bool:
        """Stop a base; return False where that changes nothing or is left to the machine."""
        control = self._touch(stop.base)
        return not self._machine_stops.takes(stop) and control.stop(stop)

    def signed(self, session: int, now: float) -> None:
        """Note a sign of life of a client session, where it is heartbeated for these (R16)."""
        if isinstance(self.sessions, SignedSessions):
            self.sessions.signed(session, now)
            self.due_at = AT_ONCE

    def not_final(self) -> dict[str, bool]:
        """Return the bases whose stop is not final or not decided, and if one was acknowledged."""
        undecided = dict.fromkeys(self._machine_stops.undecided, False)
        return undecided | {
            base: control.stops.pending is not None and control.stops.pending.acknowledged
            for base, control in self.bases.items()
            if not control.stops.is_final
        }

    def allow_further_stops(self, allowed: bool) -> None:
        """Begin further Stops, or no more: the exit would cut them (R19)."""
        for base in self.bases:
            self._touch(base).stops.further_stops = allowed

    def stop_commanded(self, now: float) -> None:
        """Stop every base that was commanded since its last final stop (R19)."""
        for base, control in self.bases.items():
            stops = control.stops
            if stops.commanded and (stops.pending is None or control.waiting is not None):
                self.stop(Stop(base, Cause.DEACTIVATED, '', now))

    # From the channel

    def channel(self, connected: bool, now: float) -> None:
        """Handle that the channel connected, or lost its connection."""
        self._readiness.channel(connected, now)
        self._follow_readiness(now)

    def opened(self, now: float) -> None:
        """Wait for the channel that is being opened."""
        self.due_at = self._ask_at = AT_ONCE
        self._readiness.opened(now)
        self._machine_stops.opened(self.ready)

    def closed(self, now: float) -> MachineClosed:
        """Let go of the channel, all stops being final (R18)."""
        self.ready = False
        for control in self.bases.values():
            self._touch(control.base).stops.closed()
        self._readiness.closed()
        self._missing_bases = MissingBases(self._queue)
        self._verification.end()
        self._machine_stops.closed()
        return MachineClosed(self.machine, now)

    def answered(self, number: int, answer: Answer, now: float) -> str:
        """
        Handle the end of a call.

        :return: the base whose last command another client's call took the place of (R16), or ''
        """
        request = self._queue.answered(number)
        self._limit.answered(number)
        if isinstance(request, (Move, StopBase)):
            return self._base_answered(request, number, answer, now)
        self._any_answered(request, number, answer, now)
        self.due_at = self._ask_at = AT_ONCE
        stops: Iterable[Stop | None] = ()
        if isinstance(request, StartSession):
            self._start_answered(number, answer, now)
        elif isinstance(request, SendHeartbeat):
            client = self.sessions.beat_answered(number, request.sid, answer, now)
            if client is not None:
                self._stop_bases_of(request.sid, client, '', now)
        elif isinstance(request, IsMoving):
            stops = (self._moving_answered(request, number, answer, now),)
        elif isinstance(request, GetSessions):
            if request.purpose is Purpose.SETTLE:
                self._probe.answered(answer.outcome, now)
                for base in self.bases:  # commands of any may count as answered by this
                    self._touch(base)
            elif request.purpose is Purpose.VERIFY:
                verification = self._verification
                stops = (verification.sessions_answered(request.about, number, answer, now),)
            elif request.purpose is not Purpose.ROUND_TRIP:
                stops = self._machine_stops.sessions_answered(
                    number, request.purpose, request.about, answer, now
                )
        elif isinstance(request, Reach):
            self._dead_peer.question_ended(answer.outcome.answered, now)
        elif isinstance(request, (ListBases, GetMachineStatus)):
            self.events += self._missing_bases.listed(number, answer, now)
        elif isinstance(request, Diagnose):
            self._readiness.diagnosed(answer, now)
        elif isinstance(request, Authenticate):
            self._readiness.authenticated(number, answer, now)
            self._follow_readiness(now)
        for stop in filter(None, stops):
            self._touch(stop.base).stop(stop)
        return ''

    # Time, and what is due

    def tick(self, now: float) -> None:
        """Heartbeat the machine sessions that are due; for the lapse clock only (R12)."""
        for machine_session in self.sessions.beats_due(now):
            number = self._queue.call(SendHeartbeat(machine_session.sid))
            self.sessions.beat(machine_session, number, now)
            self.due_at = AT_ONCE

    def drain(self, now: float) -> list[Call]:
        """Do what is due, and return the calls to hand over now."""
        if self._limit.waiting:
            for base in self._limit.take_turns(now):
                self._look_after(self.bases[base], now)
        due_at = NEVER
        for control in self.bases.values():
            if control.due_at <= now:
                self._look_after(control, now)
            if control.due_at < due_at:
                due_at = control.due_at
        if self._ask_at <= now:
            self._ask(now)
        self.due_at = min(due_at, self._ask_at, self.sessions.next_beat())
        if self._limit.waiting:
            self.due_at = min(self.due_at, self._limit.next_turn(now))
        return self._queue.take()

    def _look_after(self, control: BaseControl, now: float) -> None:
        """Hand over what is due of a base."""
        control.tick(now)
        command = control.sendable()
        if command is not None and self._hand_over_command(control, command, now):
            # It may have been accepted before the base was left to the machine (R16).
            if self._verification.bases:
                self._verification.commanded(control.base)
            self._machine_stops.left.pop(control.base, None)
        elif control.stops.pending is not None:
            self._hand_over_stop(control, now)
        elif control.standing_zero.due_at <= now:
            control.standing_zero.asked()
            self._queue.call(IsMoving(control.base, Doubt.STANDING))
        control.due_at = control.next_deadline()

    def _hand_over_command(self, control: BaseControl, command: Command, now: float) -> bool:
        """Hand over a command, or the start of its machine session; return whether it went."""
        sid, machine_session = '', None
        if command.forward.session and not self.sessions.unsupervised:
            machine_session = self.sessions.live.get(command.forward.session)
            if machine_session is None:
                control.fail_waiting(Cause.NO_MACHINE_SESSION, 'its session ended', now)
                return False
            sid = machine_session.sid
            if not sid:
                if not machine_session.starting:
                    number = self._queue.call(StartSession(machine_session.resume))
                    self.sessions.start(machine_session, number, now)
                return False
        if not self._limit.has_room(now):
            self._limit.wait(control.base)
            return False
        number = self._queue.call(Move(control.base, command.forward.velocity, sid))
        if machine_session is not None:
            machine_session.used = now  # which keeps it alive (R11)
        self._limit.sent(control.base, number, now)
        control.sent(number, sid, now + self._queue.timeout)
        return True

    def _hand_over_stop(self, control: BaseControl, now: float) -> None:
        """Hand over a Stop, the zero velocity after its first error, or a question (R7)."""
        stops = control.stops
        if stops.zero_due():
            sid = control.last_sid
            if self.sessions.is_valid(sid, now):
                timeout = min(self._queue.timeout, LONGEST_ZERO)
                number = self._queue.call(Move(control.base, ZERO, sid), timeout)
                self.sessions.used(sid, now)
                stops.zero_sent(number, now + timeout)
            else:
                stops.zero_spared()
        if stops.stop_due_at() <= now:
            stops.sent(self._queue.call(StopBase(control.base), stops.timeout()), now)
            self._ask_at = AT_ONCE
        if stops.watch_due(now):
            stops.watched()
            self._queue.call(IsMoving(control.base, Doubt.UNANSWERED))

    def _ask(self, now: float) -> None:
        """Ask what is due; how often is up to whoever asks."""
        # Not where no Stop could follow on a new connection: the exit waits for this one (R19).
        stops = [control.stops for control in self.bases.values()]
        is_open = self.ready and any(one.open and one.further_stops for one in stops)
        self._ask_at = min(
            self._dead_peer.ask(is_open, now),
            self._probe.ask(now),
            self._readiness.ask(now),
            self._verification.ask(now),
            self._machine_stops.ask(now),
            self._missing_bases.ask(now),
        )
        self._round_trip.ask(now)

    # Answers

    def _base_answered(
        self, request: Move | StopBase, number: int, answer: Answer, now: float
    ) -> str:
        """Handle the end of a command or a Stop; a command that succeeds changes little else."""
        is_command = isinstance(request, Move)
        base, outcome = request.base, answer.outcome
        usual = is_command and outcome is Outcome.OK and base in self._missing_bases.known
        usual = usual and not (
            self._dead_peer.listens or self._round_trip.listens or self._machine_stops.in_force
        )
        if not usual:
            self._ask_at = AT_ONCE
            self._any_answered(request, number, answer, now)
            if outcome is Outcome.SESSION_EXPIRED and isinstance(request, Move):
                client = self.sessions.expired(request.sid, now)
                if client is not None:
                    self._stop_bases_of(request.sid, client, base, now)
        self.due_at = AT_ONCE
        control = self.bases[base]
        unknown = outcome is Outcome.FAILED and is_unknown_base(answer)
        final = control.answered(number, outcome, answer.detail, now, unknown)
        if final is not None and not control.stops.commanded:
            self._verification.final(base, final)
        if not usual:
            self.events += self._missing_bases.answered(base, answer, now)
        displaced, control.displaced = control.displaced, False
        return base if displaced else ''

    def _any_answered(
        self, request: Request, number: int, answer: Answer, now: float
    ) -> None:
        """Draw from an answer what it says of the machine."""
        if answer.outcome.answered and not isinstance(request, (Authenticate, Diagnose, Redial)):
            self._dead_peer.heard(now)
        self._round_trip.call_ended(request, answer, now)
        if answer.outcome is Outcome.UNAUTHENTICATED:
            of_base = isinstance(request, (Move, StopBase, IsMoving))
            self._readiness.refused(number, answer.detail, now, of_base=of_base)
            self._follow_readiness(now)

    def _start_answered(self, number: int, answer: Answer, now: float) -> None:
        machine_session = self.sessions.start_answered(number, answer, now)
        if machine_session is None:
            return
        started = machine_session.sid or self.sessions.unsupervised
        for base, control in self.bases.items():
            waiting = control.waiting
            if waiting is not None and waiting.forward.session == machine_session.session:
                self._touch(base)
                if not started:
                    control.fail_waiting(Cause.NO_MACHINE_SESSION, answer.detail, now)

    def _moving_answered(
        self, request: IsMoving, number: int, answer: Answer, now: float
    ) -> Stop | None:
        base = request.base
        self._touch(base)
        if request.doubt is Doubt.VERIFY:
            return self._verification.answered(base, number, answer, now)
        if request.doubt is Doubt.LEFT:
            self._machine_stops.moving_answered(base, number, answer, now)
        elif request.doubt is Doubt.UNANSWERED:
            self.bases[base].stops.watch_answered(answer.moving, now)
        elif (answer.moving or answer.outcome is not Outcome.OK) and (
            not self._machine_stops.asks_who_drives(base)
        ):
            self.bases[base].stop_standing(now)
        return None

    def _follow_readiness(self, now: float) -> None:
        """Go on when the machine is ready again, and replay nothing (R13)."""
        self.due_at = self._ask_at = AT_ONCE
        ready = self._readiness.ready
        if ready == self.ready:
            return
        self.ready = ready
        self.events.append(ChannelChanged(self.machine, ready, now))
        self._missing_bases.channel(ready, now)
        if ready:
            self._machine_stops.ready(now)
        self.sessions.forget_unsupervised()
        for base in self.bases:
            control = self._touch(base)
            if ready:
                control.stops.connected(now)
            else:
                control.fail_waiting(Cause.FAILED, 'the machine cannot be reached', now)

    def _stop_bases_of(self, sid: str, client: str, except_base: str, now: float) -> None:
        """Stop the other bases that an expired machine session used last (R13)."""
        for base, control in self.bases.items():
            if control.last_sid != sid or base == except_base or not control.stops.commanded:
                continue
            if self._machine_stops.in_force:
                self._machine_stops.leave(base, now, now)
            else:
                self._touch(base).stop(Stop(base, Cause.EXPIRED, client, now))

    def _is_stopped(self, sid: str) -> bool:
        """Whether the stops of all bases that a machine session used last are final (R11)."""
        return not any(
            control.last_sid == sid
            and (control.stops.pending or control.in_flight or base in self._machine_stops.left)
            for base, control in self.bases.items()
        )

    def _touch(self, base: str) -> BaseControl:
        """Have a base looked after, and what is to be asked; return the base's control."""
        control = self.bases[base]
        control.due_at = self.due_at = self._ask_at = AT_ONCE
        return control
