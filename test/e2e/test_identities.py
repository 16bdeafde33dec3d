# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Nodes that copy another's name: a session of their own, and no say in the other's (R1, R3).

A copied name is all that ROS lets anyone take; what DDS Security adds is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any

import pytest

from e2e.conftest import MACHINE_WINDOW, StartPublisher
from support.bounds import LATE, LEFT, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.domains import ZENOH
from support.drive import Drive, freeze, wait_for
from support.observer import Observer
from support.publisher import HEARTBEATS
from support.publisher_process import PublisherProcess

MANUAL = ('permitted', 'permitted_copy', 'watched_manual')
BASES: dict[str, dict[str, Any]] = {
    name: {
        'command_topics': [f'/{name}/cmd_vel'],
        'sessions': 'manual' if name in MANUAL else 'auto',
    }
    for name in (
        'first', 'first_copy', 'second', 'second_copy', 'streaming', 'watched_auto', *MANUAL,
    )
}  # fmt: skip

CALL_TIMEOUT = 2.0  # s: a busy computer's slow answers are no reason to stop

Drives = Callable[[str], Drive]

pytestmark = [
    pytest.mark.parametrize('machine_kind', ['viam_server'], indirect=True),
]


def topic_of(base: str) -> str:
    """Return the command topic of a base."""
    return f'/{base}/cmd_vel'


def wait_named(observer: Observer, base: str, node: str, count: int = 1) -> None:
    """Wait until the graph shows so many publishers of a base's topic, all by that name."""
    wait_for(
        lambda: observer.publishers(topic_of(base)) == [node] * count,
        f'{count} of {node} publish for {base}',
    )


def client_of(observer: Observer, base: str, node: str) -> str:
    """Wait until the overview names the last user of a base; return its client."""

    def named() -> str:
        return next(
            (
                row['client']
                for row in observer.overview()['sessions']
                if row['state'] == 'active' and (row['node'], row['bases']) == (node, [base])
            ),
            '',
        )

    client: str = wait_for(named, f'{node} is the last user of {base}')
    return client


def ended_since(bridge: BridgeProcess, client: str, since: float) -> bool:
    """Return whether a client's session ended."""
    return any(event['at'] >= since for event in bridge.events('session_ended', client=client))


