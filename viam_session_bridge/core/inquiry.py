# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What a machine is asked about its bases (R7, R16, R19, R20, R22).

Whether a lost command had its turn, whether a base stands still, and who else has sessions: the
bridge cannot see what other Viam clients do, so where that matters it stops a base only if the
machine lists none but its own. Pure: the questions go into the request queue, the answers are fed
in and lead to stops.
"""

from __future__ import annotations

from collections.abc import Mapping

from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.base_control import BaseControl, UNANSWERED
from viam_session_bridge.core.events import (
    AtRest,
    ForeignSessions,
    LeftToMachine,
    MachineEvent,
    MotionUnknown,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.request_queue import RequestQueue
from viam_session_bridge.core.requests import (
    Answer,
    Doubt,
    GetSessions,
    IsMoving,
    Outcome,
    Purpose,
)
from viam_session_bridge.core.timing import soonest
from viam_session_bridge.core.unresolved_commands import Probe
from viam_session_bridge.core.verification import Finding, Verification

REPORTED_LATER = 1.0  # s, where the machine did not answer
REPORTED_AGAIN = 30.0  # s: others may begin to drive at any time


class Inquiry:
    """The questions to one machine about its bases."""

    def __init__(
        self,
        machine: str,
        bases: Mapping[str, BaseControl],
        queue: RequestQueue,
        sessions: MachineSessions,
        *,
        asks_first: bool,
    ) -> None:
        """
        Start with nothing to ask.

        :param asks_first: who else has sessions, before a base is stopped that does not stand
            under a zero (R22, under ``stop_policy: machine``)
        """
        self.events: list[MachineEvent] = []
        self.verification = Verification()
        self.unsettled = False  # some command of some base may be
        self._probe = Probe()
        self._machine = machine
        self._bases = bases
        self._asks_first = asks_first
        self._queue = queue
        self._sessions = sessions
        self._undecided: dict[str, Stop] = {}  # stops of R19 that wait for the answer
        self._to_leave: dict[str, int] = {}  # once their command is answered; value: the foreign
        self._deactivation: int | None = None
        self._report_at: float | None = None
        self._foreign_told: int | None = None  # None: the machine never answered
        self._ended = False

    @property
    def undecided(self) -> frozenset[str]:
        """The bases of which it is open whether they are to be stopped (R19)."""
        return frozenset((*self._undecided, *self._to_leave))

    def commanded(self, base: str) -> None:
        """Take that a client commands the base."""
        self.verification.commanded(base)
        self._undecided.pop(base, None)
        self._to_leave.pop(base, None)

    def stop_unless_foreign(self, stop: Stop) -> None:
        """Stop a base at deactivation if no others have sessions on its machine (R19)."""
        if stop.base not in self._to_leave:
            self._undecided[stop.base] = stop

    def report_foreign(self, now: float) -> None:
        """Ask whether others have sessions on the machine, now and then, and tell (R16)."""
        self._report_at, self._foreign_told = now, None

    def base_answered(self, answer: Answer) -> None:
        """Take the answer of a command or a stop."""
        self.unsettled |= answer.outcome in UNANSWERED

    def note_final(self, control: BaseControl, now: float) -> None:
        """Take what happened at a base: after a final stop it is verified to stand still (R20)."""
        for one in control.events:
            if isinstance(one, StopFinal) and not control.commanded:
                self.verification.final(control.base, one.timed_out, now)

    def begin(self) -> None:
        """Ask again, after the machine was closed."""
        self._ended = False

    def end(self) -> None:
        """Ask no more; the machine is closed."""
        self._ended, self._report_at = True, None
        self.verification.end()

    def verify(self, now: float) -> None:
        """Ask whether the bases that are due stand still."""
        for base in self.verification.due(now):
            self.verification.asked(base, self._queue.call(IsMoving(base)))

    def ask(self, now: float) -> None:
        """Ask what else is due, and leave what can be left."""
        if self._ended:
            return
        for base in [b for b in self._to_leave if self._bases[b].in_flight is None]:
            self._leave(base, self._to_leave.pop(base), now)
        if self._undecided and self._deactivation is None:
            self._deactivation = self._queue.call(GetSessions(Purpose.DEACTIVATE))
        if self._report_at is not None and self._report_at <= now:
            self._report_at = None
            self._queue.call(GetSessions(Purpose.REPORT))
        probe_due_at = self._probe_due_at()
        if probe_due_at is not None and probe_due_at <= now:
            self._queue.call(GetSessions())
            self._probe.sent(now)

    def next_deadline(self) -> float | None:
        """Return when to :meth:`verify` or :meth:`ask` next."""
        if self._ended:
            return None
        return soonest((self.verification.next_deadline(), self._probe_due_at(), self._report_at))

    def answered(
        self, number: int, request: IsMoving | GetSessions, answer: Answer, now: float
    ) -> list[Stop]:
        """Take an answer; return the stops that follow from it."""
        if isinstance(request, IsMoving):
            return self._moving_answered(number, request, answer, now)
        elif request.purpose is Purpose.SETTLE:
            bases = [control.unresolved for control in self._bases.values()]
            self._probe.answered(answer.outcome, bases, now)
        elif request.purpose is Purpose.VERIFY:
            if self.verification.answered_again(request.about, number, answer, now):
                return self._suspected(request.about, answer, now)
        elif request.purpose is Purpose.STANDING:
            if not self._foreign(answer):
                self._bases[request.about].stop_standing(now)
        elif request.purpose is Purpose.DEACTIVATE:
            self._deactivation = None
            return self._deactivated(self._foreign(answer), now)
        elif request.purpose is Purpose.REPORT and not self._ended:
            self._report_foreign(answer, now)
        return []

    def _report_foreign(self, answer: Answer, now: float) -> None:
        """Tell when others come and when they are gone, and ask again where that can be known."""
        if answer.outcome.answered:
            foreign, told = self._foreign(answer), self._foreign_told
            self._foreign_told = foreign
            if bool(foreign) != bool(told):
                self.events.append(ForeignSessions(self._machine, foreign, now))
            self._report_at = now + REPORTED_AGAIN if answer.outcome is Outcome.OK else None
        else:
            never = self._foreign_told is None
            self._report_at = now + (REPORTED_LATER if never else REPORTED_AGAIN)

    def _moving_answered(
        self, number: int, request: IsMoving, answer: Answer, now: float
    ) -> list[Stop]:
        base, control = request.base, self._bases[request.base]
        if request.doubt is Doubt.UNANSWERED:
            control.watch_answered(answer.moving, now)
            return []
        if request.doubt is Doubt.STANDING:
            if answer.outcome is Outcome.OK and not answer.moving:
                return []
            if self._asks_first:
                self._queue.call(GetSessions(Purpose.STANDING, base))
            else:
                control.stop_standing(now)
            return []
        finding = self.verification.answered(base, number, answer, now)
        if finding is Finding.MOVES:
            self.events.append(StillMoving(base, None, False, now))
        elif finding is Finding.AT_REST:
            control.found_at_rest()
            self.events.append(AtRest(base, now))
        elif finding is Finding.UNKNOWN:
            self.events.append(MotionUnknown(base, answer.detail, now))
        elif finding is Finding.LATE_COMMAND:
            self.events.append(StillMoving(base, None, True, now))
            return [Stop(base, Cause.STILL_MOVING, '', now)]
        elif finding is Finding.SUSPECT:
            call = self._queue.call(GetSessions(Purpose.VERIFY, base))
            self.verification.asked_again(base, call)
        return []

    def _suspected(self, base: str, answer: Answer, now: float) -> list[Stop]:
        foreign = self._foreign(answer)
        if not foreign:
            told = 0 if answer.outcome.answered else None
            self.events.append(StillMoving(base, told, True, now))
            return [Stop(base, Cause.STILL_MOVING, '', now)]
        if self.verification.to_report(base, now):
            self.events.append(StillMoving(base, foreign, False, now))
        return []

    def _deactivated(self, foreign: int, now: float) -> list[Stop]:
        undecided, self._undecided = self._undecided, {}
        if not foreign:
            return list(undecided.values())
        self._to_leave.update(dict.fromkeys(undecided, foreign))
        return []

    def _leave(self, base: str, foreign: int, now: float) -> None:
        control = self._bases[base]
        if control.pending is None:  # its last command did not fail
            control.left_to_others()
            self.verification.commanded(base)
            self.events.append(LeftToMachine(base, foreign, now))

    def _probe_due_at(self) -> float | None:
        if not self.unsettled:
            return None
        unresolved = [one.unresolved for one in self._bases.values() if one.unresolved]
        self.unsettled = bool(unresolved)
        return self._probe.due_at(unresolved)

    def _foreign(self, answer: Answer) -> int:
        """Return how many others have sessions; where the machine cannot tell: none (R16, R19)."""
        return self._sessions.foreign(answer.sids) if answer.outcome is Outcome.OK else 0
