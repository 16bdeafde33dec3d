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
    StopFailed,
    StopFinal,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.reporting.event_log import LogClosed, Logged, LogOpened
from viam_session_bridge.tools.timeline import parse_time
from viam_session_bridge.tools.timeline_lanes import (
    compose,
    Lane,
    Mark,
    Sign,
    SpanKind,
    Timeline,
)
from viam_session_bridge.tools.timeline_reading import Entry

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


def spans(lane: Lane, *kinds: SpanKind) -> list[tuple[str, float, float]]:
    """Return whose spans of these kinds there are, in s after the epoch."""
    return [
        (span.user, round(span.begin - EPOCH, 6), round(span.end - EPOCH, 6))
        for span in lane.spans
        if span.kind in kinds
    ]


def users(lane: Lane) -> list[tuple[str, float, float]]:
    return spans(lane, SpanKind.LAST_USER)


def marks(lane: Lane, *signs: Sign) -> list[Mark]:
    return [mark for mark in lane.marks if mark.sign in signs]


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
    (base,) = timeline(*STORY).bases
    assert base.name == 'base'
    assert users(base) == [('/teleop', 1.0, 2.0), ('/navigator', 2.0, 4.0)]


def test_users_are_in_the_order_of_their_appearance() -> None:
    assert timeline(*STORY).users == ['/teleop', '/navigator']


def test_a_takeover_names_both() -> None:
    (base,) = timeline(*STORY).bases
    (mark,) = marks(base, Sign.TAKEN_OVER)
    assert mark.text == 'base: /navigator took over from /teleop'


def test_a_first_use_is_no_takeover() -> None:
    (base,) = timeline(*STORY[:5]).bases
    assert marks(base, Sign.TAKEN_OVER) == []


def test_who_is_last_user_at_the_end_of_the_log_is_shown_up_to_there() -> None:
    (base,) = timeline(*STORY[:7]).bases
    assert users(base) == [('/teleop', 1.0, 2.0), ('/navigator', 2.0, 3.0)]


def test_a_log_that_begins_under_a_last_user_knows_it_from_the_takeover() -> None:
    later = timeline(ChannelChanged('main', True, 1.5), *STORY[4:])
    assert users(later.bases[0]) == [('/teleop', 1.5, 2.0), ('/navigator', 2.0, 4.0)]
    assert spans(later.clients[0], SpanKind.ALIVE) == [('/teleop', 1.5, 2.5)]


def test_a_log_that_begins_under_a_last_user_knows_it_from_its_end() -> None:
    later = timeline(ChannelChanged('main', True, 2.5), *STORY[7:])
    assert users(later.bases[0]) == [('/navigator', 2.5, 4.0)]


# Stops


def test_a_stop_has_its_cause_and_how_long_it_took() -> None:
    (base,) = timeline(*STORY).bases
    (mark,) = marks(base, Sign.STOP, Sign.UNANSWERED)
    assert mark.sign is Sign.STOP
    assert mark.label == 'lapse 2.0 ms'
    assert mark.text == (
        'base: stopped, for /navigator, its last user, fell silent for the heartbeat window;'
        ' last sign of life 500.0 ms before; acknowledged 2.0 ms later, final after 3.0 ms'
    )
    assert spans(base, SpanKind.STOPPING) == [('', 4.0, 4.002)]


def test_a_stop_without_an_answer() -> None:
    (base,) = timeline(*STORY[:9]).bases
    (mark,) = marks(base, Sign.UNANSWERED)
    assert mark.label == 'lapse, no answer'
    assert mark.text.endswith('not acknowledged, as far as this log goes')


def test_a_stop_that_a_new_command_forestalled() -> None:
    (base,) = timeline(*STORY[:9], TakenOver('base', 'A', 3, 0, 4.001)).bases
    (mark,) = marks(base, Sign.UNANSWERED)
    assert mark.label == 'lapse, taken over'
    assert mark.text.endswith('a new command took the base over 1.0 ms later')