def test_one_that_copies_a_name_later_has_a_session_of_its_own_and_dies_alone(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base, other = drive('first'), drive('first_copy')
    teleop = start_publisher('teleop')
    teleop.stream(topic_of('first'), forward=0.2)
    began = base.wait_driven()[0].t
    copy = start_publisher('teleop', name='copy')
    copy.heartbeat()
    copy.stream(topic_of('first_copy'), forward=0.1)
    other.wait_driven()
    clients = {client_of(observer, name, '/teleop') for name in ('first', 'first_copy')}
    assert len(clients) == 2
    sids = {motion.session for drive in (base, other) for motion in drive.motions()}
    assert len(sids) == 2

    other.stopped_after_kill(copy, topic_of('first_copy'))
    base.keeps_moving(began, MACHINE_WINDOW)
    ended = bridge.wait_event('session_ended', since=began, bases=['first_copy'])
    (mine,) = clients - {ended['client']}
    assert not ended_since(bridge, mine, 0.0)
    # With DDS the graph still shows the one that was killed; it keeps nobody alive.
    base.stopped_after_kill(teleop, topic_of('first'))


def test_one_that_had_the_name_before_keeps_nobody_else_of_it_alive(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base, other = drive('second'), drive('second_copy')
    copy = start_publisher('teleop', name='copy')
    copy.stream(topic_of('second_copy'), forward=0.1)
    copy.heartbeat()
    began = other.wait_driven()[0].t
    its = client_of(observer, 'second_copy', '/teleop')
    teleop = start_publisher('teleop')
    teleop.stream(topic_of('second'), forward=0.2)
    base.wait_driven(times=20)
    mine = client_of(observer, 'second', '/teleop')
    assert mine != its

    stop = base.stopped_one_window_after(freeze(teleop, topic_of('second')))
    ended = bridge.wait_event('session_ended', since=began, bases=['second'])
    assert ended['client'] == mine
    base.stands_still(stop.t)
    other.not_stopped(began)
    teleop.kill()
    if ZENOH:  # where no heartbeat counts for a name that two nodes have
        wait_for(lambda: not observer.publishers(topic_of('second')), 'one has the name alone')
    # Its own heartbeats keep its own session, though not its commands do.
    copy.silence(topic_of('second_copy'))
    other.keeps_moving(began, WINDOW + MACHINE_WINDOW)
    assert not ended_since(bridge, its, 0.0)
    copy.end_heartbeat()
    other.stopped_one_window_after(copy.last_sent(HEARTBEATS))


def test_heartbeats_for_a_copied_name_are_refused_until_the_copy_has_left(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    permitted, streaming, stolen = drive('permitted'), drive('streaming'), drive('permitted_copy')
    observer.listen('/diagnostics')
    _, values = observer.wait_status('/diagnostics', lambda _, values: 'sessions' in values)
    before = refused(values)  # with Zenoh the tests before had some
    teleop, operator = start_publisher('pilot'), start_publisher('operator')
    teleop.stream(topic_of('permitted'), forward=0.2)
    teleop.stream(topic_of('streaming'), forward=0.2)
    operator.heartbeat('/pilot')
    began = permitted.wait_driven()[0].t
    streaming.wait_driven()
    permitted.keeps_moving(began, 2 * WINDOW)

    copied = time.monotonic()
    copy = start_publisher('pilot', name='copy')
    copy.stream(topic_of('permitted_copy'), forward=0.1)
    wait_named(observer, 'permitted_copy', '/pilot')
    # `manual` wants a heartbeat, and all of them are refused now; `auto` lives on its commands.
    stop = permitted.wait_stopped(began)
    permitted.stands_still(stop.t, 1.0)
    stolen.stands_still(0.0, 0.0)
    streaming.keeps_moving(streaming.motions()[0].t, MACHINE_WINDOW)
    streaming.not_stopped(began)
    assert bridge.output().count("~/heartbeat for '/pilot' refused (ambiguous)") == 1

    leaves = time.monotonic()
    copy.leave()
    left = time.monotonic()
    again = permitted.wait_driven(leaves, times=1)[0].t
    load.hold(again - left, LEFT, left, max(again, left))
    permitted.keeps_moving(again, 2 * WINDOW)

    def counted(_: object, values: dict[str, str]) -> bool:
        count = refused(values) - before
        assert count <= beats(operator, copied, again + LATE)
        return count >= beats(operator, stop.t, leaves - LATE)

    observer.wait_status('/diagnostics', counted)


def refused(values: Mapping[str, str]) -> int:
    """Return how many heartbeats were refused as ambiguous, as the bridge's status has it."""
    return int(values.get('refused_heartbeats_ambiguous', 0))


def beats(publisher: PublisherProcess, since: float, until: float) -> int:
    """Return how many heartbeats a publisher sent in a time that is over."""
    return sum(since <= sent.before < until for sent in publisher.sent(HEARTBEATS))


def watch(
    base_name: str, drive: Drives, observer: Observer, start_publisher: StartPublisher
) -> tuple[Drive, PublisherProcess, list[PublisherProcess]]:
    """Start a client that commands a base, and two copies of its name that send heartbeats."""
    teleop = start_publisher(base_name)
    copies = [start_publisher(base_name, name=f'copy_{kind}') for kind in ('named', 'own')]
    # One names the client; the other's has no name, as if it were the client's node itself.
    copies[0].heartbeat(f'/{base_name}')
    copies[1].heartbeat()
    wait_for(
        lambda: observer.publishers(HEARTBEATS).count(f'/{base_name}') == 2,
        'the graph names both that send heartbeats',
    )
    teleop.stream(topic_of(base_name), forward=0.2)
    return drive(base_name), teleop, copies


MANUAL_BY_COPIES = pytest.param(
    'watched_manual',
    marks=pytest.mark.skipif(ZENOH, reason='heartbeats for a name of two nodes are refused'),
)


@pytest.mark.parametrize('base_name', ['watched_auto', MANUAL_BY_COPIES])
def test_heartbeats_of_a_copy_are_permissions_and_move_no_silent_clients_base(
    base_name: str,
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base, teleop, copies = watch(base_name, drive, observer, start_publisher)
    began = base.wait_driven(times=25)[0].t
    if base_name == 'watched_manual':  # there the permission is what the session lives on
        base.keeps_moving(began, 2 * WINDOW)
    stop = base.stopped_one_window_after(freeze(teleop, topic_of(base_name)))
    base.not_stopped(began, base.motions()[-1].t)
    base.stands_still(stop.t, 2 * WINDOW)
    assert all(beats(copy, stop.t, time.monotonic()) > 20 for copy in copies)


@pytest.mark.skipif(not ZENOH, reason='this middleware tells processes apart')
def test_heartbeats_of_a_copy_permit_nothing_where_processes_are_not_told_apart(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_publisher: StartPublisher
) -> None:
    base, _, _ = watch('watched_manual', drive, observer, start_publisher)
    bridge.wait_event('refused', base='watched_manual', reason='no_session')
    base.stands_still(0.0, 2 * WINDOW)
    assert "'/watched_manual' refused (ambiguous)" in bridge.output()
