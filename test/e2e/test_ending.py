# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How the bridge ends and pauses: signals, lifecycle, and what it promises then (R19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import os
import signal
import time
from typing import TYPE_CHECKING

from lifecycle_msgs.msg import Transition
import pytest

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import AT_ONCE, EXIT, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive
from support.observer import Observer
from support.publisher_process import PublisherProcess

if TYPE_CHECKING:
    from e2e.conftest import Machine

pytestmark = pytest.mark.slow_bases

SHUTDOWN_TIMEOUT = 0.7  # s
END_SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
BASES = {
    name: {'command_topics': [f'/{name}/cmd_vel']}
    for name in (
        'SIGTERM', 'SIGINT', 'SIGHUP', 'many', 'terminal', 'nohup', 'idle', 'hung', 'deactivated',
        'unconfigured',
    )
}  # fmt: skip

Drives = Callable[[str], Drive]


def driving(
    name: str,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    drive: Drives,
    inside: Sequence[str] = (),
) -> tuple[BridgeProcess, PublisherProcess, Drive]:
    """Start a bridge and a publisher that streams through it."""
    base = drive(name)
    bridge = start_bridge({name: BASES[name]}, inside=inside, shutdown_timeout=SHUTDOWN_TIMEOUT)
    teleop = start_publisher('teleop')
    teleop.stream(f'/{name}/cmd_vel', forward=0.2)
    base.wait_driven()
    return bridge, teleop, base


