# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The gRPC channel to one machine: calls out, answers and readiness in.

Every call has a deadline, and handing one over never waits for the machine, so that a hung
machine delays no other (R8). Answers come on a thread of their machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import os
import threading
from typing import Any

import grpc

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    MachineConfiguration,
    Transport,
)
from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW
from viam_session_bridge.core.requests import (
    Answer,
    Authenticate,
    Call,
    Diagnose,
    Outcome,
    Redial,
    StopBase,
)
from viam_session_bridge.viam import messages
from viam_session_bridge.viam.answers import Answers
from viam_session_bridge.viam.credentials import CredentialsError, load
from viam_session_bridge.viam.methods import (
    listed_by_name,
    listed_by_status,
    Metadata,
    Methods,
)
from viam_session_bridge.viam.token import lifetime
from viam_session_bridge.viam.transport import DialedLink, DirectLink

# Statuses that gRPC makes up itself when no answer came. A server may send them too; then the
# command counts as unanswered all the same, which only makes its stop final later.
_TIMED_OUT = grpc.StatusCode.DEADLINE_EXCEEDED
_CUT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
_REMOVED = 'Stream removed'
_RESET = 'RST_STREAM'  # in gRPC's own words for CANCELLED: the stream ended without a status
_MADE_UP = (
    (grpc.StatusCode.UNKNOWN, _REMOVED),  # the connection ended in the middle of the call
    (grpc.StatusCode.RESOURCE_EXHAUSTED, ''),  # WebRTC has no more streams
)


@dataclass(eq=False)
class _Connection:
    """One gRPC channel of the link's, and the calls under way there."""

    methods: Methods
    answers: Answers
    under_way: set[Any] = field(default_factory=set)  # gRPC's futures
    given_up: bool = False

    def give_up(self) -> None:
        """End the calls under way, and those that are just being handed over."""
        self.given_up = True
        for future in list(self.under_way):
            future.cancel()


