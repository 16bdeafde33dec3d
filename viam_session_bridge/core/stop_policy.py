# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R16, *Stop policy*: what is left to viam-server where other Viam clients drive its bases, too.

The bridge cannot see what those did last; viam-server can. Under ``stop_policy: machine``

- the end of a client's session stops nothing: its machine session is heartbeated by the client's
  signs of life alone, so that viam-server's own stop comes 0.8 to 1 of its windows after the last.
  The window is then the machine's, with several machines the shortest;
- a quarter second after that stop is due the base is asked whether it moves, unless it was
  commanded since. One that does is stopped if the machine lists no sessions but ours, otherwise
  reported;
- at deactivation a base is stopped only if its machine lists no foreign sessions (R19), and so is
  one that does not stand under a zero (R22);
- a command that another client's call cancelled was displaced there, not failed: no stop follows,
  and the base has no last user here.

The machine knows nothing of a base that was last driven without a machine session: the bridge
stops it as usual. Under ``stop_policy: bridge`` foreign sessions are reported, with this setting
as the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.base_control import BaseControl
from viam_session_bridge.core.events import (
    AtRest,
    ForeignSessions,
    LeftToMachine,
    MachineEvent,
    StillMoving,
)
from viam_session_bridge.core.machine_sessions import MachineSession, MachineSessions
from viam_session_bridge.core.requests import (
    Answer,
    Doubt,
    GetSessions,
    IsMoving,
    Outcome,
    Purpose,
    RequestQueue,
)
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.verification import AGAIN_AFTER, Verification

LEFT_AFTER = 0.25  # s after the machine is to have stopped a base
REPORTED_LATER = 1.0  # s, where the machine did not answer
REPORTED_AGAIN = 30.0  # s: others may begin to drive at any time


class SignedSessions(MachineSessions):
    """Machine sessions that are heartbeated by their clients' signs of life alone."""

    def __init__(self, machine: MachineConfiguration, events: list[MachineEvent]) -> None:
        """Start without any; see :class:`MachineSessions`."""
        super().__init__(machine, events)
        self._signed: dict[int, float] = {}  # when, by client session: to be heartbeated now

    def signed(self, session: int, now: float) -> None:
        """
        Note a sign of life of a client session.

        It is heartbeated at once, or not at all if it was used within a fifth of the window.
        """
        machine_session = self.live.get(session)
        if machine_session is None or not machine_session.sid:
            return
        if self.beat_at(machine_session) <= now:
            self._signed[session] = now

    def beats_due(self, now: float) -> list[MachineSession]:
        """Return the machine sessions to be heartbeated now."""
        signed, self._signed = self._signed, {}
        return [
            one
            for session, at in signed.items()
            if (one := self.live.get(session)) is not None
            and one.sid and self.beat_at(one) <= now < at + self.beats_every
        ]  # fmt: skip

    def next_beat(self) -> float:
        """Return when to ask for :meth:`beats_due` next."""
        return min(self._signed.values(), default=NEVER)

    def _push_beat(self, machine_session: MachineSession, number: int) -> None:
        """Schedule none: a session is not heartbeated for being alive."""


def shortest_window(machines: Iterable[MachineSessions]) -> float:
    """Return the window of client sessions: one is over when it is for the first machine."""
    return min(sessions.window for sessions in machines if sessions.window)


@dataclass
class _Left:
    """
    A base that its machine is to stop.

    :param stopped_by: s, when that is due
    :param due_at: when to ask whether it moves
    :param call: whether it moves, while that is asked; then who else has sessions
    :param distrusted: whether a command had timed out, which may run late
    """

    stopped_by: float
    due_at: float
    distrusted: bool
    call: int | None = None


