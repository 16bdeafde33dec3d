# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Which machine is disconnected when (R18): main, arm and mast below it, hand below arm."""

from __future__ import annotations

from collections.abc import Callable

from viam_session_bridge.core.shutdown_order import ShutdownOrder
from viam_session_bridge.core.timing import NEVER

PARENTS = {'main': '', 'arm': 'main', 'hand': 'arm', 'mast': 'main'}
LEVEL_TIMEOUT = 1.0


def closing() -> ShutdownOrder:
    machines = ShutdownOrder(PARENTS, LEVEL_TIMEOUT)
    machines.open_all()
    machines.begin()
    return machines


def all_but(*hung: str) -> Callable[[str], bool]:
    return lambda machine: machine not in hung


def test_all_are_opened_main_parts_first() -> None:
    machines = ShutdownOrder(PARENTS, LEVEL_TIMEOUT)
    assert machines.open == frozenset()
    assert machines.open_all() == ['main', 'arm', 'mast', 'hand']
    assert machines.open == frozenset(PARENTS)


def test_nothing_closes_before_it_is_to() -> None:
    machines = ShutdownOrder(PARENTS, LEVEL_TIMEOUT)
    machines.open_all()
    assert machines.step(all_but(), 0.0) == []


def test_where_all_stops_are_final_all_close_at_once_the_deepest_first() -> None:
    assert closing().step(all_but(), 0.0) == ['hand', 'arm', 'mast', 'main']


def test_a_parent_waits_for_its_sub_parts_and_others_do_not() -> None:
    machines = closing()
    assert machines.step(all_but('hand'), 0.0) == ['mast']
    assert machines.step(all_but(), 0.4) == ['hand', 'arm', 'main']


def test_a_parent_waits_no_longer_than_the_level_timeout() -> None:
    machines = closing()
    assert machines.step(all_but('hand'), 0.0) == ['mast']
    assert machines.next_deadline() == LEVEL_TIMEOUT
    assert machines.step(all_but('hand'), LEVEL_TIMEOUT - 0.001) == []
    assert machines.step(all_but('hand'), LEVEL_TIMEOUT) == ['arm', 'main']
    assert machines.open == {'hand'}


def test_the_wait_begins_with_the_parents_own_final_stops() -> None:
    machines = closing()
    assert machines.step(all_but('mast', 'main'), 0.0) == ['hand', 'arm']
    assert machines.step(all_but('mast'), 0.7) == []
    assert machines.step(all_but('mast'), 1.699) == []
    assert machines.step(all_but('mast'), 1.7) == ['main']


def test_a_machine_whose_stops_are_not_final_never_closes() -> None:
    machines = closing()
    machines.step(all_but('main'), 0.0)
    assert machines.step(all_but('main'), 100.0) == []
    assert machines.next_deadline() == NEVER


def test_activation_opens_what_had_closed_and_keeps_what_had_not() -> None:
    machines = closing()
    machines.step(all_but('main'), 0.0)
    assert machines.open_all() == ['arm', 'mast', 'hand']
    assert machines.step(all_but(), 0.1) == []


def test_the_wait_begins_anew_where_a_stop_became_due_again() -> None:
    machines = closing()
    machines.step(all_but('mast'), 0.0)
    machines.step(all_but('mast', 'main'), 0.5)
    machines.step(all_but('mast'), 0.6)
    assert machines.next_deadline() == 0.6 + LEVEL_TIMEOUT