class Channel:
    """The channel to one machine."""

    def __init__(
        self,
        machine: MachineConfiguration,
        bases: dict[str, BaseConfiguration],
        ready: Callable[[bool], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Prepare; :meth:`start` begins to connect.

        :param bases: those of the machine, by name
        :param ready: called whenever the machine is connected or is so no longer, on a thread of
            the link's or the one that dials
        :param failed: is told of an exception after which no answers would come any more, or
            nobody would know of the connection
        """
        self._machine = machine
        self._bases = bases
        self._ready = ready
        self._failed = failed
        self._closed = False
        self._token: Metadata = ()
        self._secrets: dict[str, str] = {}  # by kind: the last that went out or came
        self._link: DirectLink | DialedLink
        if machine.transport is Transport.WEBRTC:
            self._link = DialedLink(machine, self._changed)
        else:
            self._link = DirectLink(machine, self._changed, failed)
        self._binding = threading.Lock()
        self._connection: _Connection | None = None
        self._bind()

    def start(self) -> None:
        """Begin to connect: from now on ``ready`` is called, maybe before this returns."""
        if not self._closed:
            self._link.start()

    def hand_over(self, call: Call, done: Callable[[Call, Answer], None]) -> None:
        """Hand a call to gRPC; ``done`` is called once, on another thread or this one."""
        if isinstance(call.request, Diagnose):
            threading.Thread(
                target=self._diagnose,
                args=(call, done),
                name=f'diagnosis of {self._machine.name}',
                daemon=True,
            ).start()
            return
        if isinstance(call.request, Redial):
            self._redial()
            done(call, Answer(Outcome.OK))
            return
        connection = self._connection
        if self._closed or connection is None:
            done(call, Answer(Outcome.CUT, 'there is no connection'))
            return
        if self._link.rests(isinstance(call.request, StopBase)):
            done(call, Answer(Outcome.CUT, 'the connection was lost'))
            return
        metadata: Metadata
        if isinstance(call.request, Authenticate):
            try:
                (method, message), metadata = self._authenticate(connection.methods), ()
            except CredentialsError as error:
                done(call, Answer(Outcome.FAILED, str(error)))
                return
        else:
            method, message, metadata = connection.methods.compose(call.request)
            metadata = (*self._token, *metadata)
        future = method.future(message, timeout=call.timeout, metadata=metadata)
        connection.under_way.add(future)

        def ended(future: Any) -> None:
            connection.under_way.discard(future)
            try:
                answer = self._answer(future)
            except Exception as error:
                # grpcio would log it and go on, and its base wait for an answer for ever.
                answer = Answer(Outcome.CUT, f'its answer cannot be read: {error!r}')
            done(call, answer)

        future.add_done_callback(ended)
        if connection.given_up:  # meanwhile
            future.cancel()

    def close(self) -> None:
        """Take no more calls and say no more; let go of this object then."""
        self._closed = True
        self._link.close()
        self._unbind()

    def _changed(self, connected: bool) -> None:
        if self._closed:
            return
        self._bind()
        self._ready(connected)

    def _bind(self) -> None:
        """Use the link's present channel: each dial makes a new one."""
        with self._binding:
            channel = None if self._closed else self._link.channel
            if channel is not None:
                if self._connection is None:
                    answers = Answers(channel, self._machine.name, self._failed)
                    self._connection = _Connection(Methods(channel, self._bases), answers)
                return
        self._unbind()

    def _unbind(self, redial: bool = False) -> _Connection | None:
        """Let go of a channel, and return it; what is under way there is answered yet."""
        with self._binding:
            if redial:  # nobody is to bind the one that the link lets go of
                self._link.redial()
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.answers.close()
        return connection

    def _redial(self) -> None:
        """Have the link make a new channel, and end what is under way on the present one."""
        if not self._closed and (connection := self._unbind(redial=True)) is not None:
            connection.give_up()

    def _diagnose(self, call: Call, done: Callable[[Call, Answer], None]) -> None:
        done(call, Answer(Outcome.OK, self._link.why()))

    def _authenticate(self, methods: Methods) -> tuple[Any, Any]:
        credentials = load(self._machine.credentials_file, os.environ)
        self._secrets['key'] = credentials.key
        return methods.authenticate(credentials)

    def _answer(self, future: Any) -> Answer:
        if future.code() is not grpc.StatusCode.OK:
            answer = _error(future)
            return replace(answer, detail=self._without_secrets(answer.detail))
        response = future.result()
        if not isinstance(response, messages.AUTHENTICATE.response):
            return self._result(response)
        token = response.access_token
        if not token or not token.isascii() or not token.isprintable():
            return Answer(Outcome.FAILED, 'it gives an access token that cannot be one')
        self._secrets['token'] = token
        self._token = ((messages.TOKEN_KEY, f'Bearer {token}'),)
        return Answer(Outcome.OK, lifetime=lifetime(token))

    def _result(self, response: Any) -> Answer:
        if isinstance(response, messages.START_SESSION.response):
            window = messages.to_seconds(response.heartbeat_window)
            if not response.id or window not in HEARTBEAT_WINDOW:
                return Answer(
                    Outcome.FAILED,
                    f'it started a session with id {response.id[:8]!r} and a window of {window} '
                    f's, which must be {HEARTBEAT_WINDOW} s: see that it is a viam-server',
                )
            return Answer(Outcome.OK, sid=response.id, window=window)
        if isinstance(response, messages.GET_SESSIONS.response):
            return Answer(Outcome.OK, sids=tuple(session.id for session in response.sessions))
        if isinstance(response, messages.IS_MOVING.response):
            return Answer(Outcome.OK, moving=response.is_moving)
        if isinstance(response, messages.RESOURCE_NAMES.response):
            return Answer(Outcome.OK, listed=listed_by_name(response, self._bases))
        if isinstance(response, messages.GET_MACHINE_STATUS.response):
            return Answer(Outcome.OK, listed=listed_by_status(response, self._bases))
        return Answer(Outcome.OK)

    def _without_secrets(self, text: str) -> str:
        """Return a machine's words, which may repeat what it was told, without that."""
        for secret in self._secrets.values():
            text = text.replace(secret, '***')
        return text


def _error(future: Any) -> Answer:
    code = future.code()
    detail = f'{code.name}: {future.details()}'
    if code is _TIMED_OUT:
        return Answer(Outcome.TIMED_OUT, detail)
    if code is grpc.StatusCode.CANCELLED:
        ours = future.cancelled() or _RESET in future.details()
        return Answer(Outcome.CUT if ours else Outcome.CANCELLED, detail)
    if code in _CUT or (code, future.details()[: len(_REMOVED)]) in _MADE_UP:
        return Answer(Outcome.CUT, detail)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Answer(Outcome.UNIMPLEMENTED, detail)
    if code is grpc.StatusCode.INVALID_ARGUMENT and future.details() == messages.SESSION_EXPIRED:
        return Answer(Outcome.SESSION_EXPIRED, detail)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return Answer(Outcome.UNAUTHENTICATED, detail)
    return Answer(Outcome.FAILED, detail)
