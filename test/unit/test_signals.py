# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Signals at moments of a start that only a program's own environment can bring about."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from support.bridge_process import BridgeProcess, parameters
from support.domains import ros_environment, ZENOH
from support.ports import free_port
from support.process import ProcessUnderTest, ROOT

END_SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
EXECUTABLES = {
    'bridge': 'viam_session_bridge.ros.main',
    'simulated_machine': 'viam_session_bridge.simulation.main',
    'sessions': 'viam_session_bridge.tools.sessions',
    'timeline': 'viam_session_bridge.tools.timeline',
    'demo': 'viam_session_bridge.tools.demo',
}
# What Python runs before a program, if it is there.
IMPORT_BLOCKS = """
import sys, time

class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            print('blocks', flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Finder())
"""
# As rmw_zenoh does without its router: a mutex goes on waiting after a signal.
INIT_BLOCKS = """
import ctypes, rclpy

def init(*_, **__):
    mutex = ctypes.create_string_buffer(64)
    print('blocks', flush=True)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)

rclpy.init = init
"""
SIGNAL_IN_CONFIGURE = """
import os
from viam_session_bridge.ros.node import BridgeNode

configure = BridgeNode.on_configure

def on_configure(self, state):
    os.kill(os.getpid(), {number})
    return configure(self, state)

def on_activate(self, state):
    print('activated', flush=True)

BridgeNode.on_configure = on_configure
BridgeNode.on_activate = on_activate
"""
FETCHING_IS_PRINTED = """
from viam_session_bridge.tools.sessions import OverviewClient

fetch = OverviewClient.fetch

def print_and_fetch(self, timeout):
    print('fetches', flush=True)
    return fetch(self, timeout)

OverviewClient.fetch = print_and_fetch
"""


def before(directory: Path, code: str) -> dict[str, str]:
    """Return the environment in which Python runs this code before a program."""
    (directory / 'sitecustomize.py').write_text(code)
    path = (str(directory), str(ROOT), os.environ.get('PYTHONPATH'))
    return {'PYTHONPATH': os.pathsep.join(filter(None, path))}


class Executable(ProcessUnderTest):
    """One of the executables, as an installed script starts it."""

    def command(self) -> list[str]:
        """Return what to run."""
        code = f'from viam_session_bridge.executables import {self.name}; {self.name}()'
        return [sys.executable, '-c', code]


def says(process: ProcessUnderTest, text: str) -> None:
    """Wait until a process has said something."""
    process.wait_until(lambda: text in process.output(), f'does not say {text!r}')


def starting(directory: Path, domain: int, environment: dict[str, str]) -> BridgeProcess:
    """Return a bridge without a machine."""
    settings = parameters(f'127.0.0.1:{free_port()}', {'base': {'resource': 'base'}})
    return BridgeProcess(directory, domain, settings, environment=environment)


@pytest.mark.parametrize('name', EXECUTABLES)
def test_ctrl_c_while_it_imports_ends_an_executable_without_a_traceback(
    name: str, tmp_path: Path
) -> None:
    code = IMPORT_BLOCKS.format(module=EXECUTABLES[name])
    process = Executable(tmp_path, name, before(tmp_path, code))
    with process:
        says(process, 'blocks\n')
        process.send_signal(signal.SIGINT)
        assert process.wait_exit() == -signal.SIGINT
    assert process.output() == 'blocks\n'


@pytest.mark.parametrize('number', END_SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_a_bridge_whose_middleware_blocks(
    number: signal.Signals, tmp_path: Path, own_ros_domain: int
) -> None:
    bridge = starting(tmp_path, own_ros_domain, before(tmp_path, INIT_BLOCKS))
    bridge.start(ready=False)
    with bridge:
        says(bridge, 'blocks\n')
        bridge.send_signal(number)
        assert bridge.wait_exit() == -number
    assert bridge.output() == 'blocks\n'


@pytest.mark.skipif(not ZENOH, reason='it has no router to wait for')
@pytest.mark.parametrize('number', END_SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_a_bridge_that_waits_for_the_router_of_zenoh(
    number: signal.Signals, tmp_path: Path, own_ros_domain: int
) -> None:
    nobody_there = f'connect/endpoints=["tcp/127.0.0.1:{free_port()}"]'
    for_ever = {'ZENOH_CONFIG_OVERRIDE': nobody_there, 'ZENOH_ROUTER_CHECK_ATTEMPTS': '0'}
    bridge = starting(tmp_path, own_ros_domain, for_ever)
    bridge.start(ready=False)
    with bridge:
        says(bridge, 'Have you started a router with `ros2 run rmw_zenoh_cpp rmw_zenohd`?')
        bridge.send_signal(number)
        assert bridge.wait_exit() == -number


@pytest.mark.parametrize('number', END_SIGNALS, ids=lambda number: number.name)
def test_a_bridge_that_is_told_to_end_while_it_configures_is_not_activated(
    number: signal.Signals, tmp_path: Path, own_ros_domain: int
) -> None:
    code = SIGNAL_IN_CONFIGURE.format(number=int(number))
    bridge = starting(tmp_path, own_ros_domain, before(tmp_path, code))
    bridge.start(ready=False)
    with bridge:
        assert bridge.wait_exit() == 0
    assert 'activated' not in bridge.output()
    assert 'Traceback' not in bridge.output()
    # It came so far.
    assert bridge.events('log_closed')


def test_signals_up_to_the_last_moment_end_sessions_as_ctrl_c_does(
    tmp_path: Path, own_ros_domain: int
) -> None:
    environment = {**ros_environment(own_ros_domain), **before(tmp_path, FETCHING_IS_PRINTED)}
    sessions = Executable(tmp_path, 'sessions', environment)
    with sessions:
        says(sessions, 'fetches')
        assert sessions.end_impatiently(END_SIGNALS) == 0
    assert 'Traceback' not in sessions.output()
