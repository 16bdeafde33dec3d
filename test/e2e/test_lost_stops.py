# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Stops that could get lost, with publishers and bridge as on a robot (R7, R8, R9).

`test/integration/test_lost_stops.py` has more cases, without ROS. What each base did is judged by
its record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
import time
from typing import TYPE_CHECKING

import pytest

from e2e.conftest import StartBridge, StartPublisher
from support.bounds import EARLY, LATE, Load
from support.bridge_process import BridgeProcess, WINDOW
from support.drive import Drive, freeze, kill, wait_for
from support.invariant import pending, violations

if TYPE_CHECKING:
    from support.viam_server import ViamServer

pytestmark = [
    pytest.mark.slow_bases,
    pytest.mark.parametrize('machine_kind', ['viam_server'], indirect=True),
]

MACHINE_WINDOW = 60.0  # s, so that every stop is the bridge's
CALL_TIMEOUT = 1.0  # s, longer than the window: a session lapses while its command hangs
REPEATED = 0.05  # s after a stop's first try; then it doubles
LONGEST = 1.0  # s between two tries
ON_TIME = 0.02  # s after the window that a stop may come, whatever another machine does
FAILURES = {'once': 1, 'thrice': 3, 'twenty': 20}
BASES = {name: {'command_topics': [f'/{name}/cmd_vel']} for name in (*FAILURES, 'hangs', 'beside')}

Drives = Callable[[str], Drive]
Judge = Callable[[BridgeProcess, str], None]


@pytest.fixture
def judge(machine: ViamServer) -> Judge:
    """Return what judges a base once all its stops are final."""

    def judged(bridge: BridgeProcess, base: str) -> None:
        wait_for(lambda: not pending(bridge.events(), base), 'its stops are final')
        entries = machine.record.calls()
        assert violations(entries, bridge.events(), base, CALL_TIMEOUT) == []
        assert not machine.record.moving(base)

    return judged


@pytest.fixture
def released(machine: ViamServer) -> Iterator[None]:
    """Let go on afterwards what hangs."""
    yield
    for base in BASES:
        machine.control(base, release=True)


def test_stop_that_fails_is_repeated_until_it_is_acknowledged(
    machine: ViamServer,
    bridge: BridgeProcess,
    drive: Drives,
    judge: Judge,
    load: Load,
    start_publisher: StartPublisher,
    stop_takes: float,
) -> None:
    lasts = {}
    # Twenty Stops that take long would take half a minute.
    cases = {name: count for name, count in FAILURES.items() if count < 20 or not stop_takes}
    for name, failures in cases.items():
        teleop = start_publisher(f'teleop_{name}')
        teleop.stream(f'/{name}/cmd_vel', forward=0.2)
        drive(name).wait_driven()
        machine.control(name, stop_failures=failures)
        lasts[name] = freeze(teleop, f'/{name}/cmd_vel')[0]
    for name, failures in cases.items():
        base, last = drive(name), lasts[name]
        stop = base.wait_stopped(last, failures * (LONGEST + stop_takes) + 5.0)
        tries = [e for e in base.calls(last) if e.call == 'stop' and e.phase == 'begin']
        ends = [e for e in base.calls(last) if e.call == 'stop' and e.phase == 'end']
        assert [bool(end.error) for end in ends] == [True] * failures + [False]
        assert tries[0].t - last >= WINDOW - EARLY
        for number, (one, other) in enumerate(pairwise(tries)):
            # Sooner is allowed: the answer of the zero velocity makes the next one worth sending.
            pause = stop_takes + min(REPEATED * 2**number, LONGEST)
            load.hold(other.t - one.t, pause + LATE, one.t, other.t)
        # After the first error one zero velocity follows, which stops the base as well.
        (zero,) = [e for e in base.calls(last) if e.linear == (0.0, 0.0, 0.0) and e.takes_effect]
        assert ends[0].t < zero.t
        load.hold(zero.t - ends[0].t, ON_TIME, ends[0].t, zero.t)
        final = bridge.wait_event('stop_final', since=last, tries=failures + 1)
        assert (final['stop']['base'], final['stop']['cause']) == (name, 'lapse')
        assert base.stops(last) == [stop]
        judge(bridge, name)


@pytest.mark.usefixtures('released')
def test_session_that_lapses_while_its_command_hangs_stops_the_base_at_once_and_for_good(
    machine: ViamServer,
    drive: Drives,
    judge: Judge,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
) -> None:
    base = drive('hangs')
    bridge = start_bridge({'hangs': BASES['hangs']}, call_timeout=CALL_TIMEOUT)
    teleop = start_publisher('teleop')
    teleop.stream('/hangs/cmd_vel', forward=0.2, marked=True)
    base.wait_driven()
    machine.control('hangs', set_velocity_hang=True, ignore_cancel=True)
    base.wait_hanging()
    stop = base.stopped_after_kill(teleop, '/hangs/cmd_vel')
    assert not [e for e in base.calls(base.motions()[-1].t) if e.is_motion and e.phase == 'end']

    released = time.monotonic()
    machine.control('hangs', release=True)
    again = wait_for(lambda: base.stops(released), 'it is stopped again')[0]
    (stray,) = [e for e in base.calls(stop.t) if e.is_motion and e.phase == 'end']
    assert stray.t < again.t
    base.stopped_within(stray.t, ON_TIME)
    base.stands_still(again.t, WINDOW)
    judge(bridge, 'hangs')


def test_frozen_machine_delays_no_stop_on_another(
    machine: ViamServer,
    drive: Drives,
    judge: Judge,
    load: Load,
    start_bridge: StartBridge,
    start_publisher: StartPublisher,
    stop_takes: float,
    tmp_path: Path,
) -> None:
    from support.viam_server import ViamServer

    (tmp_path / 'frozen').mkdir()
    base = drive('beside')
    frozen_machine = ViamServer(
        tmp_path / 'frozen', ['other'], MACHINE_WINDOW, stop_takes=stop_takes
    )
    with frozen_machine as frozen:
        bridge = start_bridge(
            {
                'beside': {**BASES['beside'], 'machine': 'main'},
                'other': {'command_topics': ['/other/cmd_vel'], 'machine': 'frozen'},
            },
            machine_names=['main', 'frozen'],
            machines={
                name: {'address': one.address, 'insecure': True}
                for name, one in (('main', machine), ('frozen', frozen))
            },
        )
        other = Drive(frozen.record, 'other', load, stop_takes)
        teleop, second = start_publisher('teleop'), start_publisher('second')
        teleop.stream('/beside/cmd_vel', forward=0.2)
        second.stream('/other/cmd_vel', forward=0.1, marked=True)
        base.wait_driven()
        other.wait_driven()
        frozen.pause()
        wait_for(lambda: bridge.events('command_failed', base='other'), 'a command timed out')
        last = freeze(teleop, '/beside/cmd_vel')
        stop = base.wait_stopped(last[0])
        due = WINDOW + stop_takes
        assert stop.t - last[0] >= due - EARLY
        load.hold(stop.t - last[1], due + ON_TIME, last[1], stop.t)
        kill(second, '/other/cmd_vel')
        wait_for(lambda: bridge.events('session_ended', bases=['other']), 'the other lapsed too')
        frozen.resume()
        other.wait_stopped(stop.t)
        judge(bridge, 'beside')
        wait_for(lambda: not pending(bridge.events(), 'other'), 'its stop is final')
        assert violations(frozen.record.calls(), bridge.events(), 'other', CALL_TIMEOUT) == []
        assert not frozen.record.moving('other')
