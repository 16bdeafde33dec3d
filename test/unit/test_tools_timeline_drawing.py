# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The picture, the lines of the log, and what else the command prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
import json
from pathlib import Path
import random
import subprocess
import sys
import time
from typing import Any
from xml.etree import ElementTree

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
    StopAcknowledged,
    StopFinal,
    StopOverdue,
)
from viam_session_bridge.reporting.event_log import (
    EVENT_NAMES,
    EventLog,
    LogClosed,
    Logged,
    LogOpened,
)
from viam_session_bridge.tools import timeline
from viam_session_bridge.tools.timeline import figure_of, HATCHES, main, USERS
from viam_session_bridge.tools.timeline_reading import (
    compose,
    Entry,
    Lane,
    lines_of,
    read,
    Span,
    SpanKind,
    Timeline,
)

ROOT = Path(__file__).resolve().parents[2]
SVG = '{http://www.w3.org/2000/svg}'
NODES = {'A': ('/teleop', '/cmd_vel'), 'B': ('/nav/<controller> & "co"', '/cmd_vel')}
STOP = Stop('base', Cause.LAPSE, 'B', 4.0, 2, 3.5)
EVENTS: list[Logged] = [
    LogOpened(0.0),
    ChannelChanged('main', True, 0.9),
    SessionStarted('A', 1, 1.0),
    TakenOver('base', 'A', 1, 0, 1.0),
    Refused('base', 'A', Refusal.STAMP, 1.5),
    SessionStarted('B', 2, 2.0),
    TakenOver('base', 'B', 2, 1, 2.0),
    TakenOver('arm', 'B', 2, 0, 2.0),
    SessionEnded('A', 1, Cause.LAPSE, (), 1.0, 2.0, 40, {'stamp': 2}, 2.5),
    CommandFailed('base', 'B', 'DEADLINE_EXCEEDED', 3.0),
    SessionEnded('B', 2, Cause.LAPSE, ('arm', 'base'), 2.0, 3.5, 90, {}, 4.0),
    STOP,
    Stop('arm', Cause.LAPSE, 'B', 4.0, 2, 3.5),
    StopAcknowledged(STOP, 1, 4.01),
    StopFinal(STOP, 2, 0, 4.2),
    StopOverdue(Stop('arm', Cause.LAPSE, 'B', 4.0, 2, 3.5), 9, '', 9.0),
    LogClosed(10.0),
]


def write(path: Path, events: Sequence[Logged]) -> None:
    """Write a log as the bridge would, but for the times."""
    lines = []
    for event in events:
        node, topic = NODES.get(getattr(event, 'client', ''), ('', ''))
        line = {'event': EVENT_NAMES[type(event)], 'wall': 1.8e9 + event.at, **asdict(event)}
        lines.append(f'{json.dumps({**line, "node": node, "topic": topic})}\n')
    path.write_text(''.join(lines))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have local times be UTC."""
    with monkeypatch.context() as patch:
        patch.setenv('TZ', 'UTC')
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log with names that XML must escape."""
    pytest.importorskip('matplotlib')
    path = tmp_path / 'events.jsonl'
    write(path, EVENTS)
    return path


def drawn(log: Path, *arguments: str) -> list[str]:
    """Draw a log as SVG and return its texts."""
    out = log.with_name('out.svg')
    assert main([str(log), '-o', str(out), *arguments]) == 0
    root = ElementTree.parse(out).getroot()
    return [''.join(text.itertext()).strip() for text in root.iter(f'{SVG}text')]


def test_the_picture_has_names_and_a_legend_of_what_is_in_it(log: Path) -> None:
    texts = drawn(log)
    for text in (
        'machine main', 'base base', 'base arm', '/teleop', '/nav/<controller> & "co"', 'teleop',
        '<controller> & "co"', 'not connected', 'stopped: lapse', 'session ended: lapse',
        'stopped: lapse; not acknowledged', 'taken over', 'command refused', 'warning',
        'silent: from its last sign of life', 'bridge started', 'bridge ended', '08:00:05',
        'Who drove what, and why it stopped: events.jsonl, from 2027-01-15 08:00:00 UTC',
    ):  # fmt: skip
        assert text in texts, texts
    assert 'bridge killed or crashed' not in texts


