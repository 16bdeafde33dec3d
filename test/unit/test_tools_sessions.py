# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The session table and the lines of change, from overviews that are handed in."""

from __future__ import annotations

from dataclasses import replace
import io
import json
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from viam_session_bridge.reporting.log_text import REMEDIES
from viam_session_bridge.reporting.overview import (
    BaseRow,
    MachineRow,
    Overview,
    overview_of,
    RefusedRow,
    SessionRow,
)
from viam_session_bridge.tools.sessions import (
    bar,
    changes,
    Display,
    NO_RICH,
    print_once,
    table,
)

NODE = '/robot/viam_session_bridge'


def session(number: int, node: str, **other: object) -> SessionRow:
    row = SessionRow(
        id=number, client=f'{number:032x}', node=node, topic='/robot/cmd_vel', state='active',
        machine_sessions={}, bases=[], age=3.0, to_lapse=0.25, commands=40, refusals={},
    )  # fmt: skip
    return replace(row, **other)  # type: ignore[arg-type]


OVERVIEW = Overview(
    active=True,
    window=0.5,
    discarded=0,
    sessions=[
        session(2, '/navigation/controller_server', bases=['front', 'rear'], to_lapse=0.5),
        session(3, '/teleop', refusals={'stamp': 2}),
        session(1, '/teleop', state='lapse', bases=['front'], to_lapse=0.0),
    ],
    bases=[
        BaseRow('front', 'main', 2, False, {'stamp': 2}),
        BaseRow('rear', 'main', 2, True, {}),
    ],
    machines=[MachineRow('main', True, True, 2.0), MachineRow('arm', False, True, 0.0)],
)
NOTHING = Overview(False, 0.0, 0, [], [], [])

HEAD = """\
/robot/viam_session_bridge: active, window 0.5 s
machine main: connected, its own window 2 s
machine arm: NOT CONNECTED
base front: last user /navigation/controller_server (session 2), refused 2 stamp
base rear: STOPPING, last user /navigation/controller_server (session 2)

"""
AT_110 = """\
id  publisher                      drives       to lapse         commands  refused  topic
 2  /navigation/controller_server  front, rear  [######] 0.50 s        40  0        /robot/cmd_vel
 3  /teleop                        -            [###   ] 0.25 s        40  2 stamp  /robot/cmd_vel
 1  /teleop                        -            ended (lapse)          40  0        /robot/cmd_vel
"""
AT_80 = """\
id  publisher                    drives       to lapse         commands  refused
 2  /navigation/controller_serv  front, rear  [######] 0.50 s        40  0
    er
 3  /teleop                      -            [###   ] 0.25 s        40  2 stamp
 1  /teleop                      -            ended (lapse)          40  0
"""


