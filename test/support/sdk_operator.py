# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A Viam SDK program: it drives bases through viam-sdk's own client, with the session that has.

It is told what to do by JSON lines on stdin, and answers each with one on stdout. The SDK's
heartbeats run by themselves, from the first command until the process ends: they keep a speed
that is told once. Run as a program; `sdk_operator_process.py` speaks to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from grpclib.exceptions import GRPCError
from viam.components.base import Base, Vector3
from viam.robot.client import RobotClient
from viam.rpc.dial import DialOptions


async def operate(address: str, answers: int) -> None:
    """Do what stdin says until it ends."""
    # Without WebRTC: the machine has none, and its dial would look for the internet.
    dial = DialOptions(insecure=True, disable_webrtc=True)
    robot = await RobotClient.at_address(address, RobotClient.Options(dial_options=dial))
    _answer(answers, connected=address)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        base = Base.from_robot(robot, order['base'])
        linear = Vector3(x=0.0, y=1000.0 * order['forward'], z=0.0)
        try:
            await base.set_velocity(linear, Vector3(x=0.0, y=0.0, z=0.0))
        except GRPCError:  # its session had lapsed: the SDK starts another
            await base.set_velocity(linear, Vector3(x=0.0, y=0.0, z=0.0))
        _answer(answers, drives=order['base'])
    await robot.close()  # type: ignore[no-untyped-call]


def _answer(answers: int, **what: Any) -> None:
    os.write(answers, json.dumps(what).encode() + b'\n')


if __name__ == '__main__':
    # The SDK logs to stdout, which the answers need for themselves.
    stdout = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(operate(sys.argv[1], stdout))
