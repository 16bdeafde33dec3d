# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers that mean harm: they cost no other client its stop, nor the bridge its memory (R11).

A flood is itself a load, and a bound that all of it may widen says nothing. So a stop is judged in
two parts, each widened only by what the bridge, the machine and the victim had to wait for a core
in the moments in question: from the last command to the bridge having taken it, and from the end
of its window to the stop. The hostile processes are not watched, and `nice`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import pytest

from e2e.conftest import StartBridge, StartPublisher, wait_until_nobody_is_there
from support.bounds import EARLY, LATE, Load
from support.bridge_process import BridgeProcess, Event, WINDOW
from support.caller import Caller
from support.domains import ZENOH
from support.drive import Drive, freeze, wait_for
from support.hostile_process import HostileProcess
from support.observer import Observer
from support.publisher import HEARTBEATS
from support.publisher_process import PublisherProcess, RATE
from support.usage import Usage
from viam_session_bridge.core.sessions import tolerated_lateness
from viam_session_bridge.ros.receiver import SETTLE

if TYPE_CHECKING:
    from e2e.conftest import Machine

FLOOD = 5000.0  # Hz
FLOODED = 7500  # messages, for as long as a victim is watched
GROWTH = 6.0  # MB
KEPT_BY_ZENOH = 0.005  # MB of each publisher that was there, in a bare node too
VALID, BAD = '0.1', 'nan,inf,-inf,1e307'
BASES: dict[str, dict[str, Any]] = {
    name: {'command_topics': [f'/{name}/cmd_vel']}
    for name in ('apart', 'flooded', 'contested', 'mixed', 'heartbeats', 'lasting', 'crowded')
}
CALL_TIMEOUT = 2.0  # s: a busy computer's slow answers are no reason to stop
CROWD = 3000  # publishers
AT_ONCE = 10
PLACES = 24  # machine sessions
ENDED_SHOWN = 16  # sessions in the overview
LINES_AT_ONCE = 80  # of the log: five kinds, of each ten, and what each begins and ends with
LINES_A_SECOND = 6
LEAST_TAKEN = 0.75  # of the commands, however busy the computer is
LOST = 5  # of the last commands, where a flood shares their topic

Drives = Callable[[str], Drive]
StartHostile = Callable[..., HostileProcess]

pytestmark = [
    pytest.mark.parametrize('machine_kind', ['viam_server'], indirect=True),
]


@pytest.fixture
def start_hostile(domain: int, tmp_path: Path) -> Iterator[StartHostile]:
    """Return what starts a hostile process; see `support/hostile.py` for what each does."""
    with ExitStack() as processes:

        def start(
            what: str, node: str, *arguments: object, ready: bool = True
        ) -> HostileProcess:
            hostile = HostileProcess(tmp_path, domain, what, node, *arguments)
            hostile.start(ready)
            return processes.enter_context(hostile)

        yield start


class Victim:
    """A publisher that drives a base, while others mean harm."""

    def __init__(
        self, publisher: PublisherProcess, base: Drive, bridge: BridgeProcess, load: Load
    ) -> None:
        """Drive."""
        self.topic = f'/{base.base}/cmd_vel'
        self._publisher, self._base, self._bridge, self._load = publisher, base, bridge, load
        self._since = time.monotonic()
        self.discarded = False  # whether commands may be, for want of a core
        self._publisher.stream(self.topic, forward=0.2)
        self.began = base.wait_driven(self._since, forward=0.2)[0].t

    def frozen(self) -> tuple[float, float]:
        """Freeze it; return when its last command left, as bounds."""
        return freeze(self._publisher, self.topic)

    def one_session(self, last: tuple[float, float], shared: bool = False) -> Event:
        """
        Wait for the end of its session, and hold that to one that no sign of life was lost to.

        :param shared: whether a flood shares its topic, and DDS's queue: then each time that the
            bridge lacks a core may cost a command
        """
        sent = self._publisher.sent(self.topic)
        client = self._bridge.wait_event('session_started', since=self._since)['client']
        self._bridge.wait_event('session_ended', since=last[0] - WINDOW, client=client)
        sessions = self._bridge.events('session_ended', client=client)
        stalled = self._load.worst(self._since, last[1])
        # What waited for so long is discarded (R2): only then may one have lapsed before.
        stalls = self._load.stalls(self._since, last[1], tolerated_lateness(WINDOW))
        self.discarded = bool(stalls)
        assert len(sessions) == 1 or self.discarded
        taken = sum(session['commands'] for session in sessions)
        print(f'{taken} of {len(sent)} commands were taken, stalled for {stalled:.3f} s')
        # At its beginning one may not be heard yet, and it was frozen in the middle of one.
        waited = self._load.between(self._since, last[1]) if shared else stalled
        lost = max(len(sessions) * waited, sum(one + SETTLE for one in stalls))
        assert taken >= len(sent) - 2 - int(lost * RATE)
        assert taken >= len(sent) * LEAST_TAKEN
        ended = sessions[-1]
        assert ended['cause'] == 'lapse'
        return ended

    def ended_in_time(self, last: tuple[float, float], ended: Event, lost: int = 0) -> None:
        """Hold the end of its session to one window after its last command."""
        taken, at = ended['sign'], ended['at']
        assert taken >= last[0] - lost / RATE - EARLY
        self._load.hold(taken - last[1], LATE, last[0], max(taken, last[0]))
        assert at - taken >= WINDOW
        self._load.hold(at - taken - WINDOW, LATE, taken + WINDOW, at)

    def stopped_in_time(self, last: tuple[float, float], ended: Event, lost: int = 0) -> None:
        """Hold the stop of its base to that too."""
        self.ended_in_time(last, ended, lost)
        assert ended['bases'] == [self._base.base]
        due = ended['sign'] + WINDOW
        stop = self._base.wait_stopped(due - EARLY)
        print(f'stopped {1e3 * (stop.t - due):.1f} ms after it was due')
        self._load.hold(stop.t - due, LATE, due, stop.t)
        if not self.discarded:
            self._base.not_stopped(self.began, due - EARLY)
        self._base.stands_still(stop.t, 0.0)


