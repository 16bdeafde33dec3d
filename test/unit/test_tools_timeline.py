# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Which lanes, spans and marks an event log makes, from entries that are handed in."""

from __future__ import annotations

from collections.abc import Iterator
import time

import pytest

from viam_session_bridge.core.actions import (
    Cause,
    Refusal,
    Refused,
    SessionEnded,
    SessionStarted,
    Stop,
    TakenOver,
)
from viam_session_bridge.core.events import (
    ChannelChanged,
    CommandFailed,
    LeftToMachine,
    MachineAbsent,
    MachineClosed,
    StopAcknowledged,
    StopFinal,
    StopOverdue,
)
from viam_session_bridge.reporting.event_log import LogClosed, Logged, LogOpened
from viam_session_bridge.tools.timeline import NothingToDrawError, parse_time
from viam_session_bridge.tools.timeline_reading import (
    compose,
    Entry,
    Lane,
    LaneKind,
    Sign,
    SpanKind,
    Timeline,
)

CONNECTION = (SpanKind.CONNECTED, SpanKind.DISCONNECTED)
EPOCH = 1.8e9  # s, what the wall clock shows when the steady one shows 0: 08:00:00 UTC
NODES = {'A': ('/teleop', '/cmd_vel'), 'B': ('/navigator', '/cmd_vel')}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have local times be UTC."""
    with monkeypatch.context() as patch:
        patch.setenv('TZ', 'UTC')
        time.tzset()
        yield
    time.tzset()


def timeline(*events: Logged, epoch: float = EPOCH) -> Timeline:
    return compose(entries(*events, epoch=epoch))


def entries(*events: Logged, epoch: float = EPOCH) -> list[Entry]:
    return [
        Entry(event, epoch + event.at, *NODES.get(getattr(event, 'client', ''), ('', '')))
        for event in events
    ]


def ended(
    client: str, session: int, begin: float, sign: float, end: float, *bases: str
) -> SessionEnded:
    return SessionEnded(client, session, Cause.LAPSE, bases, begin, sign, 11, {}, end)


def stop(client: str, at: float, cause: Cause = Cause.LAPSE, session: int = 1) -> Stop:
    return Stop('base', cause, client, at, session, at - 0.5)


def lane(timeline: Timeline, kind: LaneKind, name: str) -> Lane:
    assert (kind, name) in timeline.lanes
    return timeline.lanes[kind, name]


def spans(lane: Lane, *kinds: SpanKind) -> list[tuple[str, float, float]]:
    """Return whose spans of these kinds there are, in s after the epoch."""
    return [
        (span.user, round(span.begin - EPOCH, 6), round(span.end - EPOCH, 6))
        for span in lane.spans
        if span.kind in kinds
    ]


def users(timeline: Timeline, base: str = 'base') -> list[tuple[str, float, float]]:
    return spans(lane(timeline, 'base', base), SpanKind.LAST_USER)


def marks(lane: Lane) -> list[tuple[Sign, Cause | None]]:
    return [(mark.sign, mark.cause) for mark in lane.marks]


def stops(timeline: Timeline) -> tuple[list[tuple[Sign, Cause | None]], list[tuple[float, float]]]:
    """Return the marks of the base's stops, and from when to when they were not acknowledged."""
    base = lane(timeline, 'base', 'base')
    return (
        [mark for mark in marks(base) if mark[0] in (Sign.STOP, Sign.UNANSWERED)],
        [span[1:] for span in spans(base, SpanKind.STOPPING)],
    )


def bridge(timeline: Timeline) -> list[tuple[Sign, float]]:
    return [(mark.sign, round(mark.at - EPOCH, 6)) for mark in timeline.bridge]


def texts(timeline: Timeline) -> list[str]:
    return [text for _, text in timeline.lines]


