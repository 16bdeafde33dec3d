# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a base gets for what is published: units, limits, stamps; and what the overview says."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import pytest

from e2e.conftest import MACHINE_WINDOW, StartPublisher
from support.bounds import Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, wait_for
from support.observer import Observer
from support.own_node import NODE
from support.publisher_process import PublisherProcess
from support.record import Entry
from viam_session_bridge.core.sessions import tolerated_lateness

if TYPE_CHECKING:
    from e2e.conftest import Machine

STAMPED = ('stamped', 'old', 'future')
OLDEST = 0.5  # s, a stamp: a good one that a stall holds up for less than a window is no older
POWER = {'drive_mode': 'power', 'max_linear_speed': 1.0, 'max_angular_speed': 2.0}
BASES: dict[str, dict[str, Any]] = {
    'plain': {},
    'stamped': {},
    'power': dict(POWER),
    'mirrored': dict(POWER),
    'unmirrored': {**POWER, 'mirrored_reverse': False},
    'limited': {'max_linear_speed': 0.5, 'max_angular_speed': 1.0},
    'old': {'max_stamp_age': OLDEST},
    'future': {'max_stamp_age': OLDEST},
    'shown': {},
}
for _name, _base in BASES.items():
    _topics = 'stamped_command_topics' if _name in STAMPED else 'command_topics'
    _base[_topics] = [f'/{_name}/cmd_vel']

Drives = Callable[[str], Drive]


def driven(base: Drive, publisher: PublisherProcess, **what: Any) -> list[Entry]:
    """Stream to a base's topic and return its motions; until then nothing else reached it."""
    publisher.stream(f'/{base.base}/cmd_vel', stamped=base.base in STAMPED, **what)
    motions = base.wait_driven()
    base.keeps_moving(motions[0].t, 0.2)
    assert len({motion.session for motion in motions}) == 1
    assert motions[0].session
    return motions


