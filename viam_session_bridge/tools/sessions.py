# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The executable ``sessions``: who drives which base, live in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from viam_session_bridge.reporting.overview import (
    BaseRow,
    MachineRow,
    Overview,
    overview_of,
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
WIDE = 120  # columns, where the output is no terminal
# Each column and the least width of the terminal that has it.
COLUMNS = {'id': 0, 'publisher': 0, 'drives': 0, 'to lapse': 50, 'commands': 90, 'refused': 70,
           'state': 60, 'topic': 110}  # fmt: skip
NUMBERS = ('id', 'commands')
NO_RICH = (
    'rich is missing, so changes are printed as lines; for a table: sudo apt install python3-rich,'
    ' or pip install rich'
)


class OverviewClient:
    """
    A node of its own, in a context of its own, that asks one bridge for its overview.

    It calls ``~/get_sessions``. The topic ``~/sessions`` would say only at each change, and else
    once a second, what the times to lapse are; those of a publisher that streams are others within
    a tenth of that.
    """

    def __init__(self, node: str) -> None:
        """
        Start to look for the bridge.

        :param node: the bridge's node, fully qualified
        """
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
        """
        Show nothing yet.

        :param indent: stands before each line of change
        """
        self._indent = indent
        self._live: Any = None
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

    def show(self, node: str, overview: Overview | None, age: float) -> None:
        """Show an overview that is so many s old; None: no bridge has answered yet."""
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(table(node, overview, self._live.console.width, age), refresh=True)
            return
        if overview is not None:
            for line in changes(self._previous, overview):
                self.print(self._indent + line)
            self._previous = overview
        if (age > SILENT_AFTER) != self._silent:
            self._silent = age > SILENT_AFTER
            self.print(f'{self._indent}{"no answer" if self._silent else "answers again"}')

    def close(self) -> None:
        """Leave the table as it is, as part of what was printed."""
        if self._live is not None and self._live.is_started:
            self._live.stop()
        self._live = None


class Watch:
    """Fetches a bridge's overview again and again, and shows it."""

    def __init__(self, client: OverviewClient, display: Display) -> None:
        """Show nothing yet."""
        self._client = client
        self._display = display
        self._answered = time.monotonic()
        self.overview: Overview | None = None

    def step(self) -> None:
        """Fetch, show, and take :data:`PERIOD` for both."""
        begun = time.monotonic()
        answer = self._client.fetch(PERIOD)
        if answer is not None:
            self.overview, self._answered = answer, time.monotonic()
        age = time.monotonic() - self._answered if self.overview is not None else 0.0
        self._display.show(self._client.node, self.overview, age)
        time.sleep(max(begun + PERIOD - time.monotonic(), 0.0))


