# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The bridge that leaves its stops to the awkward machine of the other model (R11, R12, R16, R19).

The machine stops by its own last-user rule, or loses that stop; other Viam clients drive its
bases now and then, under a session of theirs.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from rules.test_protocol_model import BridgeAgainstMachine, clients, FOREIGN, NAMES, Pending
from support.pure import model_settings
from viam_session_bridge.configuration.model import SessionsMode, StopPolicy
from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import AtRest, LeftToMachine, StillMoving
from viam_session_bridge.core.requests import (
    Answer,
    Call,
    GetMachineStatus,
    GetSessions,
    Move,
    Outcome,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.velocity import ZERO


class BridgeLeavesItToMachine(BridgeAgainstMachine):
    policy = StopPolicy.MACHINE
    manual = SessionsMode.AUTO  # manual is refused with this policy

    def listen(self) -> None:
        super().listen()
        self.due_at: float | None = None  # when the lapse clock was to tick
        self.sids: tuple[str, ...] | None = None  # in the answer that is being fed
        self.foreign_listed = False  # others were, in some answer
        self.lost_start = False  # one went without an answer for good
        self.reported: set[str] = set()  # bases that moved on, with others there
        self.named: set[str] = set()  # bases left to the machine, for the others there
        self.moves: dict[str, tuple[str, Forward]] = {}  # the newest, and their machine sessions

    # Other Viam clients, and what the machine makes of its sessions

    @rule(name=st.sampled_from(NAMES))
    def another_drives(self, name: str) -> None:
        sid = self.machine.FOREIGN_SID
        self.machine.sessions[sid] = self.now + self.machine.window
        self.machine.last_user[name] = sid
        self.machine.moving[name] = FOREIGN

    @rule()
    def another_beats(self) -> None:
        self.machine.beat(self.machine.FOREIGN_SID, self.now)

    @rule(obeys=st.booleans())
    def bases_obey_the_machine(self, obeys: bool) -> None:
        self.machine.obeys = obeys

    # Signs of life

    @rule(
        client=clients,
        step=st.sampled_from([0.01, 0.1, 0.3]),
        late=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    )
    def a_sign_of_life_is_worth_four_fifths_of_a_window(
        self, client: str, step: float, late: float
    ) -> None:
        """R16, where the clock and the machine are on time."""
        self.command(client, 'go')
        self.run_all()
        sid = self.sid_of(client)
        if self.machine.sessions.get(sid) != self.now + self.machine.window:
            return  # it was refused
        self.advance_to(self.now + step, False, True)
        self.heartbeat(client, True)
        if late:
            self.advance_with_a_late_lapse_clock(late)
        self.tick()
        self.run_all()
        if not late and sid == self.sid_of(client):
            left = self.machine.sessions[sid] - self.now
            assert left >= 0.8 * self.machine.window - 1e-9

    def sid_of(self, client: str) -> str:
        session = self.bridge.table.active.get(client)
        live = self.bridge.machines['main'].sessions.live
        machine_session = session and live.get(session.number)
        return machine_session.sid if machine_session else ''

    def tick(self) -> None:
        self.due_at = self.wake_at
        super().tick()

    # Deactivation

    @rule()
    def deactivate_and_wait(self) -> None:
        """R19: all is stopped, or left to the machine and named."""
        self.recover()
        self.feed(lambda: self.bridge.deactivate(self.now))
        self.settle()
        self.check_deactivated()
        self.feed(lambda: self.bridge.deactivate(self.now))
        assert self.bridge.not_final() == {} and not self.open
        self.recover()

    # One feed

    def end(self, pending: Pending, answer: Answer | None) -> None:
        listed = isinstance(pending.call.request, GetSessions) and answer is not None
        self.sids = answer.sids if listed and answer and answer.outcome is Outcome.OK else None
        # A base whose command is in flight is left once that is answered.
        self.foreign_listed |= self.sids is not None and self.machine.FOREIGN_SID in self.sids
        self.lost_start |= isinstance(pending.call.request, StartSession) and (
            answer is None or not answer.outcome.answered
        )
        super().end(pending, answer)
        self.sids = None

    def take_decisions(self) -> set[str]:
        needed = {name: record.needed for name, record in self.record.items()}
        to_stop = super().take_decisions()
        to_stop |= {action.base for action in self.left if self.was_waiting(action)}
        self.left.clear()
        for name in [name for name in to_stop if self.control(name).stops.pending is None]:
            # Nothing of ours moves it: it is at rest, or was left to others.
            record = self.record[name]
            at_rest = record.moved <= record.final or self.has_nothing_to_stop(name)
            assert at_rest or name in self.named, name
            record.stopping, record.needed = False, needed[name]
            to_stop.remove(name)
        return to_stop

    def was_waiting(self, stop: Forward | Stop) -> bool:
        """R10: a command that still waits at its session's end has failed."""
        record = self.record[stop.base]
        if record.newest is None or record.sends:
            return False
        at_end = isinstance(stop, Stop) and stop.cause is not Cause.DEACTIVATED
        return at_end and record.newest.session == stop.session

    def note_event(self, event: Event, failing: str) -> None:
        super().note_event(event, failing)
        if isinstance(event, AtRest) and not self.control(event.base).stops.commanded:
            self.record[event.base].final = self.record[event.base].moved  # as good as stopped
        if isinstance(event, (StillMoving, LeftToMachine)) and event.foreign:
            # R11: the bridge's own sessions are never taken for others'.
            if isinstance(event, LeftToMachine):
                assert self.foreign_listed
                self.named.add(event.base)
            else:
                assert self.sids is not None and self.machine.FOREIGN_SID in self.sids
                self.reported.add(event.base)

    def handed_over(self, call: Call, ticks: bool) -> None:
        super().handed_over(call, ticks)
        request = call.request
        nothing_to_stop = isinstance(request, StopBase) and request.base not in self.ran
        asks = request in (GetSessions(), GetMachineStatus())  # due at that very moment
        assert self.open or asks or nothing_to_stop, 'it closed'
        if isinstance(request, SendHeartbeat):
            self.check_heartbeat(self.owner[request.sid])
        elif isinstance(request, StartSession) and request.resume:
            self.check_resume(request.resume)
        elif isinstance(request, StopBase):
            self.check_stop(request.base)
        elif isinstance(request, Move) and call.number in self.sent:
            self.reported.discard(request.base)
            self.named.discard(request.base)
            self.moves[request.base] = request.sid, self.sent[call.number]

    def control(self, name: str) -> BaseControl:
        return self.bridge.machines['main'].bases[name]

    def check_heartbeat(self, client: str) -> None:
        """R12, R16: for a sign of life alone, at once, or as late as the clock itself."""
        session = self.bridge.table.active.get(client)
        assert session is not None and self.due_at is not None
        assert session.sign >= self.due_at
        assert session.sign + self.machine.window / 5 > self.now

    def check_resume(self, sid: str) -> None:
        """R11, R12: it keeps no base moving that its client's session before left."""
        session = self.bridge.table.active.get(self.owner[sid])
        assert session is not None and self.is_alive(session.client)
        for name, (used, moved) in self.moves.items():
            record = self.record[name]
            if used == sid and record.moved > record.final and name not in self.reported:
                accepted = record.newest or moved
                assert session.number in (moved.session, accepted.session), name

    def check_stop(self, name: str) -> None:
        """R16: a session's end stops nothing while others are there, R10 and its like do."""
        pending = self.control(name).stops.pending
        if pending is None:  # it closed in the same feed
            assert name not in self.ran
            return
        cause = pending.stop.cause
        if pending.tries > 1 or not self.control(name).last_sid:
            return  # repeated, or the machine knows nothing of the base
        assert cause not in (Cause.LAPSE, Cause.LEFT, Cause.EXPIRED)
        # A start without an answer may have made one of those that are listed.
        starting = any(isinstance(one.call.request, StartSession) for one in self.pending)
        if cause in (Cause.DEACTIVATED, Cause.STILL_MOVING) and not (self.lost_start or starting):
            assert self.sids is None or self.machine.FOREIGN_SID not in self.sids

    @invariant()
    def the_window_is_the_machines(self) -> None:
        assert not self.owner or self.bridge.table.window == self.machine.window

    # When all is quiet

    def moved_by_us(self) -> list[str]:
        return [name for name in NAMES if self.machine.moving[name] not in (ZERO, FOREIGN)]

    def check_quiet(self) -> None:
        """I5: what the machine did not stop is stopped, or others were there, and it is told."""
        for name in self.moved_by_us():
            if name != 'd' and not self.is_left_and_named(name) and name not in self.given_up:
                assert name in self.reported and name in self.machine.lost, name
        assert not any(record.stopping for record in self.record.values())

    def check_deactivated(self) -> None:
        """R19: what others' sessions did not keep from being stopped, is."""
        assert all(self.is_left_and_named(name) for name in self.moved_by_us())

    def is_left_and_named(self, name: str) -> bool:
        return name in self.named and name in self.machine.lost


BridgeLeavesItToMachine.TestCase.settings = model_settings(examples=500, steps=50)
TestBridgeLeavesItToMachine = BridgeLeavesItToMachine.TestCase