def text(width: int, overview: Overview = OVERVIEW, age: float = 0.0) -> str:
    console = pytest.importorskip('rich.console').Console(width=width, file=io.StringIO())
    console.print(table(NODE, overview, width, age))
    return ''.join(f'{line.rstrip()}\n' for line in console.file.getvalue().splitlines())


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Have the output be a terminal of 100 columns, from here on."""
    out = io.StringIO()
    monkeypatch.setattr(out, 'isatty', lambda: True)
    monkeypatch.setattr(sys, 'stdout', out)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '100')
    monkeypatch.setenv('LINES', '40')
    return out


@pytest.mark.parametrize(('width', 'rows'), [(110, AT_110), (80, AT_80)])
def test_a_wide_terminal_has_the_topics_as_well(width: int, rows: str) -> None:
    assert text(width) == HEAD + rows


@pytest.mark.parametrize('width', [1, 10, 20, 40, 60, 79, 80, 120, 300])
def test_the_table_is_never_wider_than_the_terminal_and_is_ascii(width: int) -> None:
    shown = text(width)
    assert max(map(len, shown.splitlines())) <= width
    assert shown.isascii()


def test_two_topics_of_one_node_are_told_apart_on_a_narrow_terminal_and_in_lines() -> None:
    both = [session(1, '/teleop', topic='/slow'), session(2, '/teleop', topic='/fast')]
    overview = replace(OVERVIEW, sessions=both)
    assert [row.split()[-1] for row in text(80, overview).splitlines()[-2:]] == ['/slow', '/fast']
    assert {'session 1 of /teleop on /slow started', 'session 2 of /teleop on /fast started'} <= {
        *changes(None, overview)
    }


def test_an_inactive_bridge_without_sessions() -> None:
    assert text(80, NOTHING).splitlines() == [
        f'{NODE}: INACTIVE, commands are refused',
        '',
        'no sessions, as the bridge is inactive',
    ]


def test_a_publisher_that_is_refused_is_shown_with_what_it_lacks() -> None:
    refused = [
        RefusedRow('01', '/teleop', '/cmd_vel', 'no_session', 0.1),
        RefusedRow('02', '', '/cmd_vel', 'no_session', 0.1),
    ]
    overview = replace(OVERVIEW, sessions=[], refused=refused)
    rows = text(110, overview).splitlines()[-4:]
    assert [row.split() for row in rows[:2]] == [
        ['-', '/teleop', '-', 'refused', '(no_session)', '-', '-', '/cmd_vel'],
        ['-', '/cmd_vel', '-', 'refused', '(no_session)', '-', '-', '/cmd_vel'],
    ]
    lacks = 'no_session: sessions is manual and there is no heartbeat for it on ~/heartbeat'
    assert rows[2:] == ['', lacks]
    assert list(changes(replace(overview, refused=[]), overview)) == [
        f'{who} on /cmd_vel is refused (no_session): {REMEDIES["no_session"]}'
        for who in ('/teleop', 'a publisher')
    ]


@pytest.mark.parametrize(
    ('refusals', 'why'),
    [
        ({}, 'no sessions yet: nobody has published a command'),
        ({'no_session': 12}, 'no sessions: nobody publishes a command at present'),
    ],
)
def test_without_sessions_it_says_whether_anybody_has_published(
    refusals: dict[str, int], why: str
) -> None:
    bases = [BaseRow('base', 'main', 0, False, refusals)]
    assert text(80, replace(OVERVIEW, sessions=[], bases=bases)).splitlines()[-1] == why


def test_a_machine_without_sessions_is_unsupervised() -> None:
    overview = replace(OVERVIEW, machines=[MachineRow('main', True, False, 0.0)])
    assert 'machine main: connected, UNSUPERVISED: it has no sessions\n' in text(80, overview)


def test_while_a_bridge_does_not_answer_the_times_to_lapse_run_down() -> None:
    assert '[####  ] 0.30 s' in text(80, OVERVIEW, 0.2)
    assert 'NO ANSWER for 3 s: this is the last known state\n' in text(80, OVERVIEW, 3.0)
    assert '[      ] 0.00 s' in text(80, OVERVIEW, 3.0)


@pytest.mark.parametrize(
    ('seconds', 'window', 'shown'),
    [
        (0.5, 0.5, '[######] 0.50 s'),
        (0.42, 0.5, '[######] 0.42 s'),  # of a publisher that streams
        (0.26, 0.5, '[####  ] 0.26 s'),
        (0.25, 0.5, '[###   ] 0.25 s'),
        (0.001, 0.5, '[#     ] 0.00 s'),  # not over yet
        (0.0, 0.5, '[      ] 0.00 s'),
        (0.7, 0.5, '[######] 0.70 s'),
        (0.1, 0.0, '[      ] 0.10 s'),
    ],
)
def test_a_bar_is_empty_only_when_the_time_is_over(
    seconds: float, window: float, shown: str
) -> None:
    assert bar(seconds, window) == shown


def test_an_overview_is_read_back_as_the_service_writes_it() -> None:
    assert overview_of(True, json.dumps(OVERVIEW.as_dict())) == OVERVIEW


def test_changes_of_a_first_overview_leave_history_out() -> None:
    assert list(changes(None, OVERVIEW)) == [
        'the bridge: active, window 0.5 s',
        'machine main: connected, its own window 2 s',
        'machine arm: NOT CONNECTED',
        'session 2 of /navigation/controller_server started',
        'session 3 of /teleop started',
        'base front: last user /navigation/controller_server (session 2)',
        'base rear: STOPPING, last user /navigation/controller_server (session 2)',
    ]


def test_counts_and_times_are_no_change() -> None:
    later = replace(
        OVERVIEW,
        sessions=[replace(row, to_lapse=0.1, commands=99) for row in OVERVIEW.sessions],
        bases=[replace(row, refusals={'stamp': 9}) for row in OVERVIEW.bases],
    )
    assert list(changes(OVERVIEW, later)) == []


def test_each_end_and_each_new_last_user_is_a_line() -> None:
    after = replace(
        OVERVIEW,
        sessions=[
            replace(OVERVIEW.sessions[0], state='left', to_lapse=0.0),
            replace(OVERVIEW.sessions[1], bases=['rear']),
            # Came and went unseen.
            session(4, '/short', state='lapse'),
        ],
        bases=[
            BaseRow('front', 'main', 0, True, {}),
            BaseRow('rear', 'main', 3, False, {}),
        ],
    )
    assert list(changes(OVERVIEW, after)) == [
        'session 2 of /navigation/controller_server ended (left): stopping front, rear',
        'session 4 of /short ended (lapse): it stops no base',
        'base front: STOPPING, last user nobody',
        'base rear: last user /teleop (session 3)',
    ]


def test_a_terminal_shows_the_table_and_prints_lines_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('rich')
    out = terminal(monkeypatch)
    display = Display()
    display.print('before')
    display.show(NODE, OVERVIEW, 0.0)
    display.print('[bold]a line[/bold] of 1')
    display.show(NODE, OVERVIEW, 0.0)
    display.close()
    display.print('after')
    shown = out.getvalue()
    assert shown.startswith('before\n\x1b[?25l')  # the cursor is hidden, and comes back
    assert shown.endswith('\x1b[?25hafter\n')
    assert '[bold]a line[/bold] of 1\n' in shown
    assert '\x1b[2K' in shown
    assert shown.rindex('[###   ] 0.25 s') > shown.rindex('a line')


def test_a_pipe_gets_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(indent='  ')
    display.show(NODE, NOTHING, 0.0)
    display.show(NODE, NOTHING, 0.2)
    display.show(NODE, NOTHING, 1.2)
    display.show(NODE, NOTHING, 1.4)
    display.show(NODE, replace(NOTHING, active=True), 0.0)
    display.print('a line')
    display.close()
    assert capsys.readouterr().out.splitlines() == [
        '  the bridge: INACTIVE, commands are refused', '  no answer',
        '  the bridge: active, window 0 s', '  answers again', 'a line',
    ]  # fmt: skip


def test_without_rich_a_terminal_gets_lines_and_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = terminal(monkeypatch)
    for name in ('rich.live', 'rich.console'):
        monkeypatch.setitem(sys.modules, name, None)
    display = Display()
    display.show(NODE, NOTHING, 0.0)
    print_once(NODE, NOTHING)
    assert out.getvalue() == 'the bridge: INACTIVE, commands are refused\n' * 2
    assert capsys.readouterr().err == f'{NO_RICH}\n' * 2


def test_a_pipe_gets_the_whole_table_once(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('rich')
    print_once(NODE, OVERVIEW)
    shown = capsys.readouterr().out
    assert ''.join(f'{line.rstrip()}\n' for line in shown.splitlines()) == HEAD + AT_110