# A drives from 1, B takes over at 2, A lapses at 3 and B at 4.
STORY: list[Logged] = [
    LogOpened(0.0),
    ChannelChanged('main', True, 0.2),
    SessionStarted('A', 1, 1.0),
    TakenOver('base', 'A', 1, 0, 1.0),
    SessionStarted('B', 2, 2.0),
    TakenOver('base', 'B', 2, 1, 2.0),
    ended('A', 1, 1.0, 2.5, 3.0),
    ended('B', 2, 2.0, 3.5, 4.0, 'base'),
    stop('B', 4.0, session=2),
    StopAcknowledged(stop('B', 4.0, session=2), 1, 4.002),
    StopFinal(stop('B', 4.0, session=2), 1, 0, 4.003),
    MachineClosed('main', 5.0),
    LogClosed(5.0),
]


# Last users


def test_a_base_has_a_span_for_each_last_user() -> None:
    assert users(timeline(*STORY)) == [('A', 1.0, 2.0), ('B', 2.0, 4.0)]


def test_only_who_takes_a_base_from_another_takes_it_over() -> None:
    assert marks(lane(timeline(*STORY[:6]), 'base', 'base')) == [(Sign.TAKEN_OVER, None)]
    assert marks(lane(timeline(*STORY[:5]), 'base', 'base')) == []


def test_who_is_last_user_at_the_end_of_the_log_is_shown_up_to_there() -> None:
    assert users(timeline(*STORY[:7])) == [('A', 1.0, 2.0), ('B', 2.0, 3.0)]


def test_a_log_that_begins_under_a_last_user_knows_it_from_its_end() -> None:
    assert users(timeline(ChannelChanged('main', True, 2.5), *STORY[7:])) == [('B', 2.5, 4.0)]


# Stops


def test_a_stop_has_its_cause_and_how_long_it_took() -> None:
    story = timeline(*STORY)
    assert stops(story) == ([(Sign.STOP, Cause.LAPSE)], [(4.0, 4.002)])
    assert 'base: stopped (lapse), acknowledged 2.0 ms later, tries: 1' in texts(story)


def test_a_stop_without_an_answer() -> None:
    story = timeline(*STORY[:9])
    assert stops(story) == ([(Sign.UNANSWERED, Cause.LAPSE)], [])
    assert 'base: stopped (lapse), not acknowledged' in texts(story)


def test_the_answer_of_a_later_stop_is_none_of_a_stop_that_a_command_forestalled() -> None:
    later = stop('A', 9.0, Cause.LEFT, session=3)
    assert stops(timeline(
        *STORY[:9], SessionStarted('A', 3, 4.001), TakenOver('base', 'A', 3, 0, 4.001),
        ended('A', 3, 4.001, 8.5, 9.0, 'base'), later, StopFinal(later, 1, 0, 9.005),
    )) == ([(Sign.UNANSWERED, Cause.LAPSE), (Sign.STOP, Cause.LEFT)], [(9.0, 9.005)])  # fmt: skip


@pytest.mark.parametrize('answered', [0, 1])
def test_an_answer_is_that_of_all_stops_there_were_by_then(answered: int) -> None:
    asked = [stop('A', 4.0, Cause.FAILED), stop('A', 4.1, Cause.LAPSE)]
    assert stops(timeline(*asked, StopFinal(asked[answered], 3, 0, 4.2))) == (
        [(Sign.STOP, Cause.FAILED), (Sign.STOP, Cause.LAPSE)], [(4.0, 4.2), (4.1, 4.2)],
    )  # fmt: skip


def test_a_stop_that_is_known_from_its_answers_only_is_one() -> None:
    failed = stop('A', 4.0, Cause.FAILED)
    assert stops(timeline(
        LogOpened(0.0), StopAcknowledged(failed, 1, 4.002), StopFinal(failed, 2, 0, 4.2)
    )) == ([(Sign.STOP, Cause.FAILED)], [(4.0, 4.002)])  # fmt: skip


