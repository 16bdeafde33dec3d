# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The gRPC channel to one machine: calls out, answers and readiness in.

Every call has a deadline, and handing one over never waits for the machine, so that a hung
machine delays no other (R8). Answers come on a thread of their machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import os
import threading
from typing import Any

import grpc

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    DriveMode,
    MachineConfiguration,
    Transport,
)
from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW
from viam_session_bridge.core import requests
from viam_session_bridge.core.requests import Answer, Call, Listed, Outcome, Request
from viam_session_bridge.viam import messages
from viam_session_bridge.viam.credentials import CredentialsError, load, token_lifetime
from viam_session_bridge.viam.grpc_internals import (
    answer_thread,
    AnswerThread,
    Ended,
    FutureCall,
    InnerCall,
    Metadata,
)
from viam_session_bridge.viam.transport import DirectTransport
from viam_session_bridge.viam.webrtc import WebRtcTransport

# gRPC itself sets some statuses where no answer came. A server may send them too; then the command
# counts as unanswered all the same, which only makes its stop final later.
_OUTCOMES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.TIMED_OUT,
    grpc.StatusCode.UNAVAILABLE: Outcome.CUT,
    grpc.StatusCode.INTERNAL: Outcome.CUT,
    grpc.StatusCode.UNIMPLEMENTED: Outcome.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED: Outcome.UNAUTHENTICATED,
}

_METHODS = {
    requests.Authenticate: messages.AUTHENTICATE,
    requests.GetMachineStatus: messages.GET_MACHINE_STATUS,
    requests.GetSessions: messages.GET_SESSIONS,
    requests.IsMoving: messages.IS_MOVING,
    requests.ListBases: messages.RESOURCE_NAMES,
    requests.Move: messages.SET_VELOCITY,  # or SetPower
    requests.Reach: messages.RESOURCE_NAMES,
    requests.SendHeartbeat: messages.SEND_SESSION_HEARTBEAT,
    requests.StartSession: messages.START_SESSION,
    requests.StopBase: messages.STOP,
}

Done = Callable[[Call, Answer], None]

ACKNOWLEDGED = Answer(Outcome.OK)


