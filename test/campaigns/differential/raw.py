# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A machine spoken to directly: each client of a script is a session of viam-server's own."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any
import uuid

import grpc

from campaigns.differential.script import Again, Do, Step
from support.viam_server import insecure_channel
from viam_session_bridge.viam import messages as wire

_CALL = 5.0  # s
Fault = Callable[[str], None]
"""Lets the next command of a base fail."""


class Connection(dict[wire.Method, Any]):
    """The calls of one machine; for `with`, connected."""

    def __init__(self, address: str) -> None:
        """Connect."""
        self._channel = insecure_channel(address)
        for method in wire.METHODS:
            self[method] = method.on(self._channel)

    def __enter__(self) -> Connection:
        grpc.channel_ready_future(self._channel).result(_CALL)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()


class RawPlayer:
    """Makes the steps of one script by gRPC calls; notes the answers that should be others."""

    def __init__(
        self, connection: Connection, resource: Callable[[str], str], fault: Fault | None
    ) -> None:
        """
        Begin.

        :param resource: makes a machine's base of a script's
        :param fault: None where a base fails NaN by itself
        """
        self.wrong: list[str] = []
        self._connection = connection
        self._resource = resource
        self._fault = fault
        self._sids: dict[str, str] = {}

    def ready(self) -> bool:
        """Begin anew, with new clients; they need no time to be heard."""
        self.wrong, self._sids = [], {}
        return False

    def await_matched(self) -> None:
        """Do nothing: it is connected."""

    def prepare(self, step: Step) -> None:
        """Do what takes time, before a step is due."""
        if step.do is Do.FAIL and self._fault is not None:
            for base in step.bases:
                self._fault(self._resource(base))

    def do(self, step: Step, alive: bool, free: frozenset[str]) -> None:
        """
        Make a step; its calls are answered when this returns.

        :param alive: whether the client's session is
        :param free: the bases that are driven without sessions
        """
        client, sid = step.client, self._sids.get(step.client, '')
        match step.do:
            case Do.COMMAND | Do.ZERO | Do.FAIL:
                sessions = not set(step.bases) <= free
                sid = self._session(step, alive, sid) if sessions else ''
                answer = 'UNKNOWN' if step.do is Do.FAIL else ''
                for base in step.bases:
                    self._command(step, base, sid, answer)
            case Do.BARE:
                for base in step.bases:
                    self._command(step, base, '')
            case Do.UNKNOWN:
                for base in step.bases:
                    self._command(step, base, str(uuid.uuid4()), wire.SESSION_EXPIRED)
            case Do.STOP:
                for base in step.bases:
                    self._call(step, '', wire.STOP, name=self._resource(base))
            case Do.BEAT if sid:
                answer = '' if alive else wire.SESSION_EXPIRED
                self._call(step, answer, wire.SEND_SESSION_HEARTBEAT, id=sid)
            case Do.RESUME if alive:
                self._expect(step, self._start(step, sid) == sid, 'its session was not resumed')
                self._sids[client] = sid

    def _session(self, step: Step, alive: bool, sid: str) -> str:
        """Return the id of a session that lives; one that lapsed is tried or resumed first."""
        if sid and alive:
            return sid
        if sid and step.again is Again.RETRY:
            self._command(step, step.bases[0], sid, wire.SESSION_EXPIRED)
        started = self._start(step, '' if step.again is Again.NEW else sid)
        self._expect(step, started not in self._sids.values(), 'a lapsed session was resumed')
        self._sids[step.client] = started
        return started

    def _start(self, step: Step, resume: str) -> str:
        response = self._call(step, '', wire.START_SESSION, resume=resume)
        return str(response.id) if response else ''

    def _command(self, step: Step, base: str, sid: str, answer: str = '') -> None:
        in_vain = step.do is Do.FAIL and not self._fault and answer != wire.SESSION_EXPIRED
        speed = math.nan if in_vain else float(step.speed)
        name = self._resource(base)
        self._call(step, answer, wire.SET_VELOCITY, sid, name=name, linear={'y': speed})

    def _call(
        self, step: Step, answer: str, method: wire.Method, sid: str = '', **fields: Any
    ) -> Any:
        """
        Call and return the response, None for an error.

        :param answer: a word of the error to come, empty for none
        """
        metadata = [(wire.SESSION_KEY, sid)] if sid else []
        response, got = None, ''
        try:
            response = self._connection[method](
                method.request(**fields), metadata=metadata, timeout=_CALL
            )
        except grpc.RpcError as error:
            got = f'{error.code()} {error.details()}'
        self._expect(step, answer in got if answer else not got, f'{method.path}: {got or "OK"}')
        return response

    def _expect(self, step: Step, there: bool, otherwise: str) -> None:
        if not there:
            self.wrong.append(f'{step}: {otherwise}')


def fault_of(control: Callable[..., Any]) -> Fault:
    """Return what lets a base of the real viam-server fail its next command."""
    return lambda base: control(base, set_velocity_failures=1)