def test_what_else_becomes_of_a_base_is_marked_and_in_the_words_of_the_log() -> None:
    asked = stop('B', 4.0)
    story = timeline(
        Refused('base', 'A', Refusal.NON_FINITE, 1.0),
        CommandFailed('base', 'A', 'DEADLINE_EXCEEDED', 2.0),
        LeftToMachine('base', 2, 3.0),
        StopOverdue(asked, 5, 'UNKNOWN: no power', 9.0),
    )
    assert marks(lane(story, 'base', 'base')) == [
        (Sign.REFUSED, None), (Sign.WARNING, None), (Sign.LEFT_TO_MACHINE, None),
        (Sign.WARNING, None),
    ]  # fmt: skip
    assert texts(story)[:2] == [
        'base: refused a command of /teleop (non_finite): a number is NaN or infinite; correct '
        'the publisher',
        'base: a command of /teleop failed, stopping: DEADLINE_EXCEEDED',
    ]


# Sessions


def test_a_session_is_alive_to_its_last_sign_of_life_and_silent_to_its_end() -> None:
    teleop = lane(timeline(*STORY), '', 'A')
    assert spans(teleop, SpanKind.ALIVE) == [('A', 1.0, 2.5)]
    assert spans(teleop, SpanKind.SILENT) == [('A', 2.5, 3.0)]
    assert marks(teleop) == [(Sign.ENDED, Cause.LAPSE)]


def test_a_session_without_an_end_goes_on_to_the_end_of_the_log() -> None:
    story = timeline(SessionStarted('A', 1, 1.0), ChannelChanged('main', True, 7.0))
    client = lane(story, '', 'A')
    assert spans(client, SpanKind.ALIVE) == [('A', 1.0, 7.0)]
    assert client.marks == []


def test_a_node_on_two_topics_has_both_in_its_names() -> None:
    first, second = entries(ended('A', 1, 1.0, 2.0, 2.5), ended('C', 2, 3.0, 4.0, 4.5))
    both = compose([first, Entry(second.event, second.wall, '/teleop', '/arm/cmd_vel')])
    assert both.names['A'] == '/teleop (/cmd_vel)'
    assert both.names['C'] == '/teleop (/arm/cmd_vel)'


def test_a_name_that_is_known_later_is_that_of_all_its_sessions() -> None:
    unnamed, named = entries(SessionStarted('A', 1, 1.0), ended('A', 1, 1.0, 2.0, 2.5))
    story = compose([Entry(unnamed.event, unnamed.wall), named])
    assert texts(story)[0] == 'session 1 of /teleop started'


def test_a_publisher_of_an_unknown_node_is_named_by_its_topic_or_itself() -> None:
    (one,) = entries(ended('0f3a', 1, 1.0, 2.0, 2.5))
    assert compose([one]).names['0f3a'] == 'publisher 0f3a'
    assert compose([Entry(one.event, one.wall, '', '/cmd_vel')]).names['0f3a'] == '/cmd_vel'


# Machines and the bridge


def test_a_machine_is_connected_or_not() -> None:
    machine = lane(timeline(
        *STORY[:2], ChannelChanged('main', False, 2.0), MachineAbsent('main', 'refused', 4.0),
        LogClosed(5.0),
    ), 'machine', 'main')  # fmt: skip
    assert spans(machine, SpanKind.CONNECTED) == [('', 0.2, 2.0)]
    assert spans(machine, SpanKind.DISCONNECTED) == [('', 0.0, 0.2), ('', 2.0, 5.0)]
    assert marks(machine) == [(Sign.WARNING, None)]


def test_a_machine_that_never_was_connected() -> None:
    story = timeline(LogOpened(0.0), MachineAbsent('main', 'refused', 2.0))
    assert spans(lane(story, 'machine', 'main'), SpanKind.DISCONNECTED) == [('', 0.0, 2.0)]


def test_a_machine_that_was_closed_is_neither() -> None:
    machine = lane(timeline(*STORY[:-1], LogClosed(9.0)), 'machine', 'main')
    assert spans(machine, *CONNECTION) == [('', 0.0, 0.2), ('', 0.2, 5.0)]


