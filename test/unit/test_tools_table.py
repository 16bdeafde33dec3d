# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The session table and the lines of change, from overviews that were handed in."""

from __future__ import annotations

from dataclasses import replace
import io
import json

import pytest

from viam_session_bridge.reporting.overview import (
    BaseRow,
    MachineRow,
    Overview,
    overview_of,
    SessionRow,
)
from viam_session_bridge.tools.changes import changes
from viam_session_bridge.tools.screen import Screen
from viam_session_bridge.tools.sessions import counted_down
from viam_session_bridge.tools.table import bar, cut, table

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

AT_120 = """\
/robot/viam_session_bridge: active, window 0.5 s
machine main: connected, its own window 2 s
machine arm: NOT CONNECTED
base front: last user /navigation/controller_server (session 2), refused 2 stamp
base rear: STOPPING, last user /navigation/controller_server (session 2)

id  publisher                      drives       to lapse         commands  refused  state          topic
 2  /navigation/controller_server  front, rear  [######] 0.50 s        40  0        active         /robot/cmd_vel
 3  /teleop                        -            [###   ] 0.25 s        40  2 stamp  active         /robot/cmd_vel
 1  /teleop                        -            ended                  40  0        ended (lapse)  /robot/cmd_vel
"""  # noqa: E501
AT_79 = """\
/robot/viam_session_bridge: active, window 0.5 s
machine main: connected, its own window 2 s
machine arm: NOT CONNECTED
base front: last user /navigation/controller_server (session 2)
  refused 2 stamp
base rear: STOPPING, last user /navigation/controller_server (session 2)

id  publisher              drives       to lapse         refused  state
 2  /navigation/control..  front, rear  [######] 0.50 s  0        active
 3  /teleop                -            [###   ] 0.25 s  2 stamp  active
 1  /teleop                -            ended            0        ended (lapse)
"""
AT_39 = """\
/robot/viam_ses..: active, window 0.5 s
machine main: connected, its own wind..
machine arm: NOT CONNECTED
base front: last user /navigatio.. (s..
  refused 2 stamp
base rear: STOPPING, last user /navig..

id  publisher     drives       to lapse
 2  /navigatio..  front, rear  [######]
 3  /teleop       -            [###   ]
 1  /teleop       -            ended
"""


def text(width: int, height: int = 24) -> str:
    return ''.join(f'{line}\n' for line in table(NODE, OVERVIEW, width, height))


def test_wide() -> None:
    assert text(120) == AT_120


def test_in_a_terminal_of_80_columns() -> None:
    assert text(79) == AT_79


def test_in_a_terminal_of_40_columns_and_12_lines() -> None:
    assert text(39, 11) == AT_39


def test_where_it_is_narrow_names_are_cut_and_states_are_not() -> None:
    lines = table('/a_very_long_namespace/viam_session_bridge', NOTHING, 44)
    assert lines[0] == '/a_very_lo..: INACTIVE, commands are refused'


@pytest.mark.parametrize('width', [1, 10, 20, 40, 60, 79, 80, 120, 300])
@pytest.mark.parametrize('height', [3, 8, 24])
def test_never_larger_than_the_terminal(width: int, height: int) -> None:
    lines = table(NODE, OVERVIEW, width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_says_how_much_does_not_fit() -> None:
    assert text(80, 9).splitlines()[-1] == 'and 2 more'


def test_inactive() -> None:
    assert table(NODE, NOTHING, 80) == [
        f'{NODE}: INACTIVE, commands are refused',
        '',
        'no sessions yet: nobody has published a command',
    ]


def test_a_machine_without_sessions() -> None:
    overview = replace(OVERVIEW, machines=[MachineRow('main', True, False, 0.0)])
    assert 'machine main: connected, UNSUPERVISED: it has no sessions' in table(NODE, overview, 80)


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
def test_bar(seconds: float, window: float, shown: str) -> None:
    assert bar(seconds, window) == shown


@pytest.mark.parametrize(
    ('width', 'shown'), [(9, '/navigate'), (8, '/navig..'), (2, '..'), (1, '.'), (0, '')]
)
def test_cut(width: int, shown: str) -> None:
    assert cut('/navigate', width) == shown


def test_counts_down_between_answers() -> None:
    rows = counted_down(OVERVIEW, 0.3).sessions
    assert [row.to_lapse for row in rows] == [pytest.approx(0.2), 0.0, 0.0]


def test_reads_what_the_service_says() -> None:
    assert overview_of(True, json.dumps(OVERVIEW.as_dict())) == OVERVIEW


def test_changes_of_a_first_overview_leave_history_out() -> None:
    assert list(changes(None, OVERVIEW)) == [
        'the bridge is active',
        'machine main: connected',
        'machine arm: NOT CONNECTED',
        'session 2 of /navigation/controller_server started',
        'session 3 of /teleop started',
        'base front: last user /navigation/controller_server (session 2)',
        'base rear: last user /navigation/controller_server (session 2)',
    ]


def test_no_change_no_line() -> None:
    assert list(changes(OVERVIEW, counted_down(OVERVIEW, 0.1))) == []


def test_changes() -> None:
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
        'base front: last user nobody',
        'base rear: last user /teleop (session 3)',
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_screen_redraws_in_place_and_prints_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    out = Terminal()
    screen = Screen(out)
    screen.draw(['a', 'b'])
    screen.say('said')
    screen.leave()
    assert out.getvalue() == (
        '\x1b[?25la\x1b[K\nb\x1b[K\n\x1b[J'
        '\r\x1b[2Asaid\x1b[K\na\x1b[K\nb\x1b[K\n\x1b[J'
        '\x1b[?25h'
    )  # fmt: skip


def test_what_has_not_changed_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    out = Terminal()
    screen = Screen(out)
    screen.draw(['a', 'b'])
    drawn = out.getvalue()
    screen.draw(['a', 'b'])
    assert out.getvalue() == drawn
    monkeypatch.setattr(Screen, 'size', lambda screen: (39, 11))
    screen.draw(['a', 'b'])
    assert out.getvalue() == f'{drawn}\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J'


def test_nothing_but_ascii_comes_out() -> None:
    assert text(120).isascii()


def test_no_terminal_gets_lines_only() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.draw(['a', 'b'])
    screen.say('said')
    screen.leave()
    assert out.getvalue() == 'said\n'