def table(node: str, overview: Overview | None, width: int, age: float = 0.0) -> Group:
    """
    Return an overview for rich to print.

    :param width: of the terminal, which says what columns there are
    :param age: of the overview, s
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if overview is None:
        return Group(Text(f'looking for {node}'))
    overview = counted_down(overview, age)
    lines = [f'{node}: {_mode(overview)}', *map(_machine, overview.machines)]
    publishers = {row.id: publisher(row) for row in overview.sessions}
    lines += [_base(row, publishers) for row in overview.bases]
    parts: list[Any] = [
        *(Text(line, 'bold red' if _is_alarm(line) else '') for line in lines), Text()
    ]  # fmt: skip
    # Who drives first, then who drove last.
    rows = [row for row in overview.sessions if row.state == ACTIVE]
    rows += reversed([row for row in overview.sessions if row.state != ACTIVE])
    columns = [name for name, least in COLUMNS.items() if width >= least]
    sessions = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style='bold')
    for name in columns:
        # A name that is too long goes on in the next line.
        sessions.add_column(name, justify='right' if name in NUMBERS else 'left', overflow='fold',
                            no_wrap=name not in ('publisher', 'drives', 'topic'))  # fmt: skip
    for row in rows:
        cells = _cells(row, overview.window)
        style = '' if row.state == ACTIVE else 'dim'
        sessions.add_row(*(Text(cells[name]) for name in columns), style=style)
    parts.append(sessions if rows else Text('no sessions yet: nobody has published a command'))
    if age > SILENT_AFTER:
        parts.append(Text(f'NO ANSWER for {age:.0f} s: this is what was', 'bold red'))
    return Group(*parts)


def counted_down(overview: Overview, age: float) -> Overview:
    """Return an overview that is so many s old with the times to lapse of now."""
    return replace(
        overview,
        sessions=[
            replace(row, to_lapse=max(row.to_lapse - age, 0.0)) for row in overview.sessions
        ],
    )


def changes(before: Overview | None, after: Overview) -> Iterator[str]:
    """Yield a line for each change; all there is where there was nothing before."""
    if before is None or before.active != after.active:
        yield f'the bridge is {"active" if after.active else "INACTIVE"}'
    machines = {} if before is None else {row.machine: row.ready for row in before.machines}
    for machine in after.machines:
        if machines.get(machine.machine) != machine.ready:
            yield f'machine {machine.machine}: {"connected" if machine.ready else "NOT CONNECTED"}'
    names = {row.id: publisher(row) for row in after.sessions}
    known = {} if before is None else {row.id: row.state for row in before.sessions}
    for row in sorted(after.sessions, key=lambda row: row.id):
        # One may have come and gone in between; one that was gone from the start is history.
        if row.state == ACTIVE and row.id not in known:
            yield f'session {row.id} of {names[row.id]} started'
        elif row.state != ACTIVE and before is not None and known.get(row.id) != row.state:
            stopped = f'stopping {", ".join(row.bases)}' if row.bases else 'it stops no base'
            yield f'session {row.id} of {names[row.id]} ended ({row.state}): {stopped}'
    users = {} if before is None else {row.base: row.session for row in before.bases}
    for base in after.bases:
        if users.get(base.base, 0) != base.session:
            user = f'{names.get(base.session, "")} (session {base.session})'
            yield f'base {base.base}: last user {user if base.session else "nobody"}'


def publisher(row: SessionRow) -> str:
    """Return the name of a session's client: its node, or what else is known."""
    return row.node or row.topic or row.client


def bar(seconds: float, window: float) -> str:
    """Return a time to lapse as a bar and in seconds."""
    part = min(max(seconds / window, 0.0), 1.0) if window else 0.0
    # Rounded up: never empty before it is over, and full under a publisher that streams.
    return f'[{"#" * math.ceil(part * BAR):{BAR}}] {seconds:.2f} s'


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


def _base(row: BaseRow, publishers: dict[int, str]) -> str:
    user = f'{publishers.get(row.session, "")} (session {row.session})'
    refused = f', refused {_refusals(row.refusals)}' if row.refusals else ''
    return (
        f'base {row.base}: {"STOPPING, " if row.stopping else ""}last user '
        f'{user if row.session else "nobody"}{refused}'
    )


def _is_alarm(line: str) -> bool:
    words = ('INACTIVE', 'NOT CONNECTED', 'UNSUPERVISED', 'STOPPING')
    return any(f': {word}' in line or f', {word}' in line for word in words)


def _refusals(refusals: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in sorted(refusals.items())) or '0'


def _cells(row: SessionRow, window: float) -> dict[str, str]:
    active = row.state == ACTIVE
    return {
        'id': str(row.id),
        'publisher': publisher(row),
        # Of a session that ended, these are the bases its end stopped.
        'drives': (', '.join(row.bases) or '-') if active else '-',
        'to lapse': bar(row.to_lapse, window) if active else 'ended',
        'commands': str(row.commands),
        'refused': _refusals(row.refusals),
        'state': row.state if active else f'ended ({row.state})',
        'topic': row.topic,
    }


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
            watch = Watch(client, display)
            while True:
                watch.step()
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
        for line in changes(None, overview):
            print(line)
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table(node, overview, console.width))
