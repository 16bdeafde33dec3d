# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The picture itself: what is in the SVG, the PNG and the page, and what the command says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html.parser import HTMLParser
import json
from pathlib import Path
import re
import subprocess
import sys
import time
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
from viam_session_bridge.tools.timeline import main as timeline
from viam_session_bridge.tools.timeline.main import main
from viam_session_bridge.tools.timeline.style import (
    colour,
    DARK,
    HATCHES,
    INK,
    PAPER,
    text_on,
    USERS,
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
    """Write a log with names that HTML and XML must be told about."""
    pytest.importorskip('matplotlib')
    path = tmp_path / 'events.jsonl'
    write(path, EVENTS)
    return path


def drawn(log: Path, ending: str, *arguments: str) -> Path:
    out = log.with_name(f'out.{ending}')
    assert main([str(log), '-o', str(out), *arguments]) == 0
    return out


def titles(root: ElementTree.Element) -> list[str]:
    return [title.text or '' for title in root.iter(f'{SVG}title')]


def texts(root: ElementTree.Element) -> list[str]:
    return [''.join(text.itertext()).strip() for text in root.iter(f'{SVG}text')]


def test_the_svg_has_names_labels_and_tooltips(log: Path) -> None:
    root = ElementTree.parse(drawn(log, 'svg')).getroot()
    said = texts(root)
    for text in (
        'bridge', 'machine main', 'not connected', 'base base', 'base arm', '/teleop',
        '/nav/<controller> & "co"', 'session 2', 'lapse 10.0 ms', 'lapse, no answer', 'stamp',
        'command failed', 'stop overdue', 'lapse: stopping arm, base', 'lapse: stops nothing',
        'ended', 'stop: why, and when acknowledged', 'stop without an answer', 'taken over',
        'command refused', 'failure', 'silent: from its last sign of life',
    ):  # fmt: skip
        assert text in said, said
    told = '\n'.join(titles(root))
    for text in (
        '/nav/<controller> & "co" took base over from /teleop',
        'base is stopped: /nav/<controller> & "co", its last user, fell silent',
        'acknowledged 10.0 ms after the decision',
        'final 200.0 ms after the decision',
        'refused a command of /teleop (stamp)',
        'failed, stopping: DEADLINE_EXCEEDED',
        'none of 9 stops was acknowledged',
        'main: connected for',
    ):
        assert text in told, told


def test_each_tooltip_is_in_what_it_is_about(log: Path) -> None:
    root = ElementTree.parse(drawn(log, 'svg')).getroot()
    tips = [group for group in root.iter(f'{SVG}g') if group.get('id', '').startswith('tip')]
    assert len(tips) > 30
    assert [tip for tip in tips if tip[0].tag != f'{SVG}title' or len(tip) < 2] == []


def test_the_svg_is_for_the_dark_too(log: Path) -> None:
    root = ElementTree.parse(drawn(log, 'svg')).getroot()
    (style, *_) = root.iter(f'{SVG}style')
    rules = style.text or ''
    assert 'prefers-color-scheme: dark' in rules
    svg = ElementTree.tostring(root, encoding='unicode')
    for light, dark in DARK.items():
        assert f'fill: {dark} !important' in rules
        # The rules find what they are to change by how matplotlib writes it.
        assert f'fill: {light}' in svg or f'stroke: {light}' in svg


def test_the_same_log_makes_the_same_svg(log: Path) -> None:
    first = drawn(log, 'svg').read_bytes()
    assert drawn(log, 'svg').read_bytes() == first


def test_the_png_is_one(log: Path) -> None:
    png = drawn(log, 'png').read_bytes()
    assert png.startswith(b'\x89PNG')
    width, height = (int.from_bytes(png[at : at + 4], 'big') for at in (16, 20))
    assert width == 1440
    assert 400 < height < 1200


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.items: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ['li'] and data.strip():
            self.items.append(data)


def test_the_page_has_the_picture_and_a_list_of_its_marks(log: Path) -> None:
    page = Page(drawn(log, 'html').read_text())
    assert page.tags.count('svg') == 1
    assert page.tags.count('script') == 1
    assert page.tags.count('title') > 30
    assert any('took base over from /teleop' in item for item in page.items)


def test_the_page_asks_nobody_for_anything(log: Path) -> None:
    text = drawn(log, 'html').read_text()
    namespaces = {'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'}
    assert set(re.findall(r'[a-z]+://[^\s"\'<>)]+', text)) <= namespaces
    assert not re.search(r'(?:src|@import|url\()\s*=?\s*["\']?[a-z]*:?//', text)


def test_a_part_of_the_log(log: Path) -> None:
    root = ElementTree.parse(drawn(log, 'svg', '--from', '1.8', '--to', '-6.5')).getroot()
    told = '\n'.join(titles(root))
    assert 'took base over' in told
    assert 'refused a command' not in told
    assert 'base is stopped' not in told


def test_a_picture_without_a_name_is_a_page_beside_the_log(log: Path) -> None:
    assert main([str(log)]) == 0
    assert log.with_suffix('.html').read_text().startswith('<!DOCTYPE html>')


def test_of_too_many_marks_the_last_are_drawn_and_it_says_so(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, 'MOST_MARKS', 5)
    told = '\n'.join(titles(ElementTree.parse(drawn(log, 'svg')).getroot()))
    said = capsys.readouterr().err
    assert 'more than 5 marks: drawn from 08:00:04.000 on; see --from and --to' in said
    assert 'base is stopped' in told
    assert 'took base over' not in told


def test_of_too_many_clients_the_first_are_drawn_and_it_says_so(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, 'MOST_CLIENTS', 1)
    said = texts(ElementTree.parse(drawn(log, 'svg')).getroot())
    assert 'only 1 of 2 clients are drawn' in capsys.readouterr().err
    assert 'session 1' in said
    assert 'session 2' not in said


def test_skipped_lines_are_counted(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open('a') as more:
        more.write('{"event": "brewed"}\n{"event": "stop", "wal')
    drawn(log, 'svg')
    assert '2 lines were skipped (1 not whole, 1 of another kind)' in capsys.readouterr().err


def test_rotated_logs_are_read(log: Path) -> None:
    whole = titles(ElementTree.parse(drawn(log, 'svg')).getroot())
    lines = log.read_text().splitlines(keepends=True)
    log.with_name('events.jsonl.2').write_text(''.join(lines[:5]))
    log.with_name('events.jsonl.1').write_text(''.join(lines[5:9]))
    log.write_text(''.join(lines[9:]))
    assert titles(ElementTree.parse(drawn(log, 'svg')).getroot()) == whole


def test_a_long_name_is_cut(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = SessionEnded('C', 9, Cause.LAPSE, (), 1.0, 2.0, 5, {}, 3.0)
    monkeypatch.setitem(NODES, 'C', ('/' + 'n' * 300, '/cmd_vel'))
    write(log, [ended])
    said = texts(ElementTree.parse(drawn(log, 'svg')).getroot())
    assert '/' + 'n' * 31 + '..' in said


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'no such file'),
        ('', 'there is no event in it'),
        ('once upon\n{}\n', 'there is no event in it (1 not whole, 1 of another kind)'),
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
        main([str(tmp_path / 'log'), '-o', 'out.pdf'])
    assert refused.value.code == 2
    assert 'out.pdf: the picture is to end in .svg, .png or .html' in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    log = tmp_path / 'events.jsonl'
    EventLog(str(log)).close()
    program = (
        'import sys\n'
        "sys.modules['matplotlib'] = None\n"
        'from viam_session_bridge.tools.timeline.main import main\n'
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


# Colours


def luminance(shade: str) -> float:
    """Return what WCAG calls the relative luminance."""
    parts = (int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize('user', range(len(USERS)))
def test_text_on_a_users_colour_is_readable(user: int) -> None:
    ground, _ = colour(user)
    assert contrast(text_on(ground), ground) >= 4.5


def test_text_on_the_ground_is_readable_in_light_and_dark() -> None:
    assert contrast(INK, PAPER) >= 7
    assert contrast(DARK[INK], DARK[PAPER]) >= 7


def test_users_beyond_the_colours_are_hatched() -> None:
    looks = [colour(user) for user in range(len(USERS) * len(HATCHES))]
    assert len(set(looks)) == len(looks)
    assert colour(len(looks)) == looks[0]