def test_the_lines_of_the_log_are_printed_in_the_order_of_time(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(log)
    lines = capsys.readouterr().out.splitlines()
    times = [line.partition(' ')[0] for line in lines[:-1]]
    assert times == sorted(times)
    assert '08:00:02.000 base: /nav/<controller> & "co" took over' in lines
    assert '08:00:04.000 arm: stopped (lapse), not acknowledged' in lines
    assert lines[-1].endswith('out.svg: 08:00:00.000 to 08:00:10.000')


def busy() -> list[Logged]:
    """Return the events of a minute in which much happens on two bases."""
    random.seed(3)
    events: list[Logged] = [LogOpened(0.0), ChannelChanged('main', True, 0.4)]
    at = 1.0
    for number in range(1, 25):
        client, end = f'/robot/node_{number % 9}', at + random.uniform(0.5, 4.0)
        events.append(SessionStarted(client, number, at))
        for base in ('base', 'lift'):
            stop = Stop(base, Cause.LAPSE, client, end, number, end - 0.5)
            events += [TakenOver(base, client, number, 0, at), stop, StopFinal(stop, 1, 0, end)]
        for _ in range(random.randint(0, 6)):
            reason = random.choice(list(Refusal))
            events.append(Refused('base', client, reason, random.uniform(at, end)))
        bases = ('base', 'lift')
        events.append(
            SessionEnded(client, number, Cause.LAPSE, bases, at, end - 0.5, 33, {}, end)
        )
        at = end + random.choice([0.0, 0.4])
    return sorted(events, key=lambda event: event.at)


@pytest.mark.parametrize('events', [EVENTS, busy()], ids=['few', 'many'])
def test_no_two_texts_overlap(log: Path, events: list[Logged]) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    write(log, events)
    with rc_context(timeline.STYLE):
        figure = figure_of(compose(read(lines_of([log]))[0]), 'events.jsonl')
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        (axes,) = figure.axes
        shown = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
        shown += [*axes.get_legend().get_texts(), axes._left_title]
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    assert len(boxes) > 20
    assert [
        (one, other) for (one, box), (other, second) in combinations(boxes, 2)
        if box.overlaps(second)
    ] == []  # fmt: skip
    assert [text for text, box in boxes if box.x0 < 0 or box.x1 > figure.bbox.x1] == []


def test_the_same_log_makes_the_same_svg(log: Path) -> None:
    drawn(log)
    first = log.with_name('out.svg').read_bytes()
    drawn(log)
    assert log.with_name('out.svg').read_bytes() == first


@pytest.mark.parametrize(
    ('ending', 'magic'), [('png', b'\x89PNG'), ('pdf', b'%PDF'), ('svg', b'<?xml')]
)
def test_the_ending_of_its_name_says_the_format(log: Path, ending: str, magic: bytes) -> None:
    out = log.with_name(f'out.{ending}')
    assert main([str(log), '-o', str(out)]) == 0
    assert out.read_bytes().startswith(magic)


def test_a_picture_without_a_name_is_an_svg_beside_the_log(log: Path) -> None:
    assert main([str(log)]) == 0
    assert log.with_suffix('.svg').read_text().startswith('<?xml')


def test_only_the_part_between_two_times_is_drawn(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(log, '--from', '1.8', '--to', '-6.5')
    printed = capsys.readouterr().out
    assert 'took over' in printed
    assert 'refused a command' not in printed
    assert 'base: stopped' not in printed


def test_of_too_many_clients_the_first_are_drawn_with_a_warning(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, 'MOST_CLIENTS', 1)
    texts = drawn(log)
    assert 'only 1 of 2 clients are drawn' in capsys.readouterr().err
    assert '/teleop' in texts
    assert '/nav/<controller> & "co"' not in texts


def test_skipped_lines_are_counted(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open('a') as more:
        more.write('{"event": "brewed"}\n{"event": "stop", "wal')
    drawn(log)
    assert '2 lines were skipped' in capsys.readouterr().err


def test_rotated_logs_are_read(log: Path) -> None:
    whole = drawn(log)
    lines = log.read_text().splitlines(keepends=True)
    log.with_name('events.jsonl.2').write_text(''.join(lines[:5]))
    log.with_name('events.jsonl.1').write_text(''.join(lines[5:9]))
    log.write_text(''.join(lines[9:]))
    assert drawn(log) == whole


def test_a_long_name_is_cut(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = SessionEnded('C', 9, Cause.LAPSE, (), 1.0, 2.0, 5, {}, 3.0)
    monkeypatch.setitem(NODES, 'C', ('/' + 'n' * 300, '/cmd_vel'))
    write(log, [ended])
    assert '/' + 'n' * 33 + '...' in drawn(log)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'no such file'),
        ('', 'there is no event in it'),
        ('once upon\n{}\n', '2 lines were skipped: cut off, of another version, or no event'),
    ],
)
def test_nothing_to_draw_is_one_line_and_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    log = tmp_path / 'events.jsonl'
    if content is not None:
        log.write_text(content)
    assert main([str(log), '-o', str(tmp_path / 'out.svg')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert str(log) in line
    assert not (tmp_path / 'out.svg').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--from', '5000'], 'nothing lies between'),
        (['--from', '2', '--to', '1'], 'nothing lies between'),
        (['--to', 'noon'], "'noon' is no time"),
        (['-o', '/nowhere/out.svg'], '/nowhere/out.svg'),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_a_failure(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([str(log), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_another_kind_of_picture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main([str(tmp_path / 'log'), '-o', 'out.html'])
    assert refused.value.code == 2
    assert 'out.html: a picture must end in .svg, .png or .pdf' in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    log = tmp_path / 'events.jsonl'
    EventLog(str(log)).close()
    program = (
        'import sys\n'
        "sys.modules['matplotlib'] = None\n"
        'from viam_session_bridge.tools.timeline import main\n'
        "unwanted = {'rclpy', 'grpc', 'google'} & {name.split('.')[0] for name in sys.modules}\n"
        'assert not unwanted, unwanted\n'
        'sys.exit(main(sys.argv[1:]))\n'
    )
    ran = subprocess.run(
        [sys.executable, '-c', program, str(log)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stderr == (
        'timeline: matplotlib is missing: sudo apt install python3-matplotlib, or pip install '
        'matplotlib\n'
    )
    assert ran.returncode == 1


def luminance(shade: str) -> float:
    """Return what WCAG calls the relative luminance."""
    parts = (int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize('user', USERS)
def test_text_on_the_colour_of_a_user_is_readable(user: str) -> None:
    darker, lighter = sorted(map(luminance, (timeline.INK, user)))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_users_beyond_the_colours_are_hatched() -> None:
    pytest.importorskip('matplotlib')
    names = {'': 'nobody', **{f'{n}': f'user {n}' for n in range(len(USERS) * len(HATCHES))}}
    story = Timeline(names, 0.0, 1.0)
    spans = [Span(SpanKind.LAST_USER, 0.0, 1.0, user) for user in names if user]
    story.lanes['base', 'base'] = Lane(spans)
    bars = figure_of(story, 'events.jsonl').axes[0].collections
    looks = {(*bar.get_facecolor()[0], bar.get_hatch()) for bar in bars}
    assert len(looks) == len(spans)


def test_a_day_of_many_sessions_is_drawn_in_seconds() -> None:
    pytest.importorskip('matplotlib')
    begun = time.monotonic()
    ended = (
        SessionEnded('A', n, Cause.LEFT, ('base',), 10.0 * n, 10 * n + 5.0, 99, {}, 10 * n + 5.5)
        for n in range(8000)
    )
    figure = figure_of(compose([Entry(event, 1.8e9 + event.at) for event in ended]), 'log')
    figure.savefig('/dev/null', format='png')
    assert time.monotonic() - begun < 20