@pytest.mark.parametrize('number', END_SIGNALS, ids=lambda number: number.name)
def test_signal_stops_the_base_and_ends_the_bridge_in_order(
    number: signal.Signals,
    drive: Drives,
    load: Load,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge, teleop, base = driving(number.name, start_bridge, start_publisher, drive)
    began = base.motions()[0].t
    wished = time.monotonic()
    bridge.send_signal(number)
    assert bridge.wait_exit() == 0
    load.hold(time.monotonic() - wished, EXIT, wished)
    stop = base.stopped_within(wished)
    base.not_stopped(began, wished)
    base.stands_still(stop.t)
    assert teleop.running


def test_signals_up_to_the_last_moment_change_no_exit_status(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    """A terminal's Ctrl-C, launch's own and a supervisor's come together, or 5 to 30 ms apart."""
    bridge, _, base = driving('many', start_bridge, start_publisher, drive)
    wished = time.monotonic()
    assert bridge.end_impatiently(END_SIGNALS) == 0
    stop = base.stopped_within(wished)
    base.stands_still(stop.t)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a terminal of the test's own."""
    terminal = Terminal()
    yield terminal
    terminal.close()


class Terminal:
    """A terminal that may be closed under its processes."""

    def __init__(self) -> None:
        self._ends = [os.fdopen(end, 'rb', 0) for end in os.openpty()]

    @property
    def inside(self) -> list[str]:
        """Return the command that makes it a process's own terminal, as a shell's is."""
        own = 'exec setsid --ctty "$@" <"$0" >"$0" 2>&1'
        return ['sh', '-c', own, os.ttyname(self._ends[1].fileno())]

    def close(self) -> None:
        """Close it; nothing happens if it is closed already."""
        for end in self._ends:
            end.close()


def test_terminal_that_is_closed_ends_the_bridge_in_order(
    terminal: Terminal, drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, _, base = driving('terminal', start_bridge, start_publisher, drive, terminal.inside)
    began = base.motions()[0].t
    closed = time.monotonic()
    terminal.close()
    assert bridge.wait_exit() == 0
    stop = base.stopped_within(closed)
    base.not_stopped(began, closed)
    base.stands_still(stop.t)
    (ended,) = bridge.events('session_ended')
    assert (ended['cause'], ended['bases']) == ('deactivated', ['terminal'])


@pytest.mark.fast_bases('no Stop')
def test_bridge_under_nohup_outlives_its_terminal(
    drive: Drives, start_bridge: StartBridge, start_publisher: StartPublisher
) -> None:
    bridge, _, base = driving('nohup', start_bridge, start_publisher, drive, ['nohup'])
    closed = time.monotonic()
    bridge.send_signal(signal.SIGHUP)
    base.keeps_moving(closed, WINDOW)
    assert bridge.terminate() == 0


@pytest.mark.fast_bases('no Stop')
def test_bridge_that_nobody_uses_ends_without_a_call(
    drive: Drives, load: Load, start_bridge: StartBridge
) -> None:
    base = drive('idle')
    bridge = start_bridge({'idle': BASES['idle']})
    wished = time.monotonic()
    assert bridge.terminate() == 0
    load.hold(time.monotonic() - wished, EXIT, wished)
    assert not base.calls()


@pytest.fixture
def frozen_machine(machine: Machine) -> Iterator[Machine]:
    """Return a machine that may be frozen, and go on afterwards."""
    yield machine
    machine.resume()


def test_hung_machine_is_waited_for_no_longer_than_shutdown_timeout_and_named(
    drive: Drives,
    frozen_machine: Machine,
    load: Load,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge, _, base = driving('hung', start_bridge, start_publisher, drive)
    frozen_machine.pause()
    frozen = time.monotonic()
    bridge.send_signal(signal.SIGTERM)
    assert bridge.wait_exit() == 1
    took = time.monotonic() - frozen
    assert took >= SHUTDOWN_TIMEOUT
    load.hold(took, SHUTDOWN_TIMEOUT + EXIT, frozen)
    assert 'hung: its stop was never acknowledged within shutdown_timeout' in bridge.output()
    # Nothing but the machine itself can stop its base now.
    frozen_machine.resume()
    stop = base.wait_stopped(frozen)
    base.stands_still(stop.t)


def test_deactivated_bridge_stops_its_base_and_refuses_commands_until_activated(
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    bridge, teleop, base = driving('deactivated', start_bridge, start_publisher, drive)
    began = base.motions()[0].t
    observer.wait_services()
    locked = time.monotonic()
    assert observer.change_state(Transition.TRANSITION_DEACTIVATE)
    # The call has to reach the node first, whose executor may be busy with its log.
    stop = base.stopped_within(locked, AT_ONCE + 0.1)
    assert observer.state() == 'inactive'
    base.not_stopped(began, locked)
    (ended,) = bridge.events('session_ended') or [bridge.wait_event('session_ended')]
    assert (ended['cause'], ended['bases']) == ('deactivated', ['deactivated'])
    assert not observer.overview()['active']
    base.stands_still(stop.t, 3 * WINDOW)
    assert teleop.running
    assert '/viam_session_bridge is inactive: ' in bridge.output()
    told = 'deactivated: refused a command of /teleop (inactive): the bridge is not active'
    bridge.wait_until(lambda: told in bridge.output(), 'the driver is not told')

    unlocked = time.monotonic()
    assert observer.change_state(Transition.TRANSITION_ACTIVATE)
    assert observer.state() == 'active'
    again = base.wait_driven_again(stop.t, unlocked).t
    base.keeps_moving(again, 2 * WINDOW)


def test_without_autostart_the_bridge_waits_to_be_configured(
    drive: Drives,
    observer: Observer,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    base = drive('unconfigured')
    bridge = start_bridge({'unconfigured': BASES['unconfigured']}, ready=False, autostart=False)
    assert observer.state() == 'unconfigured'
    assert '/viam_session_bridge waits to be configured and activated' in bridge.output()
    assert not bridge.events()
    assert observer.change_state(Transition.TRANSITION_CONFIGURE)
    assert observer.state() == 'inactive'
    assert not base.calls()
    assert observer.change_state(Transition.TRANSITION_ACTIVATE)
    assert observer.state() == 'active'
    start_publisher('teleop').stream('/unconfigured/cmd_vel', forward=0.2)
    began = base.wait_driven()[0].t
    base.keeps_moving(began, WINDOW)

    wished = time.monotonic()
    assert observer.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert bridge.wait_exit() == 0
    stop = base.stopped_within(wished, AT_ONCE + 0.1)
    base.stands_still(stop.t)