@pytest.fixture
def victim(
    bridge: BridgeProcess, drive: Drives, load: Load, start_publisher: StartPublisher
) -> Callable[[str], Victim]:
    """Return what starts a victim on a base."""
    return lambda base: Victim(start_publisher('victim'), drive(base), bridge, load)


class Watch:
    """What a bridge takes of the computer, and says, while it is under attack."""

    def __init__(self, bridge: BridgeProcess) -> None:
        """Begin."""
        self._bridge = bridge
        self._before = Usage.of(bridge.pid)
        self._lines = len(bridge.output().splitlines())

    def ended(self, lines: int) -> None:
        """
        Hold it to no more memory, threads and files.

        :param lines: of the log, at most
        """
        usage = Usage.of(self._bridge.pid)
        grown = usage.memory - self._before.memory
        log = self._bridge.output().splitlines()[self._lines :]
        print(f'{usage.cpu_share(self._before):.2f} of a core, {grown:+.1f} MB, {len(log)} lines')
        assert grown <= GROWTH
        assert usage.threads <= self._before.threads + 2
        assert usage.files <= self._before.files + 2
        assert len(log) <= lines, '\n'.join(log)


def flooded(flood: HostileProcess) -> None:
    """Let a flood go on for so many messages, and say how fast it was."""
    before, began = flood.count, time.monotonic()
    wait_for(lambda: flood.count >= before + FLOODED, 'the flood goes on')
    print(f'{(flood.count - before) / (time.monotonic() - began):.0f} messages a second')


def refusals_of(observer: Observer, base: str) -> dict[str, int]:
    """Return how many commands for a base were refused, by reason."""
    (row,) = [row for row in observer.overview()['bases'] if row['base'] == base]
    refusals: dict[str, int] = row['refusals']
    return refusals


@pytest.mark.parametrize('speeds', [VALID, f'{VALID},{BAD}'], ids=['valid', 'mixed'])
def test_a_flood_for_another_base_delays_nobodys_stop(
    speeds: str,
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_hostile: StartHostile,
    victim: Callable[[str], Victim],
) -> None:
    flooded_base = drive('flooded')
    before, since = refusals_of(observer, 'flooded'), time.monotonic()
    watched = victim('apart')
    flood = start_hostile('flood', 'flood', '/flooded/cmd_vel', FLOOD, speeds)
    watch = Watch(bridge)
    flooded(flood)
    last = watched.frozen()
    watched.stopped_in_time(last, watched.one_session(last))
    watch.ended(lines=LINES_AT_ONCE)

    flood.kill()
    motions = flooded_base.motions(since)
    assert {motion.linear for motion in motions} == {(0.0, 100.0, 0.0)}
    if speeds != VALID:
        refused = refusals_of(observer, 'flooded').get('non_finite', 0)
        refused -= before.get('non_finite', 0)
        # Of a flood DDS keeps what the bridge can take.
        assert refused >= FLOODED / 20
        assert refused <= flood.count
    flooded_base.stands_still(flood.last_sent + 2 * WINDOW, 2 * WINDOW)


def test_a_flood_of_bad_numbers_on_its_own_topic_delays_nobodys_stop(
    bridge: BridgeProcess,
    drive: Drives,
    observer: Observer,
    start_hostile: StartHostile,
    victim: Callable[[str], Victim],
) -> None:
    before = refusals_of(observer, 'mixed').get('non_finite', 0)
    watched = victim('mixed')
    flood = start_hostile('flood', 'flood', watched.topic, FLOOD, BAD)
    watch = Watch(bridge)
    flooded(flood)
    last = watched.frozen()
    watched.stopped_in_time(last, watched.one_session(last, shared=True), lost=LOST)
    watch.ended(lines=LINES_AT_ONCE)
    assert {motion.linear for motion in drive('mixed').motions()} == {(0.0, 200.0, 0.0)}
    refused = refusals_of(observer, 'mixed')['non_finite'] - before
    assert FLOODED / 20 <= refused <= flood.count