@dataclass(eq=False)
class _Connection:
    """One gRPC channel of the transport's, and the calls under way there."""

    channel: grpc.Channel
    methods: Mapping[str, Any]  # grpcio's callables, by path
    answers: AnswerThread | None
    under_way: dict[int, InnerCall | FutureCall] = field(default_factory=dict)  # by number
    given_up: bool = False

    def call(self, path: str, ended: Ended) -> InnerCall | FutureCall:
        """Prepare a call; where there is no thread for answers, grpcio's own take them."""
        return (FutureCall if self.answers is None else InnerCall)(self.methods[path], ended)

    def let_go(self, give_up: bool) -> None:
        """
        End the thread that takes the answers with the last call under way.

        :param give_up: end these calls now, and those that are just being handed over
        """
        if self.answers is not None:
            self.answers.close()
        if give_up:
            self.given_up = True
            for call in list(self.under_way.values()):
                call.cancel()


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
        :param ready: called with whether the machine is connected, whenever that changes, on a
            thread of the transport's
        :param failed: called with an exception after which no answers would come any more, or
            changes of the connection would not be noticed
        """
        self._machine = machine
        self._bases = bases
        self._ready = ready
        self._failed = failed
        self._closed = False
        self._token: Metadata = ()
        self._secrets: dict[str, str] = {}  # by kind: the last that went out or came
        by_webrtc = machine.transport is Transport.WEBRTC
        transport = WebRtcTransport if by_webrtc else DirectTransport
        self._transport = transport(machine, self._changed, failed)
        self._binding = threading.Lock()
        self._connection: _Connection | None = None
        self._bind()

    def start(self) -> None:
        """Begin to connect: from now on ``ready`` is called, maybe before this returns."""
        if not self._closed:
            self._transport.start()

    def hand_over(self, call: Call, done: Done) -> None:
        """Hand a call to gRPC; ``done`` is called once, on another thread or this one."""
        request = call.request
        if isinstance(request, requests.Diagnose):

            def diagnose() -> None:
                done(call, Answer(Outcome.OK, self._transport.diagnose()))

            name = f'diagnosis of {self._machine.name}'
            threading.Thread(target=diagnose, name=name, daemon=True).start()
            return
        if isinstance(request, requests.Redial):
            if not self._closed:
                self._redial()
            done(call, ACKNOWLEDGED)
            return
        connection = self._connection
        if self._closed or connection is None:
            done(call, Answer(Outcome.CUT, 'there is no connection'))
            return
        if self._transport.is_resting(isinstance(request, requests.StopBase)):
            done(call, Answer(Outcome.CUT, 'the connection was lost'))
            return
        try:
            method, message, metadata = self._compose(request)
        except CredentialsError as error:
            done(call, Answer(Outcome.FAILED, str(error)))
            return

        def ended(code: grpc.StatusCode, details: str, answered: bytes) -> None:
            connection.under_way.pop(call.number, None)
            try:
                if code is grpc.StatusCode.OK:
                    answer = self._read(request, method.response.FromString(answered))
                else:
                    answer = self._error(code, details, connection.given_up)
            except Exception as error:
                # Its base would wait for an answer for ever.
                answer = Answer(Outcome.CUT, f'its answer cannot be read: {error!r}')
            if answer.outcome is Outcome.CUT:
                self._transport.doubt()
            done(call, answer)

        handed_over = connection.call(method.path, ended)
        connection.under_way[call.number] = handed_over
        try:
            handed_over.start(message.SerializeToString(), call.timeout, metadata)
        except Exception as error:
            # Its base would wait for ever, and the calls that come after it would be lost.
            connection.under_way.pop(call.number, None)
            done(call, Answer(Outcome.FAILED, f'it cannot be sent: {error!r}'))
            return
        if connection.given_up:  # meanwhile
            handed_over.cancel()

    def close(self) -> None:
        """Take no more calls and report no more; let go of this object then."""
        self._closed = True
        self._transport.close()
        self._bind()

    def _changed(self, connected: bool) -> None:
        if self._closed:
            return
        self._bind()
        self._ready(connected)

    def _bind(self) -> None:
        """Use the transport's present channel: each dial makes a new one."""
        with self._binding:
            channel = None if self._closed else self._transport.channel
            bound = self._connection
            if bound is None or channel is not bound.channel:
                self._connection = None if channel is None else self._connect(channel)
            else:
                return
        if bound is not None:
            bound.let_go(give_up=channel is not None)

    def _connect(self, channel: grpc.Channel) -> _Connection:
        methods = {one.path: channel.unary_unary(one.path) for one in messages.METHODS}
        answers = answer_thread(channel, self._machine.name, self._failed)
        return _Connection(channel, methods, answers)

    def _redial(self) -> None:
        """Let go of the channel and have the transport make another one."""
        with self._binding:  # so that the channel let go of is not bound again
            self._transport.redial()
            bound, self._connection = self._connection, None
        if bound is not None:
            bound.let_go(give_up=True)

    def _compose(self, request: Request) -> tuple[messages.Method, Any, Metadata]:
        if isinstance(request, requests.Authenticate):
            key = load(self._machine.credentials_file, os.environ)
            self._secrets['key'] = key.key
            credentials = messages.Credentials(type=messages.API_KEY, payload=key.key)
            method = messages.AUTHENTICATE
            return method, method.request(entity=key.key_id, credentials=credentials), ()
        metadata = self._token
        if isinstance(request, requests.Move) and request.sid:
            metadata = (*metadata, (messages.SESSION_KEY, request.sid))
        return (*compose(request, self._bases), metadata)

    def _read(self, request: Request, response: Any) -> Answer:
        if isinstance(request, requests.Authenticate):
            return self._authenticated(response.access_token)
        return read(request, response, self._bases)

    def _error(self, code: grpc.StatusCode, details: str, given_up: bool) -> Answer:
        outcome = _outcome(code, details, given_up)
        return Answer(outcome, self._without_secrets(f'{code.name}: {details}'))

    def _authenticated(self, token: str) -> Answer:
        if not _can_be_metadata(token):
            return Answer(Outcome.FAILED, 'it gives an access token that is not valid')
        self._secrets['token'] = token
        self._token = ((messages.TOKEN_KEY, f'Bearer {token}'),)
        return Answer(Outcome.OK, lifetime=token_lifetime(token))

    def _without_secrets(self, text: str) -> str:
        """Return a machine's words without the secrets that it may repeat in them."""
        for secret in list(self._secrets.values()):  # a login may add one meanwhile
            text = text.replace(secret, '***')
        return text


