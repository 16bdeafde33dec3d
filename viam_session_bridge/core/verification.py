# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
R20, *Verified*: whether a base really stands still after its stop is final.

A tenth of a second after a final stop the base is asked, unless somebody commanded it since, and
again while it says that it moves, for it may coast; after a command timed out each second for a
minute, for such a command may run very late.

A base found moving a second or more after its final stop, where a command had timed out, is
stopped anew: once for each such command, and after that only if the machine lists no sessions but
ours. One that still moves three seconds after is reported, and that it is at rest when it is. A
base that cannot be asked is reported as that.
"""

from __future__ import annotations

from viam_session_bridge.core.actions import Cause, Stop
from viam_session_bridge.core.events import (
    AtRest,
    MachineEvent,
    MotionUnknown,
    StillMoving,
    StopFinal,
)
from viam_session_bridge.core.machine_sessions import MachineSessions
from viam_session_bridge.core.requests import (
    Answer,
    GetSessions,
    IsMoving,
    Outcome,
    Purpose,
    RequestQueue,
)
from viam_session_bridge.core.timing import Backoff, NEVER

FIRST_AFTER = 0.1  # s after the final stop
AGAIN_AFTER = 1.0  # s, at most while it moves; after a command timed out, always
AGAIN_FOR = 60.0  # s
STOPPED_ANEW_AFTER = 1.0  # s after the final stop: until then it may coast
REPORTED_AFTER = 3.0  # s


class _Base:
    """The questions about one base."""

    def __init__(self) -> None:
        self.due_at = NEVER
        self.call: int | None = None  # whether it moves
        self.second_call: int | None = None  # who else may move it
        self.final_at = 0.0
        self.late_commands = 0  # that timed out, and were not made up for by a stop anew
        self.distrusted_until = 0.0  # a command had timed out
        self.reported = False  # that it moves
        self.backoff = Backoff(FIRST_AFTER, AGAIN_AFTER)


class Verification:
    """The questions about the bases of one machine."""

    def __init__(
        self, queue: RequestQueue, sessions: MachineSessions, events: list[MachineEvent]
    ) -> None:
        """Start with nothing to ask; what happens is added to ``events``."""
        self.bases: dict[str, _Base] = {}  # those that nobody commanded since their final stop
        self._queue = queue
        self._sessions = sessions
        self._events = events
        self._unknown: set[str] = set()  # those that could not be asked when last they were

    def final(self, base: str, final: StopFinal) -> None:
        """Verify a stop that is final."""
        one = self.bases.setdefault(base, _Base())
        if final.timed_out:
            one.distrusted_until = final.at + AGAIN_FOR
            one.late_commands += final.timed_out
        one.final_at = final.at
        one.backoff.reset()
        one.due_at = final.at + one.backoff.take()

    def distrust(self, base: str, stopped_by: float, reported: bool, now: float) -> None:
        """Verify that a base stopped by its machine after a command timed out stays at rest."""
        one = self.bases[base] = _Base()
        one.final_at, one.distrusted_until = stopped_by, stopped_by + AGAIN_FOR
        one.reported = reported
        one.due_at = now + AGAIN_AFTER

    def commanded(self, base: str) -> None:
        """Stop verifying a base that somebody commands."""
        self.bases.pop(base, None)

    def end(self) -> None:
        """Ask no more."""
        self.bases.clear()

    def ask(self, now: float) -> float:
        """Ask the bases that are due whether they move; return when to call this next."""
        next_at = NEVER
        for name, one in self.bases.items():
            if one.due_at <= now:
                one.due_at, one.call = NEVER, self._queue.call(IsMoving(name))
            next_at = min(next_at, one.due_at)
        return next_at

    def answered(self, base: str, number: int, answer: Answer, now: float) -> Stop | None:
        """Handle an answer; return the stop that follows from it."""
        one = self.bases.get(base)
        if one is None or number != one.call:
            return None  # somebody commands the base by now
        one.call = None
        distrusted = now < one.distrusted_until
        if distrusted or not answer.outcome.answered:
            one.due_at = now + AGAIN_AFTER
        if answer.outcome is not Outcome.OK:
            if one.reported:
                one.due_at = now + AGAIN_AFTER
            if base not in self._unknown:
                self._unknown.add(base)
                self._events.append(MotionUnknown(base, answer.detail, now))
            return None
        self._unknown.discard(base)
        if not answer.moving:
            if one.reported:
                one.reported = False
                self._events.append(AtRest(base, now))
            return None
        if not distrusted:
            one.due_at = now + one.backoff.take()
        elif now >= one.final_at + STOPPED_ANEW_AFTER:
            if one.late_commands:
                one.late_commands -= 1
                return self._stop_anew(base, None, now)
            one.second_call = self._queue.call(GetSessions(Purpose.VERIFY, base))
            return None
        self._report_moving(base, one, None, now)
        return None

    def sessions_answered(
        self, base: str, number: int, answer: Answer, now: float
    ) -> Stop | None:
        """Handle who else has sessions on the machine; return the stop that follows from it."""
        one = self.bases.get(base)
        if one is None or number != one.second_call:
            return None
        one.second_call = None
        if answer.outcome not in (Outcome.OK, Outcome.UNIMPLEMENTED):
            one.due_at = now + AGAIN_AFTER
            return None
        foreign = self._sessions.foreign(answer, now)
        if not foreign:
            return self._stop_anew(base, 0, now)
        self._report_moving(base, one, foreign, now)
        return None

    def _report_moving(self, base: str, one: _Base, foreign: int | None, now: float) -> None:
        """Report once, and not at once, that a base still moves."""
        if not one.reported and now >= one.final_at + REPORTED_AFTER:
            one.reported = True
            self._events.append(StillMoving(base, foreign, False, now))

    def _stop_anew(self, base: str, foreign: int | None, now: float) -> Stop:
        self._events.append(StillMoving(base, foreign, True, now))
        return Stop(base, Cause.STILL_MOVING, '', now)
