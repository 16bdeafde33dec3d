# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The core against a model of the rules R2 to R6 that is simple enough to read at a glance."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, RuleBasedStateMachine

from support.pure import model_settings
from viam_session_bridge.configuration.model import SessionsMode
from viam_session_bridge.core.actions import Action, Cause, Forward, Refusal, Refused, Stop
from viam_session_bridge.core.sessions import SessionTable
from viam_session_bridge.core.timing import NEVER
from viam_session_bridge.core.velocity import Velocity, ZERO

WINDOW = 0.5
AUTO, MANUAL, DISABLED = SessionsMode.AUTO, SessionsMode.MANUAL, SessionsMode.DISABLED
BASES = {'a1': AUTO, 'a2': AUTO, 'm1': MANUAL, 'm2': MANUAL, 'd1': DISABLED}
CLIENTS = {'A': AUTO, 'B': AUTO, 'M': MANUAL, 'N': MANUAL, 'D': DISABLED}
GO, NAN = Velocity(0.3, 0.0, 0.1), Velocity(math.nan)

clients = st.sampled_from(sorted(CLIENTS))
# Sums of these are exact, so that deadlines are met to the bit.
steps = st.sampled_from([0.0, 0.0, 2.0**-10, 0.125, 0.25, 0.375, 0.5 - 2.0**-10, 0.5, 0.625])


class Model:
    """Who is connected, who drove last, and what is to stop why."""

    def __init__(self) -> None:
        self.now = 1.0
        self.sign: dict[str, float] = {}  # of the clients that are connected
        self.heartbeat: dict[str, float] = {}
        self.last_user: dict[str, str] = {}
        self.commander: dict[str, str] = {}
        self.left: set[str] = set()
        self.stops: set[tuple[str, Cause]] = set()
        self.refused: list[Refusal] = []

    def expire(self) -> None:
        for client in list(self.sign):
            manual = CLIENTS[client] is MANUAL
            last = min(self.sign[client], self.heartbeat[client]) if manual else self.sign[client]
            if last + WINDOW <= self.now:
                self.end(client, Cause.LAPSE)

    def end(self, client: str, cause: Cause) -> None:
        del self.sign[client], self.heartbeat[client]
        for base in [base for base, user in self.last_user.items() if user == client]:
            del self.last_user[base]
            self.stops.add((base, cause))

    def start(self, client: str) -> None:
        self.sign[client] = self.heartbeat[client] = self.now

    def command(self, client: str, base: str, velocity: Velocity, outside: Refusal | None) -> bool:
        """Return whether it is forwarded."""
        refusal = outside
        if CLIENTS[client] is MANUAL and client not in self.sign:
            refusal = Refusal.NO_SESSION
        if velocity is NAN:
            refusal = Refusal.NON_FINITE
        if client in self.left:
            refusal = Refusal.LEFT
        if refusal is None:
            if CLIENTS[client] is not DISABLED:
                if client not in self.sign:
                    self.start(client)
                self.sign[client] = self.now
                self.last_user[base] = client
            self.commander[base] = client
            return True
        self.refuse(client, base, velocity, refusal)
        return False

    def refuse(self, client: str, base: str, velocity: Velocity | None, refusal: Refusal) -> None:
        was_last = self.commander.get(base) == client
        if was_last:
            self.stops.add((base, Cause.ZERO if velocity is ZERO else Cause.REFUSED))
        if not (was_last and velocity is ZERO):
            self.refused.append(refusal)

    def beat(self, client: str, own: bool) -> None:
        if client in self.sign:
            self.heartbeat[client] = self.now
            if own:
                self.sign[client] = self.now
        elif CLIENTS[client] is MANUAL and client not in self.left:
            self.start(client)


def base_of(client: str, number: int) -> str:
    """Return one of the bases that the client commands."""
    mode = CLIENTS[client]
    return 'd1' if mode is DISABLED else f'{mode.value[0]}{number}'


