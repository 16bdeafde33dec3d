# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run: `python -m bench.plot RESULTS.json PICTURE.svg`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from pathlib import Path
import sys
from typing import Any

Part = Mapping[str, Any]

COLOURS = {'bridge': '#0b6e4f', 'floor': '#8a8a8a', 'sdk': '#c8553d'}
LABELS = {'bridge': 'bridge', 'floor': 'floor: forwards only', 'sdk': 'node on viam-sdk'}


def latency(axes: Any, part: Part) -> None:
    """Show the median and the 99th percentile of a command's age by rate."""
    for name, subject in part['subjects'].items():
        rates, medians, p99s = _columns(subject['rows'], 1, 5, 6)
        axes.plot(rates, medians, 'o-', color=COLOURS[name], label=LABELS[name])
        axes.plot(rates, p99s, 'o:', color=COLOURS[name])
    axes.set_yscale('log')
    axes.set(title='From publish to the base: median, p99 dotted', xlabel='rate', ylabel='ms')
    axes.legend()


def cpu(axes: Any, part: Part) -> None:
    """Show the CPU time per command sent by rate."""
    for name, subject in part['subjects'].items():
        rates, costs = _columns(subject['rows'], 1, 8)
        axes.plot(rates, costs, 'o-', color=COLOURS[name], label=LABELS[name])
    axes.set_ylim(bottom=0.0)
    axes.set(title='CPU per command sent', xlabel='rate', ylabel='ms')
    axes.legend()


def slow(axes: Any, part: Part) -> None:
    """Show by how old a command a slow base moves, at worst."""
    kinds = list(dict.fromkeys((row[1], row[2]) for row in part['rows']))
    for offset, name in ((-0.2, 'bridge'), (0.2, 'sdk')):
        oldest = {(row[1], row[2]): row[10] for row in part['rows'] if row[0] == name}
        axes.bar([at + offset for at in range(len(kinds))], [oldest[kind] for kind in kinds], 0.4,
                 color=COLOURS[name], label=LABELS[name])  # fmt: skip
    axes.set_xticks(range(len(kinds)), [f'{takes}\n{base}' for takes, base in kinds])
    axes.set(title='A slow base moves by a command so old, at most', ylabel='ms',
             xlabel='SetVelocity takes, and a base that is told of a newer one')  # fmt: skip
    axes.legend()


def stops(axes: Any, part: Part) -> None:
    """Show how late stops are, in order, beside those of viam-server's own."""
    lines = [
        (f'{label}, {kind} cores', colour, style, values)
        for kind, style in (('idle', '-'), ('busy', ':'))
        for label, colour, values in (
            ('bridge: deadline to Stop', COLOURS['bridge'],
             [one['deadline'] for one in part[kind] if one and one['deadline'] is not None]),
            ("viam-server's own lapse", COLOURS['sdk'], part['own'][kind]),
        )
    ]  # fmt: skip
    for label, colour, style, values in lines:
        shares = [100 * (at + 1) / len(values) for at in range(len(values))]
        axes.step(sorted(values), shares, style, where='post', color=colour, label=label)
    axes.set_xlim(left=0.0)
    axes.set(title='From the lapse to the Stop at the base', xlabel='ms', ylabel='% of the stops')
    axes.legend()


def growth(axes: Any, part: Part) -> None:
    """Show the CPU per command against what grows."""
    for axis, colour in zip(('clients', 'bases', 'silent'), COLOURS.values(), strict=True):
        rows = [row for row in part['rows'] if row[0] in ('one', axis)]
        label = {'clients': 'publishers', 'bases': 'bases', 'silent': 'silent sessions'}[axis]
        axes.plot([max(row[1], 1) for row in rows], [row[6] for row in rows], 'o-', color=colour,
                  label=label)  # fmt: skip
    axes.set_xscale('log')
    axes.set_ylim(bottom=0.0)
    axes.set(title='CPU per command of the bridge', xlabel='how many', ylabel='ms')
    axes.legend()


def start(axes: Any, part: Part) -> None:
    """Show the time to the first command, and the memory."""
    for name in ('bridge', 'floor'):
        axes.plot(part[name]['s'], part[name]['MB'], 'o', color=COLOURS[name], label=LABELS[name])
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.set(title='Start to first command, and memory', xlabel='s', ylabel='MB')
    axes.legend()


PANELS: tuple[tuple[str, Callable[[Any, Part], None]], ...] = (
    ('command_latency', latency), ('command_latency', cpu), ('slow_base', slow),
    ('stop_latency', stops), ('growth', growth), ('start', start),
)  # fmt: skip


def plot(parts: Mapping[str, Part], path: Path) -> None:
    """Draw what there is of a run; without matplotlib, say so."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: matplotlib is not installed')
        return
    panels = [(draw, parts[part]) for part, draw in PANELS if len(parts.get(part, {})) > 1]
    if not panels:
        return
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.4 * columns, 4.0 * rows), layout='constrained')
    for place, (draw, part) in enumerate(panels):
        draw(figure.add_subplot(rows, columns, place + 1), part)
    figure.savefig(path)
    print(f'drawn: {path}')


def _columns(rows: list[list[Any]], *indices: int) -> list[list[Any]]:
    return [[row[index] for row in rows] for index in indices]


if __name__ == '__main__':
    plot(json.loads(Path(sys.argv[1]).read_text())['parts'], Path(sys.argv[2]))
