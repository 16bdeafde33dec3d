# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The executable ``sessions``: who drives which base, live in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import math
import os
import sys
import time
from typing import Any, TYPE_CHECKING

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_srvs.srv import Trigger

from viam_session_bridge import signals
from viam_session_bridge.reporting.log_text import REMEDIES
from viam_session_bridge.reporting.overview import (
    BaseRow,
    MachineRow,
    Overview,
    overview_of,
    RefusedRow,
    SessionRow,
)

if TYPE_CHECKING:
    from rich.console import Group

DEFAULT_NODE = '/viam_session_bridge'
PERIOD = 0.2  # s
SILENT_AFTER = 1.0  # s
FOUND_WITHIN = 5.0  # s
ACTIVE = 'active'
BAR = 6  # characters
WIDE = 110  # characters that the table has room for where the output is no terminal
COLUMNS = ('id', 'publisher', 'drives', 'to lapse', 'commands', 'refused', 'topic')
ALARMS = ('INACTIVE', 'NOT CONNECTED', 'UNSUPERVISED', 'STOPPING', 'NO ANSWER')
NO_RICH = (
    'rich is missing, so changes are printed as lines; for a table: sudo apt install python3-rich,'
    ' or pip install rich'
)


class OverviewClient:
    """
    A node of its own, in a context of its own, that asks one bridge for its overview.

    It calls ``~/get_sessions``: the topic ``~/sessions`` has the times to lapse once a second.
    """

    def __init__(self, node: str) -> None:
        """Start to look for the bridge of this fully qualified name."""
        self.node = node if node.startswith('/') else f'/{node}'
        self._context = Context()
        # Ctrl-C is for the tool, not for rclpy, to take.
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        # The underscore hides it from lists of nodes.
        self._own = rclpy.create_node(
            f'_sessions_{os.getpid()}', context=self._context, start_parameter_services=False
        )
        self._client: Any = self._own.create_client(Trigger, f'{self.node}/get_sessions')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._own)

    def fetch(self, timeout: float) -> Overview | None:
        """Return the overview, None where no bridge answers within so many s."""
        until = time.monotonic() + timeout
        while not self._client.service_is_ready():
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)
        future = self._client.call_async(Trigger.Request())
        try:
            self._executor.spin_until_future_complete(future, max(until - time.monotonic(), 0.01))
            if not future.done():
                return None
            response = future.result()
        finally:
            self._client.remove_pending_request(future)
        return overview_of(response.success, response.message)

    def __enter__(self) -> OverviewClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._own.destroy_node()
        self._context.try_shutdown()


class Display:
    """
    What a tool prints: lines, and below them the table of a bridge's sessions.

    The table is redrawn in place. Where the output is no terminal, or rich is missing, a line is
    printed for each change instead.
    """

    def __init__(self, indent: str = '') -> None:
        """Show nothing yet; ``indent`` stands before each line of change."""
        self._indent = indent
        self._live: Any = None
        self._overview: Overview | None = None
        self._answered = 0.0
        self._previous: Overview | None = None
        self._silent = False
        if sys.stdout.isatty() and os.environ.get('TERM', 'dumb') != 'dumb':
            try:
                from rich.console import Console
                from rich.live import Live
            except ImportError:
                print(NO_RICH, file=sys.stderr)
            else:
                self._live = Live(console=Console(), auto_refresh=False)

    def print(self, line: str = '') -> None:
        """Print a line, above the table if there is one."""
        if self._live is not None and self._live.is_started:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def step(self, client: OverviewClient) -> None:
        """Fetch the overview, show it, and take :data:`PERIOD` for both."""
        begun = time.monotonic()
        answer = client.fetch(PERIOD)
        if answer is not None:
            self._overview, self._answered = answer, time.monotonic()
        if self._overview is not None:
            self.show(client.node, self._overview, time.monotonic() - self._answered)
        time.sleep(max(begun + PERIOD - time.monotonic(), 0.0))

    def show(self, node: str, overview: Overview, age: float) -> None:
        """Show an overview that is so many s old."""
        if self._live is not None:
            self._live.start()
            self._live.update(table(node, overview, self._live.console.width, age), refresh=True)
            return
        for line in changes(self._previous, overview):
            self.print(self._indent + line)
        self._previous = overview
        if (age > SILENT_AFTER) != self._silent:
            self._silent = age > SILENT_AFTER
            self.print(f'{self._indent}{"no answer" if self._silent else "answers again"}')

    def close(self) -> None:
        """Leave the table as it is, as part of what was printed."""
        if self._live is not None:
            self._live.stop()
        self._live = None


