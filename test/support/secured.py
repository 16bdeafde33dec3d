# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A simulated machine behind TLS, in this process, that wants an access token with every call.

The real viam-server's tokens carry no expiry; these do, by a clock that may be an hour off.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path
import secrets
import threading
import time
from typing import Any

import grpc

from support.certificates import Certificate
from support.record import Record
from viam_session_bridge.simulation.machine import Machine
from viam_session_bridge.simulation.server import Service
from viam_session_bridge.viam import messages as wire

LIFETIME = 3600.0  # s


class SecuredMachine(grpc.ServerInterceptor):  # type: ignore[misc]
    """
    Serves from when it is made until `stop`, or as a context manager; the record outlives it.

    What it gives tokens for and which tokens it takes may be changed while it runs.
    """

    def __init__(
        self,
        directory: Path,
        certificate: Certificate,
        *,
        address: str = '127.0.0.1:0',
        bases: tuple[str, ...] = ('base',),
        window: float = 2.0,
        keys: Mapping[str, str] | None = None,
        lifetime: float = LIFETIME,
        clock_ahead: float = 0.0,
        name: str = 'secured',
    ) -> None:
        """
        Listen.

        :param keys: by id; None lets everyone in without a token
        :param lifetime: s, of its tokens
        :param clock_ahead: s, by which its own clock is wrong
        """
        self.keys = keys
        self.lifetime = lifetime
        self.compose: Callable[[str], str] = lambda token: token  # to give another one instead
        self.refusal = 'invalid credentials'
        self.refusing: set[str] = set()  # bases whose driver is not let in where it drives
        self.record = Record(directory / f'{name}.jsonl')
        self.granted: list[float] = []  # when tokens were given, s of CLOCK_MONOTONIC
        self.refused: list[float] = []  # when calls were, for the lack of one
        self.tokens: list[str] = []  # all there ever were
        self._valid: dict[str, float] = {}  # until when, by its own clock
        self._ahead = clock_ahead
        self._machine = Machine(bases, window, self.record.path)
        self._workers = ThreadPoolExecutor(8, name)
        options = [('grpc.so_reuseport', 0)]
        self._server = grpc.server(self._workers, interceptors=(self,), options=options)
        self._server.add_generic_rpc_handlers((*Service(self._machine).handlers(), _Login(self)))
        pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
        port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        assert port, f'cannot listen on {address}'
        self.address = f'{address.rpartition(":")[0]}:{port}'
        self._expiry = threading.Thread(target=self._machine.run_expiry, daemon=True)
        self._expiry.start()
        self._server.start()

    def __enter__(self) -> SecuredMachine:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all calls and close the port."""
        self._machine.end()
        self._server.stop(grace=None).wait()
        self._expiry.join()
        self._workers.shutdown()
        self._machine.close()

    def void_tokens(self) -> float:
        """Know no token any more, as after a restart; return when that was."""
        self._valid = {}
        return time.monotonic()

    def authenticate(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Give a token for a key."""
        if request.credentials.payload != (self.keys or {}).get(request.entity):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, self.refusal)
        issued = time.time() + self._ahead
        claims = json.dumps({'iat': int(issued), 'exp': int(issued) + self.lifetime})
        token = '.'.join((_encoded('{}'), _encoded(claims), secrets.token_urlsafe(32)))
        self._valid = {**self._valid, token: issued + self.lifetime}
        token = self.compose(token)
        self.tokens.append(token)
        self.granted.append(time.monotonic())
        return wire.AUTHENTICATE.response(access_token=token)

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> Any:
        """Let a call in, or not."""
        if self.keys is None or details.method == wire.AUTHENTICATE.path:
            return continuation(details)
        authorization = dict(details.invocation_metadata).get(wire.TOKEN_KEY, '')
        valid_until = self._valid.get(authorization.removeprefix('Bearer '), 0.0)
        if authorization.startswith('Bearer ') and time.time() + self._ahead < valid_until:
            return self._with_drivers(continuation(details))
        self.refused.append(time.monotonic())
        return grpc.unary_unary_rpc_method_handler(_not_let_in)

    def _with_drivers(self, handler: Any) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            if isinstance(request, wire.SET_VELOCITY.request) and request.name in self.refusing:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, 'the motor controller wants a key')
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


class _Login(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, machine: SecuredMachine) -> None:
        self._machine = machine

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != wire.AUTHENTICATE.path or self._machine.keys is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._machine.authenticate,
            request_deserializer=wire.AUTHENTICATE.request.FromString,
            response_serializer=wire.AUTHENTICATE.response.SerializeToString,
        )


def _not_let_in(request: bytes, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, 'authentication required')


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')
