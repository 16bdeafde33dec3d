# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""
The bridge against a machine that is as awkward as the rules allow (R4 to R17, R19).

The machine runs overlapping calls in any order, answers late or never, fails, forgets its
sessions, and runs commands that were given up long after. What must hold all the same is
checked from the machine's own record, at each hand-over and after each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, RuleBasedStateMachine

from support.pure import base, CALL_TIMEOUT, configuration, machine, model_settings, WINDOW
from viam_session_bridge.configuration.model import SessionsMode, StopPolicy
from viam_session_bridge.core.actions import Cause, Forward, Stop
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.bridge import Bridge, Event
from viam_session_bridge.core.events import (
    CommandFailed,
    MachineSessionStarted,
    StopFinal,
    StopGivenUp,
)
from viam_session_bridge.core.requests import (
    Answer,
    Call,
    GetMachineStatus,
    GetSessions,
    IsMoving,
    ListBases,
    Listed,
    Move,
    Outcome,
    Reach,
    Redial,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import Velocity, ZERO

TOPICS = {'A': '/ab', 'B': '/a', 'C': '/b', 'M': '/m', 'D': '/d', 'E': '/d'}
NAMES = ['a', 'b', 'm', 'd']
FOREIGN = Velocity(-1.0)  # what other Viam clients command
clients = st.sampled_from(['A', 'A', 'A', 'B', 'B', 'B', 'C', 'M', 'D', 'E'])
UNKNOWN = 'UNKNOWN: no node found with api rdk:component:base and name base'
# Stops that base control decides on itself, beside those of commands that fail (R10, R20, R22).
OF_BASE_CONTROL = (Cause.OLDER, Cause.STILL_MOVING, Cause.STANDING)


@dataclass
class Pending:
    """
    A call that the bridge waits for; its answer is there once the machine ran it.

    ``clean``: of a Stop, sent after every earlier command was answered.
    """

    call: Call
    handed_at: float
    deadline: float
    answer: Answer | None = None
    clean: bool = False


@dataclass
class Late:
    """What the bridge gave up and the machine still runs, before ``bound``."""

    request: Move | StopBase
    deadline: float
    bound: float = NEVER


class Machine:
    """viam-server's rules, in the order in which the test runs the calls."""

    FOREIGN_SID = 'foreign'  # of all other Viam clients

    def __init__(self, window: float, sessions: bool, probes: bool, obeys: bool) -> None:
        self.window, self.has_sessions, self.probes, self.obeys = window, sessions, probes, obeys
        self.sessions: dict[str, float] = {}
        self.last_user: dict[str, str] = {}
        self.moving: dict[str, Velocity] = dict.fromkeys(NAMES, ZERO)
        self.late: list[Late] = []
        self.lost: set[str] = set()  # bases that a session's end was to stop, and did not
        self.unknown: set[str] = set()  # bases that it does not have now, though they may move on
        self._ids = 0

    def run(self, call: Call, fails: bool, now: float) -> Answer:
        request = call.request
        if isinstance(request, GetSessions):
            sids = tuple(self.sessions)
            return Answer(Outcome.OK if self.probes else Outcome.UNIMPLEMENTED, sids=sids)
        if isinstance(request, (GetMachineStatus, ListBases)):
            lacking = dict.fromkeys(sorted(self.unknown), '')
            listed = None if fails else Listed(tuple(NAMES), lacking, True)
            return Answer(Outcome.FAILED if fails else Outcome.OK, listed=listed)
        if isinstance(request, IsMoving):
            if fails or request.base in self.unknown:
                return Answer(Outcome.FAILED)
            return Answer(Outcome.OK, moving=self.moving[request.base] != ZERO)
        if isinstance(request, (Reach, Redial)):
            return Answer(Outcome.OK)
        if isinstance(request, StartSession):
            return self._start(request.resume, fails, now)
        if isinstance(request, SendHeartbeat):
            return Answer(Outcome.OK if self.beat(request.sid, now) else Outcome.SESSION_EXPIRED)
        if isinstance(request, StopBase):
            if request.base in self.unknown:
                return Answer(Outcome.FAILED, UNKNOWN)
            if not fails:
                self.moving[request.base] = ZERO
            return Answer(Outcome.FAILED if fails else Outcome.OK)
        assert isinstance(request, Move)
        if not self.admit(request, now):
            return Answer(Outcome.SESSION_EXPIRED)
        if request.base in self.unknown:
            return Answer(Outcome.FAILED, UNKNOWN)
        if not (fails and call.number % 2):  # every other failing command moves the base first
            self.moving[request.base] = request.velocity
        return Answer(Outcome.FAILED if fails else Outcome.OK)

    def _start(self, resume: str, fails: bool, now: float) -> Answer:
        if not self.has_sessions:
            return Answer(Outcome.UNIMPLEMENTED)
        if fails:
            return Answer(Outcome.FAILED)
        if not self.beat(resume, now):
            self._ids += 1
            resume = f'sid-{self._ids}'
            self.sessions[resume] = now + self.window
        return Answer(Outcome.OK, sid=resume, window=self.window)

    def beat(self, sid: str, now: float) -> bool:
        if sid not in self.sessions:
            return False
        self.sessions[sid] = now + self.window
        return True

    def admit(self, move: Move, now: float) -> bool:
        if move.sid and not self.beat(move.sid, now):
            return False
        self.last_user.pop(move.base, None)
        if move.sid:
            self.last_user[move.base] = move.sid
        return True

    def run_late(self, late: Late) -> None:
        self.late.remove(late)
        velocity = late.request.velocity if isinstance(late.request, Move) else ZERO
        self.moving[late.request.base] = velocity

    def expire(self, now: float) -> None:
        for sid in [sid for sid, deadline in self.sessions.items() if deadline <= now]:
            del self.sessions[sid]
            for name in [name for name, user in self.last_user.items() if user == sid]:
                del self.last_user[name]
                if self.obeys:
                    self.moving[name] = ZERO
                else:
                    self.lost.add(name)

    def forget(self) -> None:
        self.lost.update(self.last_user)
        self.sessions.clear()
        self.last_user.clear()


@dataclass
class Record:
    """What was decided and handed over for one base."""

    newest: Forward | None = None  # accepted, and not stopped since
    last: int = 0  # the newest call of any kind
    moved: int = 0  # the newest command
    stopped: int = 0  # the newest stop
    acknowledged: int = 0  # the newest stop that was
    needed: int = 0  # motion needs an acknowledged stop newer than this
    final: int = 0  # the newest command when a stop became final
    stopping: bool = False  # a stop was decided since the newest command
    sends: int = 0  # of `newest`


# Named, as Hypothesis 6.98, which Ubuntu 24.04 has, reads the source of lambdas again and again.
def calls_are_in_flight(it: BridgeAgainstMachine) -> bool:
    return bool(it.pending)


def stops_are_in_flight(it: BridgeAgainstMachine) -> bool:
    return any(isinstance(pending.call.request, StopBase) for pending in it.pending)


def bases_are_unknown(it: BridgeAgainstMachine) -> bool:
    return bool(it.machine.unknown)


def calls_came_late(it: BridgeAgainstMachine) -> bool:
    return bool(it.machine.late)


class BridgeAgainstMachine(RuleBasedStateMachine):
    policy = StopPolicy.BRIDGE
    manual = SessionsMode.MANUAL  # of base m

    @initialize(
        window=st.sampled_from([0.4, 2.0]),
        max_sessions=st.sampled_from([8, 2, 1]),
        sessions=st.sampled_from([True] * 6 + [False]),
        probes=st.sampled_from([True, True, False]),
        obeys=st.booleans(),
        unsupervised=st.booleans(),
    )
    def begin(
        self,
        window: float,
        max_sessions: int,
        sessions: bool,
        probes: bool,
        obeys: bool,
        unsupervised: bool,
    ) -> None:
        main = machine(max_sessions=max_sessions, allow_unsupervised=unsupervised)
        bases = [
            base('a', '/a', '/ab'),
            base('b', '/b', '/ab'),
            base('m', '/m', sessions=self.manual),
            base('d', '/d', sessions=SessionsMode.DISABLED),
        ]
        self.bridge = Bridge(configuration(*bases, machines=[main], stop_policy=self.policy))
        self.machine = Machine(window, sessions, probes, obeys)
        self.max_sessions = max_sessions
        self.now = 0.0
        self.wake_at = NEVER
        self.up = False
        self.open = False
        self.commands = 0
        self.pending: list[Pending] = []
        self.record = {name: Record() for name in NAMES}
        self.owner: dict[str, str] = {}  # of machine sessions: the client
        self.decided: list[Forward | Stop] = []
        self.left: list[Forward | Stop] = []  # stops that are left to the machine
        self.sent: dict[int, Forward] = {}
        self.begun: set[str] = set()  # bases that base control decided to stop, in this feed
        self.given_up: set[str] = set()
        self.ran: set[str] = set()  # bases that a command ever reached
        self.listen()
        self.recover()

    def listen(self) -> None:
        """Record what is decided, and which calls are clients' commands, not zeros of a stop."""
        protocol = self.bridge.machines['main']
        forward, stop = protocol.forward, protocol.stop

        def heard_forward(action: Forward) -> None:
            self.decided.append(action)
            forward(action)

        def heard_stop(action: Stop) -> bool:
            to_be_sent = stop(action)
            (self.decided if to_be_sent else self.left).append(action)
            return to_be_sent

        def hear_control(control: BaseControl) -> None:
            sent, stop = control.sent, control.stop

            def heard_stop(action: Stop) -> bool:
                if action.cause in OF_BASE_CONTROL:
                    self.decided.append(action)
                    self.begun.add(action.base)
                return stop(action)

            def heard_sent(number: int, sid: str, deadline: float) -> None:
                assert control.waiting is not None
                self.sent[number] = control.waiting.forward
                sent(number, sid, deadline)

            setattr(control, 'sent', heard_sent)  # noqa: B010
            setattr(control, 'stop', heard_stop)  # noqa: B010

        for control in protocol.bases.values():
            hear_control(control)
        setattr(protocol, 'forward', heard_forward)  # noqa: B010 (mypy knows methods)
        setattr(protocol, 'stop', heard_stop)  # noqa: B010

    # One feed, and what must hold of what it leads to

    def feed(self, feed: Callable[[], None], ticks: bool = False, failing: str = '') -> None:
        """Feed and drain; ``failing``: the base whose command is answered by this."""
        feed()
        out = self.bridge.drain(self.now)
        self.wake_at = min(self.wake_at, out.wake_at)
        self.open = (self.open or bool(out.opened)) and not out.closed
        self.up = self.up and self.open
        to_stop = self.take_decisions()
        for event in out.events:
            self.note_event(event, failing)
        for call in out.calls:
            self.handed_over(call, ticks)
        for name in to_stop:  # I4, R7: at once, whatever is in flight
            record = self.record[name]
            assert record.stopped > record.moved or record.moved <= record.final, name
        begun, self.begun = self.begun, set()
        for name in begun:  # R20, R22: also where the stop before was final
            self.record[name].stopping = True
            assert self.calls_of(name), name
        if out.closed:  # R7: what is not final has nothing to stop
            for record in self.record.values():
                record.stopping, record.needed = False, 0

    def note_event(self, event: Event, failing: str) -> None:
        if isinstance(event, MachineSessionStarted):
            self.owner[event.sid] = event.client
        elif isinstance(event, CommandFailed):
            record = self.record[event.base]
            record.needed = record.last if event.base == failing else record.moved
            record.stopping = True
        elif isinstance(event, StopFinal):
            self.record[event.stop.base].final = self.record[event.stop.base].moved
            self.record[event.stop.base].stopping = False
            self.given_up.discard(event.stop.base)
        elif isinstance(event, StopGivenUp):
            self.record[event.stop.base].stopping = False
            self.record[event.stop.base].needed = 0  # nothing is waited for any more
            self.given_up.add(event.stop.base)

    def take_decisions(self) -> set[str]:
        """Note what was decided; return the bases to be stopped."""
        to_stop = set()
        decided, self.decided = self.decided, []
        for action in decided:
            record = self.record[action.base]
            if isinstance(action, Forward):
                record.newest, record.sends = action, 0
                to_stop.discard(action.base)
                continue
            anothers = record.newest is not None and record.newest.client != action.client
            if not (action.cause is Cause.EXPIRED and anothers):
                record.newest = None
                to_stop.add(action.base)
            if action.motion_after_ack:
                record.needed = max(record.needed, record.moved)
            record.stopping = record.moved > record.final
        return to_stop

    def handed_over(self, call: Call, ticks: bool) -> None:
        request = call.request
        if isinstance(request, SendHeartbeat):
            assert ticks  # I8, R12
            assert self.is_alive(self.owner[request.sid])  # I8, R11
        elif isinstance(request, Move) and call.number in self.sent:
            self.check_command(request)
            self.record[request.base].moved = call.number
            self.record[request.base].stopping = False
            self.given_up.discard(request.base)
        elif isinstance(request, StopBase):
            self.record[request.base].stopped = call.number
        clean = False
        if isinstance(request, (Move, StopBase)):
            self.record[request.base].last = call.number
            clean = self.check_beside(request)
        pending = Pending(call, self.now, self.now + call.timeout, clean=clean)
        self.pending.append(pending)

    def check_beside(self, request: Move | StopBase) -> bool:
        """R7: beside an open Stop nothing goes out but one more; return whether it is clean."""
        others = self.calls_of(request.base)
        stops = [other for other in others if isinstance(other.call.request, StopBase)]
        commands = len(others) > len(stops)
        unanswered = bool(self.bridge.machines['main'].bases[request.base].stops.unresolved.exist)
        if stops:
            assert isinstance(request, StopBase)
            assert len(stops) == 1
            assert not stops[0].clean
            assert not commands
            assert not unanswered
        return not commands and not unanswered

    def calls_of(self, name: str) -> list[Pending]:
        """Return what is in flight that moves or stops a base."""
        return [
            pending
            for pending in self.pending
            if isinstance(pending.call.request, (Move, StopBase))
            and pending.call.request.base == name
        ]

    def is_alive(self, client: str) -> bool:
        session = self.bridge.table.active.get(client)
        return session is not None and session.deadline(self.bridge.table.window) > self.now

    def check_command(self, move: Move) -> None:
        record = self.record[move.base]
        command = record.newest
        # R10, R14: the newest, not stopped since, and not older than a window
        assert command is not None and command.velocity == move.velocity
        assert command.at + WINDOW > self.now
        record.sends += 1
        assert record.sends <= 2  # R13
        # I3, I2: no command, stop or zero beside it
        assert not self.calls_of(move.base)
        # R10: a zero proves nothing while an older command may still run and live on
        if move.velocity == ZERO:
            assert not [
                late
                for late in self.machine.late
                if isinstance(late.request, Move) and late.request.base == move.base
            ]
        # R10: only after an acknowledged stop
        assert record.acknowledged >= record.needed
        # I6: under the session that it was accepted under, which lives
        if command.session:
            session = self.bridge.table.active.get(command.client)
            assert session is not None and session.number == command.session
            assert self.is_alive(command.client)
        unsupervised = self.bridge.machines['main'].sessions.unsupervised
        assert bool(move.sid) == (bool(command.session) and not unsupervised)
        if move.sid:
            assert self.owner[move.sid] == command.client

    # Publishers and operators

    @rule(client=clients, kind=st.sampled_from(['go', 'go', 'go', 'zero', 'nan']))
    def command(self, client: str, kind: str) -> None:
        self.commands += 1
        x = {'go': 0.001 * self.commands, 'zero': 0.0, 'nan': math.nan}[kind]
        topic = TOPICS[client]
        self.feed(lambda: self.bridge.command(client, topic, Velocity(x), None, self.now))

    @rule(client=clients, own=st.booleans())
    def heartbeat(self, client: str, own: bool) -> None:
        self.feed(lambda: self.bridge.heartbeat(client, TOPICS[client], own, self.now))

    @rule(client=clients)
    def leave_and_appear(self, client: str) -> None:
        self.feed(lambda: self.bridge.left(client, self.now))
        self.bridge.seen(client, self.now)

    @rule(client=clients, other=clients)
    def leave_and_be_followed(self, client: str, other: str) -> None:
        """Both before a stop can be handed over (R9)."""
        self.commands += 1
        velocity = Velocity(0.001 * self.commands)

        def both() -> None:
            self.bridge.left(client, self.now)
            self.bridge.seen(client, self.now)
            self.bridge.command(other, TOPICS[other], velocity, None, self.now)

        self.feed(both)

    @rule(client=clients, times=st.integers(1, 3), step=st.sampled_from([0.01, 0.1, 0.3]))
    def drive(self, client: str, times: int, step: float) -> None:
        """Let the client drive and all go well, for as long as nobody else has a call out."""
        for _ in range(times):
            self.heartbeat(client, True)
            self.command(client, 'go')
            self.run_all()
            self.advance_to(self.now + step, False, True)

    # The machine

    @precondition(calls_are_in_flight)
    @rule(
        number=st.integers(0, 3),
        fails=st.sampled_from([False, False, True]),
        answers=st.sampled_from([True, True, False]),
        cancels=st.sampled_from([False, False, True]),
        runs_on=st.booleans(),
    )
    def run_call(
        self, number: int, fails: bool, answers: bool, cancels: bool, runs_on: bool
    ) -> None:
        """Run one of the calls, in any order, and answer it now or later."""
        pending = self.pending[number % len(self.pending)]
        if cancels and self.up and pending.answer is None:
            self.cancel_others(pending, runs_on)
        self.run(pending, fails)
        if answers:
            self.end(pending, pending.answer)

    def cancel_others(self, arriving: Pending, runs_on: bool) -> None:
        """Cancel what runs on the base when another call arrives there, as viam-server does."""
        request = arriving.call.request
        if not isinstance(request, (Move, StopBase)):
            return
        for other in self.calls_of(request.base):
            if other is not arriving and other.answer is None:
                self.give_up(other, Outcome.CANCELLED, runs_on)

    @precondition(calls_are_in_flight)
    @rule(number=st.integers(0, 3))
    def another_client_stops(self, number: int) -> None:
        """Cancel a Stop of ours by that of another Viam client."""
        request = self.pending[number % len(self.pending)].call.request
        if not isinstance(request, StopBase) or not self.up:
            return
        for pending in self.calls_of(request.base):
            if pending.answer is None and isinstance(pending.call.request, StopBase):
                self.end(pending, Answer(Outcome.CANCELLED))

    @rule(name=st.sampled_from(NAMES))
    def a_base_goes_or_comes(self, name: str) -> None:
        """Its module is down for a while."""
        self.machine.unknown ^= {name}

    @precondition(bases_are_unknown)
    @rule()
    def a_minute_passes(self) -> None:
        """R7: a stop is given up."""
        end = self.now + 62.0
        while self.now < end:
            self.run_all()
            due = self.next_due()
            self.advance_to(end if due is None else min(end, max(due, self.now)), True, True)

    @precondition(stops_are_in_flight)
    @rule(newest=st.booleans(), fails=st.booleans())
    def answer_a_stop(self, newest: bool, fails: bool) -> None:
        stops = [p for p in self.pending if isinstance(p.call.request, StopBase)]
        pending = stops[-1 if newest else 0]
        self.run(pending, fails)
        self.end(pending, pending.answer)

    def run_all(self) -> None:
        """Run and answer all that is in flight, and what that leads to."""
        for _ in range(20):
            if self.pending:
                self.run(self.pending[0], False)
                self.end(self.pending[0], self.pending[0].answer)

    @precondition(calls_came_late)
    @rule(number=st.integers(0, 3))
    def run_late(self, number: int) -> None:
        self.machine.run_late(self.machine.late[number % len(self.machine.late)])

    @rule(
        kind=st.sampled_from(['cut', 'down', 'restart', 'forget', 'deactivate', 'lock']),
        still_run=st.booleans(),
        noticed_first=st.booleans(),
    )
    def trouble(self, kind: str, still_run: bool, noticed_first: bool) -> None:
        if kind in ('cut', 'down') and self.up:
            self.channel_down(still_run, noticed_first)
        if kind == 'cut' and self.open:
            self.channel_up()
        if kind in ('restart', 'forget'):
            self.machine.forget()
        if kind == 'restart':
            self.machine.late.clear()
        if kind in ('deactivate', 'lock'):
            self.feed(lambda: self.bridge.deactivate(self.now))
        if kind == 'deactivate':
            self.feed(lambda: self.bridge.activate(self.now))

    def recover(self) -> None:
        if not self.bridge.active:
            self.feed(lambda: self.bridge.activate(self.now))
        self.channel_up()

    def channel_down(self, still_run: bool, noticed_first: bool) -> None:
        self.up = False
        if noticed_first:
            self.feed(lambda: self.bridge.channel('main', False, self.now))
        for pending in list(self.pending):
            self.give_up(pending, Outcome.CUT, still_run)
        if not noticed_first:
            self.feed(lambda: self.bridge.channel('main', False, self.now))

    def channel_up(self) -> None:
        if self.up:
            return
        self.cut_all()
        self.up = True
        self.feed(lambda: self.bridge.channel('main', True, self.now))

    def run(self, pending: Pending, fails: bool) -> None:
        if pending.answer is None and self.up:
            pending.answer = self.machine.run(pending.call, fails, self.now)

    def end(self, pending: Pending, answer: Answer | None) -> None:
        """Hand an answer to the bridge."""
        answer = answer or Answer(Outcome.CUT)
        self.pending.remove(pending)
        request, failing = pending.call.request, ''
        if isinstance(request, (Move, StopBase)):
            record = self.record[request.base]
            if isinstance(request, StopBase) and answer.outcome is Outcome.OK:
                record.acknowledged = max(record.acknowledged, pending.call.number)
            elif pending.call.number in self.sent:
                failing = request.base
                newest = record.newest is self.sent[pending.call.number]
                if newest and answer.outcome is not Outcome.SESSION_EXPIRED:
                    record.sends = 2  # only an expired session allows it once more (R13)
        did_not_run = answer.detail == UNKNOWN or answer.outcome is Outcome.SESSION_EXPIRED
        if isinstance(request, Move) and not did_not_run:
            self.ran.add(request.base)
        if request == GetSessions() and answer.outcome is Outcome.OK:
            for late in self.machine.late:
                if late.deadline <= pending.handed_at:
                    late.bound = min(late.bound, self.now + 1.0)
        call = pending.call
        self.feed(lambda: self.bridge.answered(call, answer, self.now), failing=failing)
        if isinstance(request, Redial) and self.up:
            self.channel_down(still_run=True, noticed_first=False)
            self.channel_up()

    def give_up(self, pending: Pending, outcome: Outcome, still_run: bool) -> None:
        """Let a call end without an answer; what did not run may still run later."""
        request = pending.call.request
        if pending.answer is None and still_run and isinstance(request, (Move, StopBase)):
            bound = NEVER if self.machine.probes else pending.deadline + 10.0
            if isinstance(request, StopBase) or self.machine.admit(request, self.now):
                self.machine.late.append(Late(request, pending.deadline, bound))
        self.end(pending, Answer(outcome))

    def cut_all(self) -> None:
        """While the channel is down every call ends at once."""
        while not self.up and self.pending:
            self.end(self.pending[0], Answer(Outcome.CUT))

    # Time

    @rule(
        step=st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.25, 0.5]),
        still_run=st.booleans(),
        answers_first=st.booleans(),
    )
    def advance(self, step: float, still_run: bool, answers_first: bool) -> None:
        self.advance_to(self.now + step, still_run, answers_first)
        self.recover()

    @rule(still_run=st.booleans(), answers_first=st.booleans())
    def jump_to_the_next_deadline(self, still_run: bool, answers_first: bool) -> None:
        due = self.next_due()
        if due is not None:
            self.advance_to(max(self.now, due), still_run, answers_first)

    @rule(step=st.sampled_from([0.001, 0.02, 0.1]))
    def advance_with_a_late_lapse_clock(self, step: float) -> None:
        self.now += step
        self.machine_time()
        self.time_out(still_run=True)  # gRPC's deadlines wait for no clock of ours

    def next_due(self) -> float | None:
        times = [pending.deadline for pending in self.pending]
        times += [late.bound for late in self.machine.late if late.bound < NEVER]
        times += list(self.machine.sessions.values())
        if self.wake_at != NEVER:
            times.append(self.wake_at)
        return min(times, default=None)

    def machine_time(self) -> None:
        for late in list(self.machine.late):
            if late.bound <= self.now:
                self.machine.run_late(late)
        self.machine.expire(self.now)

    def advance_to(self, when: float, still_run: bool, answers_first: bool) -> None:
        self.cut_all()
        while (due := self.next_due()) is not None and due <= when:
            self.now = max(self.now, due)
            self.machine_time()
            if answers_first:
                self.time_out(still_run)
            self.tick()
            self.time_out(still_run)
            self.cut_all()
        self.now = max(self.now, when)

    def tick(self) -> None:
        if self.wake_at <= self.now:
            self.wake_at = NEVER
            self.feed(lambda: self.bridge.tick(self.now), ticks=True)
            assert self.wake_at > self.now, 'the clock spins'

    def time_out(self, still_run: bool) -> None:
        for pending in [one for one in self.pending if one.deadline <= self.now]:
            if pending in self.pending:  # the machine was not dialled anew meanwhile
                self.give_up(pending, Outcome.TIMED_OUT, still_run)

    # What holds after every step

    @invariant()
    def a_final_stop_is_one(self) -> None:
        """I1: whatever the machine still ran, the base does not move."""
        for name, record in self.record.items():
            if record.moved <= record.final:
                assert self.machine.moving[name] in (ZERO, FOREIGN), name

    @invariant()
    def no_more_machine_sessions_than_configured(self) -> None:
        """I7, R11."""
        own = self.machine.sessions.keys() - {self.machine.FOREIGN_SID}
        assert len(own) <= self.max_sessions

    @invariant()
    def a_stop_is_repeated_until_it_is_final(self) -> None:
        """R7: a call is in flight, or something is due within the longest pause."""
        for name, record in self.record.items():
            if record.stopping and not self.pending:
                pause = 2.0 * self.bridge.machines['main'].bases[name].stops.timeout()
                assert self.wake_at <= self.now + pause, name

    def teardown(self) -> None:
        """I5: when all is quiet, whatever was commanded is stopped for good."""
        if not hasattr(self, 'bridge'):
            return
        self.recover()
        self.settle()
        self.check_quiet()
        self.a_final_stop_is_one()
        self.feed(lambda: self.bridge.deactivate(self.now))
        self.settle()
        self.check_deactivated()
        self.a_final_stop_is_one()
        assert self.bridge.not_final() == {}
        assert list(self.bridge.table.active) == []
        if self.wake_at != NEVER:  # it may wake once more for what has settled itself
            self.advance_to(self.wake_at, True, True)
        assert self.wake_at == NEVER, 'a bridge at rest has nothing to do'

    def check_quiet(self) -> None:
        for name, record in self.record.items():
            if (name != 'd' or record.stopping) and name not in self.given_up:
                assert record.final == record.moved or self.has_nothing_to_stop(name), name

    def check_deactivated(self) -> None:
        for name, record in self.record.items():
            assert record.final == record.moved or self.has_nothing_to_stop(name), name

    def has_nothing_to_stop(self, name: str) -> bool:
        """R7: no command to it was ever acknowledged."""
        return self.machine.moving[name] in (ZERO, FOREIGN) and name not in self.ran

    def settle(self) -> None:
        """Let all calls be answered well and 20 s and more pass."""
        self.machine.unknown.clear()
        end = self.now + 20.0
        while self.now < end:
            while self.pending:
                self.run_all()
            due = self.next_due()
            self.advance_to(min(end, max(due, self.now)) if due is not None else end, True, True)
            self.a_final_stop_is_one()


# R7's ten seconds and the longest machine window of these tests are both shorter than `settle`.
assert CALL_TIMEOUT < WINDOW
BridgeAgainstMachine.TestCase.settings = model_settings(examples=500, steps=50)
TestBridgeAgainstMachine = BridgeAgainstMachine.TestCase
