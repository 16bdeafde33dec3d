# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A Viam client that makes single calls and notes the answers, to compare machines."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import grpc

from support.drive import wait_for
from support.viam_server import insecure_channel
from viam_session_bridge.viam import messages as wire

if TYPE_CHECKING:
    from typing_extensions import Self

UNKNOWN_ID = 'c0ffee00-c0ff-4e00-8000-c0ffeec0ffee'
NIL = '00000000-0000-0000-0000-000000000000'
MALFORMED = ['x', 'g' * 36, 'z' * 32, 'urn:guid:' + UNKNOWN_ID, UNKNOWN_ID + '0', 'ü' * 18]
PATIENCE = 10.0  # s


class Caller:
    """
    Calls a machine and notes the answers, with names in the place of sessions' ids and peers.

    A caller that is made from another one is another peer and uses the same names.
    """

    def __init__(self, address: str, like: Caller | None = None) -> None:
        self.address = address
        self.channel = insecure_channel(address)
        self.answers: list[tuple[str, str]] = [] if like is None else like.answers
        self._names: dict[str, str] = {} if like is None else like._names
        self._peers: dict[str, str] = {} if like is None else like._peers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def __call__(self, method: wire.Method, *sids: str, **fields: Any) -> Any:
        """Return the response, None if there is an error instead."""
        response, answer = None, ''
        try:
            response = self.unnoted(method, *sids, **fields)
            if method == wire.START_SESSION:
                self._names.setdefault(response.id, f'session {len(self._names)}')
            answer = self._listed(response) if method == wire.GET_SESSIONS else str(response)
        except grpc.RpcError as error:
            answer = f'{error.code()} {error.details()}'
        for session, name in self._names.items():
            answer = answer.replace(session, name)
        self.answers.append((method.path, answer))
        return response

    def unnoted(self, method: wire.Method, *sids: str, **fields: Any) -> Any:
        """Return the response, or raise grpc.RpcError."""
        metadata = [(wire.SESSION_KEY, sid) for sid in sids]
        return method.on(self.channel)(
            method.request(**fields), metadata=metadata, timeout=PATIENCE, wait_for_ready=True
        )

    def start(self, resume: str = '') -> str:
        """Start or resume a session and return its id, '' if there is an error instead."""
        response = self(wire.START_SESSION, resume=resume)
        return str(response.id) if response else ''

    def drive(self, *sids: str, name: str = 'base') -> None:
        """Command a velocity."""
        self(wire.SET_VELOCITY, *sids, name=name, linear={'y': 1.0})

    def live(self) -> set[str]:
        """Return the ids of the machine's sessions, unnoted."""
        return {session.id for session in self.unnoted(wire.GET_SESSIONS).sessions}

    def wait_over(self, *sessions: str) -> None:
        """Wait until these sessions have lapsed."""
        wait_for(lambda: not self.live() & set(sessions), 'sessions lapse')

    def _listed(self, response: Any) -> str:
        """Return the named sessions in the order of their start; viam-server has no order."""
        peers = {one.id: one.peer_connection_info for one in response.sessions}
        lines = []
        for session in (known for known in self._names if known in peers):
            peer = peers[session]
            name = self._peers.setdefault(peer.remote_address, f'peer {len(self._peers)}')
            local = 'with' if peer.HasField('local_address') else 'without'
            lines.append(f'{session} of {name}, type {peer.type}, {local} local address')
        return '\n'.join(lines)
