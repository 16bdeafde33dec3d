# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
All that is between the bridge and one machine: its bases and its machine sessions.

Pure: what the core decided, answers and time are fed in; :meth:`MachineControl.drain`
returns the calls to hand to gRPC, in order. Only :meth:`MachineControl.tick`, which the lapse
clock calls, ever heartbeats a machine session (R12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from viam_session_bridge.configuration.model import StopPolicy
from viam_session_bridge.core.actions import Cause, Forward, Refusal, Stop
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.concurrency_limit import ConcurrencyLimit
from viam_session_bridge.core.dead_peer_detector import DeadPeerDetector
from viam_session_bridge.core.events import (
    ChannelChanged,
    LeftToMachine,
    MachineClosed,
    MachineEvent,
)
from viam_session_bridge.core.handing_over import (
    ask_whether_it_moves,
    hand_over_command,
    hand_over_stop,
)
from viam_session_bridge.core.inquiry import Inquiry
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.missing_bases import is_unknown_base, MissingBases
from viam_session_bridge.core.readiness import Readiness
from viam_session_bridge.core.request_queue import RequestQueue
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Call,
    Diagnose,
    GetMachineStatus,
    GetSessions,
    IsMoving,
    ListBases,
    Move,
    Outcome,
    Reach,
    Redial,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.round_trip import RoundTrip
from viam_session_bridge.core.timing import soonest


class MachineControl:
    """One machine, as the bridge deals with it."""

    def __init__(
        self,
        machine: str,
        bases: Iterable[str],
        *,
        window: float,
        call_timeout: float,
        stop_timeout: float = 2.0,
        max_sessions: int = 256,
        allow_unsupervised: bool = False,
        authenticates: bool = False,
        stop_policy: StopPolicy = StopPolicy.BRIDGE,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """
        Start with a channel that is not ready.

        :param window: s, the bridge's ``heartbeat_window``
        :param call_timeout: s, the deadline of every call but Stop
        :param stop_timeout: s, the first deadline of a Stop
        :param random: a number from 0 to 1, see :class:`BaseControl`
        """
        self.machine = machine
        self.ready = False
        self._machine_stops = stop_policy is StopPolicy.MACHINE
        self.bases = {
            base: BaseControl(
                base,
                window,
                stop_timeout,
                leaves_displaced=self._machine_stops,
                random=random,
            )
            for base in bases
        }
        self.sessions = MachineSessions(
            machine,
            max_sessions,
            call_timeout,
            allow_unsupervised,
            beat_at_signs=self._machine_stops,
        )
        self._queue = RequestQueue(machine, call_timeout)
        self._limit = ConcurrencyLimit()
        self._readiness = Readiness(machine, authenticates, self._queue)
        self._dead_peer_detector = DeadPeerDetector()
        self._inquiry = Inquiry(
            machine, self.bases, self._queue, self.sessions, asks_first=self._machine_stops
        )
        self._missing_bases = MissingBases(self._queue)
        self._round_trip = RoundTrip(machine, self._queue)
        self._further_stops = True  # False in the last moments before the exit (R19)
        self._to_report = False  # foreign sessions, once the channel is ready
        self._events: list[MachineEvent] = []
        self._touched: dict[str, BaseControl] = {}  # since the last drain
        self._due: dict[str, float] = {}  # when a base is due, where it is ever
        # Kept, for all bases would be asked for each command.
        self._stop_is_open: set[str] = set()

    # From the core

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
        """Take an accepted command."""
        if self._touch(forward.base).forward(forward):
            self._inquiry.commanded(forward.base)
        if forward.session:
            self.sessions.open(forward.client, forward.session, self._is_stopped)

    def stop(self, stop: Stop) -> bool:
        """
        Take a stop; return False where it changes nothing or is left to the machine (R16).

        The machine knows nothing of a base which was last driven without a machine session.
        """
        control = self._touch(stop.base)
        if stop.base in self._inquiry.undecided and not stop.of_session_end:
            return False  # of a command that came too late: deactivation decides
        if stop.of_session_end and self._machine_stops and control.last_sid:
            control.left_to_machine()
            if stop.cause is Cause.DEACTIVATED and control.unresolved:
                control.stop(stop)  # what may run late is nobody's to stop but ours
            elif stop.cause is Cause.DEACTIVATED:
                control.waiting = None
                self._inquiry.stop_unless_foreign(stop)
            elif control.waiting is not None:  # it fails, and no older one may live on (R10)
                control.fail_waiting(Cause.NO_SESSION, 'its session ended', stop.at)
            elif control.pending is None:
                self._leave_to_machine(control, self.sessions.lapses_by(control.last_sid), stop.at)
            return False
        return control.stop(stop)

    def signed(self, session: int, now: float) -> None:
        """Take a sign of life of a client session's client."""
        self.sessions.signed(session, now)

    def ended(self, session: int) -> None:
        """Take that a client session ended."""
        self.sessions.ended(session)

    def not_final(self) -> dict[str, bool]:
        """Return the bases whose stop is not final or not decided, and if one was acknowledged."""
        undecided = dict.fromkeys(self._inquiry.undecided, False)
        pending = {base: one.pending for base, one in self.bases.items() if not one.is_final}
        return undecided | {base: bool(one and one.acknowledged) for base, one in pending.items()}

    def given_up(self) -> list[str]:
        """Return the bases whose stop was given up unacknowledged (R7)."""
        return [base for base, control in self.bases.items() if control.gave_up]

    def exit_waits_until(self, now: float) -> float:
        """
        Return how long the exit is to wait, 0 where it need not (R19).

        That is the deadline of a Stop that is open, where none was acknowledged before and no
        valid machine session covers the base.
        """
        deadlines = [
            open_stop.deadline
            for control in self.bases.values()
            if control.pending is not None
            and not control.pending.acknowledged
            and (open_stop := control.open_stop()) is not None
            and not self.sessions.is_valid(control.last_sid, now)
        ]
        return max(deadlines, default=0.0)

    def allow_further_stops(self, allowed: bool) -> None:
        """Begin further Stops, or no more: the exit would cut them (R19)."""
        self._further_stops = allowed
        for base in self.bases:
            self._touch(base).allow_further_stops(allowed)

    def stop_commanded(self, now: float) -> None:
        """Stop every base that was commanded since its last final stop (R19)."""
        for base, control in self.bases.items():
            if control.commanded and (control.pending is None or control.waiting is not None):
                self.stop(Stop(base, Cause.DEACTIVATED, '', now))

    # From the channel

    def channel(self, connected: bool, now: float) -> None:
        """Take that the channel is connected, or is so no longer."""
        self._readiness.channel(connected, now)
        self._follow_connection(now)

    def _follow_connection(self, now: float) -> None:
        """Take up when the machine is ready again, and replay nothing (R13)."""
        ready = self._readiness.ready
        if ready == self.ready:
            return
        self.ready = ready
        self._events.append(ChannelChanged(self.machine, ready, now))
        self._missing_bases.channel(ready, now)
        if ready and self._to_report:
            self._to_report = False
            self._inquiry.report_foreign(now)
        self.sessions.forget_unsupervised()
        for base in self.bases:
            control = self._touch(base)
            if ready:
                control.connected(now)
            else:
                control.fail_waiting(Cause.FAILED, 'the machine cannot be reached', now)

    def opened(self, now: float) -> None:
        """Take that the channel is being opened."""
        self._readiness.opened(now)
        self._inquiry.begin()
        if not self.ready:
            self._to_report = not self._machine_stops

    def closed(self, now: float) -> MachineClosed:
        """Take that the channel is given up, all stops being final (R18)."""
        self.ready = False
        for control in self.bases.values():
            control.closed()
        self._readiness.closed()
        self._missing_bases = MissingBases(self._queue)
        self._inquiry.end()
        return MachineClosed(self.machine, now)

    def answered(self, number: int, answer: Answer, now: float) -> str:
        """
        Take the end of a call.

        :return: the base whose last command another client's call took the place of (R16), or ''
        """
        request = self._queue.answered(number)
        self._limit.answered(number)
        if answer.outcome.answered and not isinstance(request, (Authenticate, Diagnose, Redial)):
            self._dead_peer_detector.heard(now)
        self._round_trip.call_ended(request, answer, now)
        if answer.outcome is Outcome.UNAUTHENTICATED:
            of_base = isinstance(request, (Move, StopBase, IsMoving))
            self._readiness.refused(number, answer.detail, now, of_base=of_base)
            self._follow_connection(now)
        if isinstance(request, Authenticate):
            self._readiness.authenticated(number, answer, now)
            self._follow_connection(now)
        elif isinstance(request, StartSession):
            self._start_answered(number, answer, now)
        elif isinstance(request, SendHeartbeat):
            client = self.sessions.beat_answered(number, request.sid, answer, now)
            if client is not None:
                self._stop_bases_of(request.sid, client, '', now)
        elif isinstance(request, Diagnose):
            self._readiness.diagnosed(answer, now)
        elif isinstance(request, (ListBases, GetMachineStatus)):
            self._events += self._missing_bases.listed(number, answer, now)
        elif isinstance(request, Reach):
            if self._dead_peer_detector.question_ended(answer.outcome.answered, now):
                self._queue.call(Redial())
        elif isinstance(request, (IsMoving, GetSessions)):
            if isinstance(request, GetSessions):
                for base in self.bases:  # commands of any may count as answered by this
                    self._touch(base)
            else:
                self._touch(request.base)
            for stop in self._inquiry.answered(number, request, answer, now):
                self._touch(stop.base).stop(stop)
        elif isinstance(request, (Move, StopBase)):
            if answer.outcome is Outcome.SESSION_EXPIRED and isinstance(request, Move):
                client = self.sessions.expired(request.sid, now)
                if client is not None:
                    self._stop_bases_of(request.sid, client, request.base, now)
            control = self._touch(request.base)
            unknown = is_unknown_base(answer)
            control.answered(number, answer.outcome, answer.detail, now, unknown)
            self._inquiry.base_answered(answer)
            self._events += self._missing_bases.answered(request.base, answer, now)
            if control.displaced:
                control.displaced = False
                return request.base
        return ''

    # Time, and what is due

    def tick(self, now: float) -> None:
        """Do what time alone brings about; called by the lapse clock only (R12)."""
        for base, at in self._due.items():
            if at <= now:
                self._touch(base)
        self._inquiry.verify(now)
        for machine_session in self.sessions.beats_due(now):
            number = self._queue.call(SendHeartbeat(machine_session.sid))
            self.sessions.beat(machine_session, number, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`tick` and :meth:`drain` are to be called next."""
        of_bases = min(self._due.values(), default=None)
        asks = (
            self._inquiry.next_deadline(),
            self._readiness.next_deadline(),
            self._dead_peer_detector.next_deadline(),
            self._missing_bases.next_deadline(),
        )
        return soonest((of_bases, self.sessions.next_beat(), self._limit.next_turn(), *asks))

    def drain(self, now: float) -> tuple[list[Call], list[MachineEvent]]:
        """Return the calls to hand over now, and what happened since."""
        events, self._events = self._events, []
        touched, self._touched = self._touched, {}
        if turns := self._limit.turns(now):
            touched = {base: self.bases[base] for base in turns} | touched
        for control in touched.values():
            control.tick(now)
            if hand_over_command(control, self.sessions, self._queue, self._limit, now):
                # It may have been accepted before the base was left to the machine (R16).
                self._inquiry.verification.commanded(control.base)
            else:
                hand_over_stop(control, self.sessions, self._queue, now)
                ask_whether_it_moves(control, self._queue, now)
            if control.open_stop() is not None:
                self._stop_is_open.add(control.base)
            else:
                self._stop_is_open.discard(control.base)
            if control.events:
                self._inquiry.note_final(control, now)
                events += control.events
                control.events = []
            if (due_at := control.next_deadline()) is not None:
                self._due[control.base] = due_at
            else:
                self._due.pop(control.base, None)
        self._detect_stall(now)
        self._readiness.ask(now)
        self._inquiry.ask(now)
        self._missing_bases.ask(now)
        self._round_trip.ask(now)
        for one in (self.sessions, self._inquiry, self._readiness, self._round_trip):
            if one.events:
                events += one.events
                one.events = []
        return self._queue.take(), events

    def _start_answered(self, number: int, answer: Answer, now: float) -> None:
        machine_session = self.sessions.start_answered(number, answer, now)
        if machine_session is None:
            return
        started = machine_session.sid or self.sessions.unsupervised
        for base, control in self.bases.items():
            waiting = control.waiting
            if waiting is None or waiting.forward.session != machine_session.session:
                continue
            self._touch(base)
            if not started:
                control.fail_waiting(Cause.NO_SESSION, answer.detail, now)

    def _stop_bases_of(self, sid: str, client: str, except_base: str, now: float) -> None:
        for base, control in self.bases.items():
            if control.last_sid != sid or base == except_base or not control.commanded:
                continue
            if self._machine_stops:
                self._leave_to_machine(control, now, now)
            else:
                self.stop(Stop(base, Cause.EXPIRED, client, now))

    def _leave_to_machine(self, control: BaseControl, stopped_by: float, now: float) -> None:
        """Verify by then that viam-server has stopped a base whose machine session is over."""
        self._inquiry.verification.left(control.base, max(stopped_by, now), control.lost)
        self._events.append(LeftToMachine(control.base, None, now))

    def _detect_stall(self, now: float) -> None:
        """
        Ask a machine that is silent while a Stop is open; R7 dials it anew then.

        Not where no other could follow on the new connection: the exit waits for this one (R19).
        """
        is_open = self.ready and self._further_stops and bool(self._stop_is_open)
        self._dead_peer_detector.watch(is_open, now)
        if self._dead_peer_detector.question_due(now):
            self._dead_peer_detector.asked()
            self._queue.call(Reach())

    def _is_stopped(self, sid: str) -> bool:
        return not any(
            control.last_sid == sid
            and (control.pending or control.in_flight or self._inquiry.verification.is_left(base))
            for base, control in self.bases.items()
        )

    def _touch(self, base: str) -> BaseControl:
        control = self._touched[base] = self.bases[base]
        return control
