# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Write the parts of the reference that the sources know best, or check that they are up to date.

    python scripts/reference.py [--check]

Parameters come from their table, events from the dataclasses and their docstrings. With
``--check`` nothing is written; the exit status is 1 where a file is not what would be written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from enum import Enum
import inspect
from pathlib import Path
import re
import sys
from typing import Any

from viam_session_bridge.configuration.table import BASE, Kind, MACHINE, NODE, Row
from viam_session_bridge.core.actions import Cause, Refusal
from viam_session_bridge.reporting.event_log import EVENT_NAMES, EventLog, FILES_KEPT, MAX_BYTES
from viam_session_bridge.reporting.log_text import REMEDIES

REFERENCE = Path(__file__).resolve().parents[1] / 'docs' / 'reference'

WRITTEN = '<!-- Written by `make reference`. Change {source} instead. -->'

PARAMETERS = f"""\
# Parameters

{WRITTEN.format(source='viam_session_bridge/configuration/table.py')}

Settable until the node is configured, then read-only. A typing mistake must not become a missing
safety limit: what was set and reaches nothing is refused, with a line that names it
([R23](../rules.md)), and a line at each start says what holds. Names that belong to other nodes of
the robot, in a section for all of them, are ignored with a warning.
`ros2 param describe` says the same as this page. Files to start from are in
[`config/`](../../config); `qos_overrides` are ROS 2's own, see
[topics and services](interface.md#quality-of-service).
"""

EVENTS = f"""\
# The event log

{WRITTEN.format(source='core/actions.py, core/events.py or reporting/event_log.py')}

With `event_log: PATH` the bridge writes what happens to that file, one JSON object a line. It is
rotated at {MAX_BYTES // 1_000_000} MB, and {FILES_KEPT} older files are kept.

{{log}}

Commands are not logged; of refused ones there is a line for each base and reason, once a second at
most. `client` is a publisher's GID in hexadecimal, `session` a session's
number. R and a number is one of [the rules](../rules.md).
"""

TYPES = {
    Kind.FLAG: 'bool',
    Kind.INTEGER: 'int',
    Kind.NUMBER: 'double',
    Kind.TEXT: 'string',
    Kind.TEXTS: 'string[]',
}
EXPLAINED = r'((?:`\w+`(?:,| and)? ?)+): '
# How JSON shows what Python annotates; a new one has to be thought about.
IN_JSON = {
    'bool': 'true or false',
    'int': 'whole number',
    'int | None': 'whole number or null',
    'float': 'number',
    'float | None': 'number or null',
    'str': 'text',
    'tuple[str, ...]': 'list of texts',
    'dict[str, int]': 'object: text to whole number',
    'Cause': 'a [cause](#causes)',
    'Refusal': 'a [reason](#reasons-of-refusals)',
    'Stop': 'the fields of [`stop`](#stop)',
}


def parameters() -> str:
    """Return docs/reference/parameters.md."""
    return '\n'.join(
        [
            PARAMETERS,
            '## The node\n',
            *_table(NODE, ''),
            '## Each machine\n\n`NAME` is one of `machine_names`.\n',
            *_table(MACHINE, 'machines.NAME.'),
            '## Each base\n\n`NAME` is one of `base_names`.\n',
            *_table(BASE, 'bases.NAME.'),
        ]
    )


def _table(rows: Iterable[Row], prefix: str) -> Iterator[str]:
    # What is allowed has no column of its own: at GitHub's width five are too narrow to read.
    yield '| parameter | default | what it is, and what is allowed |'
    yield '|---|---|---|'
    for row in rows:
        default = row.default_text or f'`{_yaml(row.default)}`'
        name = f'`{prefix}{row.name}`'
        what = row.description + (f' In {row.unit}.' if row.unit else '')
        yield f'| {name} | {default} | {what}<br>{_allowed(row)} |'
    yield ''


def _allowed(row: Row) -> str:
    parts = [TYPES[row.kind]]
    if row.choices:
        parts.append(', '.join(f'`{choice.value}`' for choice in row.choices))
    if row.allowed is not None:
        parts.append(str(row.allowed))
    if row.constraints:
        parts.append(row.constraints)
    return '; '.join(parts)


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f'[{", ".join(value)}]'
    return value if isinstance(value, str) and value else '""' if value == '' else str(value)


def events() -> str:
    """Return docs/reference/events.md."""
    return '\n'.join(
        [
            EVENTS.format(log=_text(EventLog)),
            '## Events\n',
            *(line for kind, name in EVENT_NAMES.items() for line in _event(kind, name)),
            '## Causes\n\nWhy a session ended or a base is stopped.\n\n| cause | |\n|---|---|',
            *(f'| `{value}` | {why} |' for value, why in _commented(Cause)),
            '\n## Reasons of refusals\n\n| reason | |\n|---|---|',
            *(f'| `{reason.value}` | {REMEDIES[reason.value]} |' for reason in Refusal),
            '',
        ]
    )


def _event(kind: type[Any], name: str) -> Iterator[str]:
    begins, *explained = re.split(EXPLAINED, _text(kind).replace('None', 'null'))
    # A docstring names fields with a colon behind them: '`commands` and `refusals`: how many ...'
    meanings = {
        name: meaning.strip().rstrip('.')
        for names, meaning in zip(explained[::2], explained[1::2], strict=True)
        for name in re.findall(r'`(\w+)`', names)
    }
    yield f'### {name}\n\n{begins.strip()}\n'
    yield '| field | is | |\n|---|---|---|'
    for field in fields(kind):
        meaning = meanings.get(field.name, '')
        yield f'| `{field.name}` | {IN_JSON[str(field.type)]} | {meaning} |'
    yield ''


def _text(documented: type) -> str:
    return ' '.join(inspect.cleandoc(documented.__doc__ or '').split()).replace('``', '`')


def _commented(enumeration: type[Enum]) -> Iterator[tuple[str, str]]:
    """Yield an enumeration's values with the comments behind them."""
    for line in inspect.getsource(enumeration).splitlines():
        if match := re.match(r"    [A-Z_]+ = '(.+)'(?:  # (.+))?", line):
            yield match[1], match[2] or ''


PAGES = {'parameters.md': parameters, 'events.md': events}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages and return 0, or with --check 1 where one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing')
    arguments = parser.parse_args(argv)
    status = 0
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if path.exists() and path.read_text() == text:
            continue
        if arguments.check:
            print(f'{path} is out of date: run `make reference`', file=sys.stderr)
            status = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f'wrote {path}')
    return status


if __name__ == '__main__':
    sys.exit(main())
