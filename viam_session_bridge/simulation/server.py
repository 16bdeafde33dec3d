# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated machine as a gRPC server: Viam's messages, the address and the threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
import os
import re
import socket
import threading
from typing import Any
from urllib.parse import unquote

import grpc

from viam_session_bridge.simulation.base import (
    BaseState,
    Driver,
    Effect,
    PROMPT,
    SimulatedBase,
    Vector,
)
from viam_session_bridge.simulation.machine import Machine
from viam_session_bridge.simulation.session_rules import RefusedCallError
from viam_session_bridge.viam import messages

# Made when they are needed: a call that waits holds one.
_WORKERS = 128
_OPTIONS = (
    # A port that is in use is an error, not shared.
    ('grpc.so_reuseport', 0),
    # viam-server lets clients ping every 5 s, with or without calls.
    ('grpc.http2.min_ping_interval_without_data_ms', 5000),
    ('grpc.keepalive_permit_without_calls', 1),
)


class SimulatedMachine:
    """
    A Viam machine without hardware: real gRPC (plain), viam-server's session rules, wheeled bases.

    Serves from when it is made until ``stop``, or as a context manager. ``window`` is in seconds,
    ``record`` the path of a ``CallRecord``; ``driver`` makes calls of its bases slow, or hang.
    ValueError names what is wrong with an argument; OSError: it cannot listen there, or cannot
    open the record.

        with SimulatedMachine(bases=['left', 'right'], window=0.5) as machine:
            channel = grpc.insecure_channel(machine.address)
            ...
            machine.state('left').moving
    """

    def __init__(
        self,
        address: str = '127.0.0.1:0',
        bases: Iterable[str] = ('base',),
        window: float = 2.0,
        record: str | os.PathLike[str] | None = None,
        driver: Driver = PROMPT,
    ):
        _check_address(address)
        names = tuple(bases)
        if not names or '' in names or len(set(names)) < len(names):
            raise ValueError(f'bases must be one or more different names, not {list(names)}')
        self._machine = Machine(names, window, record, driver)
        workers = ThreadPoolExecutor(_WORKERS + len(names), 'simulated-machine')
        self._server = grpc.server(workers, options=_OPTIONS)
        self._server.add_generic_rpc_handlers(Service(self._machine).handlers())
        self._workers = workers
        try:
            self.port: int = _listen(self._server, address)
        except OSError:
            workers.shutdown()
            self._machine.close()
            raise
        unix = address.startswith('unix:')
        self.address = address if unix else f'{address.rpartition(":")[0]}:{self.port}'
        self._expiry = threading.Thread(
            target=self._machine.run_expiry, name='simulated-machine-expiry', daemon=True
        )
        self._expiry.start()
        self._server.start()

    def state(self, base: str) -> BaseState:
        """Return where a base is and how it moves; RefusedCallError if there is none."""
        return self._machine.state(base)

    def stop(self) -> None:
        """End all calls and threads, and close the port; the second time does nothing."""
        self._machine.end()
        self._server.stop(grace=None).wait()
        self._expiry.join()
        self._workers.shutdown()
        self._machine.close()

    def __enter__(self) -> 'SimulatedMachine':
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _check_address(address: str) -> None:
    """Raise ValueError unless the address is HOST:PORT or unix:PATH."""
    if re.fullmatch(r'unix:.+', address):
        return
    host_port = re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):(\d{1,5})', address)
    if host_port is None or int(host_port[2]) > 65535:
        raise ValueError(f'address must be HOST:PORT (0 to 65535) or unix:PATH, not {address!r}')


def _listen(server: grpc.Server, address: str) -> int:
    """Return the port; OSError, with the reason, if the address is not free or not ours."""
    host, _, port = address.rpartition(':')
    listening = 0
    try:
        if host != 'unix' and int(port):
            # Tried before, because gRPC does not report the reason.
            family = socket.AF_INET6 if host.startswith('[') else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host.strip('[]'), int(port)))
        # Where it cannot listen, grpcio 1.51 returns 0 and later versions raise RuntimeError.
        listening = server.add_insecure_port(address)
        reason = 'gRPC refused it'
    except OSError as error:
        reason = error.strerror or str(error)
    except RuntimeError as error:
        reason = str(error)
    if not listening:
        raise OSError(f'cannot listen on address {address}: {reason}; choose another one')
    return listening


# From a request and a grpc.ServicerContext to the fields of the response.
_Handler = Callable[[Any, Any], dict[str, Any]]


class Service:
    """The methods that are implemented; grpc answers all others with UNIMPLEMENTED."""

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
        context.add_callback(self._machine.wake)  # a caller may give up
        metadata = context.invocation_metadata()
        ids = [value for key, value in metadata if key == messages.SESSION_KEY]
        vectors = _vector(request.linear), _vector(request.angular)
        self._machine.command(
            request.name, effect, vectors, ids, _peer(context), context.is_active
        )
        return {}

    def _stop(self, request: Any, context: Any) -> dict[str, Any]:
        context.add_callback(self._machine.wake)
        self._machine.stop(request.name, context.is_active)
        return {}

    def _is_moving(self, request: Any, context: Any) -> dict[str, Any]:
        return {'is_moving': self._machine.is_moving(request.name)}


def _rpc_handler(method: messages.Method, handler: _Handler) -> Any:
    def answer(request: Any, context: Any) -> Any:
        try:
            return method.response(**handler(request, context))
        except RefusedCallError as refused:
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
