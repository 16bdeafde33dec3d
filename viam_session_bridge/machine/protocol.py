# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
All that is between the bridge and one machine: its bases' senders and its machine sessions.

Pure: what the core decided, answers and time are fed in; :meth:`Protocol.drain` returns the
calls to hand to gRPC, in order. Only :meth:`Protocol.tick`, which the lapse clock calls, ever
heartbeats a machine session (R12).
"""

from __future__ import annotations

from collections.abc import Iterable

from viam_session_bridge.core.said import Cause, Forward, Refusal, Stop
from viam_session_bridge.core.velocity import ZERO
from viam_session_bridge.machine.calls import (
    Answer,
    Call,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.machine.happened import (
    ChannelChanged,
    Happened,
    MachineAbsent,
    MachineClosed,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.machine.machine_sessions import MachineSessions
from viam_session_bridge.machine.outbox import Outbox
from viam_session_bridge.machine.sender import Sender
from viam_session_bridge.machine.unanswered import Probe
from viam_session_bridge.machine.verifying import Finding, Verifying

ABSENT_AFTER = 2.0  # s


class Protocol:
    """One machine, as the bridge deals with it."""

    def __init__(
        self,
        machine: str,
        bases: Iterable[str],
        *,
        window: float,
        call_timeout: float,
        max_sessions: int = 256,
        allow_unsupervised: bool = False,
    ) -> None:
        """
        Start with a channel that is not ready.

        :param window: s, the bridge's ``heartbeat_window``
        :param call_timeout: s, the deadline of every call
        """
        self.machine = machine
        self.ready = False
        self.senders = {base: Sender(base, window) for base in bases}
        self.sessions = MachineSessions(machine, max_sessions, call_timeout, allow_unsupervised)
        self._verifying = Verifying(self.senders)
        self._absent_at: float | None = None  # when to tell, unless it is ready by then
        self._probe = Probe()
        self._outbox = Outbox(machine, call_timeout)
        self._happened: list[Happened] = []
        self._touched: dict[str, Sender] = {}  # since the last drain
        self._unanswered = False  # some command of some base may be

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
        self._touch(forward.base).forward(forward)
        self._verifying.commanded(forward.base)
        if forward.session:
            self.sessions.open(forward.client, forward.session, self._is_stopped)

    def stop(self, stop: Stop) -> None:
        """Take a stop."""
        self._touch(stop.base).stop(stop)

    def ended(self, session: int) -> None:
        """Take that a client session ended."""
        self.sessions.ended(session)

    @property
    def is_final(self) -> bool:
        """Whether the stops of all bases are final."""
        return all(sender.stopping is None for sender in self.senders.values())

    def stop_commanded(self, now: float) -> None:
        """Stop every base that was commanded since its last final stop (R19)."""
        for base, sender in self.senders.items():
            if sender.commanded and (sender.stopping is None or sender.waiting is not None):
                self.stop(Stop(base, Cause.DEACTIVATED, '', now))

    # From the channel

    def channel(self, ready: bool, now: float) -> None:
        """Take that the channel is ready, or is so no longer: nothing is replayed (R13)."""
        if ready == self.ready:
            return
        self.ready, self._absent_at = ready, None
        self._happened.append(ChannelChanged(self.machine, ready, now))
        self.sessions.forget_unsupervised()
        for base in self.senders:
            sender = self._touch(base)
            if ready and sender.stopping is not None:
                sender.stopping.due_at = now
            elif not ready:
                sender.fail_waiting(Cause.FAILED, 'the machine cannot be reached', now)

    def opened(self, now: float) -> None:
        """Take that the channel is being opened."""
        if not self.ready:
            self._absent_at = now + ABSENT_AFTER

    def closed(self, now: float) -> MachineClosed:
        """Take that the channel is given up, all stops being final (R18)."""
        self.ready, self._absent_at = False, None
        self._verifying.end()
        return MachineClosed(self.machine, now)

    def answered(self, number: int, answer: Answer, now: float) -> None:
        """Take the end of a call."""
        request = self._outbox.answered(number)
        if isinstance(request, StartSession):
            self._start_answered(number, answer, now)
        elif isinstance(request, SendHeartbeat):
            client = self.sessions.beat_answered(number, request.sid, answer, now)
            if client is not None:
                self._stop_bases_of(request.sid, client, '', now)
        elif isinstance(request, IsMoving):
            finding = self._verifying.answered(request.base, number, answer.moving, now)
            if finding is Finding.MOVES:
                self._happened.append(StillMoving(request.base, None, False, now))
            elif finding is Finding.SUSPECT:
                self._outbox.call(GetSessions(about=request.base))
        elif isinstance(request, GetSessions) and request.about:
            self._suspected(request.about, answer, now)
        elif isinstance(request, GetSessions):
            bases = [sender.unanswered for sender in self.senders.values()]
            self._probe.answered(number, answer.outcome, bases, now)
        else:
            if answer.outcome is Outcome.SESSION_EXPIRED and isinstance(request, Move):
                client = self.sessions.expired(request.sid, now)
                if client is not None:
                    self._stop_bases_of(request.sid, client, request.base, now)
            sender = self._touch(request.base)
            sender.answered(number, answer.outcome, answer.detail, now)
            self._unanswered |= not answer.outcome.answered

    # Time, and what is due

    def tick(self, now: float) -> None:
        """Do what time alone brings about; called by the lapse clock only (R12)."""
        for base in self.senders:
            self._touch(base)
        for machine_session in self.sessions.beats_due(now):
            number = self._outbox.call(SendHeartbeat(machine_session.sid))
            self.sessions.beat(machine_session, number, now)
        if self._absent_at is not None and self._absent_at <= now:
            self._absent_at = None
            self._happened.append(MachineAbsent(self.machine, now))
        for base in self._verifying.due(now):
            self._verifying.asked(base, self._outbox.call(IsMoving(base)))

    def next_deadline(self) -> float | None:
        """Return when :meth:`tick` and :meth:`drain` are to be called next."""
        times = [sender.next_deadline() for sender in self.senders.values()]
        times += [self.sessions.next_beat(), self._verifying.next_deadline()]
        times += [self._probe_due_at(), self._absent_at]
        return min((at for at in times if at is not None), default=None)

    def drain(self, now: float) -> tuple[list[Call], list[Happened]]:
        """Return the calls to hand over now, and what happened since."""
        happened, self._happened = self._happened, []
        touched, self._touched = self._touched, {}
        for sender in touched.values():
            sender.tick(now)
            if not self._hand_over_command(sender, now):
                self._hand_over_stop(sender, now)
            for one in sender.happened:
                if isinstance(one, StopFinal) and not sender.commanded:
                    self._verifying.final(sender.base, one.timed_out, now)
            happened += sender.happened
            sender.happened = []
        happened += self.sessions.happened
        self.sessions.happened = []
        probe_due_at = self._probe_due_at()
        if probe_due_at is not None and probe_due_at <= now:
            self._probe.sent(self._outbox.call(GetSessions()), now)
        return self._outbox.take(), happened

    def _hand_over_command(self, sender: Sender, now: float) -> bool:
        command = sender.sendable()
        if command is None:
            return False
        sid = ''
        if command.forward.session and not self.sessions.unsupervised:
            machine_session = self.sessions.of(command.forward.session)
            if machine_session is None:
                sender.fail_waiting(Cause.NO_SESSION, 'its session ended', now)
                return False
            sid = machine_session.sid
            if not sid:
                if not machine_session.starting:
                    number = self._outbox.call(StartSession(machine_session.resume))
                    self.sessions.start(machine_session, number, now)
                return False
            self.sessions.used(sid, now)
        number = self._outbox.call(Move(sender.base, command.forward.velocity, sid))
        sender.sent(number, sid, now + self._outbox.timeout)
        return True

    def _hand_over_stop(self, sender: Sender, now: float) -> None:
        if sender.stop_due(now):
            sender.stop_sent(self._outbox.call(StopBase(sender.base)), now)
        if sender.zero_due():
            sid = sender.last_sid
            if self.sessions.is_valid(sid, now):
                number = self._outbox.call(Move(sender.base, ZERO, sid))
                self.sessions.used(sid, now)
                sender.zero_sent(number, now + self._outbox.timeout)
            else:
                sender.skip_zero()

    def _start_answered(self, number: int, answer: Answer, now: float) -> None:
        machine_session = self.sessions.start_answered(number, answer, now)
        if machine_session is None:
            return
        started = machine_session.sid or self.sessions.unsupervised
        for base, sender in self.senders.items():
            waiting = sender.waiting
            if waiting is None or waiting.forward.session != machine_session.session:
                continue
            self._touch(base)
            if not started:
                sender.fail_waiting(Cause.NO_SESSION, answer.detail, now)

    def _suspected(self, base: str, answer: Answer, now: float) -> None:
        """Stop a base that moves anew, if the machine lists no sessions but ours (R20)."""
        if answer.outcome not in (Outcome.OK, Outcome.UNIMPLEMENTED):
            return  # asked again in a second
        foreign = self.sessions.foreign(answer.sids)
        ours = foreign == 0 and not self.senders[base].commanded
        if ours:
            self.stop(Stop(base, Cause.STILL_MOVING, '', now))
        self._happened.append(StillMoving(base, foreign, ours, now))

    def _stop_bases_of(self, sid: str, client: str, except_base: str, now: float) -> None:
        for base, sender in self.senders.items():
            if sender.last_sid == sid and base != except_base and sender.commanded:
                self.stop(Stop(base, Cause.EXPIRED, client, now))

    def _is_stopped(self, sid: str) -> bool:
        return not any(
            sender.last_sid == sid and (sender.stopping or sender.in_flight)
            for sender in self.senders.values()
        )

    def _probe_due_at(self) -> float | None:
        if not self._unanswered:
            return None
        unanswered = [s.unanswered for s in self.senders.values() if s.unanswered]
        self._unanswered = bool(unanswered)
        return self._probe.due_at(unanswered)

    def _touch(self, base: str) -> Sender:
        sender = self._touched[base] = self.senders[base]
        return sender
