#!/usr/bin/env python3
# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A Viam module with one base model on viam-sdk, which viam-server starts as a process of its own.

Its bases record their calls and take the faults of `ViamServer.control`, as the recording base in
Go does; a failure is an exception of the module's code. RECORD in the environment names the file.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
import json
import os
import time
from typing import Any

from grpclib import GRPCError, Status
from viam.components.base import Base
from viam.module.module import Module
from viam.proto.common import Vector3
from viam.resource.registry import Registry, ResourceCreatorRegistration
from viam.resource.types import Model

_MODEL = Model.from_string('viamsessionbridge:base:module')
_PARENT = 0.2  # s between two looks whether viam-server still runs
_CALLS = ('set_velocity', 'set_power', 'stop', 'is_moving')
_ZERO = (0.0, 0.0, 0.0)


@dataclass
class _Fault:
    """What happens to the next calls of one name."""

    failures: int = 0
    error: str = ''
    delay: float = 0.0
    hang: bool = False


class ModuleBase(Base):
    """One base."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._record = os.open(os.environ['RECORD'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._motion = (_ZERO, _ZERO)
        self._counts: Counter[str] = Counter()
        self._faults = {call: _Fault() for call in _CALLS}
        self._ignore_cancel = False
        self._released = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def _moving(self) -> bool:
        return any(self._motion[0] + self._motion[1])

    async def set_velocity(self, linear: Vector3, angular: Vector3, **_: Any) -> None:
        await self._move('set_velocity', linear, angular)

    async def set_power(self, linear: Vector3, angular: Vector3, **_: Any) -> None:
        await self._move('set_power', linear, angular)

    async def stop(self, **_: Any) -> None:
        await self._call('stop', (_ZERO, _ZERO))

    async def is_moving(self) -> bool:
        await self._call('is_moving')
        return self._moving

    async def move_straight(self, distance: int, velocity: float, **_: Any) -> None:
        raise NotImplementedError

    async def spin(self, angle: float, velocity: float, **_: Any) -> None:
        raise NotImplementedError

    async def get_properties(self, **_: Any) -> Base.Properties:
        return Base.Properties(0.5, 0.0, 1.0)

    async def do_command(self, command: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        for key, value in command.get('set', {}).items():
            self._set(key, value)
        if command.get('release'):
            for fault in self._faults.values():
                fault.hang = False
            self._released.set()
            self._released = asyncio.Event()
        if not command.get('get'):
            return {}
        linear, angular = map(list, self._motion)
        state = {'moving': self._moving, 'linear': linear, 'angular': angular}
        return {**state, 'counts': dict(self._counts), 'pid': os.getpid()}

    def _set(self, key: str, value: Any) -> None:
        call, _, kind = key.rpartition('_')
        if key == 'ignore_cancel':
            self._ignore_cancel = bool(value)
        elif call in self._faults and hasattr(self._faults[call], kind):
            setattr(self._faults[call], kind, value)
        else:
            raise ValueError(f'no such fault: {key!r} = {value!r}')

    async def _move(self, call: str, linear: Vector3, angular: Vector3) -> None:
        vectors = (linear.x, linear.y, linear.z), (angular.x, angular.y, angular.z)
        await self._call(call, vectors, linear=vectors[0], angular=vectors[1])

    async def _call(self, call: str, motion: Any = None, **line: Any) -> None:
        """Record a call from begin to end; it runs on, where it is to, when it is cancelled."""
        self._counts[call] += 1
        self._note(call, 'begin', **line)
        handler = asyncio.ensure_future(self._handle(call, motion, line))
        self._running.add(handler)
        handler.add_done_callback(self._running.discard)
        try:
            await asyncio.shield(handler)
        except asyncio.CancelledError:
            if not self._ignore_cancel:
                handler.cancel()
            raise

    async def _handle(self, call: str, motion: Any, line: dict[str, Any]) -> None:
        error: str | None = 'cancelled'
        try:
            await self._meet(self._faults[call])
            error = None
            if motion is not None:
                self._motion = motion
        except Exception as fault:
            error = str(fault)
            raise
        finally:
            self._note(call, 'end', **line, error=error)

    async def _meet(self, fault: _Fault) -> None:
        failing, released = fault.failures > 0, self._released
        fault.failures -= failing
        hang = fault.hang
        await asyncio.sleep(fault.delay)
        if hang:
            await released.wait()
        if failing and fault.error:
            code, _, details = fault.error.partition(': ')
            raise GRPCError(Status[code], details)
        if failing:
            raise RuntimeError('injected fault')

    def _note(self, call: str, phase: str, **what: Any) -> None:
        line = {'t': time.monotonic(), 'base': self.name, 'call': call, 'phase': phase, **what}
        given = {key: value for key, value in line.items() if value is not None}
        os.write(self._record, json.dumps(given).encode() + b'\n')


async def _main() -> None:
    """Serve until viam-server ends this process, or is gone."""
    creator = ResourceCreatorRegistration(lambda config, _: ModuleBase(config.name))
    Registry.register_resource_creator(Base.API, _MODEL, creator)
    module = Module.from_args()
    module.add_model_from_registry(Base.API, _MODEL)
    watching = asyncio.ensure_future(_end_with(os.getppid()))
    await module.start()  # type: ignore[no-untyped-call]
    watching.cancel()


async def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT)
    os._exit(1)


if __name__ == '__main__':
    asyncio.run(_main())
