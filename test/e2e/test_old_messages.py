# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""R2: what publishers said before an outage of the network, or while the bridge was frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
import time

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import BoundMissedError, Load
from support.bridge_process import BridgeProcess, parameters
from support.domains import ZENOH
from support.drive import Drive, observe, wait_for
from support.link import two_hosts, TwoHosts
from support.publisher_process import PublisherProcess
from support.simulated import SimulatedMachineProcess
from support.zenoh_router import routed

TOPIC = '/cmd_vel'
RATE = 20.0  # Hz: what is said in half a second fits a publisher's queue of ten
GOES_ON = 0.5  # s that the publisher goes on after the cut
OUTAGE = 15.0  # s, shorter than the lease after which DDS forgets a participant
LONG = 4.0  # s, a window so long that a freeze is noticed (R2) before it is over
FROZEN = 3.3  # s
ANSWERED = 0.2  # s in which the last command is
MACHINE_WINDOW = 10.0  # s
BASES = {'base': {'command_topics': [TOPIC]}}
SETTLES = 1.0  # s in which all that was sent again has come

# Nobody hears multicast over the link: each side is told where the other is.
PEERS = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="host" is_default_profile="true">
      <rtps>
        <useBuiltinTransports>false</useBuiltinTransports>
        <userTransports>
          <transport_id>udp</transport_id>
        </userTransports>
        <builtin>
          <discovery_config>
            <leaseAnnouncement>
              <sec>0</sec>
              <nanosec>200000000</nanosec>
            </leaseAnnouncement>
          </discovery_config>
          <metatrafficUnicastLocatorList>
            <locator/>
          </metatrafficUnicastLocatorList>
          <initialPeersList>
            <locator>
              <udpv4>
                <address>{peer}</address>
              </udpv4>
            </locator>
          </initialPeersList>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


@dataclass
class Apart:
    """
    A bridge that drives its base, and the publisher on the other host that commands it.

    The machine is on the bridge's host. The subscription is reliable: the middleware sends again
    what was lost while the link was cut.
    """

    hosts: TwoHosts
    bridge: BridgeProcess
    publisher: PublisherProcess
    drive: Drive


@pytest.fixture
def apart(own_ros_domain: int, tmp_path: Path) -> Iterator[Apart]:
    """Let a publisher drive over a healthy link."""
    if not (ZENOH or get_rmw_implementation_identifier().startswith('rmw_fastrtps')):
        pytest.skip('how this middleware finds a peer without multicast is not set up here')
    with ExitStack() as stack:
        hosts = stack.enter_context(two_hosts(tmp_path))
        load = stack.enter_context(Load())
        machine = SimulatedMachineProcess(tmp_path).inside(hosts.robot)
        stack.enter_context(machine)
        settings = parameters(
            machine.address,
            BASES,
            qos_overrides={TOPIC: {'subscription': {'reliability': 'reliable'}}},
        )
        if ZENOH:
            at_robot = stack.enter_context(routed(tmp_path, hosts.robot_address, hosts.robot))
            at_operator = {name: f'mode="client";{what}' for name, what in at_robot.items()}
        else:
            at_robot = _profiles(tmp_path, 'robot', hosts.machine_address)
            at_operator = _profiles(tmp_path, 'operator', hosts.robot_address)
        bridge = BridgeProcess(tmp_path, own_ros_domain, settings, environment=at_robot)
        stack.enter_context(bridge.inside(hosts.robot))
        publisher = PublisherProcess(
            tmp_path, 'operator', own_ros_domain, environment=at_operator
        )
        stack.enter_context(publisher)
        for process in (machine, bridge, publisher):
            load.watch(lambda process=process: process.pid)  # type: ignore[misc]
        publisher.stream(TOPIC, rate=RATE, forward=0.3)
        drive = Drive(machine.record, 'base', load)
        drive.wait_driven(0.0)
        yield Apart(hosts, bridge, publisher, drive)


def _profiles(directory: Path, name: str, peer: str) -> dict[str, str]:
    file = directory / f'{name}.xml'
    file.write_text(PEERS.format(peer=peer))
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    return {**dict.fromkeys(names, str(file)), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT'}


def _moved_nothing(drive: Drive, since: float) -> None:
    motions = drive.motions(since)
    assert not motions, f'moved at {motions[0].t}'


def test_commands_that_are_sent_again_after_an_outage_move_nothing(apart: Apart) -> None:
    publisher, drive = apart.publisher, apart.drive
    apart.hosts.link.become(cut=True)
    cut = time.monotonic()
    # What else it says is to be old: all of it is sent into the cut.
    wait_for(lambda: publisher.last_sent(TOPIC)[0] > cut + GOES_ON, 'it says on for a while')
    publisher.silence(TOPIC)
    stopped = drive.wait_stopped(cut)
    observe(cut + OUTAGE - time.monotonic(), lambda: _moved_nothing(drive, stopped.t))
    apart.hosts.link.heal()
    healed = time.monotonic()
    # They come, and they are told apart by their age alone: the session is long over.
    apart.bridge.wait_event('refused', since=healed, reason='old')
    observe(SETTLES, lambda: _moved_nothing(drive, stopped.t))
    started = apart.bridge.events('session_started')
    assert not [session for session in started if session['at'] >= stopped.t]
    spoke = publisher.stream(TOPIC, rate=RATE, forward=0.2)
    assert drive.wait_driven(spoke, forward=0.2)


def test_a_zero_that_is_discarded_at_a_thaw_stops_the_base_though_heartbeats_go_on(
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    drive: Callable[[str], Drive],
) -> None:
    bridge = start_bridge({'base': BASES['base']}, heartbeat_window=LONG)
    publisher = start_publisher('teleop')
    publisher.heartbeat()
    spoke = publisher.stream(TOPIC, forward=0.3)
    base = drive('base')
    base.wait_driven(spoke)
    publisher.silence(TOPIC)
    base.keeps_moving(spoke, ANSWERED)
    bridge.pause()
    publisher.once(TOPIC)
    base.keeps_moving(spoke, FROZEN)
    thawed = time.monotonic()
    bridge.resume()
    decided = bridge.wait_event('stop')
    if bridge.events('command_failed'):
        raise BoundMissedError('a command was still under way as the bridge was frozen')
    assert decided['cause'] == 'zero'
    stop = base.wait_stopped(thawed)
    # Its session is as alive as its publisher, whose heartbeats go on.
    observe(LONG, lambda: _moved_nothing(base, stop.t))
    assert not bridge.events('session_ended')