def test_the_answer_of_a_later_stop_is_none_of_a_stop_that_was_forestalled() -> None:
    later = stop('A', 9.0, session=3)
    (base,) = timeline(
        *STORY[:9], SessionStarted('A', 3, 4.001), TakenOver('base', 'A', 3, 0, 4.001),
        ended('A', 3, 4.001, 8.5, 9.0, 'base'), later, StopFinal(later, 1, 0, 9.005),
    ).bases  # fmt: skip
    assert [mark.label for mark in marks(base, Sign.STOP, Sign.UNANSWERED)] == [
        'lapse, taken over', 'lapse 5.0 ms',
    ]  # fmt: skip


def test_the_answer_of_a_stop_that_was_renewed_is_also_that_of_the_first() -> None:
    first, second = stop('A', 4.0, Cause.FAILED), stop('A', 4.1)
    (base,) = timeline(first, second, StopFinal(second, 3, 0, 4.2)).bases
    assert [mark.label for mark in base.marks] == ['failed 200.0 ms', 'lapse 100.0 ms']
    assert 'tries: 3' in base.marks[0].text


def test_the_answer_of_a_stop_under_way_is_also_that_of_a_refusal_meanwhile() -> None:
    lapse, refused = stop('A', 4.0), stop('A', 4.05, Cause.REFUSED)
    (base,) = timeline(lapse, refused, StopFinal(lapse, 1, 0, 4.1)).bases
    assert [mark.label for mark in base.marks] == ['lapse 100.0 ms', 'refused 50.0 ms']


def test_a_stop_that_does_not_come_about_is_marked_on_its_base() -> None:
    asked = stop('B', 4.0)
    (base,) = timeline(
        asked,
        StopFailed(asked, 'UNKNOWN: no power', 4.1),
        StopTimedOut(asked, 2.0, 4.0, 6.1),
        StopOverdue(asked, 5, 'UNKNOWN: no power', 9.0),
        StopGivenUp(asked, 'NOT_FOUND: base', 70.0),
    ).bases
    labels = [mark.label for mark in marks(base, Sign.WARNING)]
    assert labels == ['stop failed', 'stop timed out', 'stop overdue', 'stop given up']


def test_a_stop_that_is_known_from_its_answer_only() -> None:
    (base,) = timeline(StopAcknowledged(stop('A', 4.0, Cause.FAILED), 1, 4.002)).bases
    (mark,) = marks(base, Sign.STOP)
    assert mark.label == 'failed 2.0 ms'


@pytest.mark.parametrize('cause', Cause)
def test_every_cause_of_a_stop_has_a_label_and_a_sentence(cause: Cause) -> None:
    (base,) = timeline(*STORY[:3], stop('A', 4.0, cause)).bases
    (mark,) = base.marks
    assert mark.label.endswith(', no answer')
    assert mark.text.startswith('base: stopped, for ')
    assert '{' not in mark.text


# What else is marked


def test_a_refusal_and_a_failure_are_marked_with_what_the_log_says() -> None:
    refused = Refused('base', 'A', Refusal.NON_FINITE, 1.0)
    failed = CommandFailed('base', 'A', 'DEADLINE_EXCEEDED', 2.0)
    (base,) = timeline(refused, failed, LeftToMachine('base', 2, 3.0)).bases
    assert [(mark.sign, mark.label, mark.text) for mark in base.marks] == [
        (
            Sign.REFUSED, 'non_finite',
            'base: refused a command of /teleop (non_finite): a number is NaN or '
            'infinite; mend the publisher',
        ),
        (
            Sign.WARNING, 'command failed',
            'base: a command of /teleop failed, stopping: DEADLINE_EXCEEDED',
        ),
        (
            Sign.NOTE, 'left to machine',
            'base: left to its machine to stop, for it has 2 sessions of others, and '
            'stop_policy is machine',
        ),
    ]  # fmt: skip


# Sessions