# Named, as Hypothesis 6.98, which Ubuntu 24.04 has, reads the source of lambdas again and again.
def some_session_is_to_lapse(it: CoreAgainstModel) -> bool:
    return it.table.due_at != NEVER


def somebody_left(it: CoreAgainstModel) -> bool:
    return bool(it.model.left)


class CoreAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = SessionTable(WINDOW, BASES)
        self.model = Model()

    def check(self, actions: list[Action]) -> list[Action]:
        """Compare what is stopped and refused; the rest is compared by the invariant."""
        stops = [(one.base, one.cause) for one in actions if isinstance(one, Stop)]
        assert len(stops) == len(set(stops)) and set(stops) == self.model.stops
        assert [one.reason for one in actions if isinstance(one, Refused)] == self.model.refused
        self.model.stops.clear()
        self.model.refused.clear()
        return actions

    @rule(step=steps)
    def time_passes_unnoticed(self, step: float) -> None:
        self.model.now += step

    @precondition(some_session_is_to_lapse)
    @rule()
    def time_passes_until_the_next_deadline(self) -> None:
        deadline = self.table.due_at
        self.model.now = max(self.model.now, deadline)
        self.expire()

    @rule()
    def expire(self) -> None:
        self.model.expire()
        self.check(self.table.expire(self.model.now))

    @rule(
        client=clients,
        number=st.integers(1, 2),
        velocity=st.sampled_from([GO, GO, GO, ZERO, NAN]),
        outside=st.sampled_from([None, None, None, Refusal.NOT_READY]),
    )
    def command(
        self, client: str, number: int, velocity: Velocity, outside: Refusal | None
    ) -> None:
        base = base_of(client, number)
        self.model.expire()
        forwarded = self.model.command(client, base, velocity, outside)
        actions = self.check(self.table.command(client, base, velocity, self.model.now, outside))
        assert any(isinstance(one, Forward) for one in actions) == forwarded

    @rule(
        client=clients, number=st.integers(1, 2), velocity=st.sampled_from([GO, ZERO, NAN, None])
    )
    def discard(self, client: str, number: int, velocity: Velocity | None) -> None:
        base = base_of(client, number)
        self.model.expire()
        self.model.refuse(client, base, velocity, Refusal.OLD)
        self.check(self.table.discard(client, base, velocity, self.model.now))

    @rule(client=clients, own=st.booleans())
    def heartbeat(self, client: str, own: bool) -> None:
        self.model.expire()
        self.model.beat(client, own)
        self.check(self.table.heartbeat(client, CLIENTS[client], own, self.model.now))

    @rule(client=clients)
    def leave(self, client: str) -> None:
        self.model.expire()
        if client in self.model.sign:
            self.model.end(client, Cause.LEFT)
        self.model.left.add(client)
        self.check(self.table.left(client, self.model.now))

    @precondition(somebody_left)
    @rule(data=st.data())
    def appear(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(sorted(self.model.left)))
        self.model.left.discard(client)
        self.table.seen(client)

    @rule()
    def deactivate(self) -> None:
        self.model.expire()
        for client in list(self.model.sign):
            self.model.end(client, Cause.DEACTIVATED)
        self.check(self.table.end_all(self.model.now))

    @invariant()
    def same_sessions_and_last_users(self) -> None:
        assert {session.client for session in self.table.active.values()} == set(self.model.sign)
        for base in BASES:
            user = self.table.last_user(base)
            assert (user and user.client) == self.model.last_user.get(base)
        for session in self.table.active.values():
            used = {b for b, user in self.model.last_user.items() if user == session.client}
            assert session.last_used == used

    @invariant()
    def no_session_outlives_the_next_deadline(self) -> None:
        deadline = self.table.due_at
        for session in self.table.active.values():
            assert deadline <= session.deadline(WINDOW)


CoreAgainstModel.TestCase.settings = model_settings(examples=300, steps=50)
TestCoreAgainstModel = CoreAgainstModel.TestCase
