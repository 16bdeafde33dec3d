# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The lifecycle node: parameters in, a running bridge, overview and log out.

Configure reads and checks the parameters and subscribes; activate connects and accepts commands,
which are refused before; deactivate ends all sessions and stops their bases, going on until the
stops are final (R19); shutdown does the same and waits for that.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.lifecycle import LifecycleState, Node, TransitionCallbackReturn
from rclpy.utilities import get_rmw_implementation_identifier
from std_srvs.srv import Trigger

from viam_session_bridge.configuration.model import Configuration, ConfigurationError, SessionsMode
from viam_session_bridge.configuration.parsing import with_place
from viam_session_bridge.reporting.log_text import what_holds
from viam_session_bridge.ros.clients import Clients
from viam_session_bridge.ros.node_parameters import HEARTBEAT_TOPIC, Parameters
from viam_session_bridge.ros.publishers import Publishers
from viam_session_bridge.ros.receiver import Receiver
from viam_session_bridge.ros.reporter import Reporter
from viam_session_bridge.runtime import Runtime
from viam_session_bridge.text import safe_name, some
from viam_session_bridge.viam.credentials import complete

FOREIGN_NAMED = 8


class BridgeNode(Node):
    """The node ``viam_session_bridge``."""

    def __init__(self, finished: Callable[[], None]) -> None:
        """
        Construct an unconfigured node.

        :param finished: called, on any thread, when the node is not to run on: after the shutdown
            transition, or when the bridge failed
        """
        super().__init__('viam_session_bridge')
        self._finished = finished
        self._settings = Parameters(self)
        self._configuration: Configuration | None = None
        self._runtime: Runtime | None = None
        self._receiver: Receiver | None = None
        self._reporter: Reporter | None = None
        self._earlier: dict[str, list[str]] = {}  # machine sessions, which may live on for a while
        self.failure: BaseException | None = None
        self.never_stopped: list[str] = []
        self.finalized = False
        self.create_service(Trigger, '~/get_sessions', self._get_sessions)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the parameters; each problem is one line in the log."""
        try:
            configuration = complete(self._settings.read(), os.environ)
            self._reporter = Reporter(self, configuration, self.fail)
        except (ConfigurationError, OSError) as error:
            for problem in getattr(error, 'problems', (f'event_log: {error}',)):
                self.get_logger().error(problem)
            return TransitionCallbackReturn.FAILURE
        if foreign := self._settings.foreign():
            names = some([with_place(safe_name(name)) for name in foreign], FOREIGN_NAMED)
            self.get_logger().warning(f'parameters of other nodes, ignored: {names}')
        self._settings.locked = True
        self._configuration = configuration
        self._runtime = Runtime(configuration, self._reporter.wake, self.fail, self._earlier)
        self._runtime.start()
        if not self._receive(configuration, self._runtime, self._reporter):
            self._disconnect()
            self._settings.locked = False
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _receive(self, configuration: Configuration, runtime: Runtime, reporter: Reporter) -> bool:
        """
        Receive from now on, though commands are refused until the node is active.

        Somebody who drives meanwhile is told so.
        """
        types: dict[str, type] = {}
        for base in configuration.bases:
            types.update(dict.fromkeys(base.command_topics, Twist))
            types.update(dict.fromkeys(base.stamped_command_topics, TwistStamped))
        publishers = Publishers(types, get_rmw_implementation_identifier())
        nodes, warn = self.get_node_names_and_namespaces, self.get_logger().warning
        clients = Clients(runtime, publishers, self._ros_time, nodes, warn)
        window = configuration.heartbeat_window
        try:
            self._receiver = Receiver(self, types, HEARTBEAT_TOPIC, window, clients, self.fail)
        except Exception as error:  # rclpy and the middleware have many
            self.get_logger().error(f'cannot subscribe: {error}')
            return False
        reporter.observe(runtime, clients)
        self._receiver.start()
        return True

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Accept commands."""
        assert self._configuration and self._runtime
        warn = self.get_logger().warning
        for base in self._configuration.bases:
            if base.sessions is SessionsMode.DISABLED:
                warn(f'bases.{base.name}.sessions is disabled: no lapse stops this base')
        for machine in self._configuration.machines:
            if machine.is_plaintext_to_network:
                warn(
                    f'machines.{machine.name}: PLAINTEXT to {machine.address} (allow_plaintext): '
                    'anyone on that network can drive its bases'
                )
        self.get_logger().info(what_holds(self.get_fully_qualified_name(), self._configuration))
        self._runtime.activate()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all sessions and stop their bases."""
        self.end_driving()
        self.get_logger().info(
            f'{self.get_fully_qualified_name()} is inactive: its sessions have ended, what it '
            'moved is stopped, and commands are refused until it is activated'
        )
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Wait for the stops, disconnect, and let the parameters be set again."""
        self._disconnect()
        self._settings.locked = False
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop as in deactivate, wait for it, and let the process end."""
        self.end_driving()
        self._disconnect()
        self.finalized = True
        self._finished()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and give up: what could not be foreseen is not worked around."""
        self.end_driving()
        self._disconnect()
        self.fail(self.failure or RuntimeError('a transition failed'))
        return TransitionCallbackReturn.FAILURE

    def end_driving(self) -> None:
        """End all sessions and stop their bases at once; from any thread."""
        runtime = self._runtime
        if runtime is not None:
            runtime.deactivate()

    def came_round(self) -> bool:
        """Return whether the lapse clock and the reporter came round since this was last asked."""
        runtime, reporter = self._runtime, self._reporter
        if runtime is None or reporter is None:  # not configured
            return True
        return all([runtime.came_round(), reporter.came_round()])

    def abandon(self) -> None:
        """End what threads there are after a shutdown that failed itself."""
        if self._runtime is not None:
            self._runtime.close()
        if self._receiver is not None:
            self._receiver.stop()
        if self._reporter is not None:
            self._reporter.close()

    def _ros_time(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _disconnect(self) -> None:
        if self._receiver is not None:
            self._receiver.stop()
            self._receiver = None
        if self._runtime is None:
            return
        assert self._configuration and self._reporter
        timeout = self._configuration.shutdown_timeout
        not_final = self._runtime.wait_closed(timeout)
        self._runtime.close()
        self._earlier = self._runtime.look(lambda bridge, now: bridge.started_sids())
        self._reporter.close()
        self.never_stopped = []
        for base, acknowledged in not_final.items():
            if acknowledged:
                self.get_logger().warning(
                    f'{base}: its stop was acknowledged, but is not final after shutdown_timeout '
                    f'({timeout} s): if the base takes long to stop, raise that'
                )
            else:
                self.never_stopped.append(base)
                self.get_logger().error(
                    f'{base}: its stop was never acknowledged within shutdown_timeout '
                    f'({timeout} s): check the base itself'
                )
        self._runtime = self._reporter = None

    def fail(self, error: BaseException) -> None:
        """Take an unexpected exception of any thread: the process ends, its bases stopped."""
        self.failure = self.failure or error
        self._finished()

    def _get_sessions(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success, response.message = False, 'the node is not configured'
        if self._reporter is not None:
            overview = self._reporter.overview().as_dict()
            response.success, response.message = True, json.dumps(overview)
        return response