def test_a_session_is_alive_to_its_last_sign_of_life_and_silent_to_its_end() -> None:
    teleop, navigator = timeline(*STORY).clients
    assert [teleop.name, navigator.name] == ['/teleop', '/navigator']
    assert spans(teleop, SpanKind.ALIVE) == [('/teleop', 1.0, 2.5)]
    assert spans(teleop, SpanKind.SILENT) == [('/teleop', 2.5, 3.0)]
    (mark,) = marks(teleop, Sign.ENDED)
    assert mark.label == 'lapse: stops nothing'
    (mark,) = marks(navigator, Sign.ENDED)
    assert mark.label == 'lapse: stopping base'
    assert mark.text == (
        'session 2 of /navigator ended (lapse) 0.500 s after its last sign of life: it was the '
        'last user of base; 11 commands; publisher B'
    )


def test_a_session_without_an_end_goes_on_to_the_end_of_the_log() -> None:
    (lane,) = timeline(SessionStarted('A', 1, 1.0), ChannelChanged('main', True, 7.0)).clients
    assert spans(lane, SpanKind.ALIVE) == [('/teleop', 1.0, 7.0)]
    assert lane.marks == []


def test_a_session_whose_end_was_lost_ends_before_the_next_one_of_its_client() -> None:
    (lane,) = timeline(SessionStarted('A', 1, 1.0), ended('A', 2, 3.0, 4.0, 5.0)).clients
    assert spans(lane, SpanKind.ALIVE) == [('/teleop', 1.0, 3.0), ('/teleop', 3.0, 4.0)]


def test_sessions_of_one_name_share_a_lane_unless_they_overlap() -> None:
    both = timeline(
        ended('A', 1, 1.0, 2.0, 2.5), ended('A', 2, 3.0, 4.0, 4.5), ended('A', 3, 4.0, 5.0, 5.5)
    )
    assert [len(lane.spans) for lane in both.clients] == [4, 2]
    assert [lane.name for lane in both.clients] == ['/teleop', '/teleop']


def test_a_node_on_two_topics_has_two_names_and_one_colour() -> None:
    first, second = entries(ended('A', 1, 1.0, 2.0, 2.5), ended('C', 2, 3.0, 4.0, 4.5))
    both = compose([first, Entry(second.event, second.wall, '/teleop', '/arm/cmd_vel')])
    assert [lane.name for lane in both.clients] == ['/teleop (/cmd_vel)', '/teleop (/arm/cmd_vel)']
    assert both.users == ['/teleop']


def test_a_name_that_is_known_later_is_that_of_the_whole_lane() -> None:
    unnamed, named = entries(SessionStarted('A', 1, 1.0), ended('A', 1, 1.0, 2.0, 2.5))
    (lane,) = compose([Entry(unnamed.event, unnamed.wall), named]).clients
    assert lane.name == '/teleop'


def test_publishers_without_a_name_are_numbered() -> None:
    lanes = timeline(ended('0f3a', 1, 1.0, 2.0, 2.5), ended('0f3b', 2, 1.0, 2.0, 2.5)).clients
    assert [lane.name for lane in lanes] == ['publisher 1', 'publisher 2']
    assert 'publisher 0f3b' in lanes[1].marks[0].text


def test_where_the_topic_is_the_client_it_is_the_name() -> None:
    (lane,) = timeline(ended('/cmd_vel', 1, 1.0, 2.0, 2.5)).clients
    assert lane.name == '/cmd_vel'


# Machines and the bridge


def test_a_machine_is_connected_or_not() -> None:
    (machine,) = timeline(
        *STORY[:2], ChannelChanged('main', False, 2.0), MachineAbsent('main', 'refused', 4.0),
        LogClosed(5.0),
    ).machines  # fmt: skip
    assert spans(machine, SpanKind.CONNECTED) == [('', 0.2, 2.0)]
    assert spans(machine, SpanKind.DISCONNECTED) == [('', 0.0, 0.2), ('', 2.0, 5.0)]
    (mark,) = machine.marks
    assert (mark.sign, mark.label) == (Sign.WARNING, 'machine absent')


def test_a_machine_that_never_was_connected() -> None:
    (machine,) = timeline(LogOpened(0.0), MachineAbsent('main', 'refused', 2.0)).machines
    assert spans(machine, *CONNECTION) == [('', 0.0, 2.0)]
    assert machine.spans[0].kind is SpanKind.DISCONNECTED


