# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``bridge``: one node, its executor on a thread, signals on the main one.

Exit status: 0 after an orderly end, 1 where the parameters are wrong, a base's stop was never
acknowledged (R19), or the bridge failed.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
import contextlib
import gc
import os
from pathlib import Path
import select
import signal
import sys
import threading

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier, remove_ros_args
from yaml import YAMLError

from viam_session_bridge.configuration.parameter_files import (
    find_unreached,
    find_wrong_arguments,
    read_arguments,
    Section,
    sections,
    SEE_HELP,
)
from viam_session_bridge.ros.node import BridgeNode
from viam_session_bridge.ros.publisher_gids import rclpy_has_gids
from viam_session_bridge.ros.systemd import ENDS, READY, Supervisor, watch
from viam_session_bridge.signals import ending

EXECUTOR_ENDS_IN = 1.0  # s
NO_LOG = 'Failed to create log directory', 'Failed opening file'  # words of rcl_logging_spdlog

TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
PEERS = 'ROS_STATIC_PEERS'
PROFILES, JAZZYS_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
LOCALHOST = Path(__file__).with_name('localhost.xml')


class ShutdownRequest:
    """
    The end of the process, by a signal that asks for it or one of its own threads.

    A signal is written to a pipe by Python's C handler on whichever thread it hits. A handler in
    Python would not do: it runs when the main thread comes by, and one asleep in a lock need not.
    """

    def __init__(self) -> None:
        """Install the signal handlers; only on the main thread."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in ending():
            signal.signal(number, lambda *_: None)

    def request(self) -> None:
        """Ask for the end; from any thread."""
        with contextlib.suppress(BlockingIOError):  # it is full of reasons already
            os.write(self._write, b'.')

    @property
    def is_requested(self) -> bool:
        """Whether ``wait`` would return at once."""
        return bool(select.select([self._read], [], [], 0.0)[0])

    def wait(self) -> None:
        """Wait for the end. More signals are the same wish: launch repeats a terminal's Ctrl-C."""
        os.read(self._read, 1)


def avoid_shared_memory(
    middleware: str, environment: MutableMapping[str, str], jazzy: bool = False
) -> None:
    """
    Have Fast DDS use UDP alone for this process, unless its user chose something else.

    Its shared memory has locks in it, and a process that is killed takes one with it now and then:
    the bridge then hears nobody for a third of a second, or crashes when it ends, and one that is
    started anew hears nobody at all. Datagrams are as quick for messages as small as these.

    For LOCALHOST the rmw layer brings shared memory of its own, so that its other settings are
    made by a profile instead, unless the user has one.

    :param middleware: the name of the rmw implementation
    :param jazzy: it is ROS 2 Jazzy's; later ones warn of the name that Jazzy knows
    """
    if not middleware.startswith('rmw_fastrtps') or TRANSPORTS in environment:
        return
    environment[TRANSPORTS] = 'UDPv4'
    chosen = any(environment.get(name) for name in (PROFILES, JAZZYS_PROFILES, PEERS))
    if environment.get(RANGE) == 'LOCALHOST' and not chosen:
        environment[RANGE] = 'SYSTEM_DEFAULT'
        environment[JAZZYS_PROFILES if jazzy else PROFILES] = str(LOCALHOST)


HELP = """\
usage: ros2 run viam_session_bridge bridge [--help] [--ros-args ...]

Forwards velocity commands to Viam bases; every publisher is a session client, and the bases it
was the last to use are stopped when its heartbeats lapse.

  --ros-args --params-file FILE    parameters, under 'viam_session_bridge:' and 'ros__parameters:'
  --ros-args -p NAME:=VALUE        one parameter
  --ros-args -r __ns:=/NAMESPACE   the node's namespace
  --ros-args -r cmd_vel:=TOPIC     another command topic
  --ros-args --log-level viam_session_bridge:=debug

Without parameters it drives the base 'base' of the machine at localhost:8080, by /cmd_vel.
Exit status: 0 after an orderly end, 1 where something is wrong with the parameters or arguments,
where a base's stop was never acknowledged, or after a failure.
"""


