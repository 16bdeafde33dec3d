# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The judge of the fault campaign finds what it is there for, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math

import pytest

from campaigns.chaos.checking import (
    Bounds,
    by_kind,
    Judge,
    NOTHING,
    Sender,
    SLOWEST,
    STEP,
    TOGETHER,
    Trouble,
    Verdict,
)
from campaigns.chaos.faults import KINDS as RUN
from campaigns.chaos.schedule import draw, KINDS
from support.publisher import MARK
from support.record import Entry

BOUNDS = Bounds(window=0.4, machine_window=1.0, call_timeout=0.25)
TAKES = 0.3  # s
SLOW = Bounds(window=0.4, machine_window=1.0, call_timeout=0.25 + TAKES, takes=TAKES)
WAY = 0.002  # s, from a publisher to the base


def times(start: float, end: float) -> list[float]:
    """Return when a stream of 50 Hz sends."""
    return [start + n / 50 for n in range(round(50 * (end - start)))]


def sender(step: int, sent: Sequence[float], left: float = math.inf) -> Sender:
    return Sender(f'publisher {step}', SLOWEST + STEP * step, sent, left)


def moved(one: Sender, number: int, at: float | None = None) -> list[Entry]:
    """Return the record of a command, on time or at that time."""
    at = one.sent[number - 1] + WAY if at is None else at
    linear = (0.0, 1000.0 * (one.speed + MARK * number), 0.0)
    return [
        Entry(at, 'base', 'set_velocity', phase, linear, (0.0, 0.0, 0.0))
        for phase in ('begin', 'end')
    ]


def stopped(at: float) -> list[Entry]:
    return [Entry(at, 'base', 'stop', phase) for phase in ('begin', 'end')]


def stream(one: Sender) -> list[Entry]:
    return [entry for n in range(1, len(one.sent) + 1) for entry in moved(one, n)]


def judge(
    entries: list[Entry],
    *senders: Sender,
    troubles: Sequence[Trouble] = (),
    kills: Sequence[float] = (),
    busy: float = 0.0,
    bounds: Bounds = BOUNDS,
    bases: int = 1,
) -> Verdict:
    judge = Judge('main', bounds, senders, troubles, lambda begin, end: busy, bases)
    return judge.verdict('base', sorted(entries, key=lambda entry: entry.t), kills)


def trouble(begin: float, end: float, **how: bool) -> Trouble:
    return Trouble('link cut', begin, end, frozenset({'main'}), **how)


def test_a_base_that_is_stopped_one_window_after_the_last_command_is_fine() -> None:
    one = sender(0, times(1.0, 2.0))
    verdict = judge([*stream(one), *stopped(one.sent[-1] + 0.4)], one)
    assert verdict.violations == []
    assert verdict.motions == 50
    assert [round(stop.after, 6) for stop in verdict.stopped] == [0.4]


def test_a_stop_that_is_late_is_found_and_widened_by_what_the_computer_was_busy() -> None:
    one = sender(0, times(1.0, 2.0))
    entries = [*stream(one), *stopped(one.sent[-1] + 0.47)]
    assert ['moved 0.470 s after' in line for line in judge(entries, one).violations] == [True]
    assert judge(entries, one, busy=0.03).violations == []


def test_a_machine_that_stops_instead_has_its_own_window_more_and_no_longer() -> None:
    one = sender(0, times(1.0, 2.0))
    between = [trouble(1.9, 2.5)]
    entries = [*stream(one), *stopped(one.sent[-1] + 1.45)]
    assert judge(entries, one, troubles=between).violations == []
    assert len(judge(entries, one).violations) == 1
    late = [*stream(one), *stopped(one.sent[-1] + 1.55)]
    assert len(judge(late, one, troubles=between).violations) == 1
    assert judge(late, one, troubles=[trouble(1.9, 2.5, frozen=True)]).violations == []
    assert judge(late, one, troubles=[trouble(1.9, 2.5, holds_back=True)]).violations == []


def test_what_fails_elsewhere_excuses_nothing() -> None:
    one = sender(0, times(1.0, 2.0))
    entries = [*stream(one), *stopped(one.sent[-1] + 1.0)]
    elsewhere = Trouble('sub-part killed', 1.9, 2.5, frozenset({'sub'}))
    assert len(judge(entries, one, troubles=[elsewhere]).violations) == 1


