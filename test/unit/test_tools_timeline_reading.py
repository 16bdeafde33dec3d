# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the event log writes is read back as it was, and what is no event is counted."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from enum import Enum
import json
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import given, strategies
import pytest

from viam_session_bridge.core.actions import Cause, SessionStarted, Stop
from viam_session_bridge.core.events import AtRest, ChannelChanged
from viam_session_bridge.reporting.event_log import (
    EVENT_NAMES,
    EventLog,
    LogClosed,
    LogOpened,
)
from viam_session_bridge.tools.timeline_reading import (
    compose,
    Entry,
    files_of,
    KINDS,
    lines_of,
    read,
)

STOP = Stop('base', Cause.LAPSE, 'A', 3.0, 1, 2.5)
WHOLE = '{"event": "at_rest", "wall": 1.8e9, "base": "base", "at": 1.0}'


def sample(kind: Any, none: bool = False) -> Any:
    """Return an event of this kind, or a value of this type, None where it may be."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: sample(hint, none) for name, hint in get_type_hints(kind).items()})
    if isinstance(kind, UnionType):
        return None if none else sample(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    samples = {float: 2.5, int: 2, bool: True, str: 'base', dict: {'stamp': 2}, tuple: ('arm',)}
    return samples[get_origin(kind) or kind]


ONE_OF_EACH = [sample(kind) for kind in KINDS.values()]


@pytest.mark.parametrize('none', [False, True])
@pytest.mark.parametrize('kind', KINDS)
def test_an_event_is_read_as_it_was_written(kind: str, none: bool, tmp_path: Path) -> None:
    event = sample(KINDS[kind], none)
    log = EventLog(str(tmp_path / 'log'))
    log.write(event)
    log.close()
    entries, skipped = read(lines_of([tmp_path / 'log']))
    assert [type(entry.event) for entry in entries] == [LogOpened, type(event), LogClosed]
    assert entries[1].event == event
    assert not skipped


def test_every_kind_of_event_can_be_read() -> None:
    assert set(KINDS) == set(EVENT_NAMES.values())


def test_a_line_about_a_client_has_its_node_and_topic(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / 'log'), {'A': ('/teleop', '/cmd_vel')}.__getitem__)
    log.write(SessionStarted('A', 1, 1.0), ChannelChanged('main', True, 1.0), STOP)
    entries, _ = read(lines_of([tmp_path / 'log']))
    known, unknown = ('/teleop', '/cmd_vel'), ('', '')
    assert [(entry.node, entry.topic) for entry in entries] == [unknown, known, unknown, known]


def test_rotated_files_come_first_the_oldest_before_all(tmp_path: Path) -> None:
    for name in ('log', 'log.1', 'log.2', 'log.10', 'log.old', 'log.1.gz', 'catalog.1', 'log.'):
        (tmp_path / name).write_text(f'{name}\n\n')
    files = files_of(tmp_path / 'log')
    assert [line.strip() for line in lines_of(files)] == ['log.10', 'log.2', 'log.1', 'log']


def test_rotated_files_are_enough(tmp_path: Path) -> None:
    (tmp_path / 'log.1').write_text('')
    assert files_of(tmp_path / 'log') == [tmp_path / 'log.1']
    assert files_of(tmp_path / 'other') == []


@pytest.mark.parametrize(
    'line',
    [
        WHOLE[:-1],  # cut off
        '',
        '[]',
        '{}',
        '{"event": "brewed"}',
        '{"event": []}',
        'null',
        '"at_rest"',
        '[' * 100_000,
        '9' * 10_000,
        '{"event": "at_rest", "wall": 1.8e9, "base": "base"}',
        '{"event": "at_rest", "wall": 1.8e9, "base": "base", "at": NaN}',
        '{"event": "at_rest", "wall": 1.8e9, "base": "base", "at": 1e300}',
        '{"event": "at_rest", "wall": Infinity, "base": "base", "at": 1.0}',
        '{"event": "at_rest", "wall": 1.8e9, "base": "base", "at": "1.0"}',
        '{"event": "stop", "wall": 1.8e9, "base": "b", "cause": "rust", "client": "", "at": 1.0}',
        '{"event": "stop_final", "wall": 1.8e9, "stop": 7, "tries": 1, "timed_out": 0, "at": 1}',
        '{"event": "refused", "wall": 1.8e9, "base": "b", "client": "", "reason": [], "at": 1}',
    ],
)
def test_a_line_that_is_no_event_is_counted(line: str) -> None:
    entries, skipped = read([WHOLE, line, WHOLE])
    assert len(entries) == 2
    assert skipped == 1


def test_a_newer_bridge_may_say_more() -> None:
    entries, skipped = read([WHOLE[:-1] + ', "mood": {"good": [1]}}'])
    assert entries == [Entry(AtRest('base', 1.0), 1.8e9)]
    assert not skipped


def test_what_is_read_can_be_printed() -> None:
    line = {'event': 'at_rest', 'wall': 1.8e9, 'at': 1, 'base': 'a\x1b[2J\x00\ud800', 'node': '\n'}
    (entry,), _ = read([json.dumps(line)])
    assert isinstance(entry.event, AtRest)
    assert entry.event.base == 'a?[2J??'
    assert entry.node == '?'


_VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.floats(0.0, 10.0)
    | strategies.text(max_size=3)
    | strategies.sampled_from(['base', 'A', *(cause.value for cause in Cause), 'stamp']),
    lambda inner: strategies.lists(inner, max_size=3),
    max_leaves=4,
)


@strategies.composite
def spoiled(draw: strategies.DrawFn) -> dict[str, object]:
    """Draw a line that the log could have, some fields of it put out of order."""
    event = draw(strategies.sampled_from(ONE_OF_EACH))
    later = draw(strategies.floats(0.0, 100.0))
    line = {'event': EVENT_NAMES[type(event)], **asdict(event)}
    line.update(wall=1.8e9 + later, at=event.at + later)
    spoil = strategies.dictionaries(strategies.sampled_from([*line, 'node']), _VALUES, max_size=2)
    return {**line, **draw(spoil)}


@given(strategies.lists(strategies.text(max_size=20) | strategies.builds(json.dumps, spoiled())))
def test_no_line_breaks_it(lines: list[str]) -> None:
    entries, skipped = read(lines)
    assert len(entries) + skipped == len(lines)
    if entries:
        timeline = compose(entries)
        assert timeline.begin <= timeline.end
        spans = [span for lane in timeline.lanes.values() for span in lane.spans]
        assert [span for span in spans if span.begin > span.end] == []