def find_unreached_settings(
    arguments: Sequence[str], foreign: Sequence[str], node: str
) -> list[str]:
    """
    Find what was given on the command line and reaches nothing (R23).

    :param foreign: those of the arguments that are not ROS's
    :param node: the node's full name
    """
    given = read_arguments(arguments)
    found: list[Section] = []
    for file in given.files:
        try:
            text = Path(file).read_text(encoding='utf-8')
            found += sections(file, text)
        except (OSError, UnicodeError, YAMLError) as error:
            return [f'{file} cannot be read: {" ".join(str(error).split())}']
    wrong = find_wrong_arguments(given, foreign, node)
    return wrong + find_unreached(given.files, found, node)


def main() -> int:
    """Run the node until a signal, the shutdown transition or a failure ends it."""
    jazzy = not rclpy_has_gids()
    avoid_shared_memory(get_rmw_implementation_identifier(), os.environ, jazzy)
    try:
        foreign = remove_ros_args(sys.argv)[1:]
        if not {'-h', '--help'}.isdisjoint(foreign):
            print(HELP, end='')
            return 0
        # rclpy's own handlers would shut the context down at once, and with it the way to say so.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        words = ' '.join(str(error).partition(', at /')[0].split())
        if any(what in words for what in NO_LOG):
            line = (
                f'ROS cannot write its log ({words}): set ROS_LOG_DIR to a folder that can be '
                'written, or ROS_HOME to one in which it makes the folder log'
            )
        else:  # rcl's parser refuses an argument, or a parameter file
            line = f'ROS arguments: {words}; {SEE_HELP}'
        print(f'viam_session_bridge: {line}', file=sys.stderr)
        return 1
    # Not before: it may block for ever in native code (Zenoh without its router), where a signal
    # is to end the process as the system does. From here on the end is an orderly one.
    shutdown = ShutdownRequest()
    try:
        node = BridgeNode(finished=shutdown.request)
    except ParameterException as error:  # of a parameter of rclpy's own, such as use_sim_time
        print(f'viam_session_bridge: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    name = node.get_fully_qualified_name()
    if unreached := find_unreached_settings(sys.argv, foreign, name):
        for line in unreached:
            node.get_logger().error(line)
        node.destroy_node()
        rclpy.try_shutdown()
        return 1
    supervisor = Supervisor(os.environ, os.getpid(), node.get_logger().warning)
    watch(node, supervisor)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    # A daemon: a callback that hangs must not keep the process from ending.
    spinning = threading.Thread(
        target=_spin, args=(executor, node), name='executor', daemon=True
    )
    # What is there now stays. For the collector to look at all of it takes some 40 ms, in which
    # no other thread runs, the lapse clock's included. The garbage of the start, a third of a
    # megabyte, stays too: to collect it would delay the start.
    gc.freeze()
    gc.enable()
    try:
        # True where the value that was given is no bool: configuring then reports it.
        if not node.get_parameter('autostart').value:
            node.get_logger().info(
                f'{name} waits to be configured and activated, as autostart is false: ros2 '
                f'lifecycle set {name} configure, then activate'
            )
        elif not _bring_up(node, shutdown):
            _bring_down(node)
            return 1
        spinning.start()
        # Without autostart: for the transitions, whoever may ask for them whenever.
        supervisor.notify(READY)
        shutdown.wait()
        node.end_driving()
        supervisor.notify(ENDS)
        executor.shutdown(timeout_sec=EXECUTOR_ENDS_IN)
        spinning.join(EXECUTOR_ENDS_IN)
        return _bring_down(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _spin(executor: SingleThreadedExecutor, node: BridgeNode) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except BaseException as error:  # a node that answers nobody is not to drive a base
        node.fail(error)


def _bring_up(node: BridgeNode, shutdown: ShutdownRequest) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == done and (
        shutdown.is_requested or node.trigger_activate() == done
    )


def _bring_down(node: BridgeNode) -> int:
    if not node.finalized:
        node.trigger_shutdown()
    if node.failure is not None:
        node.get_logger().fatal(f'the bridge failed: {node.failure!r}')
        node.abandon()
        return 1
    return 1 if node.never_stopped else 0