def test_a_call_may_fail_when_the_clock_is_set_and_a_base_may_not_move_on() -> None:
    one = sender(0, times(1.0, 2.0))
    clock = [Trouble('wall clock set', 1.4, 1.6, frozenset(), fails_calls=True)]
    stops = [*stream(one), *stopped(1.5), *stopped(one.sent[-1] + 0.4)]
    assert judge(stops, one, troubles=clock).violations == []
    late = [Trouble('wall clock set', 1.9, 2.5, frozenset(), fails_calls=True)]
    moves_on = [*stream(one), *stopped(one.sent[-1] + 0.5)]
    assert len(judge(moves_on, one, troubles=late).violations) == 1


def test_a_stop_under_a_publisher_that_lives_is_found() -> None:
    one = sender(0, times(1.0, 2.0))
    entries = [*stream(one), *stopped(1.5), *stopped(one.sent[-1] + 0.4)]
    (violation,) = judge(entries, one).violations
    assert 'its last user' in violation
    assert judge(entries, one, troubles=[trouble(1.4, 1.6)]).violations == []


def test_a_stop_that_a_link_held_back_may_come_as_late_as_tcp_sends_it_again() -> None:
    one = sender(0, times(1.0, 4.0))
    entries = [*stream(one), *stopped(2.1), *stopped(one.sent[-1] + 0.4)]
    assert judge(entries, one, troubles=[trouble(1.0, 1.6, holds_back=True)]).violations == []
    assert len(judge(entries, one, troubles=[trouble(1.0, 1.6)]).violations) == 1
    assert len(judge(entries, one, troubles=[trouble(1.0, 1.5, holds_back=True)]).violations) == 1


def test_the_death_of_another_publisher_is_no_reason_to_stop() -> None:
    one, two = sender(0, times(1.0, 1.5)), sender(1, times(1.01, 3.0))
    entries = [*stream(one), *stream(two), *stopped(two.sent[-1] + 0.4)]
    assert judge(entries, one, two).violations == []
    early = [*entries, *stopped(one.sent[-1] + 0.4)]
    assert len(judge(early, one, two).violations) == 1


@pytest.mark.parametrize(('since_it_left', 'fine'), [(0.02, True), (0.5, False)])
def test_one_that_left_while_its_command_waited_was_the_last_user(
    since_it_left: float, fine: bool
) -> None:
    one, two = sender(0, times(1.0, 2.5)), sender(1, times(1.0, 2.0), left=2.0)
    entries = [*moved(two, 1), *moved(one, 1), *moved(one, 45), *stopped(2.0 + since_it_left)]
    assert (judge(entries, one, two).violations == []) is fine


def test_a_publisher_that_left_is_stopped_at_once() -> None:
    sent = times(1.0, 2.0)
    entries = [*stream(sender(0, sent)), *stopped(2.05)]
    assert judge(entries, sender(0, sent, left=2.0)).violations == []
    assert len(judge(entries, sender(0, sent)).violations) == 1


def test_commands_out_of_their_order_are_found() -> None:
    one = sender(0, times(1.0, 2.0))
    entries = [*stream(one), *moved(one, 3, 1.5), *stopped(one.sent[-1] + 0.4)]
    assert any('came after' in line for line in judge(entries, one).violations)


def test_a_late_command_is_to_be_stopped_at_once() -> None:
    one = sender(0, times(1.0, 2.0))
    before = [*stream(one), *stopped(one.sent[-1] + 0.4)]
    at_once = judge([*before, *moved(one, 50, 4.0), *stopped(4.03)], one)
    assert at_once.violations == []
    assert [round(seconds, 6) for seconds in at_once.late] == [0.03]
    (violation,) = judge([*before, *moved(one, 50, 4.0), *stopped(4.3)], one).violations
    assert 'was not stopped for 0.300 s' in violation


def test_a_machine_that_is_killed_drives_nothing_any_more() -> None:
    one = sender(0, times(1.0, 2.0))
    assert judge(stream(one), one, kills=[2.0]).violations == []


def test_the_longest_motion_is_reported_by_what_failed() -> None:
    one = sender(0, times(1.0, 2.0))
    verdict = judge([*stream(one), *stopped(one.sent[-1] + 0.41)], one)
    assert {*by_kind(verdict.stopped, [], 0.4)} == {NOTHING}
    assert round(by_kind(verdict.stopped, [trouble(2.1, 2.2)], 0.4)['link cut'], 6) == 0.29
    assert {*by_kind(verdict.stopped, [trouble(0.1, 0.2)], 0.4)} == {NOTHING}
    killed = Trouble('publisher killed', 1.9, 2.2, frozenset())
    assert round(by_kind(verdict.stopped, [killed], 0.4)['publisher killed'], 6) == 0.41
    both = [killed, trouble(2.1, 2.2)]
    assert round(by_kind(verdict.stopped, both, 0.4)[TOGETHER], 6) == 0.29


# A base whose calls take their time


