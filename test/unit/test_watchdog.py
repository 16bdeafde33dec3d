# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What ends the signs of life: a stuck executor, a lapse clock that hangs or died (R12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
import os
from pathlib import Path
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from support.bounds import Load, PATIENCE
from support.drive import wait_for
from support.notifications import LIVES, Notifications
from support.ports import free_port
from viam_session_bridge.ros.node import BridgeNode
from viam_session_bridge.ros.systemd import Supervisor, watch
from viam_session_bridge.runtime import Runtime

WATCHDOG = 0.4  # s
SUCCESS = TransitionCallbackReturn.SUCCESS


class Trap:
    """Holds the thread that calls it, until it is opened; or ends it with an exception."""

    def __init__(self) -> None:
        self.armed = self.deadly = False
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        if self.deadly:
            raise RuntimeError('deadly')
        assert self._open.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.open()


@pytest.fixture
def clock_trap(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> Trap:
    """Return a trap on the lapse clock's way, once it is armed, and outside of all locks."""
    tick = Runtime._tick

    def trapped(runtime: Runtime) -> None:
        if trap.armed:
            trap()
        tick(runtime)

    monkeypatch.setattr(Runtime, '_tick', trapped)
    return trap


@pytest.fixture
def node(own_ros_domain: int) -> Iterator[BridgeNode]:
    address = f'machines.main.address:=127.0.0.1:{free_port()}'  # nobody listens there
    rclpy.init(args=['--ros-args', '-p', address, '-p', 'machines.main.insecure:=true'])
    node = BridgeNode(finished=lambda: None)
    yield node
    if not node.finalized:
        node.trigger_shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[Notifications]:
    with Notifications(tmp_path) as notifications:
        yield notifications


@pytest.fixture
def executor(
    node: BridgeNode, notifications: Notifications, trap: Trap
) -> Iterator[SingleThreadedExecutor]:
    """Return the executor that spins the node, which is watched."""
    environment = {
        'NOTIFY_SOCKET': notifications.address,
        'WATCHDOG_USEC': f'{WATCHDOG * 1e6:.0f}',
    }
    watch(node, Supervisor(environment, os.getpid(), pytest.fail))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    yield executor
    trap.open()
    executor.shutdown()
    spinning.join()


def activate(node: BridgeNode) -> None:
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS


def test_signs_of_life_come_twice_in_the_time_or_more_often_in_every_state(
    executor: SingleThreadedExecutor, node: BridgeNode, notifications: Notifications
) -> None:
    transitions = (
        node.trigger_configure,
        node.trigger_activate,
        node.trigger_deactivate,
        node.trigger_cleanup,
    )
    with Load() as load:
        load.watch(os.getpid)
        notifications.wait(LIVES)
        for transition in transitions:
            done = executor.create_task(transition)
            notifications.wait(LIVES, time.monotonic(), times=3)
            wait_for(done.done, 'the transition')  # those may have been under way before it
            assert done.result() == SUCCESS
    for before, after in pairwise(notifications.times(LIVES)):
        load.hold(after - before, WATCHDOG / 2, before, after)


def test_stuck_executor_ends_the_signs_of_life(
    executor: SingleThreadedExecutor, node: BridgeNode, notifications: Notifications, trap: Trap
) -> None:
    activate(node)
    notifications.wait(LIVES, times=2)
    executor.create_task(trap)
    assert trap.entered.wait(PATIENCE)
    notifications.wait_end_of_life(time.monotonic(), WATCHDOG)
    trap.open()
    notifications.wait(LIVES, time.monotonic())


def test_lapse_clock_that_hangs_ends_the_signs_of_life(
    executor: SingleThreadedExecutor,
    node: BridgeNode,
    notifications: Notifications,
    clock_trap: Trap,
) -> None:
    activate(node)
    notifications.wait(LIVES, times=2)
    clock_trap.armed = True
    assert clock_trap.entered.wait(PATIENCE)
    notifications.wait_end_of_life(time.monotonic(), WATCHDOG)
    # The executor runs all the while.
    ran = threading.Event()
    executor.create_task(ran.set)
    assert ran.wait(PATIENCE)
    clock_trap.open()
    notifications.wait(LIVES, time.monotonic())


def test_lapse_clock_that_died_ends_the_signs_of_life(
    executor: SingleThreadedExecutor,
    node: BridgeNode,
    notifications: Notifications,
    clock_trap: Trap,
) -> None:
    activate(node)
    notifications.wait(LIVES, times=2)
    clock_trap.deadly = clock_trap.armed = True
    assert clock_trap.entered.wait(PATIENCE)
    notifications.wait_end_of_life(time.monotonic(), WATCHDOG)
    # For this the process ends by itself, where it still can.
    assert str(node.failure) == 'deadly'