def table(node: str, overview: Overview, width: int, age: float = 0.0) -> Group:
    """Return an overview that is so many s old for a terminal of a width."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines = [_mode(overview, node), *map(_machine, overview.machines)]
    lines += [
        f'{_base(row, overview)}{f", refused {_refusals(row.refusals)}" if row.refusals else ""}'
        for row in overview.bases
    ]
    if age > SILENT_AFTER:
        lines.append(f'NO ANSWER for {age:.0f} s: this is the last known state')
    head = Text('\n'.join(lines) + '\n')
    head.highlight_words(ALARMS, 'bold red')
    if not overview.sessions and not overview.refused:
        return Group(head, Text(_why_none(overview)))
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style='bold')
    for name in COLUMNS if width >= WIDE or _has_topics(overview) else COLUMNS[:-1]:
        # What is too long goes on in the next line.
        rows.add_column(name, overflow='fold', no_wrap=name == 'to lapse',
                        justify='right' if name in ('id', 'commands') else 'left')  # fmt: skip
    # Who drives first, then who drove last.
    ended = [row for row in overview.sessions if row.state != ACTIVE]
    for row in [row for row in overview.sessions if row.state == ACTIVE] + ended[::-1]:
        is_active = row.state == ACTIVE
        to_lapse = bar(max(row.to_lapse - age, 0.0), overview.window)
        cells = (
            str(row.id), publisher(row),
            # Of a session that ended, these are the bases its end stopped.
            (is_active and ', '.join(row.bases)) or '-',
            to_lapse if is_active else f'ended ({row.state})',
            str(row.commands), _refusals(row.refusals), row.topic,
        )  # fmt: skip
        rows.add_row(*map(Text, cells[:len(rows.columns)]), style='' if is_active else 'dim')
    for one in overview.refused:
        cells = '-', publisher(one), '-', f'refused ({one.reason})', '-', '-', one.topic
        rows.add_row(*map(Text, cells[:len(rows.columns)]), style='red')
    lacking = sorted({f'{one.reason}: {REMEDIES[one.reason]}' for one in overview.refused})
    return Group(head, rows, *map(Text, ['', *lacking] if lacking else []))


def changes(before: Overview | None, after: Overview) -> Iterator[str]:
    """Yield a line for each change; all there is where there was nothing before."""
    known = set() if before is None else {*_states(before)}
    for line in _states(after, history=before is not None):
        if line not in known:
            yield line


def _states(overview: Overview, history: bool = True) -> Iterator[str]:
    """Yield what is so, a line each; sessions that ended only as part of the history."""
    yield _mode(overview, 'the bridge')
    yield from map(_machine, overview.machines)
    for row in sorted(overview.sessions, key=lambda row: row.id):
        topic = f' on {row.topic}' if _has_topics(overview) else ''
        session = f'session {row.id} of {publisher(row)}{topic}'
        if row.state == ACTIVE:
            yield f'{session} started'
        elif history:
            stopped = f'stopping {", ".join(row.bases)}' if row.bases else 'it stops no base'
            yield f'{session} ended ({row.state}): {stopped}'
    for one in overview.refused:
        yield (
            f'{one.node or "a publisher"} on {one.topic} is refused ({one.reason}): '
            f'{REMEDIES[one.reason]}'
        )
    yield from (_base(row, overview) for row in overview.bases)


def publisher(row: SessionRow | RefusedRow) -> str:
    """Return the name of a client: its node, or what else is known."""
    return row.node or row.topic or row.client


def bar(seconds: float, window: float) -> str:
    """Return a time to lapse as a bar and in seconds."""
    part = min(seconds / window, 1.0) if window else 0.0
    # Rounded up: never empty before it is over, and full under a publisher that streams.
    return f'[{"#" * math.ceil(part * BAR):{BAR}}] {seconds:.2f} s'


def _mode(overview: Overview, who: str) -> str:
    if not overview.active:
        return f'{who}: INACTIVE, commands are refused'
    return f'{who}: active, window {overview.window:g} s'


def _machine(row: MachineRow) -> str:
    if not row.ready:
        return f'machine {row.machine}: NOT CONNECTED'
    if not row.supervised:
        return f'machine {row.machine}: connected, UNSUPERVISED: it has no sessions'
    window = f', its own window {row.window:g} s' if row.window else ''
    return f'machine {row.machine}: connected{window}'


def _base(row: BaseRow, overview: Overview) -> str:
    user = next((publisher(one) for one in overview.sessions if one.id == row.session), '')
    last = f'{user} (session {row.session})' if row.session else 'nobody'
    return f'base {row.base}: {"STOPPING, " if row.stopping else ""}last user {last}'


def _has_topics(overview: Overview) -> bool:
    """Return whether a node has several topics, which then tell its sessions apart."""
    rows: list[SessionRow | RefusedRow] = [*overview.sessions, *overview.refused]
    clients = {(row.node, row.topic) for row in rows}
    return len(clients) > len({node for node, _ in clients})


def _why_none(overview: Overview) -> str:
    if not overview.active:
        return 'no sessions, as the bridge is inactive'
    if any(row.refusals for row in overview.bases):
        return 'no sessions: nobody publishes a command at present'
    return 'no sessions yet: nobody has published a command'


def _refusals(refusals: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in sorted(refusals.items())) or '0'


def main(argv: Sequence[str] | None = None) -> int:
    """Show the table until Ctrl-C and return 0; 1 where no bridge answers."""
    parser = argparse.ArgumentParser(prog='sessions', description=__doc__)
    parser.add_argument(
        'node', nargs='?', default=DEFAULT_NODE, help='the bridge (default: %(default)s)'
    )
    parser.add_argument('--once', action='store_true', help='print the table once')
    arguments = parser.parse_args(remove_ros_args(sys.argv[1:] if argv is None else argv))
    signals.interrupt_once()
    display = Display()
    try:
        with OverviewClient(arguments.node) as client:
            overview = client.fetch(FOUND_WITHIN)
            if overview is None:
                print(
                    f'sessions: no bridge answers at {client.node}: is it running, in this '
                    'ROS_DOMAIN_ID and namespace? Name it: sessions '
                    '/NAMESPACE/viam_session_bridge',
                    file=sys.stderr,
                )
                return 1
            if arguments.once:
                print_once(client.node, overview)
                return 0
            while True:
                display.step(client)
    except KeyboardInterrupt:
        return 0
    finally:
        display.close()


def print_once(node: str, overview: Overview) -> None:
    """Print an overview as a table, or as lines where rich is missing."""
    try:
        from rich.console import Console
    except ImportError:
        print(NO_RICH, file=sys.stderr)
        print('\n'.join(_states(overview)))
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table(node, overview, console.width))


if __name__ == '__main__':
    from viam_session_bridge.executables import sessions

    sessions()
