# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The gRPC face of the simulated machine: its messages to calls of Machine, and back."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import grpc

from ..viam import messages
from .base import SimulatedBase, Vector, ZERO
from .machine import Machine
from .session_rules import Refused

_Answer = Callable[[Any, Any], Any]


class Service:
    """
    The methods that are implemented, each from a request and a grpc.ServicerContext to a response.

    Any other method is answered with UNIMPLEMENTED, by grpc.
    """

    def __init__(self, machine: Machine):
        self._machine = machine

    def handlers(self) -> list[Any]:
        """Return the grpc.GenericRpcHandlers."""
        answers: dict[messages.Method, _Answer] = {
            messages.START_SESSION: self._start_session,
            messages.SEND_SESSION_HEARTBEAT: self._send_session_heartbeat,
            messages.GET_SESSIONS: self._get_sessions,
            messages.RESOURCE_NAMES: self._resource_names,
            messages.GET_MACHINE_STATUS: self._machine_status,
            messages.SET_VELOCITY: self._set_velocity,
            messages.SET_POWER: self._set_power,
            messages.MOVE_STRAIGHT: self._move_straight,
            messages.SPIN: self._spin,
            messages.STOP: self._stop,
            messages.IS_MOVING: self._is_moving,
        }
        services: dict[str, dict[str, Any]] = {}
        for method, answer in answers.items():
            _, service, name = method.path.split('/')
            services.setdefault(service, {})[name] = grpc.unary_unary_rpc_method_handler(
                _aborting(answer),
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
        return [grpc.method_handlers_generic_handler(*service) for service in services.items()]

    def _start_session(self, request: Any, context: Any) -> Any:
        id_ = self._machine.start_session(request.resume, _peer(context))
        window = messages.to_duration(self._machine.window)
        return messages.START_SESSION.response(id=id_, heartbeat_window=window)

    def _send_session_heartbeat(self, request: Any, context: Any) -> Any:
        self._machine.heartbeat(request.id, _peer(context))
        return messages.SEND_SESSION_HEARTBEAT.response()

    def _get_sessions(self, request: Any, context: Any) -> Any:
        response = messages.GET_SESSIONS.response()
        for session in self._machine.sessions():
            peer = response.sessions.add(id=session.id).peer_connection_info
            peer.type = messages.PEER_GRPC
            peer.remote_address = session.peer
        return response

    def _resource_names(self, request: Any, context: Any) -> Any:
        response = messages.RESOURCE_NAMES.response()
        response.resources.extend(_resource(name) for name in self._machine.names)
        return response

    def _machine_status(self, request: Any, context: Any) -> Any:
        response = messages.GET_MACHINE_STATUS.response(state=messages.RUNNING)
        for name in self._machine.names:
            status = response.resources.add(state=messages.READY)
            status.name.MergeFrom(_resource(name))
        return response

    def _set_velocity(self, request: Any, context: Any) -> Any:
        vectors = _vector(request.linear), _vector(request.angular)
        self._command(
            'set_velocity', request, context, vectors,
            lambda base, now: base.set_velocity(now, *vectors),
        )  # fmt: skip
        return messages.SET_VELOCITY.response()

    def _set_power(self, request: Any, context: Any) -> Any:
        vectors = _vector(request.linear), _vector(request.angular)
        self._command(
            'set_power', request, context, vectors,
            lambda base, now: base.set_power(now, *vectors),
        )  # fmt: skip
        return messages.SET_POWER.response()

    def _move_straight(self, request: Any, context: Any) -> Any:
        distance, speed = request.distance_mm, request.mm_per_sec
        self._command(
            'move_straight', request, context, ((0.0, speed, 0.0), ZERO),
            lambda base, now: base.move_straight(now, distance, speed),
        )  # fmt: skip
        return messages.MOVE_STRAIGHT.response()

    def _spin(self, request: Any, context: Any) -> Any:
        angle, speed = request.angle_deg, request.degs_per_sec
        self._command(
            'spin', request, context, (ZERO, (0.0, 0.0, speed)),
            lambda base, now: base.spin(now, angle, speed),
        )  # fmt: skip
        return messages.SPIN.response()

    def _stop(self, request: Any, context: Any) -> Any:
        self._wake_when_over('stop', context)
        self._machine.stop(request.name, context.is_active)
        return messages.STOP.response()

    def _is_moving(self, request: Any, context: Any) -> Any:
        return messages.IS_MOVING.response(is_moving=self._machine.is_moving(request.name))

    def _command(
        self,
        call: str,
        request: Any,
        context: Any,
        vectors: tuple[Vector, Vector],
        effect: Callable[[SimulatedBase, float], None],
    ) -> None:
        self._wake_when_over(call, context)
        ids = [
            value for key, value in context.invocation_metadata() if key == messages.SESSION_KEY
        ]
        self._machine.command(
            request.name, call, vectors, effect, ids, _peer(context), context.is_active
        )

    def _wake_when_over(self, call: str, context: Any) -> None:
        """Have a call that waits notice that its caller gives up."""
        if call in ('move_straight', 'spin') or self._machine.driver.time_of(call):
            context.add_callback(self._machine.wake)


def _aborting(answer: _Answer) -> _Answer:
    """Return the handler that turns what is refused into its status."""

    def handler(request: Any, context: Any) -> Any:
        try:
            return answer(request, context)
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.code], refused.details)

    return handler


def _resource(name: str) -> Any:
    return messages.ResourceName(namespace='rdk', type='component', subtype='base', name=name)


def _peer(context: Any) -> str:
    """Return where the caller is, as Go writes it: '127.0.0.1:54321', '[::1]:54321'."""
    _, _, address = context.peer().partition(':')
    return unquote(address)


def _vector(message: Any) -> Vector:
    return message.x, message.y, message.z