def test_a_log_without_its_beginning_knows_a_machine_from_its_first_change() -> None:
    story = timeline(STORY[2], ChannelChanged('main', False, 3.0), STORY[-1])
    assert spans(lane(story, 'machine', 'main'), SpanKind.CONNECTED) == [('', 1.0, 3.0)]


def test_a_bridge_that_started_and_ended_in_order() -> None:
    assert bridge(timeline(*STORY)) == [(Sign.BRIDGE_STARTED, 0.0), (Sign.BRIDGE_ENDED, 5.0)]


def test_a_bridge_without_a_line_of_its_end_was_killed_or_crashed() -> None:
    twice = timeline(*STORY[:6], LogOpened(7.0), LogClosed(9.0))
    assert bridge(twice) == [
        (Sign.BRIDGE_STARTED, 0.0), (Sign.BRIDGE_KILLED, 2.0),
        (Sign.BRIDGE_STARTED, 7.0), (Sign.BRIDGE_ENDED, 9.0),
    ]  # fmt: skip
    assert users(twice) == [('A', 1.0, 2.0), ('B', 2.0, 2.0)]


def test_a_bridge_that_may_run_on_is_not_called_dead() -> None:
    assert bridge(timeline(*STORY[:6])) == [(Sign.BRIDGE_STARTED, 0.0)]


def test_session_numbers_begin_anew_with_each_bridge() -> None:
    twice = timeline(
        *STORY[:5], LogOpened(7.0), SessionStarted('B', 1, 8.0), TakenOver('base', 'B', 1, 0, 8.0),
        ChannelChanged('main', True, 9.0),
    )  # fmt: skip
    assert users(twice) == [('A', 1.0, 2.0), ('B', 8.0, 9.0)]


# Clocks


def test_after_a_reboot_the_steady_clock_begins_anew() -> None:
    before = entries(LogOpened(5000.0), LogClosed(5001.0), epoch=EPOCH - 5000)
    after = entries(LogOpened(10.0), LogClosed(12.0), epoch=EPOCH + 90)
    assert [at for _, at in bridge(compose([*before, *after]))] == [0.0, 1.0, 100.0, 102.0]


def test_lines_that_were_written_late_are_where_they_happened() -> None:
    late = [Entry(e.event, e.wall + (0.3 if e.event.at == 1.0 else 0.0)) for e in entries(*STORY)]
    assert users(compose(late))[0][1:] == (1.0, 2.0)


def test_a_clock_that_was_set_after_the_start_shows_what_it_showed_longest() -> None:
    early = [Entry(e.event, e.wall - (1e9 if e.event.at < 0.5 else 0.0)) for e in entries(*STORY)]
    assert compose(early).begin == EPOCH


# A part of it


def test_a_part_has_what_lies_in_it() -> None:
    part = timeline(*STORY).part(EPOCH + 3.1, EPOCH + 3.9)
    assert users(part) == [('B', 3.1, 3.9)]
    assert {*part.lanes} == {('machine', 'main'), ('base', 'base'), ('', 'B')}
    assert part.bridge == []
    assert part.lines == []


@pytest.mark.parametrize(
    ('text', 'after'),
    [
        ('0', 0.0),
        ('12.5', 12.5),
        ('-60', 3540.0),
        ('08:02', 120.0),
        ('08:02:03', 123.0),
        (' 08:02:03.250', 123.25),
        ('08:59:59.900', 3599.9),
        ('09:00:00', 3600.0),
        ('09:30', -81000.0),  # the day before: not yet today
        ('2027-01-15T08:30:00', 1800.0),
        ('2027-01-16 08:30', 88200.0),
    ],
)
def test_times_of_the_command_line(text: str, after: float) -> None:
    assert parse_time(text, EPOCH, EPOCH + 3600) == pytest.approx(EPOCH + after, abs=1e-3)


@pytest.mark.parametrize('text', ['', 'noon', '25:00', '1e99', 'nan', '-inf', '08:00:61'])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NothingToDrawError, match='is no time'):
        parse_time(text, EPOCH, EPOCH + 3600)
