# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The situations that scripts are to contain, and which of them a script does."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import Enum

from campaigns.differential.expected import Expected, planned
from campaigns.differential.script import Again, Do, Kind, Script, Step
from viam_session_bridge.core.actions import Action, Cause, SessionEnded, Stop, TakenOver


class Case(str, Enum):
    """A situation in which implementations could differ."""

    TAKEN_OVER = 'former user lapses after a takeover'
    CHAIN = 'base handed on by three sessions, then stopped'
    TAKEN_BACK = 'base taken over and taken back'
    SEVERAL = 'one lapse stops several bases'
    SOME = 'a lapse stops a base while another was taken over'
    AGAIN = 'a client goes on after its lapse and lapses again'
    REFUSED = 'a command is refused after the lapse'
    KEPT = 'heartbeats alone keep a session for a window'
    BEATEN = 'heartbeat of a session whose bases were taken over'
    TOO_LATE = 'heartbeat after the lapse'
    RESUMED = 'a live session is resumed, and lapses later'
    ZERO = 'a zero takes over'
    FAILED = 'a command that fails takes over'
    BARE = 'a command without a session clears the last user, who lapses'
    FREE = 'a base without sessions is not stopped'
    UNKNOWN = 'a command under an unknown session changes nothing'
    STOPPED = 'a Stop call leaves the last user'
    NON_FINITE = 'a non-finite number stops the base'
    # Script 18 has a window of 0.6 s and script 19 one of 2 s, where these two tell by far.
    LEFT = 'the last user leaves'
    PERMITTED = 'a permission does not keep a session'
    LEFT_TAKEN = 'a client leaves whose bases were all taken over'


class Watch:
    """Follows a script as planned and notes the cases."""

    def __init__(self, script: Script, kind: Kind) -> None:
        """Follow it to its end."""
        self.found: set[Case] = set()
        self._script = script
        self._expected = Expected(script, kind, planned(script.window))
        self._handed_on: defaultdict[str, list[int]] = defaultdict(list)  # since the last stop
        self._lost: Counter[int] = Counter()  # bases that were taken over, by session
        self._cleared: set[int] = set()  # sessions that lost a base to a command without one
        self._lapsed: Counter[str] = Counter()
        self._commanded: dict[str, float] = {}
        self._helped: dict[str, tuple[Do, float]] = {}
        for step in script.steps_for(kind):
            self._look_back(self._expected.expire(step.at))
            self._look(step)
        self._look_back(self._expected.expire(script.end))
        if any(self._handed_on[base] for base in script.free):
            self.found.add(Case.FREE)

    def _look(self, step: Step) -> None:
        """Look at what is so before a step, make it, and look at what it led to."""
        session = self._expected.table.active.get(step.client)
        used = any(self._expected.table.last_user(base) for base in step.bases)
        lost = session is not None and self._lost[session.number] and not session.last_used
        moving = [base for base in step.bases if self._moves(base)]
        actions = self._expected.take(step, step.at, step.at)
        taken = any(isinstance(one, TakenOver) and one.previous for one in actions)
        stops = any(isinstance(one, Stop) and one.base in moving for one in actions)
        gone = session is None and self._lapsed[step.client] > 0
        self.found.update(
            case
            for case, there in {
                Case.REFUSED: step.do is Do.COMMAND and step.again is Again.RETRY and gone,
                Case.BEATEN: step.do is Do.BEAT and lost,
                Case.TOO_LATE: step.do is Do.BEAT and gone,
                Case.ZERO: step.do is Do.ZERO and taken,
                Case.FAILED: step.do is Do.FAIL and taken,
                Case.UNKNOWN: step.do is Do.UNKNOWN and used,
                Case.STOPPED: step.do is Do.STOP and used,
                Case.NON_FINITE: step.do is Do.NON_FINITE and stops,
            }.items()
            if there
        )
        if session is not None and step.do in (Do.RESUME, Do.PERMISSION):
            self._helped[step.client] = step.do, step.at
        if step.do is Do.COMMAND:
            self._commanded[step.client] = step.at
        if step.do in (Do.COMMAND, Do.BARE):
            for base in set(step.bases) & self._script.free:
                self._handed_on[base].append(0)
        self._look_back(actions, step)

    def _moves(self, base: str) -> bool:
        effects = self._expected.effects[base]
        return bool(effects) and effects[-1].what > 0

    def _look_back(self, actions: list[Action], step: Step | None = None) -> None:
        for one in actions:
            if isinstance(one, TakenOver):
                self._lost[one.previous] += 1
                if step is not None and step.do is Do.BARE and one.previous:
                    self._cleared.add(one.previous)
                self._handed_on[one.base].append(one.session)
            elif isinstance(one, SessionEnded):
                self._ended(one)

    def _ended(self, one: SessionEnded) -> None:
        lost = self._lost[one.session] > 0
        if one.cause is Cause.LEFT:
            if one.bases:
                self.found.add(Case.LEFT)
            elif lost:
                self.found.add(Case.LEFT_TAKEN)
            return
        window = self._script.window
        late = min(window / 2, 0.15)
        commanded = self._commanded.get(one.client, one.sign)
        helped, at = self._helped.get(one.client, (None, 0.0))
        self._lapsed[one.client] += bool(one.bases)
        chains = [self._handed_on.pop(base, []) for base in one.bases]
        self.found.update(
            case
            for case, there in {
                Case.TAKEN_OVER: lost and not one.bases,
                Case.SOME: lost and one.bases,
                Case.SEVERAL: len(one.bases) > 1,
                Case.AGAIN: self._lapsed[one.client] > 1,
                Case.CHAIN: any(len(set(chain)) > 2 for chain in chains),
                Case.TAKEN_BACK: any(len(set(chain)) < len(chain) for chain in chains),
                Case.BARE: one.session in self._cleared,
                Case.KEPT: one.bases and one.sign - commanded > window,
                Case.RESUMED: one.bases and helped is Do.RESUME and one.sign == at,
                Case.PERMITTED: one.bases and helped is Do.PERMISSION and at - one.sign > late,
            }.items()
            if there
        )


def cases(script: Script) -> set[Case]:
    """Return the cases of a script, on the targets that can express them."""
    return Watch(script, Kind.RAW).found | Watch(script, Kind.BRIDGE).found