def test_a_machine_that_was_closed_is_neither() -> None:
    (machine,) = timeline(*STORY[:-1], LogClosed(9.0)).machines
    assert spans(machine, *CONNECTION) == [('', 0.0, 0.2), ('', 0.2, 5.0)]


def test_a_log_without_its_beginning_knows_a_machine_from_its_first_change() -> None:
    (machine,) = timeline(STORY[2], ChannelChanged('main', False, 3.0), STORY[-1]).machines
    assert spans(machine, SpanKind.CONNECTED) == [('', 1.0, 3.0)]


def test_a_bridge_that_ended_in_order() -> None:
    (mark,) = timeline(*STORY).bridge.marks
    assert (mark.sign, mark.label) == (Sign.NOTE, 'ended')


def test_a_bridge_without_a_line_of_its_end_was_killed_or_crashed() -> None:
    twice = timeline(*STORY[:6], LogOpened(7.0), LogClosed(9.0))
    assert spans(twice.bridge, SpanKind.RUNNING) == [('', 0.0, 2.0), ('', 7.0, 9.0)]
    killed, _ = twice.bridge.marks
    assert (killed.sign, killed.label, killed.at) == (Sign.WARNING, 'killed or crashed', EPOCH + 2)
    assert users(twice.bases[0]) == [('/teleop', 1.0, 2.0), ('/navigator', 2.0, 2.0)]


def test_a_bridge_that_may_run_on_is_not_called_dead() -> None:
    assert timeline(*STORY[:6]).bridge.marks == []


def test_session_numbers_begin_anew_with_each_bridge() -> None:
    twice = timeline(
        *STORY[:5], LogOpened(7.0), SessionStarted('B', 1, 8.0), TakenOver('base', 'B', 1, 0, 8.0),
        ChannelChanged('main', True, 9.0),
    )  # fmt: skip
    assert users(twice.bases[0]) == [('/teleop', 1.0, 2.0), ('/navigator', 8.0, 9.0)]


def test_a_bridge_that_began_where_a_line_was_lost_is_known_by_its_session_numbers() -> None:
    twice = timeline(*STORY[:5], SessionStarted('B', 1, 7.0), TakenOver('base', 'B', 1, 0, 7.0))
    assert spans(twice.bridge, SpanKind.RUNNING) == [('', 0.0, 2.0), ('', 7.0, 7.0)]
    assert users(twice.bases[0]) == [('/teleop', 1.0, 2.0), ('/navigator', 7.0, 7.0)]


# Clocks


def test_after_a_reboot_the_steady_clock_begins_anew() -> None:
    before = entries(LogOpened(5000.0), ChannelChanged('main', True, 5001.0), epoch=EPOCH - 5000)
    after = entries(ChannelChanged('main', True, 10.0), LogClosed(12.0), epoch=EPOCH + 90)
    both = compose([*before, *after])
    assert spans(both.bridge, SpanKind.RUNNING) == [('', 0.0, 1.0), ('', 100.0, 102.0)]


def test_lines_that_were_written_late_are_where_they_happened() -> None:
    late = [Entry(e.event, e.wall + (0.3 if e.event.at == 1.0 else 0.0)) for e in entries(*STORY)]
    (base,) = compose(late).bases
    assert users(base)[0][1:] == (1.0, 2.0)


def test_a_clock_that_was_set_after_the_start_shows_what_it_showed_longest() -> None:
    early = [Entry(e.event, e.wall - (1e9 if e.event.at < 0.5 else 0.0)) for e in entries(*STORY)]
    assert compose(early).begin == EPOCH


# A part of it


def test_a_part_has_what_lies_in_it() -> None:
    part = timeline(*STORY).part(EPOCH + 3.1, EPOCH + 3.9)
    assert users(part.bases[0]) == [('/navigator', 3.1, 3.9)]
    assert [lane.name for lane in part.clients] == ['/navigator']
    assert part.marks == []
    assert part.users == ['/teleop', '/navigator']  # colours stay


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
    with pytest.raises(ValueError, match='is no time'):
        parse_time(text, EPOCH, EPOCH + 3600)
