# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The executable ``bridge``: one node, its executor on a thread, signals on the main one.

Exit status: 0 after an orderly end, 1 where the parameters are wrong, a base's stop was never
acknowledged (R19), or the bridge failed.
"""

from __future__ import annotations

import gc
import os
import sys
import threading

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier

from viam_session_bridge.ros.middleware import avoid_shared_memory
from viam_session_bridge.ros.node import BridgeNode
from viam_session_bridge.ros.node_parameters import autostart
from viam_session_bridge.ros.shutdown_request import ShutdownRequest
from viam_session_bridge.ros.subscription import gids_available
from viam_session_bridge.ros.systemd import Supervisor
from viam_session_bridge.ros.watchdog import watch

EXECUTOR_ENDS_IN = 1.0  # s


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal, the shutdown transition or a failure ends it."""
    jazzy = not gids_available()
    avoid_shared_memory(get_rmw_implementation_identifier(), os.environ, jazzy)
    # rclpy's own handlers would shut the context down at once, and with it the way to say so.
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rcl's parser refuses a parameter file as a whole
        print(f'viam_session_bridge: {error}', file=sys.stderr)
        return 1
    # Not before: it may block for ever in native code (Zenoh without its router), where a signal
    # is to end the process as the system does. From here on the end is an orderly one.
    ending = ShutdownRequest()
    try:
        node = BridgeNode(finished=ending.come)
    except ParameterException as error:  # of a parameter of rclpy's own, such as use_sim_time
        print(f'viam_session_bridge: {error}', file=sys.stderr)
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
    # no other thread runs, the lapse clock's included.
    gc.collect()
    gc.freeze()
    try:
        if autostart(node) and not _bring_up(node, ending):
            _bring_down(node)
            return 1
        spinning.start()
        # Without autostart: for the transitions, whoever may ask for them whenever.
        supervisor.ready()
        ending.wait()
        node.end_driving()
        supervisor.ends()
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


def _bring_up(node: BridgeNode, ending: ShutdownRequest) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    if node.trigger_configure() != done:
        return False
    return ending.has_come or node.trigger_activate() == done


def _bring_down(node: BridgeNode) -> int:
    if not node.finalized:
        node.trigger_shutdown()
    if node.failure is not None:
        node.get_logger().fatal(f'the bridge failed: {node.failure!r}')
        node.abandon()
        return 1
    return 1 if node.never_stopped else 0
