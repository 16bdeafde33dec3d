# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The event log: names, which are part of the interface, and lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
from typing import get_args, get_type_hints

import pytest

from viam_session_bridge.core.actions import Cause, Forward, SessionStarted, Stop
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import MachineSessionStarted, SID_SHOWN, StopFailed
from viam_session_bridge.reporting.event_log import EVENT_NAMES, EventLog, LogClosed, LogOpened

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'reference' / 'events.md'
STOP = Stop('base', Cause.LAPSE, 'a', 1.0, session=7, sign=0.5)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# Names


def test_every_event_has_a_name_but_a_command_that_is_forwarded() -> None:
    assert EVENT_NAMES.keys() == {*get_args(Event), LogOpened, LogClosed} - {Forward}


def test_no_two_events_have_one_name() -> None:
    assert len(set(EVENT_NAMES.values())) == len(EVENT_NAMES)


def test_every_name_is_in_the_reference() -> None:
    section = PAGE.read_text().partition('## Events\n')[2].partition('\n## ')[0]
    assert re.findall('^### (.*)$', section, re.MULTILINE) == list(EVENT_NAMES.values())


def test_the_names_are_those_that_readers_of_logs_rely_on() -> None:
    names = """
        stop session_started session_ended taken_over refused stop_acknowledged stop_final
        stop_failed stop_timed_out stop_overdue stop_given_up still_moving left_to_machine at_rest
        motion_unknown foreign_sessions base_unknown base_known command_failed command_dropped
        command_displaced calls_take_longer calls_in_time commands_succeed commands_time_out
        machine_session_started machine_session_expired machine_session_failed unsupervised
        channel_changed machine_absent access_refused machine_closed log_opened log_closed
    """
    assert set(names.split()) <= set(EVENT_NAMES.values())


def test_no_field_of_an_event_is_called_as_what_the_log_adds() -> None:
    fields = {name for kind in EVENT_NAMES for name in get_type_hints(kind)}
    assert not fields & {'event', 'wall', 'node', 'topic'}


# Lines


def test_a_log_begins_and_ends_with_its_bridge(tmp_path: Path) -> None:
    path = tmp_path / 'events.jsonl'
    EventLog(str(path)).close()
    assert [line['event'] for line in lines_of(path)] == ['log_opened', 'log_closed']


def test_a_line_has_the_fields_of_its_event_and_of_what_is_in_it(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / 'events.jsonl'))
    log.write(StopFailed(STOP, 'UNKNOWN: motor 3', 2.0))
    _, line = lines_of(tmp_path / 'events.jsonl')
    log.close()
    wall = line.pop('wall')
    assert isinstance(wall, float)
    assert line == {
        'event': 'stop_failed',
        'stop': {
            'base': 'base', 'cause': 'lapse', 'client': 'a', 'at': 1.0, 'session': 7, 'sign': 0.5,
        },
        'detail': 'UNKNOWN: motor 3',
        'at': 2.0,
    }  # fmt: skip


def test_a_line_about_a_client_names_its_node_and_topic(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / 'events.jsonl'), lambda client: (f'/{client}', '/cmd_vel'))
    log.write(SessionStarted('teleop', 1, 2.0), StopFailed(STOP, '', 2.0))
    _, about_client, about_base = lines_of(tmp_path / 'events.jsonl')
    log.close()
    assert (about_client['node'], about_client['topic']) == ('/teleop', '/cmd_vel')
    assert 'node' not in about_base


def test_of_a_machine_sessions_id_the_beginning_is_written(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / 'events.jsonl'))
    log.write(MachineSessionStarted('main', 'a', '0123456789abcdef', False, 1.0))
    _, line = lines_of(tmp_path / 'events.jsonl')
    log.close()
    assert line['sid'] == '0123456789abcdef'[:SID_SHOWN]


# Files that are none


def test_a_file_that_another_bridge_writes_is_refused_also_after_it_was_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('viam_session_bridge.reporting.event_log.MAX_BYTES', 500)
    path = str(tmp_path / 'events.jsonl')
    log = EventLog(path)
    for at in range(20):
        with pytest.raises(OSError, match='is written by another process: give each bridge'):
            EventLog(path)
        assert log.write(SessionStarted('A', 1, float(at))) == ''
    log.close()
    assert (tmp_path / 'events.jsonl.1').exists()
    EventLog(path).close()


def test_a_pipe_gets_the_lines(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding='utf-8') as reader:
        log = EventLog(str(pipe))
        assert log.write(STOP) == ''
        log.close()
        names = [json.loads(line)['event'] for line in reader]
    assert names == ['log_opened', 'stop', 'log_closed']


def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r'No such device or address.*pipe'):
        EventLog(str(pipe))


def test_what_a_full_disk_does_not_take_is_counted_with_the_reason() -> None:
    log = EventLog('/dev/full')
    assert 'No space left on device' in log.write(STOP, STOP)
    assert log.unwritten == 3, 'the opening line, too'
    assert log.write() == ''


def test_a_reader_that_went_away_costs_lines_until_another_comes(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = EventLog(str(pipe))
    os.close(reader)
    assert 'Broken pipe' in log.write(STOP)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding='utf-8') as another:
        assert log.write(STOP) == ''
        log.close()
        names = [json.loads(line)['event'] for line in another]
    assert log.unwritten == 1
    assert names[-2:] == ['stop', 'log_closed']
