# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""A channel to a machine, driven by a test call by call."""

from __future__ import annotations

from itertools import count
import queue

from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
)
from viam_session_bridge.core.requests import Answer, Call, Request
from viam_session_bridge.viam.channel import Channel

BOUND = 10.0  # s, for what has to happen but whose time is not the point


def machine_at(address: str) -> MachineConfiguration:
    return MachineConfiguration('main', address, True, 0.25, 256, False)


def base_named(name: str, **changes: object) -> BaseConfiguration:
    values: dict[str, object] = {
        'machine': 'main', 'resource': 'wheels', 'command_topics': ('/cmd_vel',),
        'stamped_command_topics': (), 'sessions': SessionsMode.AUTO,
        'drive_mode': DriveMode.VELOCITY, 'max_linear_speed': 0.0, 'max_angular_speed': 0.0,
        'max_stamp_age': 0.0, **changes,
    }  # fmt: skip
    return BaseConfiguration(name=name, **values)  # type: ignore[arg-type]


class Driver:
    """A channel whose readiness and answers can be waited for."""

    def __init__(self, address: str, *bases: BaseConfiguration) -> None:
        self.readiness: queue.Queue[bool] = queue.Queue()
        named = {base.name: base for base in bases or (base_named('base'),)}
        self.failures: list[BaseException] = []
        self._numbers = count(1)
        self.channel = Channel(
            machine_at(address), named, self.readiness.put, self.failures.append
        )
        self.channel.start()

    def wait_ready(self, wanted: bool = True) -> None:
        while self.readiness.get(timeout=BOUND) is not wanted:
            pass

    def hand_over(self, request: Request, timeout: float = 5.0) -> queue.Queue[Answer]:
        answers: queue.Queue[Answer] = queue.Queue()
        call = Call(next(self._numbers), 'main', request, timeout)
        self.channel.hand_over(call, lambda _, answer: answers.put(answer))
        return answers

    def ask(self, request: Request, timeout: float = 5.0) -> Answer:
        return self.hand_over(request, timeout).get(timeout=BOUND)
