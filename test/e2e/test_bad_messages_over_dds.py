# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with anything in them, over DDS: the base within its limits, the others served."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from hypothesis import given, Phase, settings
from hypothesis import strategies as st
import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from e2e.conftest import StartPublisher
from support.bad_messages import (
    heartbeat,
    MEGABYTE,
    stamped_twists,
    TEXTS,
    twist,
    twists,
    wire_images,
)
from support.bounds import AT_ONCE, Load, PATIENCE
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, wait_for
from support.observer import Observer
from support.own_node import OwnNode
from support.publisher import HEARTBEATS
from support.publisher_process import number_of, RATE
from support.record import Entry
from viam_session_bridge.core.sessions import tolerated_lateness

FASTEST, TURN = 0.5, 1.0  # m/s, rad/s
TWISTS, STAMPED, OTHERS = '/fuzzed/cmd_vel', '/fuzzed/stamped', '/other/cmd_vel'
BASES: dict[str, dict[str, Any]] = {
    'fuzzed': {
        'command_topics': [TWISTS],
        'stamped_command_topics': [STAMPED],
        'max_linear_speed': FASTEST,
        'max_angular_speed': TURN,
        'max_stamp_age': 5.0,
    },
    'other': {'command_topics': [OTHERS]},
}
CALL_TIMEOUT = 2.0  # s: a busy computer's slow answers are no reason to stop
EXAMPLES, AT_MOST = 20, 8  # messages in an example
PAUSE = 0.005  # s between two messages, so that few are lost
SPEED = 0.2  # m/s of the other client
LEAST_SERVED = 0.75  # of its commands, on an idle computer
A_BIT = 1.0 + 1e-9  # what rounding may add
NAN = twist((math.nan, 0.0, 0.0, 0.0, 0.0, 0.0))
GOOD = twist((0.1, 0.0, 0.0, 0.0, 0.0, 0.2))
LONGEST = len(serialize_message(GOOD))  # DDS carries no more of a message of fixed size

Drives = Callable[[str], Drive]

pytestmark = pytest.mark.parametrize('machine_kind', ['simulated'], indirect=True)


class Fuzzer(OwnNode):
    """A node that publishes anything."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, 'fuzzer')
        kinds = {TWISTS: Twist, STAMPED: TwistStamped, HEARTBEATS: String}
        self._publishers = {
            topic: self._node.create_publisher(kind, topic, 10) for topic, kind in kinds.items()
        }

    def wait_heard(self) -> None:
        """Wait until the bridge hears it."""
        for topic, publisher in self._publishers.items():
            wait_for(publisher.get_subscription_count, f'{topic} is heard')

    def publish(self, topic: str, message: Any) -> None:
        """Publish a message, or the bytes of one."""
        self._publishers[topic].publish(message)


MESSAGES = st.one_of(
    twists().map(lambda drawn: (TWISTS, drawn[0])),
    stamped_twists().map(lambda drawn: (STAMPED, drawn[0])),
    TEXTS.map(lambda text: (HEARTBEATS, heartbeat(text))),
    wire_images(GOOD).map(lambda image: (TWISTS, image[:LONGEST])),
    wire_images(TwistStamped(twist=GOOD)).map(lambda image: (STAMPED, image)),
    wire_images(heartbeat('/fuzzer')).map(lambda image: (HEARTBEATS, image)),
)


def within_limits(motion: Entry) -> bool:
    """Return whether a motion is finite and no faster than the base's limits."""
    assert motion.linear is not None and motion.angular is not None
    numbers = (*motion.linear, *motion.angular)
    return (
        all(map(math.isfinite, numbers))
        and math.hypot(*motion.linear) <= 1000.0 * FASTEST * A_BIT
        and abs(motion.angular[2]) <= math.degrees(TURN) * A_BIT
        and not any(motion.angular[:2])
    )


def test_any_message_over_dds_harms_neither_the_bridge_nor_the_bases_nor_other_clients(
    bridge: BridgeProcess,
    domain: int,
    drive: Drives,
    load: Load,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    fuzzed, other = drive('fuzzed'), drive('other')
    observer.listen('/diagnostics')

    def refusals() -> dict[str, int]:
        (row,) = [row for row in observer.overview()['bases'] if row['base'] == 'fuzzed']
        refused: dict[str, int] = row['refusals']
        return refused

    healthy = start_publisher('healthy')
    healthy.stream(OTHERS, forward=SPEED, marked=True)
    began = other.wait_driven()[0].t
    with Fuzzer(domain) as fuzzer:
        fuzzer.wait_heard()

        def publish_until(message: Twist, heard: Callable[[], Any], what: str) -> None:
            """Publish on until that is seen: DDS may lose one behind a large message."""
            deadline = time.monotonic() + PATIENCE
            while not heard():
                assert time.monotonic() < deadline, what
                fuzzer.publish(TWISTS, message)
                time.sleep(PAUSE)

        @settings(max_examples=EXAMPLES, phases=[Phase.generate], deadline=None, database=None)
        @given(st.lists(MESSAGES, min_size=1, max_size=AT_MOST))
        def anything(messages: list[tuple[str, Any]]) -> None:
            for topic, message in messages:
                fuzzer.publish(topic, message)
                time.sleep(PAUSE)
            count, since = refusals().get('non_finite', 0), time.monotonic()
            publish_until(GOOD, lambda: fuzzed.motions(since), 'a good command is served')
            served = time.monotonic()
            publish_until(
                NAN, lambda: refusals().get('non_finite', 0) > count, 'a bad one is counted'
            )
            fuzzed.wait_stopped(served)

        anything()
        fuzzer.publish(HEARTBEATS, heartbeat('x' * MEGABYTE))
        fuzzer.publish(HEARTBEATS, heartbeat('/nobody'))
        observer.wait_status(
            '/diagnostics', lambda _, values: int(values.get('refused_heartbeats_unknown', 0)) > 0
        )
    ended = time.monotonic()

    assert bridge.running
    motions = fuzzed.motions()
    assert len(motions) >= EXAMPLES
    beyond = [motion for motion in motions if not within_limits(motion)]
    assert not beyond, beyond

    # The other client was served on time, and is watched over as before.
    served = other.motions(began)
    sent = {one.number: one.before for one in healthy.sent(OTHERS)}
    for motion in served:
        assert motion.linear is not None
        left = sent[number_of(motion.linear[1], SPEED)]
        load.hold(motion.t - left, AT_ONCE, left, motion.t, str(motion))
    commanded = [number for number, left in sent.items() if began <= left <= ended]
    waited = load.between(began, ended)
    print(f'{len(served)} of {len(commanded)} commands were served, {waited:.3f} s waited')
    # Of those that wait for a core the newest alone is served (R14).
    assert len(served) >= LEAST_SERVED * len(commanded) - waited * RATE
    # What waited for so long is discarded (R2): only then may its session have lapsed.
    if load.worst(began, ended) <= tolerated_lateness(WINDOW):
        other.not_stopped(began, ended)
    stop = other.stopped_after_kill(healthy, OTHERS)
    other.stands_still(stop.t, WINDOW / 2)
    fuzzed.stands_still(ended + WINDOW + AT_ONCE + load.between(ended, stop.t), 0.0)
