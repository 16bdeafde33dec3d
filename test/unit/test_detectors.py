# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""What the detectors find in the events, and what they do not: publishers, takeovers, problems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
import random
from typing import Any

import pytest

from support.pure import base, configuration, Rig, WINDOW
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    SessionsMode,
    StopPolicy,
)
from viam_session_bridge.core.actions import (
    Cause,
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    BaseKnown,
    BaseUnknown,
    CallsInTime,
    CallsTakeLonger,
    ChannelChanged,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    ForeignSessions,
    MachineAbsent,
    MachineClosed,
    MachineSessionFailed,
    MachineSessionStarted,
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.reporting.active_problems import (
    ActiveProblems,
    at_base,
    at_machine,
    BRIDGE,
    KEPT,
    LOGGED_EVERY,
    SHOWN,
)
from viam_session_bridge.reporting.detectors import (
    CLIENTS_KEPT,
    Contention,
    Detectors,
    EmptySessions,
    FAILURE_LASTS,
    LASTS,
    NAMED_AFTER,
    SlowPublishers,
    UnnamedClients,
)
from viam_session_bridge.reporting.log_text import log_line
from viam_session_bridge.reporting.overview import SessionRow
from viam_session_bridge.text import NAME_SHOWN

PERIODS = [(0.51, '1.3'), (0.6, '1.5'), (1.0, '2.5'), (1.8, '4.5')]  # s, and ample windows


def detectors_of(*bases: BaseConfiguration, **options: Any) -> Detectors:
    """Return detectors for which each client's node has the client's name."""
    return Detectors(configuration(*bases, **options), lambda client: (f'/{client}', '/cmd_vel'))


def drive(commands: Iterable[tuple[float, str]], until: float = 0.0) -> list[Event]:
    """Let clients command a base of a bridge at these times; return what happened."""
    rig = Rig()
    for at, client in sorted(commands):
        rig.until(at)
        rig.drive(client)
    rig.until(max(until, rig.now))
    return rig.events


def found(events: Iterable[Event], detectors: Detectors | None = None) -> list[str]:
    """Return the lines that these events lead to."""
    detectors = detectors or detectors_of()
    return [line for event in events if (line := detectors.note(event, None)) is not None]


def times(period: float, count: int, start: float = 0.0) -> list[float]:
    return [start + period * number for number in range(count)]


# Publishers that are slower than the window


@pytest.mark.parametrize(('period', 'ample'), PERIODS)
def test_a_publisher_slower_than_the_window_is_reported_with_its_period(
    period: float, ample: str
) -> None:
    (line,) = found(drive((at, 'teleop') for at in times(period, 7)))
    assert line == (
        f'/teleop publishes every {period:g} s on /cmd_vel, the window is 0.5 s: '
        f'raise heartbeat_window to {ample} or publish faster'
    )


def test_where_no_window_is_long_enough_the_remedy_is_to_publish_faster() -> None:
    detectors = detectors_of(window=60.0)
    rig = Rig(window=60.0)
    for at in times(70.0, 7):
        rig.until(at)
        rig.drive('teleop')
    (line,) = found(rig.events, detectors)
    assert line == (
        '/teleop publishes every 70 s on /cmd_vel, the window is 60 s: publish faster'
    )


def test_it_is_reported_at_the_sixth_pause_and_no_sooner() -> None:
    assert found(drive((at, 'teleop') for at in times(0.6, 6))) == []
    assert len(found(drive((at, 'teleop') for at in times(0.6, 7)))) == 1


def test_it_is_reported_once_a_minute_while_it_goes_on() -> None:
    assert len(found(drive((at, 'teleop') for at in times(0.6, 210)))) == 3


def test_one_whose_commands_come_unevenly_is_reported_with_its_mean() -> None:
    numbers = random.Random(1)
    at, commands = 0.0, []
    for _ in range(40):
        commands.append((at, 'teleop'))
        at += numbers.uniform(0.6, 0.7)
    (line,) = found(drive(commands))
    period = float(line.partition('every ')[2].partition(' s')[0])
    assert 0.6 <= period <= 0.7


def test_one_of_which_two_commands_now_and_then_fit_in_a_window_is_reported() -> None:
    commands = [
        (at + more, 'teleop') for at in times(1.0, 8) for more in (0.0, 0.45)
    ]  # fmt: skip
    assert len(found(drive(commands))) == 1


def test_under_the_machines_policy_the_remedy_is_the_machines_window() -> None:
    events = drive((at, 'teleop') for at in times(0.6, 7))
    (line,) = found(events, detectors_of(stop_policy=StopPolicy.MACHINE))
    assert "raise the machine's network.sessions.heartbeat_window to 1.5s or publish" in line


def test_two_slow_publishers_are_reported_apart() -> None:
    commands = [(at, 'slow') for at in times(0.6, 7)]
    commands += [(at, 'slower') for at in times(0.9, 7, start=0.25)]
    assert {line.split()[0] for line in found(drive(commands))} == {'/slow', '/slower'}


@pytest.mark.parametrize(
    'burst',
    [
        [0.0],  # one key press
        [0.0, 0.03],  # a tap on a joystick: a motion and its zero
        times(0.05, 20),  # a second of driving
        [0.0, *times(0.03, 20, start=0.45)],  # a key that is held: its repeats come later, fast
    ],
    ids=['press', 'tap', 'driving', 'held key'],
)
@pytest.mark.parametrize('pause', [2.1, 3.0, 10.0])
def test_one_that_pauses_is_not_reported(burst: list[float], pause: float) -> None:
    starts = times(burst[-1] + pause, 12)
    assert found(drive((start + at, 'teleop') for start in starts for at in burst)) == []


@pytest.mark.parametrize(
    'burst', [[0.0, 0.03], times(0.05, 20), [0.0, *times(0.03, 20, start=0.45)]],
    ids=['tap', 'driving', 'held key'],
)  # fmt: skip
@pytest.mark.parametrize('pause', [0.6, 1.0])
def test_one_that_pauses_for_a_moment_again_and_again_is_not_reported(
    burst: list[float], pause: float
) -> None:
    starts = times(burst[-1] + pause, 12)
    assert found(drive((start + at, 'teleop') for start in starts for at in burst)) == []


@pytest.mark.parametrize('longest', [0.8, 1.2, 1.9])
def test_keys_that_are_pressed_now_and_then_are_not_reported(longest: float) -> None:
    at, commands = 0.0, []
    for pause in [0.6, longest, 0.7, 0.95 * longest, 0.65] * 4:
        commands.append((at, 'teleop'))
        at += pause
    assert found(drive(commands)) == []


def test_one_that_lapses_now_and_then_is_not_reported() -> None:
    lost = {20, 21, 22, 60, 61, 62, 63}
    assert found(
        drive((at, 'nav') for n, at in enumerate(times(0.2, 100)) if n not in lost)
    ) == []


def test_one_that_is_just_faster_than_the_window_is_not_reported() -> None:
    assert found(drive((at, 'teleop') for at in times(0.49, 50))) == []


def test_one_that_leaves_and_comes_again_is_not_reported() -> None:
    rig = Rig()
    for at in times(0.6, 10):
        rig.until(at)
        rig.feed(lambda: rig.bridge.seen('teleop', rig.now))
        rig.drive('teleop')
        rig.left('teleop')
        rig.acknowledge()
    assert found(rig.events) == []


def test_of_many_clients_the_last_are_remembered() -> None:
    watch = SlowPublishers()
    (ended,) = [
        event for event in drive([(0.0, 'client')], until=1.0)
        if type(event).__name__ == 'SessionEnded'
    ]
    for number in range(3 * CLIENTS_KEPT):
        watch.session_ended(replace(ended, client=str(number)), WINDOW)  # type: ignore[arg-type]
    assert len(watch._clients) == CLIENTS_KEPT
    assert watch.session_started(SessionStarted('0', 1, 1.0), WINDOW) is None


# Publishers that take turns


def turns(rate: float, seconds: float, clients: tuple[str, ...] = ('nav', 'joy')) -> list[str]:
    """Let clients take turns so often a second; return the lines about that."""
    count = int(rate * seconds) + 1
    commands = ((at, clients[n % len(clients)]) for n, at in enumerate(times(1.0 / rate, count)))
    # Each of them may be slower than the window, too.
    return [line for line in found(drive(commands)) if 'take turns' in line]


@pytest.mark.parametrize('rate', [4.0, 10.0, 40.0, 200.0])
def test_two_that_take_turns_are_named_with_the_remedy(rate: float) -> None:
    (line,) = turns(rate, 5.0)
    assert line == (
        f'base: /joy on /cmd_vel and /nav on /cmd_vel take turns, {rate:.0f} times a second: it '
        'follows whoever spoke last. Let only one speak at a time, or put twist_mux in front of '
        'the bridge'
    )


def test_clients_that_take_turns_are_reported_once_a_minute_while_it_goes_on() -> None:
    assert len(turns(10.0, 130.0)) == 3


def test_takeovers_of_clients_that_take_turns_need_no_line_each() -> None:
    detectors, covered = detectors_of(), []
    commands = [(at, 'nav') for at in times(0.1, 60)]
    commands += [(at, 'joy') for at in times(0.1, 60, start=0.05)]
    commands += [(at, 'nav') for at in times(0.1, 20, start=9.0)]
    commands += [(at, 'joy') for at in times(0.1, 20, start=10.05)]
    for event in drive(commands):
        if isinstance(event, TakenOver) and event.previous:
            covered.append((event.at, detectors.covers(event)))
        assert not detectors.covers(Refused('base', 'nav', Refusal.STAMP, event.at))
        detectors.note(event, None)
    assert [covers for at, covers in covered if at <= LASTS] == [False] * int(20 * LASTS)
    assert all(covers for at, covers in covered if LASTS + 0.1 < at < 9.0)
    # It was over for seconds; this takeover is news.
    assert not next(covers for at, covers in covered if at > 9.0)


def test_of_a_crowd_three_are_named() -> None:
    (line,) = turns(20.0, 3.0, tuple(f'c{number}' for number in range(10)))
    assert line.count(' on /cmd_vel') == 3


@pytest.mark.parametrize('rate', [0.5, 1.0, 1.9])
def test_those_that_change_over_less_often_are_not_reported(rate: float) -> None:
    events = [
        TakenOver('base', 'ab'[n % 2], n + 2, n + 1, at)
        for n, at in enumerate(times(1.0 / rate, 60))
    ]
    assert found(events) == []


def test_a_takeover_is_not_reported() -> None:
    commands = [(at, 'nav') for at in times(0.05, 60)]
    commands += [(at, 'joy') for at in times(0.05, 60, start=3.01)]
    assert found(drive(commands)) == []


def test_a_short_struggle_is_not_reported() -> None:
    commands = [(at, 'nav') for at in times(0.05, 60)]
    commands += [(at, 'joy') for at in times(0.05, 60, start=2.1)]  # 0.9 s beside the other
    assert found(drive(commands)) == []


def test_several_short_struggles_are_not_reported() -> None:
    commands = []
    for start in times(3.0, 10):
        commands += [(at, 'nav') for at in times(0.05, 20, start=start)]
        commands += [(at, 'joy') for at in times(0.05, 30, start=start + 0.51)]
    assert found(drive(commands)) == []


def test_a_mux_that_switches_now_and_then_is_not_reported() -> None:
    # twist_mux is one publisher, whoever it listens to.
    assert found(drive((at, 'twist_mux') for at in times(0.05, 400))) == []


def test_one_that_lapses_and_comes_back_takes_nothing_over() -> None:
    events = [TakenOver('base', 'a', n, 0, at) for n, at in enumerate(times(0.1, 100), 1)]
    assert found(events) == []


def test_clients_on_bases_of_their_own_do_not_take_turns() -> None:
    events = [
        TakenOver(f'base{n % 20}', 'ab'[n % 2], n + 2, n + 1, at)
        for n, at in enumerate(times(0.1, 300))
    ]
    assert found(events) == []


def test_few_takeovers_are_remembered_however_fast_they_come() -> None:
    watch = Contention()
    for number in range(10_000):
        watch.taken_over(TakenOver('base', str(number), 2, 1, number * 1e-4))
    assert len(watch._bases['base'][1]) < 10


# What stands, for /diagnostics


STOP = Stop('base', Cause.LAPSE, 'a', 0.0)
STANDING: list[tuple[Event, str, Event]] = [
    (MachineAbsent('main', 'no', 1.0), at_machine('main'), ChannelChanged('main', True, 2.0)),
    (AccessRefused('main', 'no', 1.0), at_machine('main'), ChannelChanged('main', True, 2.0)),
    (
        AccessRefused('main', 'no', 1.0),
        at_machine('main'),
        MachineSessionStarted('main', 'a', 'sid', False, 2.0),
    ),
    (
        MachineSessionFailed('main', 'a', 'UNIMPLEMENTED: no', 1.0),
        at_machine('main'),
        MachineSessionStarted('main', 'a', 'sid', False, 2.0),
    ),
    (ForeignSessions('main', 1, 1.0), at_machine('main'), ForeignSessions('main', 0, 2.0)),
    (ForeignSessions('main', 1, 1.0), at_machine('main'), MachineClosed('main', 2.0)),
    (BaseUnknown('base', (), '', 1.0), at_base('base'), BaseKnown('base', 2.0)),
    (BaseUnknown('base', (), '', 1.0), at_base('base'), MachineClosed('main', 2.0)),
    (StopFailed(STOP, 'no', 1.0), at_base('base'), StopFinal(STOP, 5, 0, 2.0)),
    (StopTimedOut(STOP, 2.0, 4.0, 1.0), at_base('base'), StopFinal(STOP, 5, 0, 2.0)),
    (StopOverdue(STOP, 5, 'no', 1.0), at_base('base'), StopFinal(STOP, 5, 0, 2.0)),
    (StopOverdue(STOP, 5, 'no', 1.0), at_base('base'), StopGivenUp(STOP, 'no such base', 2.0)),
    (CallsTakeLonger('main', 0.25, 0.3, 1.0), at_machine('main'), CallsInTime('main', 2.0)),
    (CallsTakeLonger('main', 0.25, None, 1.0), at_machine('main'), MachineClosed('main', 2.0)),
]
ERRORS = (BaseUnknown, StopOverdue, CallsTakeLonger)  # what it is about is of no use meanwhile


def take(detectors: Detectors, event: Event, settings: Configuration | None = None) -> str:
    """Feed an event as the reporter does, and return its line."""
    settings = settings or configuration()
    warning, line = False, ''
    if not detectors.covers(event):
        warning, line = log_line(event, lambda client: f'/{client}', settings) or (False, '')
    detectors.note(event, line if warning else None)
    return line


@pytest.mark.parametrize(('begins', 'status_name', 'ends'), STANDING)
def test_what_stands_is_shown_until_it_is_over(
    begins: Event, status_name: str, ends: Event
) -> None:
    detectors = detectors_of()
    line = take(detectors, begins)
    assert line
    assert detectors.problems.lines(status_name, 1.5) == [line]
    assert detectors.problems.has_error(status_name, 1.5) == isinstance(begins, ERRORS)
    assert detectors.problems.lines(BRIDGE, 1.5) == []
    take(detectors, ends)
    assert detectors.problems.lines(status_name, 2.5) == []
    assert not detectors.problems.has_error(status_name, 2.5)


# A base whose commands fail on and on


def failed(
    at: float, base: str = 'base', detail: str = 'UNKNOWN: motor 3 is hot'
) -> CommandFailed:
    return CommandFailed(base, 'a', detail, at)


def test_commands_that_fail_on_and_on_are_an_error_of_the_base_in_the_machines_words() -> None:
    detectors = detectors_of()
    for at in times(0.5, 7):  # 3 s
        assert not detectors.problems.has_error(at_base('base'), at)
        line = take(detectors, failed(at))
    assert line == 'base: a command of /a failed, stopping: UNKNOWN: motor 3 is hot'
    assert detectors.problems.lines(at_base('base'), 1000.0) == [line]
    assert detectors.problems.has_error(at_base('base'), 1000.0)
    take(detectors, CommandsSucceed('base', 1000.0))
    assert detectors.problems.lines(at_base('base'), 1000.0) == []
    take(detectors, failed(1001.0))
    assert detectors.problems.lines(at_base('base'), 1001.0) == []


def test_commands_that_fail_now_and_then_are_no_fault_of_the_base() -> None:
    detectors = detectors_of()
    for at in times(1.0, 60):
        take(detectors, failed(at))
        take(detectors, CommandsSucceed('base', at))
    for at in times(FAILURE_LASTS + 1.0, 60, start=100.0):
        take(detectors, failed(at))
        assert detectors.problems.lines(at_base('base'), at) == []


def test_each_base_fails_by_itself() -> None:
    detectors = detectors_of()
    for at in times(0.5, 10):
        take(detectors, failed(at, 'left'))
        take(detectors, failed(at, 'right'))
    take(detectors, CommandsSucceed('left', 5.0))
    assert detectors.problems.lines(at_base('left'), 5.0) == []
    assert detectors.problems.has_error(at_base('right'), 5.0)


# A machine whose calls take longer than they may


DEADLINE = 'DEADLINE_EXCEEDED: Deadline Exceeded'
MISLEADING: list[Event] = [
    MachineSessionFailed('main', 'a', DEADLINE, 20.0),
    failed(20.0, detail=DEADLINE),
    CommandsTimeOut('base', 3, 20.0),
]


@pytest.mark.parametrize('event', MISLEADING)
def test_while_calls_take_longer_what_follows_from_it_is_not_reported_as_another_fault(
    event: Event,
) -> None:
    detectors = detectors_of()
    assert take(detectors, event)
    line = take(detectors, CallsTakeLonger('main', 0.25, 0.31, 20.1))
    assert not take(detectors, event)
    assert detectors.problems.lines(at_machine('main'), 21.0) == [line]
    assert detectors.problems.lines(at_base('base'), 21.0) == []
    take(detectors, CallsInTime('main', 22.0))
    assert take(detectors, event)


@pytest.mark.parametrize(
    'event',
    [
        MachineSessionFailed('main', 'a', 'UNIMPLEMENTED: no', 20.0),
        failed(20.0),
        MachineSessionFailed('other', 'a', DEADLINE, 20.0),
        failed(20.0, 'arm', DEADLINE),
        CommandsTimeOut('arm', 3, 20.0),
    ],
)
def test_what_does_not_follow_from_it_is_reported(event: Event) -> None:
    detectors = detectors_of(base(), base('arm', machine='other'))
    take(detectors, CallsTakeLonger('main', 0.25, 0.31, 20.0))
    assert take(detectors, event)


def test_a_base_that_failed_for_that_alone_is_no_error() -> None:
    detectors = detectors_of()
    for at in times(0.5, 10):
        take(detectors, failed(at, detail=DEADLINE))
    assert detectors.problems.has_error(at_base('base'), 5.0)
    take(detectors, CallsTakeLonger('main', 0.25, 0.31, 5.0))
    assert not detectors.problems.has_error(at_base('base'), 5.0)


# What stands for a while


def test_a_machine_session_that_failed_is_shown_while_that_goes_on() -> None:
    detectors = detectors_of()
    for at in (1.0, 5.0):
        take(detectors, MachineSessionFailed('main', 'a', 'TIMED OUT', at))
    assert len(detectors.problems.lines(at_machine('main'), 4.9 + FAILURE_LASTS)) == 1
    assert detectors.problems.lines(at_machine('main'), 5.0 + FAILURE_LASTS) == []


def test_those_that_take_turns_are_shown_until_a_moment_after() -> None:
    detectors = detectors_of()
    for n, at in enumerate(times(0.1, 31)):
        detectors.note(TakenOver('base', 'ab'[n % 2], n + 2, n + 1, at), None)
    assert len(detectors.problems.lines(at_base('base'), 4.9)) == 1
    assert detectors.problems.lines(at_base('base'), 5.1) == []


def test_the_slow_one_is_shown_until_it_pauses_or_mends() -> None:
    detectors = detectors_of()
    found(drive((at, 'teleop') for at in times(0.6, 11)), detectors)  # the last at 6.0
    assert len(detectors.problems.lines(BRIDGE, 7.9)) == 1
    assert detectors.problems.lines(BRIDGE, 8.1) == []


# Problems


def test_a_problem_is_logged_at_once_and_each_minute_however_often_it_comes_and_goes() -> None:
    problems = ActiveProblems()
    due_at = []
    for at in times(0.5, 300):
        if problems.report('x', 'kind', 'line', at):
            due_at.append(at)
        problems.resolve('x', 'kind')
    assert due_at == [0.0, LOGGED_EVERY, 2 * LOGGED_EVERY]


def test_it_is_shown_with_its_newest_line() -> None:
    problems = ActiveProblems()
    problems.report('x', 'kind', 'one', 0.0)
    problems.report('x', 'kind', 'two', 1.0)
    assert problems.lines('x', 2.0) == ['two']


def test_of_many_a_few_are_shown_and_a_bounded_number_is_kept() -> None:
    problems = ActiveProblems()
    problems.report('x', 'other', 'lasting', 0.0)
    for number in range(10 * KEPT):
        problems.report('x', 'kind', f'line {number}', 0.0, subject=str(number))
    lines = problems.lines('x', 1.0)
    assert lines[0] == 'lasting'
    assert lines[-1] == f'and {KEPT + 1 - SHOWN} more'
    assert len(lines) == SHOWN + 1
    assert len(problems._all) == KEPT + 1


# Which bases there are


@pytest.mark.parametrize(
    ('there', 'part'),
    [
        (('wheel', 'arm'), "main has no base 'base', its bases are 'arm', 'wheel': "
                           'check bases.base.resource'),
        (('bases',), "its bases are 'bases': check bases.base.resource; did you mean bases?"),
        ((), "main has no base 'base', it has no base: check bases.base.resource"),
        (('base',), "main lists a base 'base' that is not ready: it failed to start"),
        (tuple(f'wheel{n}' for n in range(100)), "'wheel15' and 92 more: check"),
        (('x' * 1000, 'a\nb'), f"'{'x' * NAME_SHOWN}...'"),
        (('a\nb',), "'a?b'"),
    ],
    ids=['others', 'similar', 'none', 'there', 'many', 'long', 'two lines'],
)  # fmt: skip
def test_the_line_about_a_base_names_those_there_are(there: tuple[str, ...], part: str) -> None:
    line = take(detectors_of(), BaseUnknown('base', there, '', 0.0))
    assert line.startswith('base: ')
    assert part in line
    assert '\n' not in line
    assert len(line) < 500


def test_one_that_failed_to_build_is_reported_with_the_machines_reason() -> None:
    why = 'resource build error: no motor'
    line = take(detectors_of(), BaseUnknown('base', ('arm', 'base'), why, 0.0))
    assert line == f"base: main has a base 'base' that is not ready: {why}"


def test_the_name_that_is_looked_for_is_the_machines_own() -> None:
    settings = configuration(replace(base('left'), resource='rem1left'))
    line = take(detectors_of(), BaseUnknown('left', ('rem1:left',), '', 0.0), settings)
    assert line == (
        "left: main has no base 'rem1left', its bases are 'rem1:left': check bases.left.resource; "
        'did you mean rem1:left?'
    )


# Clients without a node's name


def row(client: str = '01', node: str = '', age: float = NAMED_AFTER + 1.0) -> SessionRow:
    return SessionRow(1, client, node, '/cmd_vel', 'active', {}, [], age, 0.5, 1, {})


def test_a_client_whose_node_the_graph_does_not_name_is_reported_once() -> None:
    unnamed = UnnamedClients()
    (line,) = unnamed.find([row('01'), row('02')], 0.0)
    assert line.startswith('/cmd_vel: the graph does not name the node of a client (a DDS program')
    assert 'let a ROS node publish its commands' in line
    assert unnamed.find([row('03')], 1.0) == []


@pytest.mark.parametrize(
    'known',
    [
        row(node='/teleop'),
        row(age=1.0),
        replace(row(), state='lapse'),
    ],
    ids=['named', 'young', 'ended'],
)
def test_a_client_that_has_a_name_or_may_get_one_is_not_reported(known: SessionRow) -> None:
    assert UnnamedClients().find([known], 0.0) == []


def refusals(count: int, reason: Refusal = Refusal.NO_SESSION, client: str = '01') -> list[Event]:
    return [Refused('base', client, reason, at) for at in times(1.0, count)]


def test_one_that_is_refused_for_the_lack_of_heartbeats_is_reported_once() -> None:
    detectors = Detectors(configuration(), lambda client: ('', '/cmd_vel'))
    assert found(refusals(6), detectors) == []
    (line,) = found(refusals(20), Detectors(configuration(), lambda client: ('', '/cmd_vel')))
    assert 'so no heartbeat can reach it' in line


@pytest.mark.parametrize(
    ('events', 'node'),
    [
        (refusals(20), '/teleop'),
        (refusals(20, Refusal.NON_FINITE), ''),
        ([Refused('base', str(n), Refusal.NO_SESSION, at) for n, at in enumerate(times(1.0, 20))],
         ''),
    ],
    ids=['named', 'for another reason', 'each a new one'],
)  # fmt: skip
def test_another_that_is_refused_is_not_reported(events: list[Event], node: str) -> None:
    assert found(events, Detectors(configuration(), lambda client: (node, '/cmd_vel'))) == []


def test_one_whose_name_comes_late_is_not_reported() -> None:
    names = iter(['', '', '', '', *['/teleop'] * 3, ''])
    detectors = Detectors(configuration(), lambda client: (next(names), '/cmd_vel'))
    assert found(refusals(8), detectors) == []


# Sessions without a command


class HeldSwitch:
    """A base under `sessions: manual` whose operator holds the switch, with what is told."""

    def __init__(self) -> None:
        self.rig = Rig(base(sessions=SessionsMode.MANUAL))
        self._sessions = EmptySessions()

    def hold(self, seconds: float) -> list[SessionStarted | SessionEnded]:
        """Send ten heartbeats a second and return what is told of sessions."""
        for _ in range(round(10 * seconds)):
            self.rig.until(self.rig.now + 0.1)
            self.rig.heartbeat('A', own=False)
        return self.told()

    def told(self) -> list[SessionStarted | SessionEnded]:
        """Return what is told of sessions since the last time."""
        taken, self.rig.events = self.rig.events, []
        told = self._sessions.without_repeats(taken)
        return [one for one in told if isinstance(one, (SessionStarted, SessionEnded))]


def test_sessions_of_a_client_that_publishes_nothing_under_a_held_switch_are_told_once() -> None:
    switch = HeldSwitch()
    started, ended = switch.hold(600.0)
    assert isinstance(started, SessionStarted)
    assert isinstance(ended, SessionEnded)
    assert (started.session, ended.session, ended.commands) == (1, 1, 0)


def test_the_one_in_which_it_commands_is_told_from_its_start_and_so_are_the_next() -> None:
    switch = HeldSwitch()
    switch.hold(60.0)
    switch.rig.drive('A')
    (started,) = switch.told()
    assert isinstance(started, SessionStarted)
    assert started.session > 20
    ended, *later = switch.hold(60.0)
    assert isinstance(ended, SessionEnded)
    assert (ended.session, ended.commands) == (started.session, 1)
    assert [type(one) for one in later] == [SessionStarted, SessionEnded]


def test_one_that_ends_for_another_reason_than_a_lapse_is_told() -> None:
    switch = HeldSwitch()
    switch.hold(60.1)
    while not switch.rig.bridge.table.active:
        switch.hold(0.1)
    switch.rig.left('A')
    started, ended = switch.told()
    assert isinstance(ended, SessionEnded)
    assert ended.cause is Cause.LEFT
    assert started.session == ended.session
