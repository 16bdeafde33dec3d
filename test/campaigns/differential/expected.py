# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the core makes of a script whose steps were made at the times that are handed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math

from campaigns.differential.script import Do, Kind, Script, Step
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Action, Cause, Forward, SessionEnded, Stop
from viam_session_bridge.core.sessions import Session, SessionTable
from viam_session_bridge.core.velocity import Velocity, ZERO

STOP = -1
"""Stands for a stop where otherwise a command's speed stands."""

LEAVING = 0.2
"""s in which the bridge is to notice that a publisher left."""

TAIL = 0.3
"""s for which a script goes on after its last lapse."""

_CLOCKS = 0.002  # s by which clocks that are read at two ends may differ

NOBODY = 'nobody'
"""The client of commands without a session."""


@dataclass(frozen=True)
class Margins:
    """
    How far steps keep from what they must not race with, in s.

    :param before: from a step to a lapse after it
    :param after: from a lapse to a step after it: viam-server looks every 10 ms
    :param apart: from a step to the next one, whose messages might overtake its own
    """

    before: float
    after: float
    apart: float

    def left(self, kind: Kind) -> Margins:
        """Return what has to be left of them when a script is run."""
        if kind is Kind.RAW:  # the calls are answered: nothing is under way any more
            return Margins(_CLOCKS, self.after / 2, 0.0)
        return Margins(self.before / 2, self.after / 2, self.apart / 2)


def planned(window: float) -> Margins:
    """Return the margins that scripts are drawn with."""
    return Margins(0.07, 0.1, 0.03) if window >= 0.1 else Margins(0.01, 0.1, 0.006)


@dataclass(frozen=True)
class Effect:
    """A command (its speed in mm/s) or STOP takes effect on a base between two times."""

    what: int
    soonest: float
    latest: float


class Expected:
    """A script as it goes on, with the core fed step by step."""

    def __init__(self, script: Script, kind: Kind, margins: Margins) -> None:
        """Begin; all times to come are of one clock."""
        self._script = script
        self._kind = kind
        self._margins = margins
        modes = {
            base: SessionsMode.DISABLED if base in script.free else SessionsMode.AUTO
            for base in script.bases
        }
        self.table = SessionTable(script.window, modes)
        self.effects: dict[str, list[Effect]] = {base: [] for base in script.bases}
        self.troubles: list[str] = []
        """Where a margin was not kept: the outcome is then a matter of chance."""
        self._signs: dict[str, float] = {}  # when the last sign of life had been given for sure
        self._lapses: list[tuple[float, float]] = []  # of the past: earliest, latest
        self._quiet_until = 0.0

    def alive(self, client: str, now: float) -> bool:
        """Return whether a client has an active session."""
        session = self.table.active.get(client)
        return session is not None and session.deadline(self._script.window) > now

    def free_from(self, at: float) -> float:
        """Return the earliest time from `at` on at which a step keeps all margins."""
        at = max(at, self._quiet_until)
        ahead = [self._lapse(session) for session in self.table.active.values()]
        for soonest, latest in sorted([*self._lapses, *ahead]):
            if soonest - self._margins.before < at < latest + self._margins.after:
                at = latest + self._margins.after
        return at

    def take(self, step: Step, before: float, after: float) -> list[Action]:
        """Apply a step that was made between two times; return the actions that follow."""
        actions = self.expire(before)
        if self.free_from(before) > before or self.free_from(after) > after:
            self.troubles.append(f'{step}: too near to a lapse or to the step before')
        if after - before > self._script.window - self._margins.before:
            self.troubles.append(f'{step}: took so long that a session may have lapsed in it')
        actions += self._do(step, before, after)
        if step.do is Do.LEAVE:
            after = before + LEAVING
        self._quiet_until = after + self._margins.apart
        session = self.table.active.get(step.client)
        if session is not None and session.sign == before:
            self._signs[step.client] = after
        return actions

    def expire(self, now: float) -> list[Action]:
        """Let the sessions lapse that are due."""
        return self._note(self.table.expire(now), now, now)

    def last_lapse(self) -> float:
        """Return when the last session of all lapses or lapsed."""
        ahead = [self._lapse(session) for session in self.table.active.values()]
        return max([0.0, *(latest for _, latest in [*self._lapses, *ahead])])

    def _lapse(self, session: Session) -> tuple[float, float]:
        """Return when a session lapses that does nothing any more."""
        window = self._script.window
        return session.deadline(window), self._signs[session.client] + window

    def order(self) -> dict[str, list[int]]:
        """Return what takes effect on each base, without times."""
        return {base: [e.what for e in found] for base, found in self.effects.items()}

    def _do(self, step: Step, before: float, after: float) -> list[Action]:
        core, client = self.table, step.client
        match step.do:
            case Do.COMMAND | Do.FAIL:
                velocity = Velocity(step.speed / 1000.0)
            case Do.ZERO:
                velocity = ZERO
            case Do.NON_FINITE:
                velocity = Velocity(math.nan)
            case Do.BARE:
                return self._bare(step, before, after)
            case Do.BEAT | Do.RESUME | Do.PERMISSION:
                own = step.do is not Do.PERMISSION
                mode = SessionsMode.AUTO
                return self._note(core.heartbeat(client, mode, own, before), before, after)
            case Do.LEAVE:
                return self._note(core.left(client, before), before, before + LEAVING)
            case Do.STOP:
                for base in step.bases:
                    self.effects[base].append(Effect(STOP, before, after))
                return []
            case _:
                return []  # refused: nothing changes
        actions: list[Action] = []
        for base in step.bases:
            actions += core.command(client, base, velocity, before)
        return self._note(actions, before, after, step.do is not Do.FAIL)

    def _bare(self, step: Step, before: float, after: float) -> list[Action]:
        """Command without a session; the core's parameters let no base mix the two."""
        actions: list[Action] = []
        for base in step.bases:
            mode, self.table._modes[base] = self.table._modes[base], SessionsMode.DISABLED
            actions += self.table.command(NOBODY, base, Velocity(step.speed / 1000.0), before)
            self.table._modes[base] = mode
        return self._note(actions, before, after)

    def _note(
        self, actions: Iterable[Action], before: float, after: float, arrives: bool = True
    ) -> list[Action]:
        window = self._script.window
        for one in (actions := list(actions)):
            if isinstance(one, SessionEnded) and one.cause is Cause.LAPSE:
                self._lapses.append((one.sign + window, self._signs[one.client] + window))
            elif isinstance(one, Stop) and one.cause is Cause.LAPSE:
                assert one.sign is not None
                effect = Effect(STOP, one.sign + window, self._signs[one.client] + window)
                self.effects[one.base].append(effect)
            elif isinstance(one, Stop):
                self.effects[one.base].append(Effect(STOP, before, after))
            elif isinstance(one, Forward) and arrives:
                speed = round(one.velocity.x * 1000.0)
                self.effects[one.base].append(Effect(speed, before, after))
        return actions
