# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The gRPC side of the simulated machine: from Viam's messages to calls of Machine, and back."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc

from viam_session_bridge.simulation.base import Effect, SimulatedBase, Vector, ZERO
from viam_session_bridge.simulation.machine import Machine
from viam_session_bridge.simulation.session_rules import Refused
from viam_session_bridge.viam import messages

# From a request and a grpc.ServicerContext to the fields of the response.
_Handler = Callable[[Any, Any], dict[str, Any]]


class Service:
    """
    The methods that are implemented.

    Any other method is answered with UNIMPLEMENTED, by grpc.
    """

    def __init__(self, machine: Machine):
        self._machine = machine

    def handlers(self) -> list[Any]:
        """Return the grpc.GenericRpcHandlers."""
        handlers: dict[messages.Method, _Handler] = {
            messages.START_SESSION: self._start_session,
            messages.SEND_SESSION_HEARTBEAT: self._send_session_heartbeat,
            messages.GET_SESSIONS: self._get_sessions,
            messages.RESOURCE_NAMES: self._resource_names,
            messages.GET_MACHINE_STATUS: self._machine_status,
            messages.SET_VELOCITY: partial(self._move, SimulatedBase.set_velocity),
            messages.SET_POWER: partial(self._move, SimulatedBase.set_power),
            messages.MOVE_STRAIGHT: self._move_straight,
            messages.SPIN: self._spin,
            messages.STOP: self._stop,
            messages.IS_MOVING: self._is_moving,
        }
        services: dict[str, dict[str, Any]] = {}
        for method, handler in handlers.items():
            _, service, name = method.path.split('/')
            services.setdefault(service, {})[name] = _rpc_handler(method, handler)
        return [grpc.method_handlers_generic_handler(*service) for service in services.items()]

    def _start_session(self, request: Any, context: Any) -> dict[str, Any]:
        session = self._machine.start_session(request.resume, _peer(context))
        window = messages.to_duration(self._machine.window)
        return {'id': session, 'heartbeat_window': window}

    def _send_session_heartbeat(self, request: Any, context: Any) -> dict[str, Any]:
        self._machine.heartbeat(request.id, _peer(context))
        return {}

    def _get_sessions(self, request: Any, context: Any) -> dict[str, Any]:
        sessions = []
        for session in self._machine.sessions():
            peer = {'type': messages.PEER_GRPC, 'remote_address': session.peer}
            sessions.append({'id': session.id, 'peer_connection_info': peer})
        return {'sessions': sessions}

    def _resource_names(self, request: Any, context: Any) -> dict[str, Any]:
        return {'resources': [_resource(name) for name in self._machine.names]}

    def _machine_status(self, request: Any, context: Any) -> dict[str, Any]:
        resources = [
            {'name': _resource(name), 'state': messages.READY} for name in self._machine.names
        ]
        return {'resources': resources, 'state': messages.RUNNING}

    def _move(self, effect: Effect, request: Any, context: Any) -> dict[str, Any]:
        vectors = _vector(request.linear), _vector(request.angular)
        return self._command(effect, vectors, vectors, request, context)

    def _move_straight(self, request: Any, context: Any) -> dict[str, Any]:
        arguments = request.distance_mm, request.mm_per_sec
        vectors = (0.0, request.mm_per_sec, 0.0), ZERO
        return self._command(SimulatedBase.move_straight, arguments, vectors, request, context)

    def _spin(self, request: Any, context: Any) -> dict[str, Any]:
        arguments = request.angle_deg, request.degs_per_sec
        vectors = ZERO, (0.0, 0.0, request.degs_per_sec)
        return self._command(SimulatedBase.spin, arguments, vectors, request, context)

    def _command(
        self,
        effect: Effect,
        arguments: tuple[Any, ...],
        vectors: tuple[Vector, Vector],
        request: Any,
        context: Any,
    ) -> dict[str, Any]:
        self._wake_when_over(effect, context)
        metadata = context.invocation_metadata()
        ids = [value for key, value in metadata if key == messages.SESSION_KEY]
        self._machine.command(
            request.name, effect, arguments, vectors, ids, _peer(context), context.is_active
        )
        return {}

    def _stop(self, request: Any, context: Any) -> dict[str, Any]:
        self._wake_when_over(SimulatedBase.stop, context)
        self._machine.stop(request.name, context.is_active)
        return {}

    def _is_moving(self, request: Any, context: Any) -> dict[str, Any]:
        return {'is_moving': self._machine.is_moving(request.name)}

    def _wake_when_over(self, effect: Effect, context: Any) -> None:
        """Have a call that waits notice that its caller gives up."""
        has_end = effect in (SimulatedBase.move_straight, SimulatedBase.spin)
        if has_end or self._machine.driver.time_of(effect):
            context.add_callback(self._machine.wake)


def _rpc_handler(method: messages.Method, handler: _Handler) -> Any:
    def answer(request: Any, context: Any) -> Any:
        try:
            return method.response(**handler(request, context))
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.code], refused.details)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=method.request.FromString,
        response_serializer=method.response.SerializeToString,
    )


def _resource(name: str) -> dict[str, str]:
    return {'namespace': 'rdk', 'type': 'component', 'subtype': 'base', 'name': name}


def _peer(context: Any) -> str:
    """Return where the caller is, as Go writes it: '127.0.0.1:54321', '[::1]:54321'."""
    _, _, address = context.peer().partition(':')
    return unquote(address)


def _vector(message: Any) -> Vector:
    return message.x, message.y, message.z