def compose(
    request: Request, bases: Mapping[str, BaseConfiguration]
) -> tuple[messages.Method, Any]:
    """Return the method to call for a request, and its message."""
    method = _METHODS[type(request)]
    match request:
        case requests.Move(name, velocity):
            base = bases[name]
            if base.drive_mode is DriveMode.POWER:
                method = messages.SET_POWER
                linear, angular = velocity.to_viam_power(
                    base.max_linear_speed, base.max_angular_speed, base.mirrored_reverse
                )
            else:
                linear, angular = velocity.to_viam()
            message = method.request(name=base.resource)
            # In place, which takes a third of the time; an assigned zero is present, too.
            for vector, values in ((message.linear, linear), (message.angular, angular)):
                vector.x, vector.y, vector.z = values
            return method, message
        case requests.StopBase(name) | requests.IsMoving(name):
            return method, method.request(name=bases[name].resource)
        case requests.StartSession(resume):
            return method, method.request(resume=resume)
        case requests.SendHeartbeat(sid):
            return method, method.request(id=sid)
    return method, method.request()


def read(request: Request, response: Any, bases: Mapping[str, BaseConfiguration]) -> Answer:
    """Return what a machine answered to a request."""
    match request:
        case requests.StartSession():
            window = messages.to_seconds(response.heartbeat_window)
            if _can_be_metadata(response.id) and window in HEARTBEAT_WINDOW:
                return Answer(Outcome.OK, sid=response.id, window=window)
            return Answer(
                Outcome.FAILED,
                f'it started a session with id {response.id[:8]!r} and a window of {window} s, '
                f'which must be printable ASCII and {HEARTBEAT_WINDOW} s: check that it is a '
                'viam-server',
            )
        case requests.GetSessions():
            return Answer(Outcome.OK, sids=tuple(session.id for session in response.sessions))
        case requests.IsMoving():
            return Answer(Outcome.OK, moving=response.is_moving)
        case requests.ListBases():
            return Answer(Outcome.OK, listed=listed_by_name(response, bases))
        case requests.GetMachineStatus():
            return Answer(Outcome.OK, listed=listed_by_status(response, bases))
    return ACKNOWLEDGED


def _can_be_metadata(text: str) -> bool:
    """Return whether a text that a machine gave can be sent back to it with each call."""
    return text != '' and text.isascii() and text.isprintable()


def listed_by_name(response: Any, bases: Mapping[str, BaseConfiguration]) -> Listed:
    """Return which bases a machine lists among its resources, and which of ours it does not."""
    names = {resource.name: resource for resource in response.resources if _is_base(resource)}
    lacking = {name: '' for name, base in bases.items() if not _find(base.resource, names)}
    return Listed(tuple(sorted(names)), lacking)


def listed_by_status(response: Any, bases: Mapping[str, BaseConfiguration]) -> Listed:
    """
    Return which bases a machine's status lists, and which of ours are not ready.

    The machine keeps trying to start a base that failed; it is complete once it tried each.
    """
    statuses = {one.name.name: one for one in response.resources if _is_base(one.name)}
    lacking = {}
    complete = bool(response.state == messages.RUNNING)
    for name, base in bases.items():
        found = _find(base.resource, statuses)
        if not any(one.state == messages.READY for one in found):
            lacking[name] = next((one.error for one in found), '')
            complete &= all(one.state == messages.UNHEALTHY for one in found)
    return Listed(tuple(sorted(statuses)), lacking, complete)


def _find(resource: str, listed: Mapping[str, Any]) -> list[Any]:
    """Return what has a name: up to v0.90 a sub-part's base ``part:base`` answers to ``base``."""
    return [one for name, one in listed.items() if resource in (name, name.rpartition(':')[2])]


def _is_base(resource: Any) -> bool:
    return (resource.type, resource.subtype) == ('component', 'base')


def _outcome(code: grpc.StatusCode, details: str, given_up: bool) -> Outcome:
    """Return what an error means; ``given_up``: the bridge itself cancels calls there."""
    if code is grpc.StatusCode.CANCELLED:
        # So gRPC calls a stream that ended without a status, too.
        return Outcome.CUT if given_up or 'RST_STREAM' in details else Outcome.CANCELLED
    if code is grpc.StatusCode.UNKNOWN and details.startswith('Stream removed'):
        return Outcome.CUT  # the connection ended in the middle of the call
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and not details:
        return Outcome.CUT  # WebRTC has no more streams
    if code is grpc.StatusCode.INVALID_ARGUMENT and details == messages.SESSION_EXPIRED:
        return Outcome.SESSION_EXPIRED
    return _OUTCOMES.get(code, Outcome.FAILED)
