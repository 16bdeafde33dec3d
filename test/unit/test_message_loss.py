# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that never came are counted and shown in diagnostics."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticStatus

from support.pure import configuration
from viam_session_bridge.reporting.diagnostics import diagnostic_statuses, message_warning
from viam_session_bridge.reporting.overview import Overview
from viam_session_bridge.ros.subscription import MessageLoss, PUBLISHERS_KEPT


def test_messages_in_order_leave_no_gap() -> None:
    loss = MessageLoss()
    assert [loss.before('a', number) for number in (7, 8, 9)] == [0, 0, 0]


def test_what_is_missing_between_two_messages_was_lost() -> None:
    loss = MessageLoss()
    assert [loss.before('a', number) for number in (1, 5, 6, 8)] == [0, 3, 0, 1]


def test_publishers_are_counted_apart() -> None:
    loss = MessageLoss()
    assert [loss.before(*one) for one in (('a', 1), ('b', 100), ('a', 2), ('b', 103))] == [
        0, 0, 0, 2,
    ]  # fmt: skip


def test_one_that_comes_late_or_twice_is_no_gap() -> None:
    loss = MessageLoss()
    assert [loss.before('a', number) for number in (1, 3, 2, 3, 4)] == [0, 1, 0, 0, 0]


def test_of_many_publishers_those_heard_last_are_remembered() -> None:
    loss = MessageLoss()
    loss.before('first', 1)
    loss.before('kept', 1)
    for number in range(PUBLISHERS_KEPT):
        loss.before('kept', 2 + number)
        loss.before(str(number), 1)
    assert loss.before('kept', PUBLISHERS_KEPT + 3) == 1
    assert loss.before('first', 9) == 0  # forgotten: as one never heard


@pytest.mark.parametrize('discarded', [0, 3])
def test_diagnostics_warn_where_messages_are_being_lost(discarded: int) -> None:
    status = bridge_status({'lost_messages': 5, 'discarded_messages': discarded}, ['/cmd_vel'])
    assert status.level == DiagnosticStatus.WARN
    assert status.message == 'messages are lost on their way: /cmd_vel'
    assert {value.key: value.value for value in status.values}['lost_messages'] == '5'


def test_of_many_topics_a_few_are_named() -> None:
    status = bridge_status({'lost_messages': 5}, ['/a', '/b', '/c', '/d', '/e'])
    assert status.message == 'messages are lost on their way: /a, /b, /c and 2 more'


def test_diagnostics_warn_no_more_of_what_was_lost_before() -> None:
    status = bridge_status({'lost_messages': 5}, [])
    assert (status.level, status.message) == (DiagnosticStatus.OK, 'active')


def test_diagnostics_warn_of_commands_that_come_too_fast() -> None:
    status = bridge_status({'replaced_messages': 4800}, [], ['/cmd_vel'])
    assert status.level == DiagnosticStatus.WARN
    assert status.message == 'commands come faster than they are handled: /cmd_vel'


def bridge_status(
    counts: dict[str, int], losing: list[str], replacing: Sequence[str] = ()
) -> DiagnosticStatus:
    """Return the status of the bridge itself."""
    overview = Overview(True, 0.5, 0, [], [], [])
    warning = message_warning(lost=losing, replaced=replacing)
    bridge, = diagnostic_statuses('/bridge', overview, configuration(), {}, counts, warning)
    return bridge
