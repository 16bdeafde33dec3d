# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A Viam client with no more to it than the calls: another one beside the bridge."""

from __future__ import annotations

from typing import Any

import grpc

from viam_session_bridge.viam import messages as wire

TIMEOUT = 5.0  # s


class RawClient:
    """Sessions and commands, each when it is told to; it heartbeats nothing by itself."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, [('grpc.use_local_subchannel_pool', 1)])

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def start_session(self) -> str:
        """Start a session and return its id."""
        return str(self._call(wire.START_SESSION).id)

    def drive(self, base: str, sid: str, speed: float = 100.0) -> None:
        """Command a base, in mm/s, under a session."""
        linear, angular = wire.Vector3(y=speed), wire.Vector3()
        self._call(wire.SET_VELOCITY, sid, name=base, linear=linear, angular=angular)

    def stop(self, base: str) -> None:
        """Stop a base."""
        self._call(wire.STOP, name=base)

    def is_moving(self, base: str) -> bool:
        """Ask a base whether it moves."""
        return bool(self._call(wire.IS_MOVING, name=base).is_moving)

    def fill(self) -> int:
        """Start sessions until the machine takes no more; return how many that were."""
        count = 0
        while True:
            try:
                self.start_session()
            except grpc.RpcError as error:
                assert 'too many concurrent sessions' in error.details()
                return count
            count += 1

    def _call(self, method: wire.Method, sid: str = '', **fields: Any) -> Any:
        metadata = ((wire.SESSION_KEY, sid),) if sid else None
        request = method.request(**fields)
        return method.on(self._channel)(
            request, timeout=TIMEOUT, metadata=metadata, wait_for_ready=True
        )