def test_a_flood_that_takes_the_base_over_ends_nobody_elses_session_sooner_or_later(
    bridge: BridgeProcess,
    drive: Drives,
    load: Load,
    start_hostile: StartHostile,
    victim: Callable[[str], Victim],
) -> None:
    base = drive('contested')
    watched = victim('contested')
    flood = start_hostile('flood', 'flood', watched.topic, FLOOD, VALID)
    watch = Watch(bridge)
    flooded(flood)
    last = watched.frozen()
    ended = watched.one_session(last, shared=True)
    watched.ended_in_time(last, ended, lost=LOST)
    assert ended['bases'] == []
    if not watched.discarded:
        base.not_stopped(watched.began, ended['at'])

    flood.pause()
    last = flood.last_sent, flood.last_sent
    ended = bridge.wait_event('session_ended', since=last[0], node='/flood', cause='lapse')
    watched.ended_in_time(last, ended, lost=LOST)
    stop = base.stopped_one_window_after((ended['sign'], last[1]))
    base.stands_still(stop.t)
    watch.ended(lines=LINES_AT_ONCE)


def test_a_flood_of_heartbeats_with_names_of_nobody_delays_nobodys_stop(
    bridge: BridgeProcess,
    observer: Observer,
    start_hostile: StartHostile,
    victim: Callable[[str], Victim],
) -> None:
    observer.listen('/diagnostics')
    watched = victim('heartbeats')
    flood = start_hostile('beats', 'flood', HEARTBEATS, FLOOD, 100)
    watch = Watch(bridge)
    flooded(flood)
    last = watched.frozen()
    watched.stopped_in_time(last, watched.one_session(last))
    watch.ended(lines=LINES_AT_ONCE)
    observer.wait_status(
        '/diagnostics',
        lambda _, values: int(values.get('refused_heartbeats_unknown', 0)) >= FLOODED / 20,
    )


def test_thousands_of_publishers_that_come_and_go_use_up_nothing(
    machine: Machine,
    drive: Drives,
    load: Load,
    observer: Observer,
    start_bridge: StartBridge,
    start_hostile: StartHostile,
    start_publisher: StartPublisher,
) -> None:
    main = {
        'address': machine.address, 'insecure': True, 'call_timeout': CALL_TIMEOUT,
        'max_sessions': PLACES,
    }  # fmt: skip
    bases = {name: BASES[name] for name in ('lasting', 'crowded')}
    bridge = start_bridge(bases, machines={'main': main})
    with Caller(machine.address) as caller:
        wait_until_nobody_is_there(machine)
        watched = Victim(start_publisher('victim'), drive('lasting'), bridge, load)
        crowds = [
            start_hostile(
                'crowd', f'crowd_{kind}', '/crowded/cmd_vel', count, AT_ONCE, 0.1, ready=False
            )
            # Two come and go, two are killed with all that they have.
            for kind, count in (('a', CROWD // 2), ('b', CROWD // 2), ('c', 50), ('d', 50))
        ]
        curve: list[tuple[int, Usage]] = []
        most = 0

        def come() -> int:
            return sum(crowd.count for crowd in crowds)

        def watch() -> bool:
            nonlocal most
            most = max(most, len(caller.live()))
            if come() >= len(curve) * CROWD / 10:
                curve.append((come(), Usage.of(bridge.pid)))
            assert all(crowd.running for crowd in crowds[:2])
            for doomed in crowds[2:]:
                if doomed.count >= 50:
                    doomed.kill()
            # Those that are killed count as come: of the others some may be still to come.
            all_came = all(crowd.count >= CROWD // 2 for crowd in crowds[:2])
            return all_came and not any(doomed.running for doomed in crowds[2:])

        before = len(bridge.output().splitlines())
        wait_for(watch, 'they come', timeout=60.0)
        overview = observer.overview()
        last = watched.frozen()
    watched.stopped_in_time(last, watched.one_session(last))
    lines = bridge.output().splitlines()[before:]
    for count, usage in curve:
        print(f'{count} publishers: {usage}')
    print(f'at most {most} machine sessions, {len(lines)} lines')
    assert PLACES / 3 <= most <= PLACES

    # Once a tenth of them came and went, the others cost nothing more.
    first = curve[1][1]
    growth = GROWTH + (KEPT_BY_ZENOH * CROWD if ZENOH else 0.0)
    for _, usage in curve[1:]:
        assert usage.memory <= first.memory + growth
        assert usage.threads <= first.threads + 2
        assert usage.files <= first.files + 2
    took = curve[-1][1].at - curve[0][1].at
    assert len(lines) <= LINES_AT_ONCE + LINES_A_SECOND * took

    rows = [row for row in overview['sessions'] if row['topic'] == watched.topic]
    assert [(row['node'], row['state'], row['bases']) for row in rows] == [
        ('/victim', 'active', ['lasting'])
    ]
    assert len(overview['sessions']) <= PLACES + ENDED_SHOWN
    assert refusals_of(observer, 'crowded')['too_many_sessions'] >= CROWD / 20
    silent = max(crowd.last_sent for crowd in crowds)
    drive('crowded').stands_still(silent + 2 * WINDOW, 2 * WINDOW)
