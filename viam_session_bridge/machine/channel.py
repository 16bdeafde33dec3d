# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The gRPC channel to one machine: calls out, answers and readiness in.

Every call has a deadline and is asynchronous: handing one over never waits for the machine, so
that a hung machine delays no other (R8). Answers come on gRPC's own threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
import threading
import time
from typing import Any

import grpc

from viam_session_bridge import limits
from viam_session_bridge.configuration import (
    BaseConfiguration,
    DriveMode,
    MachineConfiguration,
)
from viam_session_bridge.machine import wire
from viam_session_bridge.machine.calls import (
    Answer,
    Authenticate,
    Call,
    Diagnose,
    GetSessions,
    IsMoving,
    Move,
    Outcome,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.machine.credentials import CredentialsError, load
from viam_session_bridge.machine.diagnosis import diagnose
from viam_session_bridge.machine.linking import link
from viam_session_bridge.machine.token import lifetime

LINGERS = 1.0  # s
RECONNECTS = 1.0  # s after the last connection was made, at the earliest

# Statuses that gRPC makes up itself when no answer came. A server may send them too; then the
# command counts as unanswered all the same, which only makes its stop final later.
_TIMED_OUT = grpc.StatusCode.DEADLINE_EXCEEDED
_CUT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL)


class Channel:
    """The channel to one machine."""

    def __init__(
        self,
        machine: MachineConfiguration,
        bases: dict[str, BaseConfiguration],
        ready: Callable[[bool], None],
    ) -> None:
        """
        Begin to connect.

        :param bases: those of the machine, by name
        :param ready: called on a thread of gRPC's whenever the channel becomes ready or unready
        """
        self._bases = bases
        self._ready = ready
        self._closed = False
        self._ready_at = float('-inf')
        self._machine = machine
        self._token: tuple[tuple[str, str], ...] = ()  # as metadata
        self._secrets: dict[str, str] = {}  # by kind: the last that went out or came
        self._channel = link(machine)
        self._authenticate = self._callable(wire.AUTHENTICATE)
        self._start_session = self._callable(wire.START_SESSION)
        self._heartbeat = self._callable(wire.SEND_SESSION_HEARTBEAT)
        self._get_sessions = self._callable(wire.GET_SESSIONS)
        self._set_velocity = self._callable(wire.SET_VELOCITY)
        self._set_power = self._callable(wire.SET_POWER)
        self._stop = self._callable(wire.STOP)
        self._is_moving = self._callable(wire.IS_MOVING)
        self._channel.subscribe(self._connectivity_changed, try_to_connect=True)

    def hand_over(self, call: Call, done: Callable[[Call, Answer], None]) -> None:
        """Hand a call to gRPC; ``done`` is called once, on a thread of gRPC's or this one."""
        if self._closed:
            done(call, Answer(Outcome.CUT, 'the channel was closed'))
            return
        if isinstance(call.request, Diagnose):
            threading.Thread(
                target=self._diagnose,
                args=(call, done),
                name=f'diagnosis of {self._machine.name}',
                daemon=True,
            ).start()
            return
        try:
            method, message, metadata = self._compose(call)
        except CredentialsError as error:
            done(call, Answer(Outcome.FAILED, str(error)))
            return
        future = method.future(message, timeout=call.timeout, metadata=metadata)
        future.add_done_callback(lambda future: done(call, self._answer(future)))

    def _diagnose(self, call: Call, done: Callable[[Call, Answer], None]) -> None:
        done(call, Answer(Outcome.OK, diagnose(self._machine)))

    def close(self) -> None:
        """
        Take no more calls and say no more; let go of this object then.

        gRPC disconnects when its channel has gone, with the answer or deadline of the last call.
        Its own ``close`` would cut those calls. Its thread that watches connectivity looks every
        0.2 s whether it is still wanted, and trips over a channel that has gone by then.
        """
        self._closed = True
        self._channel.unsubscribe(self._connectivity_changed)
        lingering = threading.Timer(LINGERS, lambda channel: None, [self._channel])
        lingering.name = 'closed channel'
        lingering.daemon = True
        lingering.start()

    def _compose(self, call: Call) -> tuple[Any, Any, tuple[tuple[str, str], ...]]:
        request = call.request
        if isinstance(request, Move):
            base = self._bases[request.base]
            metadata = self._token
            if request.sid:
                metadata = (*metadata, (wire.SESSION_KEY, request.sid))
            if base.drive_mode is DriveMode.POWER:
                method, kind = self._set_power, wire.SET_POWER.request
                linear, angular = request.velocity.to_viam_power(
                    base.max_linear_speed, base.max_angular_speed
                )
            else:
                method, kind = self._set_velocity, wire.SET_VELOCITY.request
                linear, angular = request.velocity.to_viam()
            message = kind(
                name=base.resource,
                linear=wire.Vector3(x=linear.x, y=linear.y, z=linear.z),
                angular=wire.Vector3(x=angular.x, y=angular.y, z=angular.z),
            )
            return method, message, metadata
        if isinstance(request, StopBase):
            resource = self._bases[request.base].resource
            return self._stop, wire.STOP.request(name=resource), self._token
        if isinstance(request, StartSession):
            message = wire.START_SESSION.request(resume=request.resume)
            return self._start_session, message, self._token
        if isinstance(request, SendHeartbeat):
            message = wire.SEND_SESSION_HEARTBEAT.request(id=request.sid)
            return self._heartbeat, message, self._token
        if isinstance(request, IsMoving):
            resource = self._bases[request.base].resource
            return self._is_moving, wire.IS_MOVING.request(name=resource), self._token
        if isinstance(request, GetSessions):
            return self._get_sessions, wire.GET_SESSIONS.request(), self._token
        assert isinstance(request, Authenticate)
        credentials = load(self._machine.credentials_file, os.environ)
        self._secrets['key'] = credentials.key
        payload = wire.Credentials(type=wire.API_KEY, payload=credentials.key)
        message = wire.AUTHENTICATE.request(entity=credentials.key_id, credentials=payload)
        return self._authenticate, message, ()

    def _callable(self, method: wire.Method) -> Any:
        return self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def _connectivity_changed(self, connectivity: grpc.ChannelConnectivity) -> None:
        if self._closed:
            return
        now = time.monotonic()
        if connectivity is grpc.ChannelConnectivity.READY:
            self._ready_at = now
        self._ready(connectivity is grpc.ChannelConnectivity.READY)
        if connectivity is grpc.ChannelConnectivity.IDLE:
            # gRPC rests after a disconnect until somebody calls; the robot's machine is wanted
            # back before that, but one that hangs up on each call not without pause.
            pause = max(self._ready_at + RECONNECTS - now, 0.0)
            reconnecting = threading.Timer(pause, self._reconnect)
            reconnecting.name = 'reconnecting'
            reconnecting.daemon = True
            reconnecting.start()

    def _reconnect(self) -> None:
        """Have gRPC connect; subscribing anew is the public way to say so."""
        self._channel.unsubscribe(self._connectivity_changed)
        if not self._closed:
            self._channel.subscribe(self._connectivity_changed, try_to_connect=True)
        if self._closed:  # meanwhile
            self._channel.unsubscribe(self._connectivity_changed)

    def _answer(self, future: Any) -> Answer:
        if future.code() is not grpc.StatusCode.OK:
            answer = _error(future)
            return replace(answer, detail=self._without_secrets(answer.detail))
        response = future.result()
        if not isinstance(response, wire.AUTHENTICATE.response):
            return _result(response)
        token = response.access_token
        if not token or not token.isascii() or not token.isprintable():
            return Answer(Outcome.FAILED, 'it gives an access token that cannot be one')
        self._secrets['token'] = token
        self._token = ((wire.TOKEN_KEY, f'Bearer {token}'),)
        return Answer(Outcome.OK, lifetime=lifetime(token))

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
    if code in _CUT:
        return Answer(Outcome.CUT, detail)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Answer(Outcome.UNIMPLEMENTED, detail)
    if code is grpc.StatusCode.INVALID_ARGUMENT and future.details() == wire.SESSION_EXPIRED:
        return Answer(Outcome.SESSION_EXPIRED, detail)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return Answer(Outcome.UNAUTHENTICATED, detail)
    return Answer(Outcome.FAILED, detail)


def _result(response: Any) -> Answer:
    if isinstance(response, wire.START_SESSION.response):
        window = wire.to_seconds(response.heartbeat_window)
        if not response.id or window not in limits.HEARTBEAT_WINDOW:
            return Answer(
                Outcome.FAILED,
                f'it started a session with id {response.id[:8]!r} and a window of {window} s, '
                f'which must be {limits.HEARTBEAT_WINDOW} s: see that it is a viam-server',
            )
        return Answer(Outcome.OK, sid=response.id, window=window)
    if isinstance(response, wire.GET_SESSIONS.response):
        return Answer(Outcome.OK, sids=tuple(session.id for session in response.sessions))
    if isinstance(response, wire.IS_MOVING.response):
        return Answer(Outcome.OK, moving=response.is_moving)
    return Answer(Outcome.OK)
