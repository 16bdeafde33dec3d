# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The log's lines about events: what each means, and what can be done about it."""

from __future__ import annotations

import pytest

from support.pure import base, configuration
from viam_session_bridge.configuration.model import Configuration, StopPolicy
from viam_session_bridge.core.actions import Cause, Refusal, Refused, SessionEnded, Stop
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import (
    AccessRefused,
    AtRest,
    BaseUnknown,
    CallsInTime,
    CallsTakeLonger,
    CommandDisplaced,
    CommandDropped,
    CommandFailed,
    CommandsSucceed,
    CommandsTimeOut,
    ForeignSessions,
    MachineAbsent,
    MachineSessionFailed,
    MotionUnknown,
    StillMoving,
    StopFailed,
    StopGivenUp,
    StopOverdue,
    StopTimedOut,
)
from viam_session_bridge.reporting.log_text import log_line, REMEDIES

STOP = Stop('base', Cause.LAPSE, 'a', 0.0)


@pytest.mark.parametrize(
    ('event', 'line'),
    [
        (StopFailed(STOP, 'UNKNOWN: motor 3', 1.0),
         'base: its stop failed and is repeated until it is acknowledged: UNKNOWN: motor 3'),
        (StopTimedOut(STOP, 2.0, 4.0, 1.0),
         'base: its Stop had no answer within 2 s and is repeated with 4 s: if the base takes '
         'longer to stop, raise stop_timeout'),
        (StopOverdue(STOP, 9, '', 1.0),
         'base: none of 9 stops was acknowledged: check the base itself, then its machine'),
        (StopOverdue(STOP, 9, 'UNKNOWN: motor 3', 1.0),
         'base: none of 9 stops was acknowledged (UNKNOWN: motor 3): check the base itself, then '
         'its machine'),
        (StopGivenUp(STOP, 'UNKNOWN: no node', 1.0),
         'base: its stop is given up without an acknowledgement: its machine has known no such '
         'base for a minute (UNKNOWN: no node). Check that it stands still, and '
         'bases.base.resource'),
        (MotionUnknown('base', 'UNKNOWN: encoder', 1.0),
         'base: whether it stands still is not known, as IsMoving failed: UNKNOWN: encoder'),
        (CallsTakeLonger('main', 0.25, 0.31, 1.0),
         'main: calls take 0.31 s, longer than machines.main.call_timeout (0.25 s): set it to '
         '0.5'),
        (CallsTakeLonger('main', 0.02, 0.021, 1.0),
         'main: calls take 0.02 s, longer than machines.main.call_timeout (0.02 s): set it to '
         '0.1'),
        (CallsTakeLonger('main', 0.25, 4.9, 1.0),
         'main: calls take 4.90 s, longer than machines.main.call_timeout (0.25 s): set it to 5'),
        (CallsTakeLonger('main', 5.0, 5.01, 1.0),
         'main: calls take 5.01 s, longer than machines.main.call_timeout (5 s), which is the '
         'longest allowed: check the machine and the network'),
        (CallsTakeLonger('main', 0.25, None, 1.0),
         'main: calls take longer than machines.main.call_timeout (0.25 s), and one that was '
         'given 5 s was not answered either: check the machine and the network'),
        (StillMoving('base', 0, True, 1.0),
         'base: it still moves; nobody else is known to have a session there: stopping it again'),
        (StillMoving('base', 2, False, 1.0),
         'base: it still moves; another Viam client drives it (see stop_policy), or it does not '
         'obey'),
        (CommandsTimeOut('base', 3, 1.0),
         'base: 3 commands in a row timed out; if the machine is well and only the base is slow, '
         'raise call_timeout'),
        (ForeignSessions('main', 1, 1.0),
         'main: it has 1 session of others (or of a bridge that ran here a moment ago). If they '
         'drive the same bases, a lapse here stops those even while they drive: set stop_policy '
         'to machine'),
    ],
)  # fmt: skip
def test_a_warning_says_what_it_means_and_what_to_do(event: Event, line: str) -> None:
    assert log_line(event, str, configuration()) == (True, line)


@pytest.mark.parametrize(
    ('event', 'line'),
    [
        (AtRest('base', 1.0), 'base: it stands still'),
        (CommandsSucceed('base', 1.0), 'base: its commands succeed again'),
        (CallsInTime('main', 1.0), 'main: its calls are answered within call_timeout again'),
        (CommandDropped('base', '/a', 1.0),
         'base: dropped a command of /a: it waited for a stop for as long as heartbeat_window; '
         'the next one drives once the stop is acknowledged'),
        (CommandDisplaced('base', '/a', 1.0),
         'base: another Viam client called it and so cut a command of /a short'),
    ],
)  # fmt: skip
def test_what_is_no_fault_is_no_warning(event: Event, line: str) -> None:
    assert log_line(event, str, configuration()) == (False, line)