@pytest.mark.parametrize('name', ['plain', 'stamped'])
def test_velocity_in_rep_103_arrives_in_viams_units(
    name: str, bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive(name)
    publisher = start_publisher('teleop')
    motions = driven(base, publisher, forward=0.5, left=0.1, turn=math.pi / 2)
    for motion in motions:
        assert motion.call == 'set_velocity'
        assert motion.linear == pytest.approx((-100.0, 500.0, 0.0))
        assert motion.angular == pytest.approx((0.0, 0.0, 90.0))


def test_power_mode_sends_fractions_of_the_maximum(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('power')
    for motion in driven(base, start_publisher('teleop'), forward=0.5, turn=-0.5):
        assert motion.call == 'set_power'
        assert motion.linear == pytest.approx((0.0, 0.5, 0.0))
        assert motion.angular == pytest.approx((0.0, 0.0, -0.25))
    assert not [entry for entry in base.calls() if entry.call == 'set_velocity']


@pytest.mark.parametrize(('name', 'turn'), [('mirrored', -0.25), ('unmirrored', 0.25)])
def test_power_in_reverse_turns_as_the_base_takes_it(
    name: str,
    turn: float,
    bridge: BridgeProcess,
    drive: Drives,
    start_publisher: StartPublisher,
) -> None:
    for motion in driven(drive(name), start_publisher('teleop'), forward=-0.5, turn=0.5):
        assert motion.linear == pytest.approx((0.0, -0.5, 0.0))
        assert motion.angular == pytest.approx((0.0, 0.0, turn))


def test_speed_above_the_limit_is_scaled_with_its_ratio_kept(
    bridge: BridgeProcess, drive: Drives, start_publisher: StartPublisher
) -> None:
    base = drive('limited')
    for motion in driven(base, start_publisher('teleop'), forward=1.0, turn=0.5):
        assert motion.linear == pytest.approx((0.0, 500.0, 0.0))
        assert motion.angular == pytest.approx((0.0, 0.0, math.degrees(0.25)))


def test_nothing_that_is_seldom_used_is_loaded_to_drive_a_base(
    bridge: BridgeProcess, drive: Drives, observer: Observer, start_publisher: StartPublisher
) -> None:
    driven(drive('plain'), start_publisher('teleop'), forward=0.2)
    observer.overview()
    loaded = Path(f'/proc/{bridge.pid}/maps').read_text()
    assert not [library for library in ('numpy', '/_ssl.', '/_asyncio.') if library in loaded]


@pytest.mark.slow_bases
@pytest.mark.parametrize(('name', 'age'), [('old', 1.0), ('future', -1.0)])
def test_stamp_out_of_bounds_stops_the_base_at_once(
    name: str,
    age: float,
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive(name)
    topic = f'/{name}/cmd_vel'
    publisher = start_publisher('teleop')
    driven(base, publisher, forward=0.2)
    sent = publisher.stream(topic, stamped=True, forward=0.2, age=age)
    stop = base.stopped_within(sent)
    base.stands_still(stop.t, 2 * WINDOW)
    wait_for(lambda: refusals_of(observer, name).get('stamp', 0), 'they are counted')

    resumed = publisher.stream(topic, stamped=True, forward=0.2, age=0.1)
    again = base.wait_driven_again(stop.t, resumed).t
    base.keeps_moving(again, WINDOW)


def refusals_of(observer: Observer, base: str) -> dict[str, int]:
    """Return how many commands for a base were refused, by reason."""
    rows = [row for row in observer.overview()['bases'] if row['base'] == base]
    refusals: dict[str, int] = rows[0]['refusals']
    return refusals


def assert_undisturbed(right: bool, load: Load, since: float, told: object) -> None:
    """Assert that all is right; a stall for which messages are discarded (R2) is told, too."""
    if not right:
        raise load.failure(f'told: {told}', since, time.monotonic(), tolerated_lateness(WINDOW))


def test_overview_and_diagnostics_tell_who_drives(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    machine: Machine,
    observer: Observer,
    start_publisher: StartPublisher,
) -> None:
    base = drive('shown')
    observer.listen(f'{NODE}/sessions')
    observer.listen('/diagnostics')
    motions = driven(base, start_publisher('teleop'), forward=0.2)
    sid = motions[0].session or ''

    def row_of_teleop() -> dict[str, Any] | None:
        rows = observer.overview()['sessions']
        named = [row for row in rows if row['node'] == '/teleop' and row['bases'] == ['shown']]
        return named[0] if named else None

    # The graph tells a node's name later than its messages come.
    row = wait_for(row_of_teleop, 'the session of /teleop')
    assert len(bytes.fromhex(row['client'])) == 16
    assert row['topic'] == '/shown/cmd_vel'
    assert row['state'] == 'active'
    assert sid.startswith(row['machine_sessions']['main'])
    assert 4 <= len(row['machine_sessions']['main']) < len(sid)
    assert 0.0 < row['to_lapse'] <= WINDOW
    assert row['commands'] > 0
    assert_undisturbed(not row['refusals'], load, motions[0].t, row)

    overview = observer.overview()
    assert overview['active']
    assert overview['window'] == WINDOW
    (main,) = overview['machines']
    assert (main['ready'], main['supervised']) == (True, True)
    assert main['window'] == pytest.approx(MACHINE_WINDOW)
    (shown,) = [one for one in overview['bases'] if one['base'] == 'shown']
    assert (shown['session'], shown['stopping']) == (row['id'], False)

    _, values = observer.wait_status(
        f'{NODE}/sessions',
        lambda status, values: (
            values['id'] == str(row['id'])
            and values['node'] == '/teleop'
            and values['machine_sessions'] != ''
        ),
    )
    assert values['gid'] == row['client']
    assert values['topic'] == '/shown/cmd_vel'
    assert values['state'] == 'active'
    assert values['last_user_of'] == 'shown'
    assert values['machine_sessions'] == f'main: {row["machine_sessions"]["main"]}'
    assert 0.0 < float(values['time_to_lapse']) <= WINDOW
    assert sid not in str(values)

    status, values = observer.wait_status(
        '/diagnostics',
        lambda status, values: (
            status.name.endswith('base shown') and values['last_user'] == str(row['id'])
        ),
    )
    assert_undisturbed(status.level == b'\x00', load, motions[0].t, status)
    assert (values['machine'], values['resource']) == ('main', 'shown')
    status, values = observer.wait_status(
        '/diagnostics', lambda status, values: status.name.endswith('machine main')
    )
    assert (status.level, values['ready']) == (b'\x00', 'True')