def slowly(call: list[Entry], *, cancelled: bool = False) -> list[Entry]:
    """Return a call that takes effect after its time, or is given up halfway."""
    begin, end = call
    if cancelled:
        return [begin, replace(end, t=end.t + TAKES / 2, error='context canceled')]
    return [begin, replace(end, t=end.t + TAKES)]


def slow_stream(one: Sender) -> list[Entry]:
    """Return the record of a stream: the newest that waits is next, as the one before ends."""
    entries: list[Entry] = []
    at = one.sent[0]
    while at < one.sent[-1]:
        number = sum(sent <= at for sent in one.sent)
        entries += slowly(moved(one, number, at))
        at += TAKES
    return entries


def test_a_stop_may_take_what_it_takes_and_no_longer() -> None:
    one = sender(0, times(1.0, 2.0))
    drive, last = slow_stream(one), one.sent[-1]
    stop = slowly(stopped(last + 0.4))
    assert judge([*drive, *stop], one, bounds=SLOW).violations == []
    late = slowly(stopped(last + 0.46))
    assert len(judge([*drive, *late], one, bounds=SLOW).violations) == 1


def test_a_publisher_that_goes_on_under_an_open_stop_was_stopped_rightly() -> None:
    one = sender(0, [*times(1.0, 2.0), 2.5])
    entries = [*slow_stream(sender(0, times(1.0, 2.0))), *slowly(stopped(1.98 + 0.4))]
    assert judge(entries, one, bounds=SLOW).violations == []
    early = [*slow_stream(sender(0, times(1.0, 2.0))), *slowly(stopped(1.98 + 0.3))]
    assert ['its last user' in line for line in judge(early, one, bounds=SLOW).violations] == [
        True
    ]


def test_the_taker_is_the_last_user_while_its_command_is_under_way() -> None:
    one, two = sender(0, times(1.0, 1.3)), sender(1, times(1.66, 2.6))
    first = slowly(moved(one, 15, 1.3))
    taken = slowly(moved(two, 1, 1.75))  # the first one's speed until then
    on = [*first, *taken, *slowly(stopped(two.sent[-1] + 0.4))]
    assert judge(on, one, two, bounds=SLOW).violations == []
    untaken = [*first, *slowly(stopped(1.75))]
    (violation,) = judge(untaken, one, two, bounds=SLOW).violations
    assert 'moved 0.770 s' in violation


def test_a_taker_whose_command_the_stop_cancelled_was_the_last_user() -> None:
    one, two = sender(0, times(1.0, 1.3)), sender(1, [1.6])
    given_up = slowly(moved(two, 1), cancelled=True)
    entries = [*slowly(moved(one, 15, 1.3)), *given_up, *slowly(stopped(2.0))]
    verdict = judge(entries, one, two, bounds=SLOW)
    assert verdict.violations == []
    assert [round(stop.after, 6) for stop in verdict.stopped] == [0.7]


def test_a_command_that_waited_for_the_one_before_it_is_not_late() -> None:
    one = sender(0, times(1.0, 2.0))
    waited = slowly(moved(one, 50, one.sent[-1] + TAKES))
    verdict = judge([*waited, *slowly(stopped(one.sent[-1] + 0.4))], one, bounds=SLOW)
    assert (verdict.violations, verdict.late) == ([], [])


def test_a_late_command_may_move_it_for_as_long_as_its_stop_takes() -> None:
    one = sender(0, times(1.0, 2.0))
    stray = slowly(moved(one, 50, 4.0))
    assert judge([*stray, *slowly(stopped(4.0 + TAKES))], one, bounds=SLOW).violations == []
    late = [*stray, *slowly(stopped(4.0 + TAKES + 0.06))]
    assert len(judge(late, one, bounds=SLOW).violations) == 1


def test_a_machine_stops_its_bases_one_after_the_other() -> None:
    one = sender(0, times(1.0, 2.0))
    entries = [*slow_stream(one), *slowly(stopped(one.sent[-1] + 1.4 + TAKES))]
    between = [trouble(1.9, 2.5)]
    assert judge(entries, one, troubles=between, bounds=SLOW, bases=2).violations == []
    assert len(judge(entries, one, troubles=between, bounds=SLOW).violations) == 1


def test_a_seed_draws_the_same_faults_again_and_all_kinds_come() -> None:
    assert {*RUN} == {*KINDS}
    steps = [*draw(3, 500)]
    assert steps == [*draw(3, 500)]
    assert steps != [*draw(4, 500)]
    faults = [fault for step in steps for fault in step.faults]
    assert len(faults) == 500
    assert {fault.kind for fault in faults} == {*KINDS}
    for step in steps:
        assert len({fault.target for fault in step.faults}) == len(step.faults)