@pytest.mark.parametrize(
    ('sign', 'heartbeat', 'silence'),
    [
        (1.5, None, '0.500 s after its last sign of life'),  # sessions: auto
        (1.5, 1.9, '0.500 s after its last sign of life, 0.100 s after the last heartbeat for it'),
        (1.9, 1.5, '0.500 s after the last heartbeat for it, 0.100 s after its last sign of life'),
        (1.5, 1.5, '0.500 s after its last sign of life'),  # a heartbeat of its own
    ],
)
def test_a_lapse_says_whether_the_client_or_the_permission_fell_silent(
    sign: float, heartbeat: float | None, silence: str
) -> None:
    ended = SessionEnded('/a', 3, Cause.LAPSE, ('base',), 1.0, sign, 9, {}, 2.0, heartbeat)
    line = f'session 3 of /a ended (lapse) {silence}: it was the last user of base'
    assert log_line(ended, str, configuration()) == (False, line)


def test_a_session_without_a_command_says_when_the_next_ones_are_logged() -> None:
    ended = SessionEnded('/a', 3, Cause.LAPSE, (), 1.0, 1.0, 0, {}, 1.5, 1.4)
    assert log_line(ended, str, configuration()) == (
        False,
        'session 3 of /a ended (lapse) 0.500 s after its last sign of life, 0.100 s after the '
        'last heartbeat for it: the client sent no command, and its sessions are not logged '
        'until it does',
    )


@pytest.mark.parametrize(
    ('age', 'why'),
    [
        (None,
         'it has no stamp, and bases.base.max_stamp_age (0.5 s) is set: let its publisher stamp '
         'its commands, or set that to 0'),
        (3.2,
         'its stamp is 3.20 s old, more than bases.base.max_stamp_age (0.5 s): let its publisher '
         "give repeated commands a new stamp (Nav2's velocity_smoother does not), synchronise the "
         'clocks, or raise that'),
        (-3.2,
         'its stamp is 3.20 s in the future, further than bases.base.max_stamp_age (0.5 s): '
         'synchronise the clocks, or raise that'),
        *((years * 3e8,
           'its stamp and the clock of this node are years apart: use_sim_time is true for only '
           'one of the two, or nothing publishes /clock') for years in (-6, 6)),
    ],
)  # fmt: skip
def test_a_stamp_that_is_refused_says_what_is_wrong_with_it(age: float | None, why: str) -> None:
    settings = configuration(base(max_stamp_age=0.5))
    refused = Refused('base', '/a', Refusal.STAMP, 1.0, age)
    line = f'base: refused a command of /a (stamp): {why}'
    assert log_line(refused, str, settings) == (True, line)


@pytest.mark.parametrize('settings', [configuration(stop_policy=StopPolicy.MACHINE), None])
def test_a_policy_that_is_set_or_not_known_is_no_advice(settings: Configuration | None) -> None:
    assert log_line(StillMoving('base', 2, False, 1.0), str, settings) == (
        True, 'base: it still moves; another Viam client drives it, or it does not obey'
    )  # fmt: skip


WORDY = 'UNKNOWN: one\ntwo \x1b[31m' + 'x' * 5000


@pytest.mark.parametrize(
    'event',
    [
        AccessRefused('main', WORDY, 1.0),
        BaseUnknown('base', (), WORDY, 1.0),
        CommandFailed('base', 'a', WORDY, 1.0),
        MachineAbsent('main', WORDY, 1.0),
        MachineSessionFailed('main', 'a', WORDY, 1.0),
        MotionUnknown('base', WORDY, 1.0),
        StopFailed(STOP, WORDY, 1.0),
        StopGivenUp(STOP, WORDY, 1.0),
        StopOverdue(STOP, 9, WORDY, 1.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_machines_words_are_one_line_that_harms_no_terminal(event: Event) -> None:
    _, line = log_line(event, str, configuration()) or (False, '')
    assert line.isprintable()
    assert 'UNKNOWN: one two ?[31m' in line
    assert len(line) < 600


def test_every_reason_to_refuse_has_a_remedy() -> None:
    assert REMEDIES.keys() == {reason.value for reason in Refusal}
