# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated machine's session rules, with the time handed in."""

from collections.abc import Callable
import math
import uuid

import pytest

from viam_session_bridge.simulation.session_rules import (
    Lapse,
    MAX_SESSIONS,
    RefusedCallError,
    SessionRules,
)

WINDOW = 0.5
T = 100.0  # when a test begins
LAST = T + WINDOW - 1e-6  # the last moment of a session that began then
UNKNOWN_ID = 'c0ffee00-c0ff-4e00-8000-c0ffeec0ffee'
NIL = '00000000-0000-0000-0000-000000000000'
EXPIRED = ('INVALID_ARGUMENT', 'SESSION_EXPIRED')
MALFORMED = {
    '': 'invalid UUID length: 0',
    'x': 'invalid UUID length: 1',
    UNKNOWN_ID + '0': 'invalid UUID length: 37',
    UNKNOWN_ID[:-2] + 'ü': None,  # 36 bytes
    'g' + UNKNOWN_ID[1:]: None,
    UNKNOWN_ID.replace('-', '_'): None,
    'z' * 32: None,
    'urn:guid:' + UNKNOWN_ID: 'invalid urn prefix: "urn:guid:"',
}


@pytest.fixture
def rules() -> SessionRules:
    return SessionRules(WINDOW)


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Return the code and the details that a call is refused with."""
    with pytest.raises(RefusedCallError) as caught:
        call()
    return caught.value.code, caught.value.details


def last_user(rules: SessionRules) -> str | None:
    """Return the id of the session that used the base last."""
    return rules._last_users.get('base')


def facts(rules: SessionRules, now: float) -> object:
    """Return all that a refused call must leave as it is."""
    return rules.sessions(now), rules.next_deadline(), last_user(rules)


# The window


@pytest.mark.parametrize('window', [0.03, 0.5, 60.0])
def test_a_window_from_30_ms_to_60_s_is_taken(window: float) -> None:
    assert SessionRules(window).window == window


@pytest.mark.parametrize('window', [0.0, -1.0, 0.0299, 60.001, math.inf, math.nan])
def test_any_other_window_is_an_error_that_says_what_is_allowed(window: float) -> None:
    allowed = r'from 0\.03 to 60 seconds'
    with pytest.raises(ValueError, match=rf'^window must be {allowed}, not {window}$'):
        SessionRules(window)


# Starting and resuming


def test_a_session_is_a_new_uuid_each_time(rules: SessionRules) -> None:
    first, second = rules.start(T), rules.start(T)
    assert first != second
    assert str(uuid.UUID(first)) == first


def test_resuming_a_live_session_is_a_heartbeat_of_the_same(rules: SessionRules) -> None:
    session = rules.start(T)
    assert rules.start(LAST, resume=session) == session
    assert rules.next_deadline() == LAST + WINDOW
    assert len(rules.sessions(LAST)) == 1


@pytest.mark.parametrize('spell', [
    str.upper, lambda id_: f'urn:uuid:{id_}', lambda id_: f'URN:UUID:{id_}',
    lambda id_: f'{{{id_}}}', lambda id_: f'({id_}(', lambda id_: id_.replace('-', ''),
])  # fmt: skip
def test_an_id_is_taken_in_every_form_of_gos_parser_and_given_back_as_it_came(
    rules: SessionRules, spell: Callable[[str], str]
) -> None:
    session = rules.start(T)
    assert rules.start(T, resume=spell(session)) == spell(session)
    rules.heartbeat(T, spell(session))
    assert rules.use(T, 'base', [spell(session)]) == session


def test_resuming_an_unknown_or_expired_session_silently_starts_one(rules: SessionRules) -> None:
    expired = rules.start(T - WINDOW)
    for resume in (UNKNOWN_ID, NIL, expired):
        assert rules.start(T, resume=resume) not in (resume, expired)


@pytest.mark.parametrize(('malformed', 'details'), MALFORMED.items())
def test_a_malformed_id_is_unknown_everywhere_and_changes_nothing(
    rules: SessionRules, malformed: str, details: str | None
) -> None:
    rules.use(T, 'base', [rules.start(T)])
    before = facts(rules, T)
    calls: list[Callable[[], object]] = [
        lambda: rules.heartbeat(LAST, malformed),
        lambda: rules.use(LAST, 'base', [malformed]),
    ]
    if malformed:  # an empty one resumes nothing
        calls.append(lambda: rules.start(LAST, resume=malformed))
    for call in calls:
        assert refusal(call) == ('UNKNOWN', details or 'invalid UUID format')
    assert facts(rules, T) == before


def test_1025_sessions_are_the_most_and_ended_ones_do_not_count(rules: SessionRules) -> None:
    sessions = [rules.start(T) for _ in range(MAX_SESSIONS)]
    assert len(sessions) == 1025
    assert refusal(lambda: rules.start(LAST)) == ('UNKNOWN', 'too many concurrent sessions')
    assert rules.start(LAST, resume=sessions[0]) == sessions[0]
    assert len(rules.sessions(LAST)) == 1025
    rules.start(T + WINDOW)


# Heartbeats


def test_a_session_lives_as_long_as_heartbeats_come(rules: SessionRules) -> None:
    session = rules.start(T)
    for beat in range(1, 50):
        rules.heartbeat(T + beat * 0.9 * WINDOW, session)
        assert rules.expire(T + beat * 0.9 * WINDOW) == ()


@pytest.mark.parametrize('id_', [UNKNOWN_ID, NIL])
def test_a_heartbeat_of_no_session_is_expired(rules: SessionRules, id_: str) -> None:
    assert refusal(lambda: rules.heartbeat(T, id_)) == EXPIRED


def test_nothing_revives_a_session_at_its_deadline(rules: SessionRules) -> None:
    session = rules.start(T)
    rules.use(T, 'base', [session])
    over = T + WINDOW
    assert refusal(lambda: rules.heartbeat(over, session)) == EXPIRED
    assert refusal(lambda: rules.use(over, 'base', [session])) == EXPIRED
    assert rules.start(over, resume=session) != session
    assert session not in [live.id for live in rules.sessions(over)]
    assert rules.expire(over) == (Lapse(session, ('base',)),)


def test_the_peer_is_where_the_last_heartbeat_came_from(rules: SessionRules) -> None:
    session = rules.start(T, peer='here:1')
    rules.start(T, peer='elsewhere:1')
    rules.heartbeat(T, session, peer='there:2')
    assert [live.peer for live in rules.sessions(T)] == ['there:2', 'elsewhere:1']


# Monitored calls and last users


def test_a_monitored_call_is_a_heartbeat_and_makes_the_last_user(rules: SessionRules) -> None:
    session = rules.start(T)
    assert rules.use(LAST, 'base', [session]) == session
    assert last_user(rules) == session
    assert rules.next_deadline() == LAST + WINDOW


@pytest.mark.parametrize('ids', [[], [NIL], [NIL.replace('-', '')]])
def test_a_monitored_call_without_a_session_clears_the_last_user(
    rules: SessionRules, ids: list[str]
) -> None:
    session = rules.start(T)
    rules.use(T, 'base', [session])
    assert rules.use(T, 'base', ids) is None
    assert last_user(rules) is None
    assert rules.expire(T + WINDOW) == (Lapse(session, ()),)


def test_several_ids_are_refused_even_if_they_are_the_same(rules: SessionRules) -> None:
    session = rules.start(T)
    rules.use(T, 'base', [session])
    before = facts(rules, T)
    several = ('UNKNOWN', 'found more than one session id in metadata')
    assert refusal(lambda: rules.use(LAST, 'base', [session, session])) == several
    assert facts(rules, T) == before


def test_a_refused_id_leaves_the_last_user(rules: SessionRules) -> None:
    session = rules.start(T)
    rules.use(T, 'base', [session])
    assert refusal(lambda: rules.use(T, 'base', [UNKNOWN_ID])) == EXPIRED
    assert last_user(rules) == session


def test_a_call_to_an_unknown_base_is_a_heartbeat_and_uses_nothing(rules: SessionRules) -> None:
    session = rules.start(T)
    assert rules.use(LAST, None, [session]) == session
    assert rules.expire(LAST + WINDOW) == (Lapse(session, ()),)


# Expiry


def test_a_drives_then_b_drives_then_a_lapses_and_the_base_goes_on(rules: SessionRules) -> None:
    a, b = rules.start(T), rules.start(T)
    rules.use(T, 'base', [a])
    rules.use(T + 0.1, 'base', [b])
    assert rules.expire(T + WINDOW) == (Lapse(a, ()),)
    assert last_user(rules) == b
    assert rules.expire(T + 0.1 + WINDOW) == (Lapse(b, ('base',)),)


def test_a_lapse_stops_all_bases_that_the_session_used_last_and_no_other(
    rules: SessionRules,
) -> None:
    a, b = rules.start(T), rules.start(T + 0.1)
    for base in ('one', 'two', 'three'):
        rules.use(T, base, [a])
    rules.use(T, 'two', [])
    rules.use(T + 0.1, 'four', [b])
    assert rules.expire(T + WINDOW) == (Lapse(a, ('one', 'three')),)


def test_a_base_that_is_taken_over_between_deadline_and_expiry_is_not_stopped(
    rules: SessionRules,
) -> None:
    a, b = rules.start(T), rules.start(T + 0.1)
    rules.use(T, 'base', [a])
    rules.use(T + WINDOW, 'base', [b])
    assert rules.expire(T + WINDOW) == (Lapse(a, ()),)


def test_a_session_lapses_once_and_first_the_first_that_is_due(rules: SessionRules) -> None:
    a, b = rules.start(T), rules.start(T + 0.1)
    rules.heartbeat(T + 0.2, a)
    assert rules.expire(T + 9) == (Lapse(b, ()), Lapse(a, ()))
    assert rules.expire(T + 9) == ()
    assert rules.next_deadline() == math.inf


def test_expiry_is_due_exactly_at_the_next_deadline(rules: SessionRules) -> None:
    session = rules.start(T)
    due = rules.next_deadline()
    assert due == T + WINDOW
    assert rules.expire(math.nextafter(due, 0)) == ()
    assert rules.expire(due) == (Lapse(session, ()),)