class MachineStops:
    """What is left to one machine, and who else has sessions there."""

    def __init__(
        self,
        machine: str,
        in_force: bool,
        bases: Mapping[str, BaseControl],
        queue: RequestQueue,
        sessions: MachineSessions,
        verification: Verification,
        events: list[MachineEvent],
    ) -> None:
        """
        Start with nothing left.

        :param in_force: whether ``stop_policy`` is ``machine``
        :param events: where to add what happens
        """
        self.in_force = in_force
        self.left: dict[str, _Left] = {}
        self._machine = machine
        self._bases = bases
        self._queue = queue
        self._sessions = sessions
        self._verification = verification
        self._events = events
        self._undecided: dict[str, Stop] = {}  # stops of R19 that wait for the answer
        self._to_leave: dict[str, int] = {}  # once their command is answered; value: the foreign
        self._deactivation: int | None = None
        self._closed = False
        self._to_report = False  # once the channel is ready
        self._report_at = NEVER
        self._reported: int | None = None  # foreign sessions; None: the machine never answered

    # At a session's end, and at deactivation

    @property
    def undecided(self) -> frozenset[str]:
        """Return the bases that it has yet to decide whether to stop (R19)."""
        return frozenset((*self._undecided, *self._to_leave))

    def takes(self, stop: Stop) -> bool:
        """Handle a stop if this policy has a say in it; return whether it has."""
        if not self.in_force:
            return False
        if not stop.of_session_end:  # deactivation decides, if a command came too late
            return stop.base in self._undecided or stop.base in self._to_leave
        control = self._bases[stop.base]
        if not control.last_sid:
            return False
        control.standing_zero.forget()
        if stop.cause is Cause.DEACTIVATED and control.stops.unresolved.exist:
            control.stop(stop)  # what may run late is nobody's to stop but ours
        elif stop.cause is Cause.DEACTIVATED:
            control.waiting = None
            if stop.base not in self._to_leave:
                self._undecided[stop.base] = stop
        elif control.waiting is not None:  # it fails, and no older one may live on (R10)
            control.fail_waiting(Cause.NO_MACHINE_SESSION, 'its session ended', stop.at)
        elif control.stops.pending is None:
            self.leave(stop.base, self._sessions.lapses_by(control.last_sid), stop.at)
        return True

    def leave(self, base: str, stopped_by: float, now: float) -> None:
        """Leave a base to the machine, which is to stop it by then, or by now."""
        at = max(stopped_by, now)
        self.left[base] = _Left(at, at + LEFT_AFTER, bool(self._bases[base].stops.lost))
        self._verification.commanded(base)
        self._events.append(LeftToMachine(base, None, now))

    def commanded(self, base: str) -> None:
        """Leave to the machine no longer a base that a client commands."""
        self.left.pop(base, None)
        self._undecided.pop(base, None)
        self._to_leave.pop(base, None)

    # The questions

    def opened(self, ready: bool) -> None:
        """Ask again, after the machine was closed."""
        self._closed = False
        self._to_report = not ready and not self.in_force

    def ready(self, now: float) -> None:
        """Ask for foreign sessions, and from now on now and then: the machine can be asked."""
        if self._to_report:
            self._to_report, self._report_at, self._reported = False, now, None

    def closed(self) -> None:
        """Ask no more."""
        self._closed, self._report_at = True, NEVER
        self.left.clear()

    def ask(self, now: float) -> float:
        """Ask what is due, and leave what can be left; return when to call this next."""
        if self._closed:
            return NEVER
        next_at = NEVER
        for base, left in self.left.items():
            if left.due_at <= now:
                left.due_at, left.call = NEVER, self._queue.call(IsMoving(base, Doubt.LEFT))
            next_at = min(next_at, left.due_at)
        for base in [b for b in self._to_leave if self._bases[b].in_flight is None]:
            self._leave_to_others(base, self._to_leave.pop(base), now)
        if self._undecided and self._deactivation is None:
            self._deactivation = self._queue.call(GetSessions(Purpose.DEACTIVATE))
        if self._report_at <= now:
            self._report_at = NEVER
            self._queue.call(GetSessions(Purpose.REPORT))
        return min(next_at, self._report_at)

    def asks_who_drives(self, base: str) -> bool:
        """Ask who else may move a base that does not stand under a zero (R22), if this matters."""
        if self.in_force:
            self._queue.call(GetSessions(Purpose.STANDING, base))
        return self.in_force

    # The answers

    def moving_answered(self, base: str, number: int, answer: Answer, now: float) -> None:
        """
        Handle the answer whether a base that was left to its machine moves.

        If the machine cannot tell, the base counts as moving.
        """
        left = self.left.get(base)
        if left is None or number != left.call:
            return  # somebody commands the base by now
        left.call = None
        if not answer.outcome.answered:
            left.due_at = now + AGAIN_AFTER
        elif answer.moving or answer.outcome is not Outcome.OK:
            left.call = self._queue.call(GetSessions(Purpose.LEFT, base))
        else:
            self._bases[base].found_at_rest()
            self._events.append(AtRest(base, now))
            self._decided(base, left, False, now)

    def sessions_answered(
        self, number: int, purpose: Purpose, base: str, answer: Answer, now: float
    ) -> list[Stop]:
        """Handle who else has sessions on the machine; return the stops that follow from it."""
        foreign = self._sessions.foreign(answer, now)
        if purpose is Purpose.LEFT:
            return self._left_answered(number, base, foreign, answer, now)
        if purpose is Purpose.STANDING and not foreign:
            self._bases[base].stop_standing(now)
        elif purpose is Purpose.DEACTIVATE:
            self._deactivation = None
            undecided, self._undecided = self._undecided, {}
            if not foreign:
                return list(undecided.values())
            self._to_leave.update(dict.fromkeys(undecided, foreign))
        elif purpose is Purpose.REPORT and not self._closed:
            self._report(foreign, answer.outcome, now)
        return []

    def _left_answered(
        self, number: int, base: str, foreign: int, answer: Answer, now: float
    ) -> list[Stop]:
        """
        Stop a base that its machine did not stop, or report it.

        The lack of an answer is no reason to wait: viam-server answers no such question while a
        stop of its own hangs.
        """
        left = self.left.get(base)
        if left is None or number != left.call:
            return []
        self._decided(base, left, bool(foreign), now)
        if foreign:
            self._events.append(StillMoving(base, foreign, False, now))
            return []
        listed = 0 if answer.outcome.answered else None
        self._events.append(StillMoving(base, listed, True, now))
        return [Stop(base, Cause.STILL_MOVING, '', now)]

    def _decided(self, base: str, left: _Left, reported: bool, now: float) -> None:
        del self.left[base]
        if left.distrusted:
            self._verification.distrust(base, left.stopped_by, reported, now)

    def _leave_to_others(self, base: str, foreign: int, now: float) -> None:
        control = self._bases[base]
        if control.stops.pending is None:  # its last command did not fail
            control.left_to_others()
            self.left.pop(base, None)
            self._verification.commanded(base)
            self._events.append(LeftToMachine(base, foreign, now))

    def _report(self, foreign: int, outcome: Outcome, now: float) -> None:
        """Report when others come and when they are gone; ask again where that can be known."""
        if outcome.answered:
            if bool(foreign) != bool(self._reported):
                self._events.append(ForeignSessions(self._machine, foreign, now))
            self._reported = foreign
            self._report_at = now + REPORTED_AGAIN if outcome is Outcome.OK else NEVER
        else:
            never = self._reported is None
            self._report_at = now + (REPORTED_LATER if never else REPORTED_AGAIN)
