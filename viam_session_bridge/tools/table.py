# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The overview as a table of so many columns and lines of text: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math

from viam_session_bridge.reporting.overview import BaseRow, MachineRow, Overview, SessionRow

ACTIVE = 'active'
BAR = 6  # characters
# In the order of the table, with what goes first where the terminal is narrow.
_COLUMNS = ('id', 'publisher', 'drives', 'to lapse', 'commands', 'refused', 'state', 'topic')
_DISPENSABLE = ('topic', 'commands', 'refused', 'state', 'to lapse')
_LEFT = ('publisher', 'drives', 'to lapse', 'state', 'topic', 'refused')
_NARROWEST, _GAP = 12, 2
_CUT = '..'


def table(name: str, overview: Overview, width: int, height: int = 24) -> list[str]:
    """
    Return the lines of the table, none longer than width and no more than height.

    :param name: the bridge's node
    """
    # What is cut where it is narrow is a name, never a state.
    mode = _mode(overview)
    lines = [f'{cut(name, max(width - len(mode) - 2, _NARROWEST))}: {mode}']
    lines += [_machine(row) for row in overview.machines]
    publishers = {row.id: publisher(row) for row in overview.sessions}
    lines += [line for row in overview.bases for line in _base(row, publishers, width)]
    lines.append('')
    # Who drives first, then who drove last.
    rows = [row for row in overview.sessions if row.state == ACTIVE]
    rows += reversed([row for row in overview.sessions if row.state != ACTIVE])
    if rows:
        cells = [list(_COLUMNS), *(_cells(row, overview.window) for row in rows)]
        lines += _lay_out(cells, width)
    else:
        lines.append('no sessions yet: nobody has published a command')
    if len(lines) > height:
        lines = [*lines[: height - 1], f'and {len(lines) - height + 1} more']
    return [cut(line, width) for line in lines]


def publisher(row: SessionRow) -> str:
    """Return how to call a session's client: its node, or what else is known."""
    return row.node or row.topic or row.client


def bar(seconds: float, window: float) -> str:
    """Return a time to lapse as a bar and in seconds."""
    part = min(max(seconds / window, 0.0), 1.0) if window else 0.0
    # Rounded up: never empty before it is over, and full under a publisher that streams.
    return f'[{"#" * math.ceil(part * BAR):{BAR}}] {seconds:.2f} s'


def cut(text: str, width: int) -> str:
    """Return the text, its end left out visibly where it is longer than width."""
    if len(text) <= width:
        return text
    return text[: max(width - len(_CUT), 0)] + _CUT[:width]


def _mode(overview: Overview) -> str:
    if not overview.active:
        return 'INACTIVE, commands are refused'
    return f'active, window {overview.window:g} s'


def _machine(row: MachineRow) -> str:
    if not row.ready:
        return f'machine {row.machine}: NOT CONNECTED'
    if not row.supervised:
        return f'machine {row.machine}: connected, UNSUPERVISED: it has no sessions'
    window = f', its own window {row.window:g} s' if row.window else ''
    return f'machine {row.machine}: connected{window}'


def _base(row: BaseRow, publishers: dict[int, str], width: int) -> Iterator[str]:
    state = f'base {row.base}: {"STOPPING, " if row.stopping else ""}last user '
    if row.session:
        name, number = publishers.get(row.session, ''), f' (session {row.session})'
        line = f'{state}{cut(name, max(width - len(state + number), _NARROWEST))}{number}'
    else:
        line = f'{state}nobody'
    refused = f'refused {_refusals(row.refusals)}' if row.refusals else ''
    if refused and len(line) + 2 + len(refused) <= width:
        line = f'{line}, {refused}'
        refused = ''
    yield line
    if refused:
        yield f'  {refused}'


def _refusals(refusals: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in sorted(refusals.items())) or '0'


def _cells(row: SessionRow, window: float) -> list[str]:
    active = row.state == ACTIVE
    return [
        str(row.id),
        publisher(row),
        # Of a session that ended, these are the bases its end stopped.
        (', '.join(row.bases) or '-') if active else '-',
        bar(row.to_lapse, window) if active else 'ended',
        str(row.commands),
        _refusals(row.refusals),
        row.state if active else f'ended ({row.state})',
        row.topic,
    ]


def _lay_out(cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the rows as lines of at most width, leaving columns out and cutting as needed."""
    widths = {name: max(len(row[index]) for row in cells) for index, name in enumerate(_COLUMNS)}
    # Columns that come and go with what is in them make the table restless.
    widths['to lapse'] = len(bar(0.0, 1.0))
    dispensable = list(_DISPENSABLE)
    # Names are what the table is for: they are cut only when nothing is left to leave out.
    least = {name: min(widths[name], _NARROWEST) for name in ('publisher', 'drives')}
    while dispensable and _total({**widths, **least}) > width:
        name = dispensable.pop(0)
        if name == 'to lapse' and _total({**widths, **least, name: BAR + 2}) <= width:
            widths[name] = BAR + 2  # the bar alone
        else:
            widths.pop(name)
    for name in ('drives', 'publisher'):
        excess = max(_total(widths) - width, 0)
        widths[name] = max(widths[name] - excess, least[name])
    shown = [(index, name) for index, name in enumerate(_COLUMNS) if name in widths]
    return [
        (' ' * _GAP).join(_cell(row[index], name, widths[name]) for index, name in shown).rstrip()
        for row in cells
    ]


def _cell(text: str, column: str, width: int) -> str:
    shown = text[:width] if column == 'to lapse' else cut(text, width)
    return f'{shown:{"<" if column in _LEFT else ">"}{width}}'


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)
